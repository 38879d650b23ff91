"""Metrics of labels and numbers, by scikit-learn and scipy, in percent; among them GLUE's.

Labels and predictions are class codes; for the correlations they are numbers. GLUE's F1
(https://arxiv.org/abs/1804.07461) is that of class 1 and needs two classes. For more, F1, precision and recall have
averages: macro over the classes that occur among labels or predictions, weighted by the number of labels of each. A
class without predictions has a precision of 0, one without labels a recall of 0. Balanced accuracy is the mean recall
of the classes that have labels. `f1:LABEL`, `precision:LABEL` and `recall:LABEL` are those of one class (`of_class`).
Matthews correlation is defined for any number of classes (Gorodkin 2004) and is 0 where either side is
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


def _averaged(score: str, average: str, labels: list[Any], predictions: list[Any]) -> float:
    """`precision`, `recall` or `f1` of several classes."""
    from sklearn import metrics

    found = getattr(metrics, f"{score}_score")(labels, predictions, average=average, zero_division=0.0)
    return float(found)


def _balanced_accuracy(labels: list[Any], predictions: list[Any]) -> float:
    from sklearn.metrics import balanced_accuracy_score

    return float(balanced_accuracy_score(labels, predictions))


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


def _class_counts(pairs: "Array", weights: "Array") -> "tuple[Array, Array, Array]":
    """(N, 2), (R, N) -> of each class (R, C): correct predictions, labels, and predictions."""
    import numpy as np

    labels, predictions = np.moveaxis(1.0 * (pairs[..., None] == np.unique(pairs)), 1, 0)  # (N, C)
    return weights @ (labels * predictions), weights @ labels, weights @ predictions


def _of_each_class(score: str, correct: "Array", labelled: "Array", predicted: "Array") -> "Array":
    """Precision, recall or F1 of each class from its counts; 0 where undefined."""
    above, below = {
        "precision": (correct, predicted),
        "recall": (correct, labelled),
        "f1": (2 * correct, labelled + predicted),
    }[score]
    return ratio(above, below, 0.0)


def weighted_macro(score: str, pairs: "Array", weights: "Array") -> "Array":
    """The mean over the classes that occur among labels or predictions."""
    correct, labelled, predicted = _class_counts(pairs, weights)
    occurs = labelled + predicted > 0
    found: Array = 100 * (_of_each_class(score, correct, labelled, predicted) * occurs).sum(1) / occurs.sum(1)
    return found


def weighted_by_labels(score: str, pairs: "Array", weights: "Array") -> "Array":
    """The mean over the classes, weighted by the number of their labels."""
    correct, labelled, predicted = _class_counts(pairs, weights)
    found: Array = 100 * (_of_each_class(score, correct, labelled, predicted) * labelled).sum(1) / labelled.sum(1)
    return found


def weighted_balanced_accuracy(pairs: "Array", weights: "Array") -> "Array":
    """The mean recall of the classes that have labels."""
    correct, labelled, _ = _class_counts(pairs, weights)
    found: Array = 100 * ratio(correct, labelled, 0.0).sum(1) / (labelled > 0).sum(1)
    return found


def weighted_of_class(score: str, found: "Array", weights: "Array") -> "Array":
    """Precision, recall or F1 of one class: K = 2, whether it is the label and whether it is predicted."""
    labelled, predicted = found.T
    return 100 * _of_each_class(score, weights @ (labelled * predicted), weights @ labelled, weights @ predicted)


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


# -- of one class, by the names of labels ------------------------------------------------------------------------------

_OF_CLASS = {"f1": "F1", "precision": "precision", "recall": "recall"}


def of_class(name: str) -> Metric | None:
    """The metric `f1:LABEL`, `precision:LABEL` or `recall:LABEL`; None if the name is of another form.

    Its rows have the names of labels as well, `label_name` and `prediction_name`, so that it needs no codes.
    """
    score, colon, label = name.partition(":")
    if not colon or score not in _OF_CLASS:
        return None

    def found(row: Row) -> tuple[float, float]:
        return float(row["label_name"] == label), float(row["prediction_name"] == label)

    def scored(rows: Sequence[Row]) -> Score:
        pairs = [found(row) for row in rows]
        as_columns = [{"label": labelled, "prediction": predicted} for labelled, predicted in pairs]
        return _score(f"{score}|percent|one class", _SKLEARN, partial(_averaged, score, "binary"), as_columns)

    return Metric(
        name=name,
        label=f"{_OF_CLASS[score]} of {label}",
        of="labels",
        score=each_part(scored),
        statistics=found,
        corpus=partial(weighted_of_class, score),
    )


# -- the rows ----------------------------------------------------------------------------------------------------------

_SKLEARN, _SCIPY = "scikit-learn", "scipy"


def _macro(score: str, label: str) -> Metric:
    return Metric(
        name=f"{score}_macro",
        label=label,
        of="labels",
        score=each_part(
            partial(_score, f"{score}_macro|percent|classes that occur", _SKLEARN, partial(_averaged, score, "macro"))
        ),
        statistics=_pair,
        corpus=partial(weighted_macro, score),
    )


F1_MACRO = _macro("f1", "macro F1")

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
    F1_MACRO,
    Metric(
        name="f1_weighted",
        label="weighted F1",
        of="labels",
        score=each_part(partial(_score, "f1_weighted|percent", _SKLEARN, partial(_averaged, "f1", "weighted"))),
        statistics=_pair,
        corpus=partial(weighted_by_labels, "f1"),
    ),
    _macro("precision", "macro precision"),
    _macro("recall", "macro recall"),
    Metric(
        name="balanced_accuracy",
        label="balanced accuracy",
        of="labels",
        score=each_part(partial(_score, "balanced_accuracy|percent", _SKLEARN, _balanced_accuracy)),
        statistics=_pair,
        corpus=weighted_balanced_accuracy,
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
