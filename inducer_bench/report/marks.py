"""Which cells of a column cannot be told apart from its best one.

The test is that of studies (`tied.py`): over examples and seeds, for every pair of rows, with Holm's adjustment over
the pairs of a column. A row with one seed is not tested; where the best row or the next one has a single seed, nothing
is.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inducer_bench.errors import UserError
from inducer_bench.report import tied
from inducer_bench.report.cells import Cell, Measured
from inducer_bench.report.examples import Examples, Rows, described, examples, read_predictions
from inducer_bench.report.measures import Measure
from inducer_bench.report.store import DoneRun
from inducer_bench.report.tied import Verdict

LEVEL = 0.05  # significance level
MOST = 20  # rows that are tested in a column, the best ones: reading predictions takes time
RESAMPLES = 2_000  # of the examples; the standard error of a variance is then 3 % of it
_ROUNDING = 0.005  # of a score in a record


@dataclass(frozen=True)
class Marks:
    """The outcome for a column.

    Args:
        cells: marked.
        p_value: of the best row against the runner-up, adjusted over all pairs of rows; None if it was not tested.
        one_seed: whether it was not, because one of the two has a single seed.
        left_out: whether there are more rows of the same data than `MOST`.
        reason: why there is no test, where data or predictions are the reason.
    """

    cells: list[Cell]
    p_value: float | None = None
    one_seed: bool = False
    left_out: bool = False
    reason: str | None = None


class Tester:
    """Tests columns. Predictions are read once for all tables, and only what scores need of them is kept."""

    def __init__(self) -> None:
        self._examples: dict[tuple[Path, str], Examples | None] = {}
        self._same: dict[Path, str] = {}
        self._verdicts: dict[tuple[str, tuple[Path, ...]], Verdict] = {}

    def mark(self, columns: Sequence[Sequence[Cell]]) -> list[Marks]:
        """The marks of each column of a table."""
        chosen = [_tested(cells) for cells in columns]
        wanted: dict[Path, tuple[DoneRun, dict[str, Measure]]] = {}
        for some in chosen:
            for cell in () if isinstance(some, Marks) else some:
                for run in _runs(cell):
                    wanted.setdefault(run.folder, (run, {}))[1][cell.measure.name] = cell.measure
        unread: dict[Path, str] = {}
        for folder, (run, measures) in wanted.items():
            try:
                self._read(run, list(measures.values()))
            except UserError as error:
                unread[folder] = str(error)
        found = []
        for cells, tested in zip(columns, chosen, strict=True):
            if isinstance(tested, Marks):
                found.append(tested)
                continue
            reasons = [unread[run.folder] for cell in tested for run in _runs(cell) if run.folder in unread]
            if reasons:
                found.append(Marks(list(cells), reason=reasons[0]))
            else:
                found.append(self._marked(list(cells), tested))
        return found

    def _read(self, run: DoneRun, measures: Sequence[Measure]) -> None:
        rest = [measure for measure in measures if (run.folder, measure.name) not in self._examples]
        if rest:
            rows = predictions_of(run)
            self._same[run.folder] = hashlib.sha256(repr(described(rows)).encode()).hexdigest()
            for measure in rest:
                assert measure.metric is not None
                self._examples[run.folder, measure.name] = examples(measure.name, measure.metric, rows)

    def _marked(self, cells: list[Cell], tested: Sequence[Measured]) -> Marks:
        left_out = len(_several(cells, tested[0].group.data)) > len(tested)
        same = [{self._same[run.folder] for run in _runs(cell)} for cell in tested]
        if len(same[0]) > 1 or same[1] != same[0]:
            return Marks(cells, reason="the two best rows were scored on different examples")
        tested = [cell for cell, examples in zip(tested, same, strict=True) if examples == same[0]]
        verdict = self._verdict(tested)
        if verdict.reason is not None:
            return Marks(cells)
        pairs = list(zip(tested, verdict.standings, strict=True))
        for cell, standing in pairs:
            if standing.reason is None and abs(standing.mean - cell.mean) > _ROUNDING:
                return Marks(cells, reason="predictions give another score than their record")
        alone = sum(standing.tied is not False for _, standing in pairs) == 1
        ties = {id(cell): standing.tied for cell, standing in pairs}
        best = id(tested[verdict.best]) if alone and verdict.best is not None else None
        marked = [replace(cell, tied=ties.get(id(cell)), best=id(cell) == best) for cell in cells]
        return Marks(marked, p_value=verdict.standings[1].p_value, left_out=left_out)

    def _verdict(self, tested: Sequence[Measured]) -> Verdict:
        runs = [_runs(cell) for cell in tested]
        measure = tested[0].measure
        key = measure.name, tuple(run.folder for side in runs for run in side)
        if key not in self._verdicts:
            self._verdicts[key] = self._tested(runs, measure)
        return self._verdicts[key]

    def _tested(self, runs: Sequence[Sequence[DoneRun]], measure: Measure) -> Verdict:
        sides = [
            [found for run in side if (found := self._examples[run.folder, measure.name]) is not None] for side in runs
        ]
        if [*map(len, sides)] != [*map(len, runs)] or sides[0][0].count() < 2:
            return Verdict((), reason="there is no test for this score")
        return tied.of_examples(sides, measure.better, LEVEL, power=None, resamples=RESAMPLES)


def predictions_of(run: DoneRun) -> Rows:
    """The predictions of a run.

    Raises:
        UserError: they are missing or damaged, in words for a reader of the table.
    """
    try:
        return read_predictions(run.folder, run.record)
    except UserError:  # its path is of no use to a reader of the table
        where = f"{run.record.method}, seed {run.seed} ({run.record.config_hash})"
        raise UserError(f"the predictions of {where} are missing or damaged") from None


def _tested(cells: Sequence[Cell]) -> list[Measured] | Marks:
    """The cells that are tested, the best one first; if there are none, the outcome."""
    scored = [cell for cell in cells if isinstance(cell, Measured) and cell.measure.score]
    ranked = sorted(scored, key=lambda cell: -cell.measure.better * cell.mean)
    if len(ranked) < 2:
        return Marks(list(cells))
    if any(len(cell.values) == 1 for cell in ranked[:2]):
        return Marks(list(cells), one_seed=True)
    if ranked[0].measure.metric is None:
        return Marks(list(cells))
    if ranked[0].group.data != ranked[1].group.data:
        return Marks(list(cells), reason="the two best rows were scored on different data")
    return _several(ranked, ranked[0].group.data)[:MOST]


def _several(cells: Sequence[Cell], data: str) -> list[Measured]:
    """The cells of these files of data that have several seeds."""
    measured = [cell for cell in cells if isinstance(cell, Measured)]
    return [cell for cell in measured if len(cell.values) > 1 and cell.group.data == data]


def _runs(cell: Measured) -> list[DoneRun]:
    """The runs in a mean."""
    seeds = dict(cell.values)
    return [run for run in cell.group.done if run.seed in seeds]
