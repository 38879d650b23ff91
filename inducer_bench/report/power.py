"""How many seeds does it take to see a difference, and which difference could so many seeds have shown?

The answers are for the test over examples and seeds (`statistics.py`). A pilot, some runs of both methods, gives its
variances, from which follows that of the difference of mean scores with S runs of each method:

    variance = fixed + (noise + max(0, spread - noise)) / S

fixed: over new examples, as the methods differ in which of them they have right; no number of seeds makes it smaller.
spread: variance of the scores of single runs, summed over both methods. noise: the part of it that is due to the
examples. The power is the probability of p < level when the true difference is the given one: a tail of the noncentral
t distribution (as for readers and cases: Hillis, Obuchowski and Berbaum 2011,
https://pmc.ncbi.nlm.nih.gov/articles/PMC3053069).

A pilot of few seeds knows the spread badly, and seeds that are missing hurt more than spare ones help. So a variance is
taken (1 + 1 / its degrees of freedom) times as large as it was found: without that, pilots of three seeds promise up to
8 points of power too much. `results/statistics` has the simulated power of studies that were planned in this way.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import nctdtr, nctdtrinc, stdtrit

from inducer_bench.metrics.metric import Metric
from inducer_bench.report.examples import Rows
from inducer_bench.report.statistics import Contrast, Method, contrast, examples_of, methods

LEVEL, POWER = 0.05, 0.8
_RESAMPLES = 2_000  # few runs leave more doubt about a variance than so many resamples
_MOST = 10_000  # runs of a method that are thought of


@dataclass(frozen=True)
class Pilot:
    """What some runs of two methods say about a comparison of them; variances are in the score's unit squared.

    Args:
        fixed: variance over examples that does not shrink with the number of runs.
        noises: of the scores of each method's runs, the part due to the examples.
        spreads: variance of the scores of each method's runs.
        freedom: degrees of freedom of both spreads together.
        units: number of independent examples.
    """

    fixed: float
    noises: tuple[float, float]
    spreads: tuple[float, float]
    freedom: float
    units: int

    @classmethod
    def of(cls, score: str, metric: Metric, left: Sequence[Rows], right: Sequence[Rows]) -> "Pilot | None":
        """The pilot in some runs of two methods, given as for `statistics.paired_test`.

        Returns:
            None where that test is impossible, or no method has two runs. A single run is assumed to be of a method
            whose runs vary as those of the other do.
        """
        sides = examples_of(score, metric, [left, right])
        if sides is None or max(map(len, sides)) < 2:
            return None
        one, two = methods(sides, _RESAMPLES)
        pilot = cls.between(one, two, sides[0][0].count())
        return pilot if np.isfinite([pilot.fixed, *pilot.noises, *pilot.spreads]).all() else None

    @classmethod
    def between(cls, left: Method, right: Method, units: int) -> "Pilot":
        """The pilot in two methods, at least one of which has two runs."""
        several = [method for method in (left, right) if method.runs > 1]
        one, two = (method if method.runs > 1 else several[0] for method in (left, right))
        noises, spreads = (one.noise, two.noise), (one.spread, two.spread)
        doubt = sum(method.spread**2 / (method.runs - 1) for method in several) * (2 / len(several)) ** 2
        freedom = sum(spreads) ** 2 / doubt if doubt else float(sum(method.runs - 1 for method in several))
        fixed = contrast(left, right, units).of_examples - noises[0] / left.runs - noises[1] / right.runs
        return cls(max(0.0, fixed), noises, spreads, freedom, units)

    def power(self, difference: float, seeds: int, level: float = LEVEL) -> float:
        """The probability of finding a true difference, in the score's unit, with `seeds` runs of each method."""
        return power_of(difference, *self._variance(seeds), level)

    def smallest_difference(self, seeds: int, level: float = LEVEL, power: float = POWER) -> float:
        """The smallest true difference, in the score's unit, that `seeds` runs of each method find with this power."""
        return smallest_difference(*self._variance(seeds), level, power)

    def limit(self, level: float = LEVEL, power: float = POWER) -> float:
        """The difference below which no number of seeds helps, only more examples."""
        return smallest_difference(self.fixed, self.units - 1, level, power)

    def _variance(self, seeds: int) -> tuple[float, float]:
        """The variance of the difference with `seeds` runs of each method, and its degrees of freedom in the test."""
        spreads = [value * (1 + 1 / self.freedom) / seeds for value in self.spreads]
        of_examples = self.fixed + sum(self.noises) / seeds
        variance = of_examples + max(0.0, sum(spreads) - sum(self.noises) / seeds)
        doubt = of_examples**2 / (self.units - 1) + sum(value**2 for value in spreads) / (seeds - 1)
        return variance, variance**2 / doubt if doubt else np.inf


def seeds_needed(difference: float, pilot: Pilot, level: float = LEVEL, power: float = POWER) -> int | None:
    """The runs of each method, at least two, that find a true difference with this power.

    Args:
        difference: in the score's unit; above 0.
        pilot: of the two methods, or of two like them.
        level: of the test; divided by the number of comparisons where there are several.
        power: the share of such studies that find it.

    Returns:
        None if no number of seeds is enough: these examples are too few for a difference below `pilot.limit()`.
    """
    seeds = range(2, _MOST + 1)
    found = bisect_left(seeds, power, key=lambda number: pilot.power(difference, number, level))
    return seeds[found] if found < len(seeds) else None


def detectable(contrasts: Sequence[Contrast], level: float = LEVEL, power: float = POWER) -> float | None:
    """The true difference that a study like this one finds with this power, on average over its pairs of methods.

    Args:
        contrasts: of the pairs; those without variance (equal predictions) say nothing about it.
        level: of each test.
        power: the share of such differences that is found.

    Returns:
        A difference in the score's unit; None if no pair has variance.
    """
    from scipy.optimize import brentq

    # Variances of few seeds are uncertain; 2.5 was chosen by the simulations in results/statistics.
    pairs = [(found.variance * (1 + 2.5 / found.freedom), found.freedom) for found in contrasts if found.variance]
    if not pairs:
        return None
    alone = [smallest_difference(*pair, level, power) for pair in pairs]

    def excess(difference: float) -> float:
        return float(np.mean([power_of(difference, *pair, level) for pair in pairs])) - power

    return float(brentq(excess, 0.9 * min(alone), 1.1 * max(alone)))


def power_of(difference: float, variance: float, freedom: float, level: float = LEVEL) -> float:
    """The probability of p < level, two-sided, in the direction of the true difference."""
    if variance == 0:
        return float(difference != 0)
    critical = stdtrit(freedom, 1 - level / 2)
    missed = nctdtr(freedom, abs(difference) / np.sqrt(variance), critical)
    return 1 - float(np.nan_to_num(missed))  # NaN for some differences that are far too large to be missed


def smallest_difference(variance: float, freedom: float, level: float = LEVEL, power: float = POWER) -> float:
    """The true difference that is found with this power: the inverse of `power_of`."""
    if variance == 0:
        return 0.0
    critical = stdtrit(freedom, 1 - level / 2)
    return float(nctdtrinc(freedom, 1 - power, critical) * np.sqrt(variance))
