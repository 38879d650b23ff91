"""Scaling: time and memory of a training step against length, batch and layers; time against runs of a sweep.

    python scripts/bench_scaling.py --task sst2 [--device cuda --precision bf16]
    python scripts/bench_scaling.py --task webnlg

RoBERTa-base (SST-2) or GPT-2 small (WebNLG) with random weights on random tokens; one axis varies, the others stay at
--length, --batch and all layers. `peak MiB` is what a step holds at most beside the PLM, method parameters and
optimiser state, as torch's allocators count. A sweep is `inducer-bench -m` with so many seeds of a tiny run of the mini
PLM, in one process; `seconds a further run` is what each run after the first adds (--runs begins with 1).
`scripts/project_cost.py` reads the JSON.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

import benchmark
import matplotlib
import torch
from bench_setup import COMMAND, SMALL_RUN, build, random_loss, training_step
from benchmark import Row
from matplotlib.figure import Figure

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.methods.architectures import LAYOUTS
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.report import figures
from inducer_bench.training.loop import make_optimizer


def main(arguments: Sequence[str] | None = None) -> None:
    """One row for each method at each point, one for each sweep, and a figure."""
    parser = benchmark.parser(__doc__, rounds=3)
    parser.add_argument("--task", default="sst2", choices=["sst2", "webnlg"])
    parser.add_argument("--methods", nargs="+", default=["fine_tune", "lora", "inducer"])
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lengths", nargs="*", type=int, default=[16, 32, 128])
    parser.add_argument("--batches", nargs="*", type=int, default=[4, 16])
    parser.add_argument("--layers", nargs="*", type=int, default=[6, 3], help="beside all of the PLM's")
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
    times = benchmark.alternate(sweeps, args.rounds)
    for runs in args.runs:
        seconds = benchmark.median(times[str(runs)])
        further = (seconds - benchmark.median(times["1"])) / (runs - 1) if runs > 1 else None
        rows.append({"method": "inducer", "runs": runs, "seconds": seconds, "seconds a further run": further})

    name = f"scaling_{args.task}_{args.precision}"
    note = f"Medians of {args.rounds} alternating runs. {args.precision}."
    title = "Time and memory of a training step; time of a sweep in one process"
    picture = figures.picture(name, title, draw(rows, args.batch, args.length))
    benchmark.publish(name, rows, args.device, benchmark.command_line(), note, [picture], args.out)


def measured(
    models: dict[str, tuple[ExperimentConfig, TunedModel]], batch: int, length: int, args: argparse.Namespace
) -> list[Row]:
    """One row for each method: its step's time and memory at one point."""
    steps = {name: step_of(*model, batch, length, args.precision) for name, model in models.items()}
    times = benchmark.alternate(steps, args.rounds, device=args.device)
    return [
        {"method": name, "layers": len(blocks(models[name][1])), "batch": batch, "length": length,
         "seconds": benchmark.median(times[name]), "peak MiB": benchmark.peak_memory(step, args.device) / 2**20}
        for name, step in steps.items()
    ]  # fmt: skip


def step_of(config: ExperimentConfig, tuned: TunedModel, batch: int, length: int, precision: str) -> Callable[[], None]:
    """A training step on random tokens."""
    optimizer, parameters = make_optimizer(tuned, config.trainer), list(tuned.trained_parameters().values())
    loss = random_loss(config, tuned, batch, length)
    return partial(training_step, parameters, optimizer, loss, tuned.device, precision)


def blocks(tuned: TunedModel) -> torch.nn.ModuleList:
    """The PLM's layers; a method's parts are inside them."""
    found = tuned.model.base_model.get_submodule(LAYOUTS[tuned.model.config.model_type].layers)
    assert isinstance(found, torch.nn.ModuleList)
    return found


def sweep(runs: int, device: torch.device) -> None:
    """As many tiny runs in one process, from its start to its end."""
    with tempfile.TemporaryDirectory() as room:
        overrides = [*SMALL_RUN, f"seed=range({runs})", f"output_dir={room}", f"trainer.device={device.type}"]
        subprocess.run([COMMAND, "-m", *overrides], check=True, capture_output=True)


def draw(rows: Sequence[Row], batch: int, length: int) -> Figure:
    """Time above, memory below; a column for each of length, batch and layers, and one for runs."""
    steps = [row for row in rows if "layers" in row]
    depth = max(row["layers"] for row in steps)
    fixed = {"length": length, "batch": batch, "layers": depth}
    with matplotlib.rc_context(figures.SETTINGS):
        figure = Figure(figsize=(11, 5), layout="constrained")
        grid = figure.subplots(2, 4, sharex="col", squeeze=False)
        for (line, value), (column, axis) in product(enumerate(("seconds", "peak MiB")), enumerate([*fixed, "runs"])):
            axes, others = grid[line, column], {k: v for k, v in fixed.items() if k != axis}
            shown = [r for r in (rows if axis == "runs" else steps) if axis in r and value in r]
            shown = [r for r in shown if axis == "runs" or all(r[k] == v for k, v in others.items())]
            if not shown:
                axes.set_axis_off()
            for method in dict.fromkeys(row["method"] for row in shown):
                pairs = sorted((row[axis], row[value]) for row in shown if row["method"] == method)
                colour, marker, dash = figures.looks([method])[method]
                axes.plot(*zip(*pairs, strict=True), color=colour, marker=marker, ls=dash, label=method)
            axes.set_ylim(bottom=0)
            axes.set_xlabel(axis)
            axes.tick_params(labelbottom=True)  # also where nothing is below
            axes.set_ylabel(value)
        grid[0, 0].legend()
    return figure


if __name__ == "__main__":
    main()
