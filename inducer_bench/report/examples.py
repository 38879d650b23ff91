"""The examples that a score is made of, each with its statistics: what paired tests resample.

A score is a function of weights on examples. Weights of one give the score itself; counts give that of a bootstrap
sample; zeros and ones on the pooled examples of two runs give that of a run some of whose outputs are swapped for the
other's.
"""

import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inducer_bench import strict_json
from inducer_bench.errors import UserError, first_line
from inducer_bench.files import read_bytes
from inducer_bench.metrics.metric import Metric, Row
from inducer_bench.metrics.table import GROUPS, UNITS
from inducer_bench.runs.artefacts import PREDICTIONS, check
from inducer_bench.runs.record import FinishedRecord

if TYPE_CHECKING:
    from inducer_bench.metrics.metric import Array

Rows = Sequence[Row]  # the lines of predictions.jsonl.gz of one run

_EXAMPLE = ("split", "index", "id", "group", "label", "references")  # keys of a line that describe its example
_STATISTICS = "statistics"  # of a line without its texts: metric -> what the example contributes to the score
_PASSED_ON = (
    *("split", "index", "id", "group", "label", "label_name", "prediction", "prediction_name", "loss", "count"),
    _STATISTICS,
)
_LOSS_DIGITS = 6


@dataclass(frozen=True)
class Examples:
    """The examples that one score of one run is made of.

    Args:
        statistics: (N, K), what each example contributes to the score.
        units: (N), the independent unit that each example belongs to, counted from 0: itself, or its dialogue.
        corpus: `Metric.corpus`, from statistics and weights to scores.
    """

    statistics: "Array"
    units: NDArray[np.int64]
    corpus: "Callable[[Array, Array], Array]"

    def count(self) -> int:
        """The number of units."""
        return int(self.units.max()) + 1

    def scores(self, weights: "Array") -> "Array":
        """(R, units) -> (R): the score in percent for each weighting of the units; NaN where it is undefined."""
        own = np.array_equal(self.units, np.arange(len(self.units)))  # every example is a unit of its own: no copy
        return self.corpus(self.statistics, weights if own else weights[:, self.units])

    def pooled(self, other: "Examples") -> "Examples":
        """These examples and those of another run, whose units are numbered after these."""
        statistics = np.concatenate([self.statistics, other.statistics])
        return Examples(statistics, np.concatenate([self.units, other.units + self.count()]), self.corpus)


def read_predictions(folder: Path, record: FinishedRecord) -> list[dict[str, Any]]:
    """The predictions of the run in `folder`, of all splits.

    Raises:
        UserError: there are none, they are damaged, or they are not those that the run left.
    """
    check(folder, record, PREDICTIONS)
    path = folder / PREDICTIONS
    try:
        text = gzip.decompress(read_bytes(path)).decode()
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{path}: damaged ({error})") from None
    rows = _rows(path, text.removesuffix("\n").split("\n") if text else [])
    if not rows:
        raise UserError(f"{path}: damaged (no line in it)")
    return rows


def _rows(path: Path, lines: Sequence[str]) -> list[dict[str, Any]]:
    try:
        rows: list[Any] = strict_json.loads(f"[{','.join(lines)}]")  # all at once is three times as fast
    except ValueError:
        rows = []
    for number, line in enumerate(lines if len(rows) != len(lines) else (), start=1):
        try:
            rows.append(strict_json.loads(line))
        except ValueError:
            raise UserError(f"{path}, line {number}: not JSON") from None
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not isinstance(row.get("split"), str):
            raise UserError(f"{path}, line {number}: not a prediction")
    return rows


def without_texts(rows: Rows, metric: Metric | None) -> list[dict[str, Any]]:
    """Predictions without texts of the data set, for those who may not pass them on; paired tests give the same.

    Args:
        rows: predictions of one run.
        metric: the one to be tested, if any; where lines have references, its statistics take their place.
    """
    found = []
    for row in rows:
        kept = {key: row[key] for key in _PASSED_ON if key in row}
        if "loss" in row:
            kept["loss"] = float(f"{row['loss']:.{_LOSS_DIGITS}g}")
        if "references" in row and metric is not None and metric.statistics is not None:
            kept[_STATISTICS] = {metric.name: [*metric.statistics(row)]}
        found.append(kept)
    return found


def same_examples(runs: Sequence[Rows]) -> bool:
    """Whether all runs predicted the same examples, in the same order."""
    first, *others = map(described, runs)
    return all(other == first for other in others)


def described(rows: Rows) -> list[list[Any]]:
    """What lines say about their examples, and not about the predictions."""
    return [[row.get(key) for key in _EXAMPLE] for row in rows]


def examples(score: str, metric: Metric, rows: Rows) -> Examples | None:
    """The examples of a score in a record.

    Args:
        score: its name, that of the metric with the group and the split: `accuracy_mismatched`, `bleu_seen`, `f1_news`.
        metric: of the score.
        rows: predictions of one run, of all splits that it reports or of one.

    Returns:
        None if the metric has no statistics, the lines kept none of it, or no example belongs to the score.

    Raises:
        UserError: a prediction lacks what the metric scores.
    """
    if not rows or metric.statistics is None or metric.corpus is None:
        return None
    split, group = _split_and_group(score.removeprefix(metric.name), rows)
    groups, unit = GROUPS.get(metric.of, _own_group), UNITS.get(metric.of)
    try:
        rows = [row for row in rows if row["split"] == split and (not group or group in groups(row))]
        if not rows or (_STATISTICS in rows[0] and metric.name not in rows[0][_STATISTICS]):
            return None
        statistics = np.array([_statistics(metric, row) for row in rows], dtype=np.float64)
        units = np.arange(len(rows)) if unit is None else np.unique([unit(row) for row in rows], return_inverse=True)[1]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        found = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"{PREDICTIONS}: split '{split}' is not what {metric.name} scores ({found})") from None
    return Examples(statistics, units, metric.corpus)


def _statistics(metric: Metric, row: Row) -> Sequence[float]:
    assert metric.statistics is not None
    kept: Sequence[float] = row[_STATISTICS][metric.name] if _STATISTICS in row else metric.statistics(row)
    return kept


def _split_and_group(suffix: str, rows: Rows) -> tuple[str, str]:
    """The split and the group ("" for all) of a score, from what follows the metric in its name.

    The scores of the first split have plain names, and those of other splits end as the split's name does:
    `_mismatched` is dev_mismatched, `_seen_test` the group `seen` of test.
    """

    def ending(split: str) -> str:
        words = split.split("_")
        ends = (f"_{'_'.join(words[start:])}" for start in range(len(words)))
        return next(filter(suffix.endswith, ends), "")

    split = max(dict.fromkeys(row["split"] for row in rows), key=lambda split: len(ending(split)))
    return split, suffix.removesuffix(ending(split)).removeprefix("_")


def _own_group(row: Row) -> tuple[str, ...]:
    return (row["group"],) if "group" in row else ()
