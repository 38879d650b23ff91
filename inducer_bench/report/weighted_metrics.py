"""Scores of weighted examples: statistics (N, K), weights (R, N) -> (R) scores in percent, all R at once.

With weights of one they equal those of `inducer_bench/metrics`; an undefined score is NaN. Legend: N examples,
K statistics of each, R weightings, C classes.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Corpus = Callable[[Array, Array], Array]


def mean(values: Array, weights: Array) -> Array:
    """The mean of one value per example, in [0, 1]."""
    return 100 * (weights @ values[:, 0]) / weights.sum(1)


# -- of label and prediction, K = 2 ------------------------------------------------------------------------------------


def accuracy(pairs: Array, weights: Array) -> Array:
    """How often the two are equal."""
    return mean(1.0 * (pairs[:, :1] == pairs[:, 1:]), weights)


def f1(pairs: Array, weights: Array) -> Array:
    """Of class 1; 0 where nothing is of it."""
    labelled, predicted = (pairs == 1).T
    found, either = (weights @ np.stack([2.0 * (labelled & predicted), 1.0 * labelled + predicted], axis=1)).T
    return 100 * _ratio(found, either, 0.0)


def matthews(pairs: Array, weights: Array) -> Array:
    """For any number of classes (Gorodkin 2004); 0 where labels or predictions are all equal."""
    labels, predictions = np.moveaxis(1.0 * (pairs[..., None] == np.unique(pairs)), 1, 0)  # (N, C)
    total, correct = weights.sum(1), weights @ (labels * predictions).sum(1)
    true, guessed = weights @ labels, weights @ predictions  # (R, C)
    spread = (total**2 - (true**2).sum(1)) * (total**2 - (guessed**2).sum(1))
    return 100 * _ratio(total * correct - (true * guessed).sum(1), np.sqrt(spread), 0.0)


def pearson(pairs: Array, weights: Array) -> Array:
    """Linear correlation; NaN where labels or predictions are all equal."""
    x, y = (pairs - pairs[:, 0].mean()).T  # about a middle, so that sums of squares lose no digits
    count, sx, sy, sxx, syy, sxy = (weights @ np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)).T
    spread = np.maximum(count * sxx - sx**2, 0.0) * np.maximum(count * syy - sy**2, 0.0)
    return 100 * _ratio(count * sxy - sx * sy, np.sqrt(spread), np.nan)


def spearman(pairs: Array, weights: Array) -> Array:
    """Correlation of ranks, which are those among the weighted examples; NaN as above."""
    middle = (weights.sum(1, keepdims=True) + 1) / 2
    x, y = (_ranks(column, weights) - middle for column in pairs.T)
    xx, xy, yy = (np.einsum("rn,rn,rn->r", weights, a, b) for a, b in ((x, x), (x, y), (y, y)))
    return 100 * _ratio(xy, np.sqrt(xx * yy), np.nan)


def _ranks(column: Array, weights: Array) -> Array:
    """(N), (R, N) -> (R, N): ranks among as many examples as the weights say; ties share their mean rank."""
    order, tie = np.argsort(column), np.unique(column, return_inverse=True)[1]
    starts = np.flatnonzero(np.diff(column[order], prepend=np.nan))
    tied = np.add.reduceat(weights[:, order], starts, axis=1)  # (R, different values)
    return (np.cumsum(tied, axis=1) - (tied - 1) / 2)[:, tie]


# -- of texts; K counts as sacrebleu gives them for one text -----------------------------------------------------------


def bleu(counts: Array, weights: Array, smooth: bool) -> Array:
    """BLEU-4 of (length, reference length, 4 x matches, 4 x n-grams); smooth: NIST's halving where nothing matches."""
    length, reference, *ngrams = (weights @ counts).T
    matches, totals = np.array(ngrams[:4]), np.array(ngrams[4:])  # (4, R)
    precision = _ratio(matches, totals, 0.0)
    if smooth:
        halvings = np.cumsum(matches == 0, axis=0)
        precision = np.where(matches == 0, _ratio(0.5**halvings, totals, 0.0), precision)
    with np.errstate(divide="ignore"):  # no n-grams of some order: log 0, and BLEU 0
        geometric = np.exp(np.log(precision).mean(axis=0))
    brevity = np.exp(np.minimum(0.0, 1 - _ratio(reference, length, np.inf)))
    return np.where(matches.any(axis=0), 100 * brevity * geometric, 0.0)


def chrf(counts: Array, weights: Array) -> Array:
    """chrF2 of 6 x (character n-grams of the text, of the reference, matches)."""
    text, reference, matches = np.moveaxis((weights @ counts).reshape(len(weights), 6, 3), 2, 0)  # (R, 6)
    orders = ((text > 0) & (reference > 0)).sum(1)
    known = (text > 0) & (reference > 0)
    precision = _ratio((_ratio(matches, text, 0.0) * known).sum(1), orders, 0.0)
    recall = _ratio((_ratio(matches, reference, 0.0) * known).sum(1), orders, 0.0)
    return 100 * _ratio(5 * precision * recall, 4 * precision + recall, 0.0)


def ter(counts: Array, weights: Array) -> Array:
    """TER of (edits, reference length)."""
    edits, reference = (weights @ counts).T
    return 100 * _ratio(edits, reference, 0.0) + np.where((reference == 0) & (edits > 0), 100.0, 0.0)


def _ratio(above: Array, below: Array, otherwise: float) -> Array:
    """above / below, and `otherwise` where below is 0."""
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, otherwise), where=below > 0)
