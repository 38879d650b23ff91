"""`search.json`: what was tried for one method on one task, what it scored, what won, and which runs came of it.

Trials and final runs are ordinary runs with records of their own; this file names them by their hashes.
"""

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from inducer_bench.errors import UserError, shown
from inducer_bench.options import options, typed
from inducer_bench.runs import checksummed
from inducer_bench.runs.record import Count, FinishedRecord, NonNegative, Record

FILE = "search.json"
SCHEMA = 1
RECIPE = "recipe.yaml"
FOLDER = "searches"  # in the output folder: searches/<task>/<plm>/<method>/<id>

ENDED = ("done", "diverged", "failed", "oom")  # status of a trial; the last three count as the worst score
# What the same command runs again: a trial that diverged would do so again.
AGAIN = ("planned", "interrupted", "failed", "oom")

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
    score: float | None = None  # on the held-out part of train; None unless it is done; no score counts as the worst
    loss: float | None = None  # the lowest of an epoch with that score; None in earlier versions, and for perplexity
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
    confirm: Count = 0  # so many best trials of a part of the data run again on all of it; the best of them wins
    confirmations: list[Trial] = dataclasses.field(default_factory=list)  # those runs, best trial first
    winner: Count | None = None  # number of a trial; None until all have ended, or if none was done
    finals: list[FinalRun]  # of the winner; empty until there is one
    untuned: list[FinalRun]  # of the method's own settings, where they were asked for
    config: dict[str, Any]  # the resolved configuration of the first trial, as plain values
    title: str | None = None  # what tables call it; None in searches of earlier versions
    # The rest of the effort, as `tune` was given it; None in searches of earlier versions.
    dimensions: Count | None = None
    points: Count | None = None
    budget: str | int | None = None

    @property
    def sample(self) -> str:
        """How the `max_train` examples were chosen; see `TaskOptions.sample`."""
        return str(self.config["task"].get("sample", "first"))

    def deciding(self) -> list[Trial]:
        """The runs whose scores decide on the winner."""
        return self.confirmations or self.trials

    def best(self) -> Trial | None:
        """The run by which the winner won."""
        return next((run for run in self.deciding() if run.number == self.winner), None)


def best_of(runs: Sequence[Trial], better: int) -> list[Trial]:
    """Those with a score, the best first; of equal ones that with the lower loss, then with the lower number.

    On a part of the data every trial may still predict the same class; their losses show which one learns.
    """
    scored = [
        ((-better * run.score, math.inf if run.loss is None else run.loss, run.number), run)
        for run in runs
        if run.score is not None
    ]
    return [run for _, run in sorted(scored, key=lambda one: one[0])]


def updated(search: Search, record_of: Callable[[str], Record | None]) -> Search:
    """The search with what records say of the trials that `tune` runs again: it may have been killed since.

    Where one has another score, or has not ended, the winner and its runs are open.

    Args:
        record_of: the record of a run by its hash; None if there is none.
    """

    def now(trial: Trial) -> Trial:
        planned = dataclasses.replace(trial, status="planned")
        return came_to(planned, record_of(trial.run)) if trial.status in AGAIN else trial

    found = dataclasses.replace(
        search, trials=[*map(now, search.trials)], confirmations=[*map(now, search.confirmations)]
    )
    before, after = ([(run.status in ENDED, run.score) for run in (*each.trials, *each.confirmations)]
                     for each in (search, found))  # fmt: skip
    return found if before == after else dataclasses.replace(found, winner=None, finals=[])


def came_to(trial: Trial, record: Record | None) -> Trial:
    """The trial with what the record of its run says; as it is without one."""
    if record is None:
        return trial
    if not isinstance(record, FinishedRecord):
        diverged = record.status == "failed" and str(record.error).startswith("diverged")
        return dataclasses.replace(trial, status="diverged" if diverged else record.status)
    score, seconds = record.selection_score, record.train_seconds + record.eval_seconds
    if score is None:
        return dataclasses.replace(trial, status="failed", score=None, loss=None, seconds=seconds)
    same = [entry.get("loss") for entry in record.evaluations if entry.get(record.metric) == score]
    loss = min((loss for loss in same if loss is not None), default=None)
    return dataclasses.replace(trial, status="done", score=score, loss=loss, seconds=seconds)


# -- files -------------------------------------------------------------------------------------------------------------


