"""What a tracker is to this package: it gets rows of metrics and a summary, under one name for each run."""

from pathlib import Path
from typing import Any, NamedTuple, Protocol

ANYTHING = (Exception, SystemExit)  # that a tracker's package may raise; only the user's interrupt is let through


class Start(NamedTuple):
    """What a tracker is told of a run when it starts."""

    folder: Path  # of the run
    run_id: str  # a resumed run continues under the same one
    name: str
    group: str  # of its other seeds
    config: dict[str, Any]  # plain values, without folders


class Sink(Protocol):
    """A run as a tracker keeps it. Any method may raise anything, or never return."""

    def log(self, row: dict[str, float], step: int) -> None:
        """Take one row of metrics, named `train/loss`."""
        ...

    def finish(self, summary: dict[str, Any] | None) -> None:
        """End the run: with its scores and numbers of parameters, or without them where it has failed."""
        ...


def reason(error: BaseException) -> str:
    """A message as one line, without the advice for programmers that pydantic appends."""
    return " ".join(str(error).split()).partition(" [type=")[0] or type(error).__name__
