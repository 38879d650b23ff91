"""One synthetic study of each kind, and whether it kept what a report promises of it.

Each function draws one study, evaluates it as a report would, and returns what happened, by name; means over many
studies are error rates, power and coverage. Differences are in percentage points, accuracies in (0, 1).
"""

from collections.abc import Callable
from functools import cache
from itertools import combinations

import numpy as np
from scipy.stats import f as f_distribution
from scipy.stats import rankdata, studentized_range

from inducer_bench.report import curves, ranks, statistics, tied
from inducer_bench.report.power import LEVEL, Pilot, seeds_needed
from inducer_bench.report.robustness import robustness, workable
from inducer_bench.report.spreads import variance_ratio
from inducer_bench.search.space import points
from scripts.evidence.synthetic import DIFFICULTY, Array, World, level, runs, study, world

Outcome = dict[str, bool | float | None]

RESAMPLES = 300  # bootstrap samples; reports take 10,000, which makes their variances a little more exact
DECADES = 3.0


# -- tied sets ---------------------------------------------------------------------------------------------------------


def equal_methods(random: np.random.Generator, methods: int, seeds: int) -> Outcome:
    """Equal methods on the same examples: is any told apart from the best?"""
    about = world(random, methods)
    found = tied.of_examples(study(random, about, [about.accuracy] * methods, seeds), 1, resamples=RESAMPLES)
    return {"told apart": not all(standing.tied for standing in found.standings)}


def families(random: np.random.Generator, methods: int, seeds: int) -> Outcome:
    """Equal methods, and three ways to correct for many comparisons: does any of them tell any two apart?"""
    about = world(random, methods)
    sides = study(random, about, [about.accuracy] * methods, seeds)
    drawn = statistics.methods(sides, RESAMPLES)
    best = int(np.argmax([method.scores.mean() for method in drawn]))
    found = {
        (left, right): statistics.contrast(drawn[left], drawn[right], about.examples)
        for left, right in combinations(range(methods), 2)
    }
    with_best = [contrast.p_value for pair, contrast in found.items() if best in pair]
    return {
        "Holm, all pairs": min(statistics.holm([contrast.p_value for contrast in found.values()])) < LEVEL,
        "Holm, pairs with the best": min(statistics.holm(with_best)) < LEVEL,
        "studentised range": any(
            abs(contrast.difference) > np.sqrt(contrast.variance / 2) * _studentised(methods, contrast.freedom)
            for contrast in found.values()
        ),
    }


def different_methods(random: np.random.Generator, methods: int, seeds: int) -> Outcome:
    """Methods of different accuracy: do all intervals hold, is the truly best one among the tied?"""
    about = world(random, methods)
    true = np.clip(about.accuracy + random.normal(0, 0.03, methods), 0.5, 0.98)
    found = tied.of_examples(study(random, about, list(true), seeds), 1, resamples=RESAMPLES)
    assert found.best is not None
    differences = 100 * (true - true[found.best])
    held = [_within(standing.interval, difference)
            for standing, difference in zip(found.standings, differences, strict=True)]  # fmt: skip
    apart = [not standing.tied for standing in found.standings]
    return {
        "intervals hold": all(held),
        "truly best one is tied": not apart[int(np.argmax(true))],
        "methods told apart": float(np.mean(apart)),
    }


# -- power -------------------------------------------------------------------------------------------------------------


def planned_seeds(random: np.random.Generator, pilot: int, needed: int) -> Outcome:
    """A difference that takes about `needed` seeds, a pilot of some seeds, and the study that it led to."""
    while True:
        about = world(random, 2)
        difference = _pilot(random, about, 0.0, 20).smallest_difference(needed)
        if about.accuracy + difference / 200 < 0.98 and about.accuracy - difference / 200 > 0.5:
            break
    seeds = seeds_needed(difference, _pilot(random, about, difference, pilot))
    if seeds is None or seeds > 20 * needed:
        return {"difference found": None, "no number of seeds, or twenty times as many": True}
    one, two = statistics.methods(study(random, about, _apart(about.accuracy, difference, 2), seeds), RESAMPLES)
    p_value = statistics.contrast(one, two, about.examples).p_value
    return {"difference found": p_value < LEVEL, "no number of seeds, or twenty times as many": False}


