"""Paired tests of the difference in a score between two methods on the same examples.

With one run on each side the question is whether *these two tuned models* differ on such examples. Accuracy is tested
with McNemar's exact test (McNemar 1947, https://doi.org/10.1007/BF02295996), every other score with approximate
randomisation (Noreen 1989; Yeh 2000, https://aclanthology.org/C00-2137): if the models were equal, their outputs for an
example could be swapped, so the p-value is the share of random swaps of half the examples with a difference at least as
large. The 95 % interval is that of a paired bootstrap over examples.

With several runs (seeds) on a side the question is whether *the methods* differ, on new examples and with new seeds.
Swapping examples alone would ignore the variation between seeds and reject far too often; and three runs can be swapped
with three others in too few ways. So the difference of mean scores is compared with both variances, as in studies where
several readers see the same cases (Obuchowski and Rockette 1995, Hillis 2007), with runs as readers:

    variance = v + max(0, sum over sides of (s^2 - e^2) / S)

v: variance of the difference over resampled examples with the runs fixed, by the paired bootstrap. s^2: variance of
the scores of a side's S runs. e^2: the part of s^2 that is due to the examples, by the same bootstrap; v includes it.
Difference / sqrt(variance) is compared with Student's t, with Satterthwaite's degrees of freedom, but at least those of
the least certain of these parts. Runs of the two sides are not paired: an equal seed does not make two methods alike. A
single run on one side is assumed to have the other side's s^2. In simulations of equal methods with 2 to 10 seeds, 1.5
to 5 % of p-values are below 0.05, the fewest where seeds hardly matter; up to 7 % where one method's seeds vary ten
times as much as the other's. Swapping examples alone gives 25 to 65 %, more the more the seeds matter.

Where examples are not independent (turns of a CoQA dialogue), whole dialogues are swapped and resampled. All random
numbers come from a fixed seed: equal predictions give equal p-values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, stdtr, stdtrit

from inducer_bench.metrics.classification import weighted_accuracy
from inducer_bench.metrics.metric import Metric
from inducer_bench.report.examples import Examples, Rows, examples, same_examples

Array: TypeAlias = NDArray[np.float64]

SEARCH_FREEDOM = 8.0  # degrees of freedom that the variance of a search counts for
RESAMPLES = 10_000
_BLOCK = 250_000  # weights in memory at a time; the fastest size of those measured
_METHODS = "t over examples and seeds"


@dataclass(frozen=True)
class PairedTest:
    """The outcome of a test.

    Args:
        difference: the right side's score minus the left side's, in the score's unit (percentage points).
        interval: the 95 % confidence interval of the difference.
        p_value: two-sided, for the hypothesis of no difference.
        name: of the test.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float
    name: str


@dataclass(frozen=True)
class Method:
    """The runs of one method.

    Args:
        scores: (S), of each run.
        drawn: (resamples, S), their scores on resampled examples, the same ones for all methods of a comparison.
        search: variance over searches, if the runs are those of a winner; see `selection.py`.
    """

    scores: Array
    drawn: Array
    search: float = 0.0

    @property
    def runs(self) -> int:
        """S."""
        return len(self.scores)

    @property
    def spread(self) -> float:
        """s^2, the variance of the scores of its runs; S must be above 1."""
        return float(self.scores.var(ddof=1))

    @property
    def noise(self) -> float:
        """e^2, the part of `spread` that is due to the examples."""
        alone = self.drawn - self.drawn.mean(axis=1, keepdims=True)
        return float(np.nanvar(alone, axis=0).sum() / (self.runs - 1))


