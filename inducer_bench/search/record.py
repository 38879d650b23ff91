"""`search.json`: what was tried for one method on one task, what it scored, what won, and which runs came of it.

Trials and final runs are ordinary runs with records of their own; this file names them by their hashes.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from inducer_bench.options import options
from inducer_bench.runs.record import Count, NonNegative

FILE = "search.json"
RECIPE = "recipe.yaml"
FOLDER = "searches"  # in the output folder: searches/<task>/<plm>/<method>/<id>

Value = bool | int | float | str | None


@options
class Dimension:
    """A key that is searched: an interval, or some values.

    Either low and high are given, or values.
    """

    key: str  # as an override: trainer.lr, method.dropout
    centre: Value  # the method's own value
    low: float | None = None
    high: float | None = None
    log: bool = False  # uniform in the logarithm
    values: list[Value] | None = None


@options
class Trial:
    """One point, and the run that tried it."""

    number: Count  # from 0
    point: list[float]  # the quasi-random point, one number in [0, 1) for each dimension; equal for every method
    settings: dict[str, Value]  # override -> value: {"trainer.lr": 0.0012}
    run: str  # hash of its run
    status: Literal["planned", "done", "diverged", "failed", "oom", "interrupted"] = "planned"
    score: float | None = None  # on the held-out part of train; None unless done, which counts as the worst score
    seconds: NonNegative = 0.0  # of training and evaluation


@options
class FinalRun:
    """A run on the reported split."""

    seed: int
    run: str  # hash of its run


@options
class Search:
    """The search of one method on one task and PLM."""

    id: str  # hash of all that decides the trials, their number included; runs that follow name it in `config.search`
    study: str  # equal for searches of the same effort on the same task, data, PLM and common settings
    suite: str
    task: str
    plm: str
    method: str  # its name in records
    choice: str  # its file in conf/method
    overrides: list[str]  # of the command line, common to all trials and final runs, method apart
    metric: str  # what the trials were scored by
    better: Literal[1, -1]  # 1 if higher is better
    decades: float
    max_train: int | None  # of a trial; None: as the final runs
    epochs: int  # of a trial
    held_out: float
    seed: int  # of every trial
    space: Annotated[list[Dimension], Field(min_length=1)]
    trials: list[Trial]
    winner: int | None = None  # number of a trial; None until all have ended, or if none was done
    finals: list[FinalRun]  # of the winner; empty until there is one
    untuned: list[FinalRun]  # of the method's own settings, where they were asked for
    config: dict[str, Any]  # the resolved configuration of the first trial, as plain values
