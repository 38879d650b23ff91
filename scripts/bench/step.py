"""Time and peak memory of training steps, relative to LoRA and to full fine-tuning.

    python -m scripts.bench.step [--task sst2] [--lengths 32 128] [--batch 16] [--device cuda --precision bf16]
    python -m scripts.bench.step --profile --lengths 128      # the time of a step by operator, as released and ours

RoBERTa-base size (`--task sst2`) or GPT-2 small size (`--task webnlg`) with random weights: forward, backward,
clipping and update on random tokens, dropout as in training. LoRA is on Q and V, rank 8; inducers and the combination
have the ranks of the paper; `inducer_as_released` is the same method in the form of the released code (two softmaxes,
logits at all positions). All take turns in one process. `peak MiB` is the peak memory of a step without the PLM, method
parameters and optimizer state, as torch's allocators count it.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import torch

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.training.loop import make_optimizer
from scripts.bench import harness
from scripts.bench.released_form import as_released
from scripts.bench.setup import build, random_loss, training_step

RELEASED = "inducer_as_released"
OPERATORS = 12  # in a profile
METHODS = ["lora", "inducer", RELEASED, "inducer_lora", "prefix", "adapter", "fine_tune"]
MORE = ["bitfit", "mam", "kernel_mix", "inducer_ffn"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish one row for each method and length."""
    parser = harness.parser(__doc__)
    parser.add_argument("--task", default="sst2", choices=["sst2", "webnlg"])
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS + MORE)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lengths", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--profile", action="store_true", help="the time of one step by operator, as released and ours")
    args = parser.parse_args(arguments)
    methods = [RELEASED, "inducer"] if args.profile else args.methods
    models = {method: model(method, args) for method in methods}
    optimizers = {m: make_optimizer(tuned, config.trainer) for m, (config, tuned) in models.items()}
    rows: list[harness.Row] = []
    for length in args.lengths:
        steps: dict[str, Callable[[], None]] = {
            method: partial(
                training_step,
                list(models[method][1].trained_parameters().values()),
                optimizer,
                random_loss(*models[method], args.batch, length, everywhere=method == RELEASED),
                args.device,
                args.precision,
            )
            for method, optimizer in optimizers.items()
        }
        rows_of = profiled if args.profile else measured
        found = rows_of(steps, args.rounds, args.device)
        rows += [{"T": length, **row} for row in found]
    if args.profile:
        kind, of = "profile", "A step by operator; the profiler adds some microseconds to each call."
    else:
        kind, of = "step", "p10, p90: of the ratio to LoRA."
    note = f"{args.task}, batch {args.batch}, {args.precision}. {of}"
    name = "_".join([kind, args.task, *(f"T{length}" for length in args.lengths), args.precision])
    harness.publish(name, rows, args.device, note, args.out)


def model(method: str, args: argparse.Namespace) -> tuple[ExperimentConfig, TunedModel]:
    """The PLM of the task with a method of `METHODS`."""
    name = "inducer" if method == RELEASED else method
    config, tuned = build([f"task={args.task}", f"method={name}"], args.device, args.mini)
    return config, as_released(tuned) if method == RELEASED else tuned


def measured(steps: dict[str, Callable[[], None]], rounds: int, device: torch.device) -> list[harness.Row]:
    """The time of each method's step, its ratios to LoRA's and fine-tuning's, and its peak memory."""
    times = harness.alternate(steps, rounds, device=device)
    rows = []
    for row in harness.ratio_rows(times, "lora"):
        method = row["candidate"]
        whole = {"ratio to fine_tune": harness.ratio(times, method, "fine_tune")[0]} if "fine_tune" in times else {}
        rows.append({**row, **whole, "peak MiB": harness.peak_memory(steps[method], device) / 2**20})
    return rows


def profiled(steps: dict[str, Callable[[], None]], rounds: int, device: torch.device) -> list[harness.Row]:
    """The median time of the slowest operators in each method's step, and of all operators together."""
    spent = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"  # microseconds
    found: dict[str, dict[str, list[tuple[float, int]]]] = {method: {} for method in steps}
    for index in range(1 + rounds):
        for method, step in steps.items():
            with torch.profiler.profile() as record:
                step()
            for event in record.key_averages() if index else ():
                found[method].setdefault(event.key, []).append((getattr(event, spent) / 1000, event.count))
    rows: list[harness.Row] = []
    for method, operators in found.items():
        ms = {name: harness.median([time for time, _ in seen]) for name, seen in operators.items()}
        calls = {name: seen[0][1] for name, seen in operators.items()}
        total = sum(ms.values())
        most = sorted(ms, key=lambda name: -ms[name])[:OPERATORS]
        rows += [
            {"form": method, "operator": name, "ms": ms[name], "%": 100 * ms[name] / total, "calls": calls[name]}
            for name in most
        ]
        rows.append({"form": method, "operator": "all", "ms": total, "%": 100.0, "calls": sum(calls.values())})
    return rows


if __name__ == "__main__":
    main()