@dataclass(frozen=True)
class Contrast:
    """The difference of mean scores of two methods, with its variance over examples and seeds.

    Args:
        difference: the right method's mean minus the left one's.
        of_examples: v, the variance over examples alone.
        variance: over both.
        freedom: degrees of freedom of the variance; infinite where it is 0.
    """

    difference: float
    of_examples: float
    variance: float
    freedom: float

    @property
    def p_value(self) -> float:
        """Two-sided; without variance, every example makes the same difference."""
        if self.variance == 0:
            return float(self.difference == 0)
        return 2 * float(stdtr(self.freedom, -abs(self.difference) / np.sqrt(self.variance)))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The two-sided confidence interval of the difference."""
        if self.variance == 0:
            return self.difference, self.difference
        margin = float(stdtrit(self.freedom, (1 + confidence) / 2) * np.sqrt(self.variance))
        return self.difference - margin, self.difference + margin


def paired_p_value(score: str, metric: Metric, left: Sequence[Rows], right: Sequence[Rows]) -> float | None:
    """The p-value of `paired_test`, or None where there is no test."""
    test = paired_test(score, metric, left, right)
    return None if test is None else test.p_value


def paired_test(
    score: str, metric: Metric, left: Sequence[Rows], right: Sequence[Rows], resamples: int = RESAMPLES
) -> PairedTest | None:
    """A test of the difference between two methods in a score of their records.

    Args:
        score: its name in the record: `accuracy`, `bleu_seen`.
        metric: of the score.
        left, right: the prediction lines of each run of a side, one entry per seed; at least one.
        resamples: number of random swaps, or of bootstrap samples.

    Returns:
        None where no test is possible: the runs predicted different examples, the metric has no statistics per example
        (METEOR), there are fewer than two examples, or the score is undefined.
    """
    sides = examples_of(score, metric, [left, right])
    if sides is None:
        return None
    scores = [scores_of(side) for side in sides]
    difference = float(scores[1].mean() - scores[0].mean())
    if not np.isfinite(difference):
        return None
    if len(left) == len(right) == 1:
        return _of_models(sides[0][0], sides[1][0], difference, resamples)
    one, two = methods(sides, resamples)
    found = contrast(one, two, sides[0][0].count())
    return PairedTest(found.difference, found.interval(), found.p_value, _METHODS)


def mcnemar(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> float:
    """McNemar's exact p-value from the correctness of each example, (N,), on both sides."""
    only_left, only_right = int((left & ~right).sum()), int((right & ~left).sum())
    return min(1.0, 2 * float(bdtr(min(only_left, only_right), only_left + only_right, 0.5)))


