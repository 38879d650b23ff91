"""How good is the best of n trials, and what do so few trials say about it?

A tuning curve shows, for each number n of trials, the median of the best score among n random ones: half of all
searches of n trials do better. The median is used, and not the mean, since it needs no number for a failed trial, which
counts as worse than all others, however bad that is. (The authors of the bands recommend the median, too.)

The bands are simultaneous: with the given confidence, the whole curve lies within them. They come from `opda` (Lourie,
Cho and He 2024, https://arxiv.org/abs/2311.09480), assume nothing about the distribution of scores, and are exact for
independent trials; where trials have equal scores, or several failed, they are wider than they need be. Ours are not
independent but quasi-random, which cover the range more evenly. In simulations (`results/statistics`) 95 % bands hold
the whole curve in more than 95 % of searches, of either kind: they are bands for the bad scores, too, which no curve
shows.

Some trials say little about the best of many: from 16 trials, a 95 % band has no upper end beyond two.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from inducer_bench.report.statistics import Array

_MANY = 64  # trials; bands that are tighter for the best scores take seconds and gigabytes beyond


@dataclass(frozen=True)
class Curve:
    """A tuning curve, in the score's unit.

    Args:
        trials: (T), the numbers 1 to T.
        centre: (T), the median of the best score of so many trials, estimated.
        low, high: (T), the band: low <= centre <= high. Infinite, or one of the bounds, where the trials set no limit.
    """

    trials: NDArray[np.int64]
    centre: Array
    low: Array
    high: Array


def tuning_curve(
    scores: Sequence[float | None],
    better: int,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    confidence: float = 0.95,
) -> Curve | None:
    """The median of the best score against the number of trials.

    Args:
        scores: of the T trials of a search, in any order; None or NaN where a trial failed, which is worse than all.
        better: 1 if higher is better, -1 if lower is.
        bounds: the lowest and highest values of the score: (0, 100) for accuracy. They make the bands finite.
        confidence: that the whole curve lies within the band.

    Returns:
        None if no trial has a score.
    """
    from opda.nonparametric import EmpiricalDistribution  # takes a second

    worst = bounds[0] if better > 0 else bounds[1]
    values = np.array([worst if score is None or math.isnan(score) else score for score in scores], dtype=np.float64)
    if (values == worst).all():
        return None
    trials = np.arange(1, len(values) + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # equal scores, see above
        below, centre, above = EmpiricalDistribution.confidence_bands(
            values,
            confidence,
            *bounds,
            generator=_generator(len(values), confidence),
            method="ld_highest_density" if 1 < len(values) <= _MANY else "ks",
            n_jobs=1,
        )
    # A band above the distribution function is one below its quantiles.
    low, middle, high = (
        np.asarray(found.quantile_tuning_curve(trials, minimize=better < 0), dtype=np.float64)
        for found in (above, centre, below)
    )
    return Curve(trials, middle, low, high)


@cache
def _generator(trials: int, confidence: float) -> np.random.Generator:
    """Bands are found by simulation; `opda` keeps them for each generator, so that equal input gives equal bands."""
    return np.random.default_rng(trials)
