"""What a run tells on stdout before its first step: what it is and where, then data, parameters, device and steps.

Errors and progress have stderr to themselves: bad input is one line there. A sweep's jobs have a line each instead. In
a terminal, long values are wrapped; elsewhere a row is a line.
"""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.distributed import on_main_process
from inducer_bench.errors import printable
from inducer_bench.runs import words
from inducer_bench.runs.words import Rows

if TYPE_CHECKING:
    from inducer_bench.training.loop import Experiment

_WIDTH = 12  # of the first column


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


def built(config: ExperimentConfig, experiment: "Experiment") -> Rows:
    """What is known once data and model are there."""
    from inducer_bench.runs import provenance

    train = len(experiment.splits.train)
    selection = "held out" if config.protocol.select_on == "held_out" else "dev"
    sizes = {selection: len(experiment.splits.selection)}
    sizes |= {split: len(data) for split, data in experiment.eval_data.items()}
    each = math.ceil(train / config.trainer.batch_size)
    total = config.trainer.epochs * each
    precision = "tf32" if config.trainer.precision == "tf32" else experiment.accelerator.mixed_precision
    return [
        ("data", ", ".join(f"{name} {count:,}" for name, count in {"train": train, **sizes}.items())),
        ("parameters", words.parameters(experiment.tuned.parameter_counts())),
        ("device", f"{provenance.device(experiment.accelerator.device)}, {'fp32' if precision == 'no' else precision}"),
        ("steps", f"{total:,}, {each:,} an epoch"),
    ]
