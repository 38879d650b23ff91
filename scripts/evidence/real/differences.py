"""Differences between methods, in points, with their intervals and in words.

Above zero, the first of the two is better, whatever the direction of the score.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from inducer_bench.errors import UserError
from inducer_bench.report import tied
from inducer_bench.report.examples import Examples
from inducer_bench.report.marks import LEVEL, RESAMPLES, predictions_of
from inducer_bench.report.measures import Measure
from inducer_bench.report.statistics import (
    Contrast,
    Method,
    contrast,
    examples_of,
    holm,
    mean_contrast,
    methods,
    seeds_alone,
)
from inducer_bench.report.store import DoneRun

_ROUNDING = 0.005  # of a score in a record


@dataclass(frozen=True)
class Side:
    """A method with the runs that speak for it.

    Args:
        label: for people.
        runs: with scores, one for each seed.
        deciding: the trials that decided on their settings; none where no search did.
    """

    label: str
    runs: Sequence[DoneRun]
    deciding: Sequence[DoneRun] = ()

    def scores(self, of: Measure) -> list[float]:
        """The score of each run."""
        return [value for run in self.runs if (value := of.read(run)) is not None]


@dataclass(frozen=True)
class Difference:
    """One comparison.

    Args:
        place: the task, or what was averaged over.
        one, other: the labels of the two sides.
        means: of both.
        found: one - other in points, turned so that above zero `one` is better.
        over: what its variance is over, in words.
        p_value: adjusted for the comparisons of its family.
    """

    place: str
    one: str
    other: str
    means: tuple[float, float]
    found: Contrast
    over: str
    p_value: float

    @property
    def verdict(self) -> str:
        """`better`, `worse`, or that it cannot be told."""
        if self.p_value >= LEVEL:
            return "cannot be told apart"
        return "better" if self.found.difference > 0 else "worse"

    def sentence(self) -> str:
        """The comparison in plain words."""
        low, high = self.found.interval()
        said = f"{self.place}: {self.one} "
        if self.verdict == "cannot be told apart":
            note = " (significant if it were the only comparison)" if self.found.p_value < LEVEL else ""
            return f"{said}and {self.other} cannot be told apart: {signed(low)} to {signed(high)}{note}."
        by = signed(self.found.difference).lstrip("+-")
        return f"{said}is {self.verdict} than {self.other} by {by} points: {signed(low)} to {signed(high)}."


def between(place: str, of: Measure, sides: Sequence[Side], pairs: Sequence[tuple[int, int]]) -> list[Difference]:
    """The differences of these pairs of methods, by the test over examples and seeds; p-values are not adjusted yet.

    Args:
        place: the task.
        of: the score.
        sides: the methods, with runs on the same examples.
        pairs: numbers of two sides.

    Raises:
        UserError: predictions give other scores than their records.
    """
    drawn, units, over = _drawn(of, sides)
    found = []
    for one, other in pairs:
        if max(drawn[one].runs, drawn[other].runs) < 2:
            continue  # no seeds to speak of
        apart = turned(contrast(drawn[other], drawn[one], units), of.better)
        means = (float(drawn[one].scores.mean()), float(drawn[other].scores.mean()))
        found.append(Difference(place, sides[one].label, sides[other].label, means, apart, over, apart.p_value))
    return found


def adjusted(family: Sequence[Difference]) -> list[Difference]:
    """The differences with p-values that are adjusted for all of them (Holm)."""
    p_values = holm([difference.found.p_value for difference in family]) if family else []
    return [replace(difference, p_value=p_value) for difference, p_value in zip(family, p_values, strict=True)]


def averaged(place: str, each: Sequence[Difference]) -> Difference:
    """The mean of the differences of the same two methods on several tasks."""
    found = mean_contrast([difference.found for difference in each])
    means = tuple(sum(column) / len(each) for column in zip(*(one.means for one in each), strict=True))
    over = ", ".join(sorted({one.over for one in each}))
    return Difference(place, each[0].one, each[0].other, (means[0], means[1]), found, over, found.p_value)


def turned(found: Contrast, better: int) -> Contrast:
    """The contrast with a difference that is above zero where the right side is better."""
    return replace(found, difference=better * found.difference)


def signed(number: float, decimals: int = 1) -> str:
    """The number with its sign; zero has none."""
    number = round(number, decimals) or 0.0
    return f"{number:+.{decimals}f}" if number else f"{0:.{decimals}f}"


def _drawn(of: Measure, sides: Sequence[Side]) -> tuple[list[Method], int, str]:
    """The methods on resampled examples, the number of examples, and what their variances are over.

    Without predictions of every run, or for a score that has no examples, seeds alone are left.
    """
    try:
        rows = [[predictions_of(run) for run in side.runs] for side in sides]
        found = None if of.metric is None else examples_of(of.name, of.metric, rows)
    except UserError:
        found = None
    if found is None:
        return [seeds_alone(side.scores(of)) for side in sides], 2, "seeds alone"
    drawn = methods(found, RESAMPLES)
    for side, own in zip(sides, drawn, strict=True):
        if abs(own.scores.mean() - sum(side.scores(of)) / len(side.runs)) > _ROUNDING:
            raise UserError(f"{side.label}: its predictions give another {of.label} than its records")
    trials = [_trials(of, side) for side in sides]
    if not all(trials):
        return drawn, found[0][0].count(), "examples and seeds"
    return tied.searched(drawn, trials, of.better), found[0][0].count(), "examples, seeds and searches"


def _trials(of: Measure, side: Side) -> list[Examples]:
    """The examples of each trial that decided; none where one is not kept, or was scored by another metric."""
    assert of.metric is not None
    try:
        found = [examples_of(of.name, of.metric, [[predictions_of(run)]]) for run in side.deciding]
    except UserError:
        return []
    return [one[0][0] for one in found if one] if all(found) else []
