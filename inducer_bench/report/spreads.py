"""How much do the runs of a method vary, and how often do they fail?

Ratio of variances: the F interval takes scores to be normal, and holds the truth too seldom where tails are longer, as
those of runs that nearly fail are. So the logarithm of a variance is jackknifed (Miller 1968,
https://doi.org/10.1214/aoms/1177698412), and the difference of two of them compared with Student's t, with
Satterthwaite's degrees of freedom; `results/statistics` has the coverage of both intervals. Beside it stands the
p-value of Brown and Forsythe's test (1974, https://doi.org/10.1080/01621459.1974.10482955), which asks the same of the
distances from the median, and minds a single run far off less.

Share of failures: the interval of Clopper and Pearson (1934, https://doi.org/10.1093/biomet/26.4.404), which is exact
and holds the truth in at least 95 % of studies, also of few runs without any failure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, stdtrit

from inducer_bench.report.statistics import Array

_LEAST = 3  # runs of a side: without one of them there is still a variance


@dataclass(frozen=True)
class VarianceRatio:
    """The ratio of two variances.

    Args:
        ratio: left / right.
        interval: 95 %, by the jackknife.
        p_value: of Brown and Forsythe's test, two-sided, for equal spreads.
    """

    ratio: float
    interval: tuple[float, float]
    p_value: float


def variance_ratio(left: Sequence[float], right: Sequence[float], confidence: float = 0.95) -> VarianceRatio | None:
    """The variance of the scores of one method's runs over that of another one's.

    Returns:
        None of fewer than three runs on a side, if the runs of a side, or all of them but one, have equal scores, or if
        all scores of both sides lie at the same distance from their mean.
    """
    from scipy.stats import levene  # takes a second

    sides = [np.asarray(side, dtype=np.float64) for side in (left, right)]
    if min(map(len, sides)) < _LEAST:
        return None
    if any(without.min() == 0 for without in map(_variances_without_one, sides)):
        return None
    (one, its_error), (two, other_error) = map(_log_variance, sides)
    variance = its_error + other_error
    doubt = its_error**2 / (len(left) - 1) + other_error**2 / (len(right) - 1)
    if doubt == 0:
        return None
    margin = float(stdtrit(variance**2 / doubt, (1 + confidence) / 2)) * variance**0.5
    return VarianceRatio(
        ratio=float(sides[0].var(ddof=1) / sides[1].var(ddof=1)),
        interval=(float(np.exp(one - two - margin)), float(np.exp(one - two + margin))),
        p_value=float(levene(*sides, center="median").pvalue),
    )


def share_interval(count: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of Clopper and Pearson of a share, in [0, 1], seen `count` times in `of`, which is above 0."""
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, of - count + 1, tail))
    high = 1.0 if count == of else float(betaincinv(count + 1, of - count, 1 - tail))
    return low, high


def _log_variance(scores: Array) -> tuple[float, float]:
    """The jackknifed logarithm of the variance of (S) scores, and the variance of that."""
    number = len(scores)
    pseudo = number * np.log(scores.var(ddof=1)) - (number - 1) * np.log(_variances_without_one(scores))
    return float(pseudo.mean()), float(pseudo.var(ddof=1) / number)


def _variances_without_one(scores: Array) -> Array:
    """(S) -> (S): the variance of the scores without each of them."""
    rest = np.broadcast_to(scores, (len(scores), len(scores)))[~np.eye(len(scores), dtype=bool)]
    found: Array = rest.reshape(len(scores), -1).var(axis=1, ddof=1)
    return found
