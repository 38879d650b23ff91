"""`trainer.compile`: the cost of its warm-up and the gain of each step.

    python -m scripts.bench.compile --task sst2 [--methods lora inducer] [--mode default] [--data FOLDER]

Training steps of RoBERTa-base (SST-2) or GPT-2 small (WebNLG) with random weights on a few batches of the real data,
evenly spaced in order of length: eager, and compiled with lengths rounded up as the trainer does. `warm-up` is the
extra time of the first pass over the batches; after `steps to break even` compiled training has made up for it. The
on-disk cache of compiled code is off.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from math import ceil
from typing import Any

import torch

from inducer_bench.tasks.base import Task
from inducer_bench.training.batching import training_batches
from inducer_bench.training.loop import COMPILED_LENGTHS, make_optimizer
from scripts.bench import harness
from scripts.bench.setup import build, real_task, spread, training_step


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish one row for each method."""
    parser = harness.parser(__doc__)
    parser.add_argument("--task", default="sst2", choices=["sst2", "webnlg"])
    parser.add_argument("--methods", nargs="+", default=["lora", "inducer", "inducer_lora", "fine_tune"])
    parser.add_argument("--mode", default="default", choices=["default", "reduce-overhead"])
    parser.add_argument("--batches", type=int, default=4, help="timed in each round (default: %(default)s)")
    args = parser.parse_args(arguments)
    _, task = real_task(args.task, args.data, args.mini)
    settings: Any = torch.compiler.config
    with settings.patch(force_disable_caches=True):  # else a second call would reuse the code of the first
        rows = [{"method": method, **measured(method, task, args)} for method in args.methods]
    note = f"{args.task}, {args.mode}, {args.batches} batches. {args.precision}."
    name = f"compile_{args.task}_{args.mode}_{args.precision}"
    harness.publish(name, rows, args.device, note, args.out)


def measured(method: str, task: Task, args: argparse.Namespace) -> harness.Row:
    """Seconds of a step in both forms, their ratio, and the warm-up time."""
    examples = task.examples("train")
    config, tuned = build([f"task={args.task}", f"method={method}"], args.device, args.mini)
    optimizer, parameters = make_optimizer(tuned, config.trainer), list(tuned.trained_parameters().values())
    epoch = training_batches(examples.lengths, config.trainer.batch_size, seed=0, epoch=0)
    chosen = [examples.take(indices) for indices in spread(epoch, examples.lengths, args.batches)]
    tuned.compile_layers(args.mode)

    def steps(stance: str, multiple: int) -> None:
        with torch.compiler.set_stance(stance):
            for batch in (task.collate(members, task.padded_length(members, multiple)) for members in chosen):
                moved = {name: tensor.to(args.device) for name, tensor in batch.items()}
                loss = partial(task.loss, tuned, moved, config.trainer.label_smoothing)
                training_step(parameters, optimizer, loss, args.device, args.precision)

    forms = {"as it is": partial(steps, "force_eager", 1), "compiled": partial(steps, "default", COMPILED_LENGTHS)}
    torch.compiler.reset()
    first = harness.alternate(forms, rounds=1, warmup=0, device=args.device)
    times = harness.alternate(forms, args.rounds, device=args.device)
    seconds = {form: harness.median(values) / len(chosen) for form, values in times.items()}
    warm_up = first["compiled"][0] - len(chosen) * seconds["compiled"]
    gain = seconds["as it is"] - seconds["compiled"]
    middle, low, high = harness.ratio(times, "compiled", "as it is")
    return {
        "seconds a step": seconds["as it is"], "compiled": seconds["compiled"],
        "ratio": middle, "p10": low, "p90": high, "warm-up, seconds": warm_up,
        "steps to break even": ceil(warm_up / gain) if gain > 0 else None,
    }  # fmt: skip


if __name__ == "__main__":
    main()
