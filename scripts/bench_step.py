"""Training steps of the tuning methods against LoRA's and full fine-tuning's; their peak memory.

    python scripts/bench_step.py [--task sst2] [--lengths 32 128 512] [--batch 16] [--device cuda --precision bf16]

RoBERTa-base size (`--task sst2`) or GPT-2 small size (`--task webnlg`) with random weights: forward, backward,
clipping and update on unpadded random tokens, dropout as in training. LoRA is on Q and V, rank 8; inducers and the
combination at the budget of the paper. One method's model is loaded once; all share the process and take turns.
"""

from collections.abc import Sequence
from functools import partial

import benchmark
import torch
from bench_setup import build, random_batch, training_step
from torch import Tensor, nn
from torch.nn import functional as F

from inducer_bench.methods import TunedModel
from inducer_bench.training import make_optimizer

METHODS = ["lora", "inducer", "inducer_lora", "prefix", "adapter", "fine_tune"]
LABELLED = 0.36  # of the positions: those of WebNLG that carry a label


def main(arguments: Sequence[str] | None = None) -> None:
    """One row for each method and length."""
    parser = benchmark.parser(__doc__)
    parser.add_argument("--task", default="sst2", choices=["sst2", "webnlg"])
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lengths", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--profile", action="store_true", help="print the profile of a step of each method, and stop")
    args = parser.parse_args(arguments)
    steps = {}
    for method in args.methods:
        config, tuned = build([f"task={args.task}", f"method={method}"], args.device, args.mini)
        parameters = list(tuned.trained_parameters().values())
        steps[method] = partial(step, tuned, parameters, make_optimizer(tuned, config.trainer), args)
    rows: list[benchmark.Row] = []
    for length in args.lengths:
        calls = {method: partial(call, length) for method, call in steps.items()}
        if args.profile:
            show_profiles(calls)
            continue
        times = benchmark.alternate(calls, args.rounds, device=args.device)
        for row, whole in zip(
            benchmark.ratio_rows(times, "lora"), benchmark.ratio_rows(times, "fine_tune"), strict=True
        ):
            peak = benchmark.peak_memory(calls[row["candidate"]], args.device) / 2**20
            ratio = {"ratio to fine_tune": whole["ratio to fine_tune"]}
            rows.append({"T": length, **row, **ratio, "peak MiB": peak})
    if rows:
        note = f"{args.task}, batch {args.batch}, {args.precision}. p10 and p90 are of the ratio to LoRA."
        name = f"step_{args.task}_{args.precision}"
        benchmark.publish(name, rows, args.device, benchmark.command_line(), note, out=args.out)


def step(
    tuned: TunedModel, parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer, args: object, length: int
) -> None:
    """One training step on random tokens of this length."""
    batch, task = args.batch, args.task  # type: ignore[attr-defined]
    loss = partial(LOSSES[task], tuned, random_batch(tuned, batch, length))
    training_step(parameters, optimizer, loss, args.device, args.precision)  # type: ignore[attr-defined]


def classified(tuned: TunedModel, batch: dict[str, Tensor]) -> Tensor:
    return F.cross_entropy(tuned(**batch).logits, torch.zeros_like(batch["input_ids"][:, 0]))


def generated(tuned: TunedModel, batch: dict[str, Tensor]) -> Tensor:
    """Labels at the last part of each row, as behind a source."""
    ids = batch["input_ids"]
    at = torch.zeros_like(ids, dtype=torch.bool)
    at[:, -round(LABELLED * ids.shape[1]) :] = True
    return F.cross_entropy(tuned(**batch, logits_at=at), ids[at])


LOSSES = {"sst2": classified, "webnlg": generated}


def show_profiles(calls: dict[str, partial[None]]) -> None:
    """Where the time of a step goes, by operator."""
    for method, call in calls.items():
        call()
        with torch.profiler.profile() as record:
            call()
        print(method)
        print(record.key_averages().table(sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=50))


if __name__ == "__main__":
    main()