def detectable_difference(random: np.random.Generator, methods: int, seeds: int) -> Outcome:
    """The smallest difference that a study could have shown, put between the best and the worst of another study."""
    while True:
        about = world(random, methods)
        first = tied.of_examples(study(random, about, [about.accuracy] * methods, seeds), 1, resamples=RESAMPLES)
        assert first.detectable is not None
        if about.accuracy + first.detectable / 200 < 0.98 and about.accuracy - first.detectable / 200 > 0.5:
            break
    true = _apart(about.accuracy, first.detectable, methods)
    second = tied.of_examples(study(random, about, true, seeds), 1, resamples=RESAMPLES)
    return {"difference found": not second.standings[-1].tied}


# -- searches ----------------------------------------------------------------------------------------------------------


def tuning_curve(random: np.random.Generator, trials: int, draw: str) -> Outcome:
    """The trials of one search: does the band hold the whole curve of its prior?"""
    centre = random.uniform(-0.7, 0.7)

    def scores(places: Array) -> Array:
        """(T, D) in [0, 1) -> (T): in steps of half a point, as on 200 examples; high learning rates fail."""
        rate = DECADES * (places[:, 0] - 0.5) - centre
        others = 4 * ((places[:, 1:] - 0.5) ** 2).sum(axis=1)
        score = 85 - 8 * rate**2 - 2 * others + random.normal(0, 0.7, len(places))
        return np.where(rate > 0.9, -np.inf, np.round(2 * score) / 2)

    dimensions = 2 if draw == "quasi-random, two dimensions" else 1
    if draw == "independent":
        places = random.random((trials, 1))
    else:
        places = np.array(points(trials, dimensions, int(random.integers(2**32))))
    found = curves.tuning_curve([None if np.isinf(score) else float(score) for score in scores(places)], 1)
    if found is None:
        return {"band holds": None}
    every = np.sort(scores(random.random((50_000, dimensions))))
    true = every[np.ceil(0.5 ** (1 / found.trials) * len(every)).astype(int) - 1]
    return {"band holds": bool(((found.low <= true) & (true <= found.high)).all())}


def whole_chain(random: np.random.Generator, methods: int, trials: int, seeds: int) -> Outcome:
    """Methods that respond alike to their learning rates are tuned, then run with new seeds: are any told apart?

    The winners differ by luck, so that even methods that are alike are compared at settings that are not quite.
    """
    about = world(random, methods)
    places = DECADES * (np.array(points(trials, 1, int(random.integers(2**32))))[:, 0] - 0.5)
    loss = -((places - random.uniform(-0.5, 0.5)) ** 2)  # on the logistic scale: 1 at a decade from the best
    held_out = random.normal(0, DIFFICULTY, 200)
    difficulty = random.normal(0, DIFFICULTY, about.examples)
    sides, searches = [], []
    for spread in about.spreads:
        middle = level(about.accuracy, spread)
        tried = [runs(random, held_out, middle + lost, spread, 1)[0] for lost in loss]
        winner = int(np.argmax([statistics.scores_of([run])[0] for run in tried]))
        sides.append(runs(random, difficulty, middle + loss[winner], spread, seeds))
        searches.append(tried)
    found = tied.of_examples(sides, 1, resamples=RESAMPLES, searches=searches)
    plain = tied.of_examples(sides, 1, resamples=RESAMPLES)
    return {
        "told apart": not all(standing.tied for standing in found.standings),
        "without the variance of searches": not all(standing.tied for standing in plain.standings),
    }


# -- many seeds --------------------------------------------------------------------------------------------------------


