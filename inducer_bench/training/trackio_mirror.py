"""trackio (https://huggingface.co/docs/trackio): a local database and dashboard; `trackio show` opens it."""

from types import ModuleType
from typing import Any

import trackio
import trackio.run
import trackio.utils

from inducer_bench.training.options import TrackerOptions
from inducer_bench.training.sink import Start


class TrackioSink:
    """A run in trackio's database."""

    def __init__(self, tracker: TrackerOptions, start: Start) -> None:
        module: ModuleType
        for module in (trackio, trackio.run, trackio.utils):
            module.print = _nothing  # type: ignore[attr-defined]  # stdout is for scripts that read a run's folder
        self._step = 0
        self._run: Any = trackio.init(
            tracker.project,
            name=f"{start.name}/{start.run_id}",  # a resumed run is found by it
            group=start.group,
            config=start.config,
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, row: dict[str, float], step: int) -> None:
        """Send one row."""
        self._step = step
        self._run.log(row, step=step)

    def finish(self, summary: dict[str, Any] | None) -> None:
        """Send the scores of a finished run as a last row, and end the run."""
        if summary is not None:
            self._run.log({f"scores/{name}": value for name, value in summary.items()}, step=self._step)
        self._run.finish()


def _nothing(*args: object, **kwargs: object) -> None:
    """Print nothing."""