def write(folder: Path, search: Search) -> None:
    """Write `search` into `folder`, with its schema version and checksum, whole or not at all.

    Raises:
        OSError: the folder cannot be written; an earlier file is left as it was.
    """
    checksummed.write(folder / FILE, SCHEMA, dataclasses.asdict(search))


def read(folder: Path) -> Search | None:
    """The search in `folder`, which is where `tune` writes it: `<task>/<plm>/<method>/<id>`; None if there is none.

    Raises:
        UserError: the file cannot be read, is truncated, was edited, copied or moved, is of another schema, has a bad
            key, or contradicts itself.
    """
    path = folder / FILE
    body = checksummed.read(path)
    if body is None:
        return None
    schema = body.pop("schema", None)
    if schema != SCHEMA:
        raise UserError(f"{path}: found schema {shown(schema)}; allowed: {SCHEMA}")
    try:
        search = typed(Search, body)
        _check(search)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    place = (search.task, search.plm, search.method, search.id)
    if folder.parts[-4:] != place:
        raise UserError(f"{path}: a copy, or moved; the place of this search is '{'/'.join(place)}'")
    return search


def find(root: Path) -> tuple[list[tuple[Path, Search]], list[str]]:
    """The searches in the output folder `root`, sorted by their folders; and one line for each that is left out."""
    found: list[tuple[Path, Search]] = []
    left_out: list[str] = []
    if not os.path.lexists(root / FOLDER):
        return found, left_out
    try:
        folders = checksummed.folders(root / FOLDER, 4, left_out)
    except UserError as error:
        return found, [str(error)]
    for folder in folders:
        try:
            search = read(folder)
        except UserError as error:
            left_out.append(str(error))
        else:
            found += [] if search is None else [(folder, search)]
    return found, left_out


# -- checks ------------------------------------------------------------------------------------------------------------


def _check(search: Search) -> None:
    """Check that the parts of a search agree.

    Raises:
        UserError: they do not.
    """
    for name in ("task", "plm", "method"):
        section = search.config.get(name)
        configured = section.get("name") if isinstance(section, dict) else None
        if configured != getattr(search, name):
            raise UserError(f"{name}: found {shown(getattr(search, name))}; its configuration says {shown(configured)}")
    keys = [dimension.key for dimension in search.space]
    for dimension in search.space:
        _check_dimension(dimension)
    if len(set(keys)) < len(keys):
        raise UserError(f"space: found {shown(', '.join(keys))}; allowed: each key once")
    for number, trial in enumerate(search.trials):
        if trial.number != number:
            raise UserError(f"trials: found number {trial.number} at place {number}; allowed: 0, 1, 2, ...")
        if len(trial.point) != len(keys) or set(trial.settings) != set(keys):
            found = shown(", ".join(trial.settings))
            raise UserError(f"trials.{number}: found {found}; allowed: a value for each key of the space")
        if trial.score is not None and trial.status != "done":
            raise UserError(f"trials.{number}.score: found {trial.score}; the trial is {trial.status}")
    for number, run in enumerate(search.confirmations):
        if run.number >= len(search.trials) or run.settings != search.trials[run.number].settings:
            raise UserError(f"confirmations.{number}: allowed: the settings of one of the trials")
    _check_winner(search)
    for name, runs in (("finals", search.finals), ("untuned", search.untuned)):
        if len({run.seed for run in runs}) < len(runs):
            raise UserError(f"{name}: found the seeds {[run.seed for run in runs]}; allowed: each seed once")


def _check_dimension(dimension: Dimension) -> None:
    low, high = dimension.low, dimension.high
    if low is None or high is None:
        sound = low is high and bool(dimension.values)
    else:
        sound = low < high and (low > 0 or not dimension.log) and dimension.values is None
    if not sound:
        raise UserError(f"space.{shown(dimension.key)}: allowed: low and high, or values")


def _check_winner(search: Search) -> None:
    if search.winner is None:
        if search.finals:
            raise UserError("finals: found runs of a winner; there is none")
        return
    if search.winner >= len(search.trials):
        raise UserError(f"winner: found {search.winner}; there are {len(search.trials)} trials")
    best = search.best()
    score = None if best is None else best.score
    others = [run.score for run in search.deciding() if run.score is not None]
    if score is None or any(search.better * (other - score) > 0 for other in others):
        raise UserError(f"winner: found {search.winner}; allowed: the one with the best score")
