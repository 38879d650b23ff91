"""GLUE's metrics (https://arxiv.org/abs/1804.07461), by scikit-learn and scipy, in percent.

Labels and predictions are class codes; for the correlations they are numbers. F1 is that of class 1 and needs two
classes. Matthews correlation is defined for any number of classes (Gorodkin 2004) and is 0 where either side is
constant. The Pearson and Spearman correlations are undefined there and are not computed.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from inducer_bench.metrics.metric import Metric, Row, each_part, mean, ratio
from inducer_bench.metrics.score import Score, not_computed

if TYPE_CHECKING:
    from inducer_bench.metrics.metric import Array


# -- of labels and predictions -----------------------------------------------------------------------------------------


def _score(signature: str, package: str, metric: Callable[[list[Any], list[Any]], float], rows: Sequence[Row]) -> Score:
    """Both columns through a function of a package, whose version ends the signature."""
    from importlib.metadata import version

    labels, predictions = ([row[key] for row in rows] for key in ("label", "prediction"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about constant input, which the score reports
        value = 100.0 * float(metric(labels, predictions))
    signature = f"{signature}|{package} {version(package)}"
    if math.isnan(value):
        return not_computed(signature, "undefined where labels or predictions are all equal or not finite")
    return Score(value=value, signature=signature)


def _accuracy(labels: list[Any], predictions: list[Any]) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predictions))


def _f1(labels: list[Any], predictions: list[Any]) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, zero_division=0.0))


def _matthews(labels: list[Any], predictions: list[Any]) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(labels, predictions))


def _pearson(labels: list[Any], predictions: list[Any]) -> float:
    from scipy.stats import pearsonr

    return float(pearsonr(labels, predictions).statistic) if len(labels) > 1 else math.nan


def _spearman(labels: list[Any], predictions: list[Any]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(labels, predictions).statistic) if len(labels) > 1 else math.nan


# -- of weighted examples: K = 2, label and prediction -----------------------------------------------------------------


def _pair(row: Row) -> tuple[float, float]:
    return row["label"], row["prediction"]


def weighted_accuracy(pairs: "Array", weights: "Array") -> "Array":
    """The share of equal pairs."""
    return mean(1.0 * (pairs[:, :1] == pairs[:, 1:]), weights)


def weighted_f1(pairs: "Array", weights: "Array") -> "Array":
    """F1 of class 1; 0 if no label and no prediction is of class 1."""
    import numpy as np

    labelled, predicted = (pairs == 1).T
    common, either = (weights @ np.stack([2.0 * (labelled & predicted), 1.0 * labelled + predicted], axis=1)).T
    return 100 * ratio(common, either, 0.0)


def weighted_matthews(pairs: "Array", weights: "Array") -> "Array":
    """Matthews correlation of C classes; 0 if labels or predictions are all equal."""
    import numpy as np

    labels, predictions = np.moveaxis(1.0 * (pairs[..., None] == np.unique(pairs)), 1, 0)  # (N, C)
    total, correct = weights.sum(1), weights @ (labels * predictions).sum(1)
    true, guessed = weights @ labels, weights @ predictions  # (R, C)
    spread = (total**2 - (true**2).sum(1)) * (total**2 - (guessed**2).sum(1))
    return 100 * ratio(total * correct - (true * guessed).sum(1), np.sqrt(spread), 0.0)


def weighted_pearson(pairs: "Array", weights: "Array") -> "Array":
    """Linear correlation; NaN if labels or predictions are all equal."""
    import numpy as np

    x, y = (pairs - pairs[:, 0].mean()).T  # centred, so that sums of squares lose no digits
    count, sx, sy, sxx, syy, sxy = (weights @ np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)).T
    spread = np.maximum(count * sxx - sx**2, 0.0) * np.maximum(count * syy - sy**2, 0.0)
    return 100 * ratio(count * sxy - sx * sy, np.sqrt(spread), np.nan)


def weighted_spearman(pairs: "Array", weights: "Array") -> "Array":
    """Correlation of the ranks among the weighted examples; NaN if labels or predictions are all equal."""
    import numpy as np

    middle = (weights.sum(1, keepdims=True) + 1) / 2
    x, y = (_ranks(column, weights) - middle for column in pairs.T)
    xx, xy, yy = (np.einsum("rn,rn,rn->r", weights, a, b) for a, b in ((x, x), (x, y), (y, y)))
    return 100 * ratio(xy, np.sqrt(xx * yy), np.nan)


def _ranks(column: "Array", weights: "Array") -> "Array":
    """(N), (R, N) -> (R, N): ranks among as many copies of each example as its weight; ties share their mean rank."""
    import numpy as np

    order, tie = np.argsort(column), np.unique(column, return_inverse=True)[1]
    starts = np.flatnonzero(np.diff(column[order], prepend=np.nan))
    tied = np.add.reduceat(weights[:, order], starts, axis=1)  # (R, different values)
    ranks: Array = (np.cumsum(tied, axis=1) - (tied - 1) / 2)[:, tie]
    return ranks


# -- the rows ----------------------------------------------------------------------------------------------------------

_SKLEARN, _SCIPY = "scikit-learn", "scipy"

METRICS = (
    Metric(
        name="accuracy",
        label="accuracy",
        of="labels",
        score=each_part(partial(_score, "accuracy|percent", _SKLEARN, _accuracy)),
        statistics=_pair,
        corpus=weighted_accuracy,
    ),
    Metric(
        name="f1",
        label="F1",
        of="labels",
        binary=True,
        score=each_part(partial(_score, "f1|percent|positive class 1", _SKLEARN, _f1)),
        statistics=_pair,
        corpus=weighted_f1,
    ),
    Metric(
        name="matthews",
        label="Matthews",
        of="labels",
        score=each_part(partial(_score, "matthews|percent", _SKLEARN, _matthews)),
        statistics=_pair,
        corpus=weighted_matthews,
    ),
    Metric(
        name="pearson",
        label="Pearson",
        of="numbers",
        score=each_part(partial(_score, "pearson|percent", _SCIPY, _pearson)),
        statistics=_pair,
        corpus=weighted_pearson,
    ),
    Metric(
        name="spearman",
        label="Spearman",
        of="numbers",
        score=each_part(partial(_score, "spearman|percent", _SCIPY, _spearman)),
        statistics=_pair,
        corpus=weighted_spearman,
    ),
)