def approximate_randomisation(left: Examples, right: Examples, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """The p-value of the difference in score: the share of random swaps with one as large, itself counted."""
    pooled, units = left.pooled(right), left.count()

    def difference(swapped: Array) -> Array:
        return pooled.scores(np.hstack([swapped, 1 - swapped])) - pooled.scores(np.hstack([1 - swapped, swapped]))

    observed = abs(difference(np.zeros((1, units)))[0])
    random = np.random.default_rng(seed)
    drawn = _by_blocks(
        lambda rows: difference(random.integers(2, size=(rows, units)).astype(np.float64)), resamples, units
    )
    smaller = np.abs(drawn) < observed * (1 - 1e-9)  # equal up to rounding counts as equal, undefined as large
    return (1 + resamples - int(smaller.sum())) / (1 + resamples)


def bootstrap(runs: Sequence[Examples], resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """(resamples, runs): the scores of all runs on the same examples, drawn with replacement."""
    units = runs[0].count()
    random = np.random.default_rng(seed)

    def scores(rows: int) -> Array:
        drawn = random.integers(units, size=(rows, units)) + units * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)
        return np.stack([run.scores(counts) for run in runs], axis=1)

    return _by_blocks(scores, resamples, units)


def examples_of(score: str, metric: Metric, sides: Sequence[Sequence[Rows]]) -> list[list[Examples]] | None:
    """The examples of each run of each method; None where no test over them is possible, as `paired_test` says."""
    if not same_examples([rows for side in sides for rows in side]):
        return None
    found = [[run for rows in side if (run := examples(score, metric, rows))] for side in sides]
    return found if found[0] and found[0][0].count() > 1 else None


def scores_of(runs: Sequence[Examples]) -> Array:
    """(S): the scores of runs; NaN where undefined."""
    return np.array([run.scores(np.ones((1, run.count())))[0] for run in runs])


def methods(sides: Sequence[Sequence[Examples]], resamples: int = RESAMPLES) -> list[Method]:
    """Each side's runs, on resampled examples that are drawn once for all of them."""
    drawn = bootstrap([run for side in sides for run in side], resamples)
    ends = np.cumsum([len(side) for side in sides])[:-1]
    return [Method(scores_of(side), part) for side, part in zip(sides, np.split(drawn, ends, axis=1), strict=True)]


def contrast(left: Method, right: Method, units: int) -> Contrast:
    """The test over examples and seeds, of two methods with more than one run on at least one side.

    Where the runs are those of the winners of searches, the variance of the searches is part of it.
    """
    difference = float(right.scores.mean() - left.scores.mean())
    of_examples = float(np.nanvar(right.drawn.mean(axis=1) - left.drawn.mean(axis=1)))
    excess, uncertainty = 0.0, of_examples**2 / (units - 1)
    for side, other in ((left, right), (right, left)):
        if side.runs > 1:
            share = 1 / side.runs + (other.runs == 1)  # a single run on the other side has this side's spread
            excess += share * (side.spread - side.noise)
            uncertainty += (share * side.spread) ** 2 / (side.runs - 1)
    variance = of_examples + max(0.0, excess) + left.search + right.search
    uncertainty += (left.search**2 + right.search**2) / SEARCH_FREEDOM
    freedom = np.inf
    if variance:
        # Noise of examples is taken from the variance, but not from its uncertainty. Where there is little else, as
        # between runs that are nearly the same, the formula falls below the freedom of the least certain part.
        least = min(units, SEARCH_FREEDOM + 1, *(side.runs for side in (left, right) if side.runs > 1)) - 1
        freedom = max(variance**2 / uncertainty, least)
    return Contrast(difference, of_examples, variance, freedom)


def mean_contrast(contrasts: Sequence[Contrast]) -> Contrast:
    """The mean of independent differences, such as those of two methods on several tasks, which are fixed.

    It is about these tasks: their differences are averaged, and say nothing about further ones.
    """
    number = len(contrasts)
    variance = sum(found.variance for found in contrasts) / number**2
    doubt = sum((found.variance / number**2) ** 2 / found.freedom for found in contrasts)
    return Contrast(
        difference=sum(found.difference for found in contrasts) / number,
        of_examples=sum(found.of_examples for found in contrasts) / number**2,
        variance=variance,
        freedom=variance**2 / doubt if doubt else np.inf,
    )


def seeds_alone(scores: Sequence[float]) -> Method:
    """The runs of a method whose predictions are not there: `contrast` is then Welch's test, about these examples."""
    return Method(np.asarray(scores, dtype=np.float64), np.tile(np.asarray(scores, dtype=np.float64), (2, 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values, in the given order, adjusted to control the family-wise error rate (Holm 1979)."""
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return [float(value) for value in adjusted]


def written_p_value(p_value: float) -> str:
    """A p-value for a table, with three decimals."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _of_models(left: Examples, right: Examples, difference: float, resamples: int) -> PairedTest:
    changes = np.subtract(*bootstrap([right, left], resamples).T)
    low, high = np.nanquantile(changes, (0.025, 0.975))
    if left.corpus is weighted_accuracy:
        p_value, name = (
            mcnemar(*(pairs[:, 0] == pairs[:, 1] for pairs in (left.statistics, right.statistics))),
            "McNemar",
        )
    else:
        p_value, name = approximate_randomisation(left, right, resamples), "approximate randomisation"
    return PairedTest(difference, (float(low), float(high)), p_value, name)


def _by_blocks(draw: Callable[[int], Array], resamples: int, units: int) -> Array:
    """`resamples` rows of `draw(rows)`, drawn in blocks of limited memory."""
    block = max(1, _BLOCK // units)
    return np.concatenate([draw(min(block, resamples - start)) for start in range(0, resamples, block)])
