"""A metric as one row: its name and direction, what it scores, how it is computed, and how it is resampled.

The rows are in `classification.py`, `generation.py` and `coqa.py`; `table.py` collects them. The configuration is
checked against them, so importing them must be cheap: scikit-learn, scipy, sacrebleu, rouge-score and even numpy are
imported where a score is computed.

A row has two sides that must agree. `score` is the reference implementation. `statistics` and `corpus` compute the same
score from weighted examples, for many weightings at once: weights of one give the score itself, counts give that of a
bootstrap sample. Legend: N examples, K statistics of each, R weightings, C classes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from inducer_bench.metrics.score import Score, Scores, not_computed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Row = Mapping[str, Any]  # a prediction, as one line of predictions.jsonl.gz holds it
Parts = Sequence[Sequence[int]]  # the indices of the rows in each part; no part is empty
Scored = Literal["labels", "numbers", "texts", "turns", "losses"]


@dataclass(frozen=True)
class Metric:
    """One metric.

    Args:
        name: its key in `task.metrics` and in records. For a metric of a user's module that is its dotted name.
        label: heading in tables.
        of: what it scores, and so which keys its rows have: `label` and `prediction` (labels, numbers); `prediction`,
            `references` and `group` (texts, turns); `loss` and `count` (losses).
        score: rows, parts -> one score per part. Write it for all rows of one part and wrap it in `each_part`, unless
            work on a row can be shared between parts.
        better: 1 if higher is better, -1 if lower is.
        decimals: shown in tables.
        binary: defined for two classes only.
        statistics: what one row contributes, K numbers; None if there is no paired test for this metric.
        corpus: statistics (N, K), weights (R, N) -> (R) scores; NaN where undefined.
    """

    name: str
    label: str
    of: Scored
    score: Callable[[Sequence[Row], Parts], list[Score]]
    better: Literal[1, -1] = 1
    decimals: int = 1
    binary: bool = False
    statistics: Callable[[Row], Sequence[float]] | None = None
    corpus: "Callable[[Array, Array], Array] | None" = None


def each_part(score: Callable[[Sequence[Row]], Score]) -> Callable[[Sequence[Row], Parts], list[Score]]:
    """`Metric.score` for a function that scores the rows of one part."""
    return lambda rows, parts: [score([rows[index] for index in part]) for part in parts]


def compute(metrics: Sequence[Metric], rows: Sequence[Row], parts: Mapping[str, Sequence[int]] | None = None) -> Scores:
    """The scores of all rows, and of each part, by name: `bleu`, and `bleu_seen` for the part `seen`.

    Args:
        metrics: computed once for all parts.
        rows: predictions.
        parts: name -> indices of its rows; all rows are the part "". By default there is no other part.
    """
    parts = {"": range(len(rows))} if parts is None else parts
    filled = [part for part in parts.values() if part]
    computed = {metric.name: iter(metric.score(rows, filled) if filled else ()) for metric in metrics}
    return {
        f"{name}_{part}" if part else name: next(scores) if indices else not_computed(name, "no entries")
        for part, indices in parts.items()
        for name, scores in computed.items()
    }


def mean(values: "Array", weights: "Array") -> "Array":
    """`Metric.corpus` of a score that is the mean of one value per row: (N, 1) in [0, 1], (R, N) -> (R) in percent."""
    found: Array = 100 * (weights @ values[:, 0]) / weights.sum(1)
    return found


def ratio(above: "Array", below: "Array", otherwise: float) -> "Array":
    """above / below, and `otherwise` where below is 0."""
    import numpy as np

    shape = np.broadcast(above, below).shape
    found: Array = np.divide(above, below, out=np.full(shape, otherwise), where=below > 0)
    return found
