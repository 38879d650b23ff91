"""TensorBoard (https://www.tensorflow.org/tensorboard): events in the run's own folder.

`tensorboard --logdir runs` shows all runs, with their configurations and scores under HPARAMS. What an interrupted run
wrote after its last checkpoint is hidden by the first row of the run that goes on from there.
"""

import json
from collections.abc import Iterator
from typing import Any

from torch.utils.tensorboard.writer import SummaryWriter

from inducer_bench.training.sink import Start

FOLDER = "tensorboard"  # below the run's


class TensorBoardSink:
    """The event files of one run."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._writer: SummaryWriter | None = None
        self._step = 0

    def log(self, row: dict[str, float], step: int) -> None:
        """Write one row."""
        writer, self._step = self._open(step), step
        for name, value in row.items():
            if value is not None:  # a score that is not defined
                writer.add_scalar(name, value, step)

    def finish(self, summary: dict[str, Any] | None) -> None:
        """Write configuration and scores of a finished run, and close the file."""
        writer = self._open(self._step)
        if summary is not None:
            values = dict(_flat({**self._start.config, "parameters": summary["parameters"]}))
            scores = {f"scores/{name}": value for name, value in summary.items() if isinstance(value, float)}
            writer.add_hparams(values, scores, run_name=".", global_step=self._step)  # in the same folder
        writer.close()

    def _open(self, step: int) -> SummaryWriter:
        """The writer, which is made when the first step is known."""
        if self._writer is None:
            self._writer = SummaryWriter(str(self._start.folder / FOLDER), purge_step=step)
            self._writer.add_text("config", f"```\n{json.dumps(self._start.config, indent=2)}\n```", step)
        return self._writer


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    """Every value by its dotted key, as TensorBoard takes it."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, bool | int | float | str) else json.dumps(value)
