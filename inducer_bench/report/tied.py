"""Which methods cannot be told apart from the best one, on the same examples?

Every pair of methods is compared by the test over examples and seeds (`statistics.py`), and the p-values of all pairs
are adjusted by Holm's method. A method is tied with the best unless the adjusted p-value of that pair is below the
level. All pairs are counted, and not only those with the best: the best is chosen after looking, so that among equal
methods the comparison with it is one of the most extreme ones. In simulations of equal methods (`results/statistics`)
at most 5 % of studies then tell any method apart from the best. Holm over the pairs with the best alone does so more
often, and so does the studentised range (Games and Howell 1976) with few seeds.

The intervals of the differences are simultaneous: those of Bonferroni for all pairs. Where Holm's method, which can
find more, tells two methods apart although that interval reaches zero, it ends at zero (the intervals compatible with
such tests do so: Brannath, Kluge and Scharpenberg 2024, https://arxiv.org/abs/2402.13719).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from inducer_bench.metrics.metric import Metric
from inducer_bench.report import selection
from inducer_bench.report.examples import Examples, Rows, same_examples
from inducer_bench.report.power import LEVEL, POWER, detectable
from inducer_bench.report.statistics import RESAMPLES, Method, contrast, examples_of, holm, methods, scores_of


@dataclass(frozen=True)
class Standing:
    """One method against the best one; scores are in the score's unit (percentage points).

    Args:
        mean: of the scores of its runs; NaN if undefined.
        reason: why it was not tested; None if it was, and the rest is only then given.
        difference: its mean minus that of the best.
        interval: of the difference; the intervals of a verdict hold together with a confidence of 1 - level.
        p_value: two-sided, for no difference, adjusted for all pairs of methods; 1 for the best.
        tied: whether it cannot be told apart from the best; the best is tied with itself.
    """

    mean: float
    reason: str | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    p_value: float | None = None
    tied: bool | None = None


@dataclass(frozen=True)
class Verdict:
    """All methods of a comparison.

    Args:
        standings: one for each method, in the order in which they were given.
        best: the number of the method with the best mean among those tested; None if there is no verdict.
        detectable: the smallest difference (in the score's unit) that so many examples and seeds show with 80 % power
            before Holm's method relaxes the level, on average over the pairs of methods; None if there is no verdict,
            all predictions are equal, or it was not wanted.
        reason: why there is none; None if there is one.
    """

    standings: tuple[Standing, ...]
    best: int | None = None
    detectable: float | None = None
    reason: str | None = None


def verdict(
    score: str,
    metric: Metric,
    sides: Sequence[Sequence[Rows]],
    better: int,
    level: float = LEVEL,
    power: float | None = POWER,
    resamples: int = RESAMPLES,
    searches: Sequence[Sequence[Rows]] = (),
) -> Verdict:
    """Which methods are tied with the best one.

    Args:
        score: its name in the record: `accuracy`, `bleu_seen`.
        metric: of the score.
        sides: for each method the prediction lines of each of its runs, one entry per seed. A method without two runs
            that have the score is not tested, and not the best; the others are.
        better: 1 if higher is better, -1 if lower is.
        level: the largest probability of telling any two equal methods apart.
        power: that `Verdict.detectable` is for; None: it is not wanted, and takes most of the time.
        resamples: number of bootstrap samples of the examples.
        searches: for each method whose runs are those of a winner, the prediction lines of each trial that decided;
            none if the runs are not, or if the trials were scored by another metric.

    Raises:
        UserError: a prediction lacks what the metric scores.
    """
    present = [side for side in sides if side]
    if not present:
        return _none(sides, "there are no runs")
    if not same_examples([rows for side in present for rows in side]):
        return _none(sides, "the runs predicted different examples")
    found = examples_of(score, metric, present)
    if found is None:
        without = metric.statistics is None or metric.corpus is None
        return _none(sides, f"{metric.label} has no test over examples" if without else "there are too few examples")
    parts = iter(found)
    tried = [(examples_of(score, metric, [rows]) or [[]])[0] if rows else [] for rows in searches]
    return of_examples([next(parts) if side else [] for side in sides], better, level, power, resamples, tried)


def of_examples(
    sides: Sequence[Sequence[Examples]],
    better: int,
    level: float = LEVEL,
    power: float | None = POWER,
    resamples: int = RESAMPLES,
    searches: Sequence[Sequence[Examples]] = (),
) -> Verdict:
    """`verdict` from the examples of each run, the same ones, at least two, for all runs."""
    means = [float(scores_of(side).mean()) if side else np.nan for side in sides]
    standings = [Standing(mean, _why_not(side, mean)) for side, mean in zip(sides, means, strict=True)]
    tested = [number for number, standing in enumerate(standings) if standing.reason is None]
    if len(tested) < 2:
        return Verdict(tuple(standings), reason="fewer than two methods have two runs with this score")
    tested.sort(key=lambda number: -better * means[number])
    best = tested[0]
    drawn = methods([sides[number] for number in tested], resamples)
    tried = [searches[number] for number in tested] if searches else ()
    runs = dict(zip(tested, searched(drawn, tried, better), strict=True))
    units = sides[best][0].count()
    pairs = list(combinations(tested, 2))  # the better one first; those with the best come first of all
    contrasts = [contrast(runs[left], runs[right], units) for left, right in pairs]
    p_values = holm([found.p_value for found in contrasts])
    standings[best] = Standing(means[best], None, 0.0, (0.0, 0.0), 1.0, True)
    for (_, other), found, p_value in zip(pairs[: len(tested) - 1], contrasts, p_values, strict=False):
        low, high = found.interval(1 - level / len(pairs))
        apart = p_value < level
        if apart:  # on the worse side of zero
            low, high = (low, min(high, 0.0)) if better > 0 else (max(low, 0.0), high)
        standings[other] = Standing(means[other], None, found.difference, (low, high), p_value, not apart)
    smallest = None if power is None else detectable(contrasts, level / len(pairs), power)
    return Verdict(tuple(standings), best, smallest)


def searched(found: Sequence[Method], searches: Sequence[Sequence[Examples]], better: int) -> list[Method]:
    """The methods with the variance of their searches.

    Args:
        found: the runs of each method.
        searches: for each method the trials that decided; none if its runs are not those of a winner. Empty: none are.
        better: 1 if higher is better, -1 if lower is.
    """
    return [
        replace(own, search=selection.variance(trials, own.spread - own.noise, better)) if trials else own
        for own, trials in zip(found, searches or [()] * len(found), strict=True)
    ]


def _why_not(side: Sequence[Examples], mean: float) -> str | None:
    """Why a method cannot be tested."""
    if len(side) < 2:
        return "a single run" if side else "no run"
    return None if np.isfinite(mean) else "the score of a run is undefined"


def _none(sides: Sequence[Sequence[Rows]], reason: str) -> Verdict:
    return Verdict(tuple(Standing(np.nan, reason) for _ in sides), reason=reason)
