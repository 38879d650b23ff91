"""How far off may the learning rate be?

The width, in decades, of the range of learning rates about a method's best one whose scores are within one point of it.
Two neighbouring trials are joined by a straight line over the logarithm of the learning rate; the range ends where that
line crosses the bar, so it is known no better than the trials are spaced. A failed trial has no score for a line:
the range ends halfway. Where the range reaches the end of what was tried, it may be wider.

Scores of single trials vary by chance, and the best of many is one of the lucky ones: the width is a description of the
trials and no estimate with an error rate. Of several runs at each learning rate, `workable` has an interval.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Robustness:
    """The range of learning rates that are nearly as good as the best one.

    Args:
        low, high: its ends, as learning rates.
        decades: its width.
        open_ends: the ends of what was tried that the range reaches: its width is then a lower bound.
    """

    low: float
    high: float
    decades: float
    open_ends: tuple[Literal["low", "high"], ...]


def robustness(
    trials: Sequence[tuple[float, float | None]], better: int, within: float = 1.0, dimensions: int = 1
) -> Robustness | None:
    """The range of learning rates whose scores are within some points of the best.

    Args:
        trials: learning rate, and score; None or NaN where a trial failed.
        better: 1 if higher is better, -1 if lower is.
        within: in the score's unit.
        dimensions: how many settings were searched. If more than the learning rate, a bad trial may owe its score to
            the others, so that the best of each 2^(dimensions - 1) neighbours stands for all of them. That is rough,
            and coarser than in one dimension.

    Returns:
        None if fewer than two different learning rates were tried, or none has a score.
    """
    best_at: dict[float, float] = {}  # of equal learning rates, the best counts
    for rate, score in trials:
        value = -math.inf if score is None or math.isnan(score) else better * score
        best_at[rate] = max(value, best_at.get(rate, -math.inf))
    points = sorted(best_at.items())
    size = 2 ** (dimensions - 1)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    points = [max(group, key=lambda point: point[1]) for group in groups]
    decades = [math.log10(rate) for rate, _ in points]
    scores = [score for _, score in points]
    bar = max(scores, default=-math.inf) - within
    if len(points) < 2 or bar == -math.inf:
        return None
    top = int(np.argmax(scores))
    outside = [number for number, score in enumerate(scores) if score < bar]
    left = max((number for number in outside if number < top), default=-1)
    right = min((number for number in outside if number > top), default=len(points))

    def crossing(inside: int, beyond: int) -> float:
        share = 0.5 if scores[beyond] == -math.inf else (scores[inside] - bar) / (scores[inside] - scores[beyond])
        return decades[inside] + share * (decades[beyond] - decades[inside])

    low = crossing(left + 1, left) if left >= 0 else decades[0]
    high = crossing(right - 1, right) if right < len(points) else decades[-1]
    open_ends: tuple[Literal["low", "high"], ...] = (*(("low",) if left < 0 else ()),
                                                     *(("high",) if right == len(points) else ()))  # fmt: skip
    return Robustness(10**low, 10**high, high - low, open_ends)


@dataclass(frozen=True)
class Workable:
    """The range of learning rates that work, from several runs at each.

    Args:
        range: of the mean scores; None if there is a failure at every learning rate, so that none works.
        interval: 95 %, of its width in decades, over other runs at these learning rates.
    """

    range: Robustness | None
    interval: tuple[float, float]


def workable(
    runs: Mapping[float, Sequence[float | None]],
    better: int,
    within: float = 1.0,
    confidence: float = 0.95,
    resamples: int = 2_000,
) -> Workable | None:
    """The range of learning rates whose mean score is within some points of the best one, and where no run failed.

    The interval is that of a bootstrap over the runs at each learning rate. A rate at which one run in many fails is
    sometimes in the range and sometimes not, which the interval shows. Five runs or more are needed: in simulations
    (`results/statistics`) it then holds the true width in about 95 % of studies, with three in 89 %.

    Args:
        runs: learning rate -> the score of each run; None or NaN where it failed.
        better: 1 if higher is better, -1 if lower is.
        within: in the score's unit.
        confidence: of the interval.
        resamples: number of bootstrap samples.

    Returns:
        None if there are fewer than two learning rates.
    """
    if len(runs) < 2:
        return None
    random = np.random.default_rng(0)
    rates = sorted(runs)
    scores = [np.array([math.nan if score is None else score for score in runs[rate]]) for rate in rates]
    drawn = [own[random.integers(own.size, size=(resamples, own.size))].mean(axis=1) for own in scores]
    widths = [
        0.0 if found is None else found.decades
        for means in np.stack(drawn, axis=1)
        for found in [robustness(list(zip(rates, means.tolist(), strict=True)), better, within)]
    ]
    means = [float(own.mean()) for own in scores]
    low, high = np.quantile(widths, (0.5 - confidence / 2, 0.5 + confidence / 2))
    observed = robustness(list(zip(rates, means, strict=True)), better, within)
    return Workable(observed, (float(low), float(high)))


def at_edge(winner: float, tried: Sequence[float]) -> Literal["low", "high"] | None:
    """The end of the tried values at which the winner lies: a better one may lie beyond, and the prior was too narrow.

    Args:
        winner: its value of one setting.
        tried: the values of all trials, failed ones included: a failed one beyond the winner shows what lies there.

    Returns:
        None if there are values on both sides of it, or no other value at all.
    """
    if winner > min(tried) and winner >= max(tried):
        return "high"
    return "low" if winner <= min(tried) and winner < max(tried) else None
