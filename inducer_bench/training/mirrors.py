"""Trackers as mirrors of a run's local files; their failures change no number and no exit code.

Each tracker works in a thread of its own. One that raises, in whatever place, is reported in a line and left out from
there on. One that is slow or hangs delays no step: rows wait in a queue, and only the end of a run waits, for so long.

Of absolute paths only the last part is mirrored.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from inducer_bench.notices import tell
from inducer_bench.training.options import TrackerOptions
from inducer_bench.training.sink import ANYTHING, Sink, Start, reason

END_SECONDS = 75.0  # that the end of a run waits for a tracker
TITLES = {"wandb": "Weights & Biases", "tensorboard": "TensorBoard", "trackio": "trackio"}
_EXTRAS = ("tensorboard", "trackio")


class Mirror:
    """One tracker of one run, in a thread of its own."""

    def __init__(self, title: str, start: Callable[[], Sink]) -> None:
        self._title = title
        self._calls: SimpleQueue[Callable[[Sink], object] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, args=(start,), name=f"mirror to {title}", daemon=True)
        self._thread.start()

    def log(self, row: dict[str, float], step: int) -> None:
        """Send one row of metrics; does not wait."""
        self._calls.put(lambda sink: sink.log(row, step))

    def finish(self, summary: dict[str, Any] | None) -> bool:
        """Send the summary, and wait for the tracker to end; whether it has within `END_SECONDS`."""
        self._calls.put(lambda sink: sink.finish(summary))
        self._calls.put(None)
        self._thread.join(END_SECONDS)
        if self._thread.is_alive():
            tell(f"{self._title} is left out from here on: it did not end within {END_SECONDS:g} s")
        return not self._thread.is_alive()

    def _work(self, start: Callable[[], Sink]) -> None:
        since = "nothing is mirrored"
        try:
            sink = start()
            since = "from here on"
            while (call := self._calls.get()) is not None:
                call(sink)
        except ANYTHING as error:
            between = " " if since == "from here on" else ", "
            tell(f"{self._title} is left out{between}{since}: {reason(error)}")


class Mirrors:
    """All trackers of one run."""

    def __init__(self, each: dict[str, Mirror] | None = None) -> None:
        self._each = each or {}

    def log(self, metrics: dict[str, Any]) -> None:
        """Send one row of metrics, with its `event` and `step`."""
        row = {f"{metrics['event']}/{key}": value for key, value in metrics.items() if key not in ("event", "step")}
        for mirror in self._each.values():
            mirror.log(row, metrics["step"])

    def finish(self, summary: dict[str, Any] | None) -> None:
        """End the run in each tracker; without a summary it ends as failed."""
        for name, mirror in self._each.items():
            if not mirror.finish(summary):
                _HUNG.add(name)


_HUNG: set[str] = set()  # trackers that did not end: later runs of this process do without them


def open_mirrors(tracker: TrackerOptions, start: Start) -> Mirrors:
    """The mirrors that `tracker` asks for."""
    start = start._replace(config=_without_folders(start.config))
    wanted = {name for name in (tracker.name, *tracker.also) if name != "none"} - _HUNG
    return Mirrors({name: Mirror(TITLES[name], partial(_sink, name, tracker, start)) for name in sorted(wanted)})


def _sink(name: str, tracker: TrackerOptions, start: Start) -> Sink:
    """A tracker, whose package is imported here: it takes seconds, and most runs do not use it."""
    try:
        if name == "wandb":
            from inducer_bench.training.wandb_mirror import WandbSink

            return WandbSink(tracker, start)
        if name == "tensorboard":
            from inducer_bench.training.tensorboard_mirror import TensorBoardSink

            return TensorBoardSink(start)
        from inducer_bench.training.trackio_mirror import TrackioSink

        return TrackioSink(tracker, start)
    except ImportError as error:
        if name not in _EXTRAS:
            raise
        raise ImportError(f"{reason(error)}; pip install 'inducer-bench[{name}]'") from None


def _without_folders(value: Any) -> Any:
    """Plain values in which an absolute path is cut to its last part."""
    if isinstance(value, dict):
        return {key: _without_folders(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_folders(each) for each in value]
    return Path(value).name if isinstance(value, str) and os.path.isabs(os.path.expanduser(value)) else value