def spreads(random: np.random.Generator, scores: str, seeds: int) -> Outcome:
    """Two methods, one of which varies up to five times as much: does the interval hold the ratio of variances?

    Scores are normal, have the tails of Student's t with 5 degrees of freedom, or are skewed towards bad runs.
    """
    draw: dict[str, Callable[[int], Array]] = {
        "normal": random.standard_normal,
        "long tails": lambda size: random.standard_t(5, size),
        "bad runs": lambda size: -random.gamma(4.0, size=size),
    }
    factor = np.exp(random.uniform(0, np.log(5)))
    left, right = factor * draw[scores](seeds), draw[scores](seeds)
    found = variance_ratio(left.tolist(), right.tolist())
    assert found is not None
    normal = found.ratio / f_distribution.ppf([0.975, 0.025], seeds - 1, seeds - 1)
    return {
        "interval holds": _within(found.interval, factor**2),
        "F interval holds": _within((normal[0], normal[1]), factor**2),
    }


def learning_rates(random: np.random.Generator, seeds: int) -> Outcome:
    """Runs at six learning rates: does the interval hold the width of those within a point of the best?"""
    rates = 10.0 ** np.linspace(-4, -1.5, 6)
    centre, spread = random.uniform(-3.5, -2.0), np.exp(random.uniform(np.log(0.3), np.log(2)))

    def score(rate: float) -> float:
        return float(85 - 4 * (np.log10(rate) - centre) ** 2)

    true = robustness([(rate, score(rate)) for rate in rates.tolist()], 1)
    runs = {rate: random.normal(score(rate), spread, seeds).tolist() for rate in rates.tolist()}
    found = workable(runs, 1, resamples=RESAMPLES)
    assert true is not None
    assert found is not None
    return {"interval holds": _within(found.interval, true.decades, 0.05)}


# -- tasks -------------------------------------------------------------------------------------------------------------


def mean_ranks(random: np.random.Generator, tasks: int, seeds: int, spread: float) -> Outcome:
    """Five methods whose true scores on a task lie about `spread` points apart: do intervals hold the mean ranks?

    These are the ones that such studies give on average; a rounding error of 0.05 is allowed.
    """
    names = "abcde"
    of_runs = np.exp(random.uniform(np.log(0.3), np.log(3), len(names)))
    true = spread * random.normal(size=(tasks, len(names)))
    scores = true[:, :, None] + of_runs[:, None] * random.normal(size=(tasks, len(names), seeds))
    found = ranks.mean_ranks(
        [dict(zip(names, task.tolist(), strict=True)) for task in scores], [1] * tasks, draws=1_000
    )
    others = true + of_runs / np.sqrt(seeds) * random.normal(size=(1_000, tasks, len(names)))
    on_average = rankdata(-others, axis=2).mean(axis=(0, 1))
    held = [_within(found[name].interval, rank, 0.05) for name, rank in zip(names, on_average, strict=True)]
    return {"interval holds": float(np.mean(held))}


# -- parts -------------------------------------------------------------------------------------------------------------


def _pilot(random: np.random.Generator, about: World, difference: float, seeds: int) -> Pilot:
    one, two = statistics.methods(study(random, about, _apart(about.accuracy, difference, 2), seeds), RESAMPLES)
    return Pilot.between(one, two, about.examples)


def _apart(middle: float, difference: float, methods: int) -> list[float]:
    """The first method is `difference` points better than the last, all others are halfway."""
    return [middle + difference / 200, *[middle] * (methods - 2), middle - difference / 200]


def _within(interval: tuple[float, float] | None, value: float, error: float = 1e-9) -> bool:
    assert interval is not None
    return interval[0] - error <= value <= interval[1] + error


def _studentised(methods: int, freedom: float) -> float:
    """The critical value of the studentised range, between tabulated degrees of freedom."""
    inverse, values = _table(methods)
    return float(np.interp(1 / freedom, inverse, values))


@cache
def _table(methods: int) -> tuple[Array, Array]:
    freedoms = np.array([1e5, 120, 60, 30, 20, 15, 10, 8, 6, 5, 4, 3, 2.5, 2, 1.5, 1])
    return 1 / freedoms, np.array([studentized_range.isf(LEVEL, methods, freedom) for freedom in freedoms])
