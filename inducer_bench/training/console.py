"""The training's line in a terminal: a bar, the step, the last loss, and the time left; shorter where it is narrow."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from inducer_bench.training.units import clock

_WIDE, _NARROW = 100, 50  # columns of a terminal
_STEPS, _SECONDS = 5, 3.0  # after which the time of a whole run is printed


class Left(ProgressColumn):
    """The time left, and that it is that."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """`1:44 left`; nothing while it is not known."""
        seconds = task.time_remaining
        return Text("" if seconds is None else f"{clock(seconds)} left", style="progress.remaining")


def bar(console: Console) -> Bar:
    """A bar that fits into the terminal, for one task."""
    columns: list[ProgressColumn | str] = [MofNCompleteColumn(), TextColumn("{task.description}"), Left()]
    if console.width >= _NARROW:
        columns.insert(0, BarColumn(20 if console.width >= _WIDE else 8))
    if console.width >= _WIDE:
        columns.insert(0, "training")
    return Bar(*columns, console=console, transient=True)


def progress_line(console: Console, loss: float, lr: float, speed: float) -> str:
    """What the bar says beside the steps: as much as there is room for."""
    if console.width >= _WIDE:
        return f"loss {loss:.4f}  lr {lr:.2e}  {speed:,.0f} tokens/s"
    return f"loss {loss:.4f}" if console.width >= _NARROW else ""


class Expectation:
    """Tells once, after some steps, how long the training will take."""

    def __init__(self, done: int, total: int) -> None:
        self._began, self._done, self._total = time.perf_counter(), done, total
        self._told = False

    def line(self, step: int) -> str | None:
        """The line, after step `step`; None before it is known, or once it was printed."""
        taken, seconds = step - self._done, time.perf_counter() - self._began
        if self._told or taken < _STEPS or seconds < _SECONDS or step >= self._total:
            return None
        self._told = True
        return f"about {clock(seconds / taken * (self._total - step))} of training left, {seconds / taken:.2g} s a step"
