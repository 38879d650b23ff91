"""What a run tells on stdout before its first step: what it is and where, then data, parameters, device and steps.

Errors and progress have stderr to themselves: bad input is one line there. A sweep's jobs have a line each instead. In
a terminal, long values are wrapped; elsewhere a row is a line.
"""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.distributed import on_main_process
from inducer_bench.errors import printable
from inducer_bench.notices import tell
from inducer_bench.runs import words
from inducer_bench.runs.machine import BF16_SAVES, LONG, computes_bf16
from inducer_bench.runs.words import Rows
from inducer_bench.tasks.options import SAMPLES

if TYPE_CHECKING:
    from inducer_bench.training.loop import Experiment

_WIDTH = 12  # of the first column
_SPEED = 3e10  # parameters of the PLM x tokens that a core trains in a second, roughly


@on_main_process
def show(rows: Rows) -> None:
    """Write rows to stdout."""
    rows = [(name, printable(text)) for name, text in rows]
    if not sys.stdout.isatty():
        print("\n".join(f"{name:<{_WIDTH}}{text}" for name, text in rows), flush=True)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(min_width=_WIDTH - 1, style="bold")
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table, highlight=False, markup=False)


def tell_no_one(rows: Rows) -> None:
    """In the place of `show`, for a job of a sweep, and from Python."""


def begun(config: ExperimentConfig, folder: Path) -> Rows:
    """What is known without torch."""
    return [*words.known_before(config), ("folder", str(folder))]


def announce(config: ExperimentConfig, experiment: "Experiment", show: Callable[[Rows], None]) -> None:
    """Show what is known once data and model are there; what cannot be as it was meant is reported in any case."""
    useless = config.trainer.without_effect(_steps(config, experiment)[0])
    for line in [*useless, *experiment.task.untaught(experiment.splits.train)]:
        tell(line)
    if show is not tell_no_one:
        show(_built(config, experiment))


def _steps(config: ExperimentConfig, experiment: "Experiment") -> tuple[int, int]:
    """The steps of a run, and of an epoch."""
    each = math.ceil(len(experiment.splits.train) / config.trainer.batch_size)
    return config.trainer.epochs * each, each


def _built(config: ExperimentConfig, experiment: "Experiment") -> Rows:
    from inducer_bench.runs import provenance

    train = len(experiment.splits.train)
    selection = "held out" if config.protocol.select_on == "held_out" else "dev"
    sizes = {selection: len(experiment.splits.selection)}
    sizes |= {split: len(data) for split, data in experiment.eval_data.items()}
    total, each = _steps(config, experiment)
    precision = "tf32" if config.trainer.precision == "tf32" else experiment.accelerator.mixed_precision
    return [
        ("data", ", ".join(f"{name} {count:,}" for name, count in {"train": train, **sizes}.items())),
        *_sample(config, experiment),
        ("parameters", words.parameters(experiment.tuned.parameter_counts())),
        ("device", f"{provenance.device(experiment.accelerator.device)}, {'fp32' if precision == 'no' else precision}"),
        ("steps", f"{total:,}, {each:,} an epoch"),
        *_faster(config, experiment),
    ]


def _sample(config: ExperimentConfig, experiment: "Experiment") -> Rows:
    """How many of the examples are used, and which; they are read once more, to be counted."""
    every = experiment.task.unlimited()
    splits = ["train", *(["dev"] if config.protocol.select_on == "dev" else []), *experiment.eval_data]
    parts = []
    for split in dict.fromkeys(splits):
        if limit := config.task.limit(split):
            count = sum(1 for _ in every.read(split))
            parts += [f"{split} {limit:,} of {count:,}"] if limit < count else []
    return [("sample", f"{', '.join(parts)}; {SAMPLES[config.task.sample]}")] if parts else []


def _faster(config: ExperimentConfig, experiment: "Experiment") -> Rows:
    """That bf16 would save time, in a long run on a CPU that has it, where the precision was not chosen."""
    from inducer_bench.runs import provenance

    device = provenance.device(experiment.accelerator.device)
    work = experiment.tuned.parameter_counts()["plm"] * sum(experiment.splits.train.lengths) * config.trainer.epochs
    long = work > LONG * _SPEED * device.threads
    told = device.type == "cpu" and config.trainer.precision == "auto" and long and computes_bf16()
    return [("faster", BF16_SAVES)] if told else []
