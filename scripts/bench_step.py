"""Training steps of the tuning methods against LoRA's and full fine-tuning's; their peak memory.

    python scripts/bench_step.py [--task sst2] [--lengths 32 128] [--batch 16] [--device cuda --precision bf16]
    python scripts/bench_step.py --profile --lengths 128 --methods lora inducer      # where the time goes

RoBERTa-base size (`--task sst2`) or GPT-2 small size (`--task webnlg`) with random weights: forward, backward,
clipping and update on random tokens, dropout as in training. LoRA is on Q and V, rank 8; inducers and the combination
have the ranks of the paper. All share the process and take turns. `peak MiB` is what a step holds at most beside the
PLM, method parameters and optimiser state, as torch's allocators count.
"""

from collections.abc import Callable, Sequence
from functools import partial

import benchmark
import torch
from bench_setup import build, random_loss, training_step

from inducer_bench.training import make_optimizer

METHODS = ["lora", "inducer", "inducer_lora", "prefix", "adapter", "fine_tune"]


def main(arguments: Sequence[str] | None = None) -> None:
    """One row for each method and length."""
    parser = benchmark.parser(__doc__)
    parser.add_argument("--task", default="sst2", choices=["sst2", "webnlg"])
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lengths", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--profile", action="store_true", help="print a profile of one step of each method, and stop")
    args = parser.parse_args(arguments)
    models = {m: build([f"task={args.task}", f"method={m}"], args.device, args.mini) for m in args.methods}
    optimizers = {m: make_optimizer(tuned, config.trainer) for m, (config, tuned) in models.items()}
    rows: list[benchmark.Row] = []
    for length in args.lengths:
        steps: dict[str, Callable[[], None]] = {
            method: partial(
                training_step,
                list(models[method][1].trained_parameters().values()),
                optimizer,
                random_loss(*models[method], args.batch, length),
                args.device,
                args.precision,
            )
            for method, optimizer in optimizers.items()
        }
        if args.profile:
            show_profiles(steps)
        else:
            rows += [{"T": length, **row} for row in measured(steps, args.rounds, args.device)]
    if rows:
        note = f"{args.task}, batch {args.batch}, {args.precision}. p10 and p90 are of the ratio to LoRA."
        name = f"step_{args.task}_{args.precision}"
        benchmark.publish(name, rows, args.device, benchmark.command_line(), note, out=args.out)


def measured(steps: dict[str, Callable[[], None]], rounds: int, device: torch.device) -> list[benchmark.Row]:
    """Time of each method's step, with its ratios to LoRA's and to fine-tuning's, and peak memory."""
    times = benchmark.alternate(steps, rounds, device=device)
    rows = []
    for row in benchmark.ratio_rows(times, "lora"):
        method = row["candidate"]
        whole = {"ratio to fine_tune": benchmark.ratio(times, method, "fine_tune")[0]} if "fine_tune" in times else {}
        rows.append({**row, **whole, "peak MiB": benchmark.peak_memory(steps[method], device) / 2**20})
    return rows


def show_profiles(steps: dict[str, Callable[[], None]]) -> None:
    """Where the time of a step goes, by operator."""
    for method, step in steps.items():
        step()
        with torch.profiler.profile() as record:
            step()
        print(method)
        print(record.key_averages().table(sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=50))


if __name__ == "__main__":
    main()
