"""Scaling: time and memory of a training step over length, batch and layers; time of a sweep over its runs.

    python -m scripts.bench.scaling --task sst2 [--device cuda --precision bf16]
    python -m scripts.bench.scaling --task webnlg

RoBERTa-base (SST-2) or GPT-2 small (WebNLG) with random weights on random tokens; one axis varies, the others stay at
--length, --batch and all layers. `peak MiB` is the peak memory of a step without the PLM, method parameters and
optimizer state, as torch's allocators count it. A sweep is `inducer-bench -m` over several seeds of a tiny run of the
mini PLM, in one process; `seconds a further run` is the time that each run after the first adds (--runs must begin
with 1).
`scripts.bench.project_cost` reads the JSON.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial

import torch

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.methods.architectures import LAYOUTS
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.training.loop import make_optimizer
from scripts.bench import harness
from scripts.bench.harness import Row
from scripts.bench.setup import COMMAND, SMALL_RUN, build, random_loss, training_step


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish one row for each method at each point, and one for each sweep."""
    parser = harness.parser(__doc__, rounds=3)
    parser.add_argument("--task", default="sst2", choices=["sst2", "webnlg"])
    parser.add_argument("--methods", nargs="+", default=["fine_tune", "lora", "inducer"])
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lengths", nargs="*", type=int, default=[16, 32, 128])
    parser.add_argument("--batches", nargs="*", type=int, default=[4, 16])
    parser.add_argument("--layers", nargs="*", type=int, default=[6, 3], help="in addition to all layers of the PLM")
    parser.add_argument("--runs", nargs="*", type=int, default=[1, 2, 4])
    args = parser.parse_args(arguments)
    models = {m: build([f"task={args.task}", f"method={m}"], args.device, args.mini) for m in args.methods}

    # -- one training step ---------------------------------------------------------------------------------------------
    rows: list[Row] = []
    points = [(args.batch, args.length), *((args.batch, length) for length in args.lengths),
              *((batch, args.length) for batch in args.batches)]  # fmt: skip
    for batch, length in points:
        rows += measured(models, batch, length, args)
    for depth in sorted(args.layers, reverse=True):
        for _, tuned in models.values():
            del blocks(tuned)[depth:]
        rows += measured(models, args.batch, args.length, args)

    # -- runs of a sweep -----------------------------------------------------------------------------------------------
    sweeps = {str(runs): partial(sweep, runs, args.device) for runs in args.runs}
    times = harness.alternate(sweeps, args.rounds)
    for runs in args.runs:
        seconds = harness.median(times[str(runs)])
        further = (seconds - harness.median(times["1"])) / (runs - 1) if runs > 1 else None
        rows.append({"method": "inducer", "runs": runs, "seconds": seconds, "seconds a further run": further})

    name = f"scaling_{args.task}_{args.precision}"
    note = f"Medians of {args.rounds} alternating runs. {args.precision}."
    harness.publish(name, rows, args.device, note, args.out)


def measured(
    models: dict[str, tuple[ExperimentConfig, TunedModel]], batch: int, length: int, args: argparse.Namespace
) -> list[Row]:
    """One row for each method: time and memory of its step at one point."""
    steps = {name: step_of(*model, batch, length, args.precision) for name, model in models.items()}
    times = harness.alternate(steps, args.rounds, device=args.device)
    return [
        {"method": name, "layers": len(blocks(models[name][1])), "batch": batch, "length": length,
         "seconds": harness.median(times[name]), "peak MiB": harness.peak_memory(step, args.device) / 2**20}
        for name, step in steps.items()
    ]  # fmt: skip


def step_of(config: ExperimentConfig, tuned: TunedModel, batch: int, length: int, precision: str) -> Callable[[], None]:
    """A training step on random tokens."""
    optimizer, parameters = make_optimizer(tuned, config.trainer), list(tuned.trained_parameters().values())
    loss = random_loss(config, tuned, batch, length)
    return partial(training_step, parameters, optimizer, loss, tuned.device, precision)


def blocks(tuned: TunedModel) -> torch.nn.ModuleList:
    """The layers of the PLM, with the parts of the method inside them."""
    found = tuned.model.base_model.get_submodule(LAYOUTS[tuned.model.config.model_type].layers)
    assert isinstance(found, torch.nn.ModuleList)
    return found


def sweep(runs: int, device: torch.device) -> None:
    """Run a whole process that sweeps over `runs` tiny runs."""
    with tempfile.TemporaryDirectory() as room:
        overrides = [*SMALL_RUN, f"seed=range({runs})", f"output_dir={room}", f"trainer.device={device.type}"]
        subprocess.run([COMMAND, "-m", *overrides], check=True, capture_output=True)


if __name__ == "__main__":
    main()
