"""The width of good learning rates: by hand, and on a parabola."""

import math

import numpy as np
import pytest

from inducer_bench.report.robustness import at_edge, robustness, workable


def test_the_range_ends_where_lines_between_trials_cross_the_bar():
    found = robustness([(1e-4, 82.0), (1e-3, 86.0), (1e-2, 84.0)], 1)
    assert (found.low, found.high) == pytest.approx((10**-3.25, 10**-2.5))
    assert found.decades == pytest.approx(0.75)
    assert found.open_ends == ()


def test_lower_may_be_better_and_the_order_does_not_matter():
    up = robustness([(1e-4, 82.0), (1e-3, 86.0), (1e-2, 84.0)], 1)
    assert robustness([(1e-2, 16.0), (1e-4, 18.0), (1e-3, 14.0)], -1) == up


@pytest.mark.parametrize("within", [0.5, 1.0, 2.0])
def test_many_trials_on_a_parabola_find_its_width(within):
    rates = 10.0 ** np.linspace(-5, -2, 61)
    found = robustness([(rate, 90 - 4 * (math.log10(rate) + 3.5) ** 2) for rate in rates], 1, within)
    assert found.decades == pytest.approx(2 * (within / 4) ** 0.5, abs=0.01)


def test_a_failed_neighbour_ends_the_range_halfway():
    found = robustness([(1e-4, 82.0), (1e-3, 86.0), (1e-2, None), (1e-1, math.nan)], 1)
    assert found.high == pytest.approx(10**-2.5)
    assert found.open_ends == ()


def test_a_range_that_reaches_the_end_of_what_was_tried_is_a_lower_bound():
    low = robustness([(1e-4, 86.0), (1e-3, 85.5), (1e-2, 80.0)], 1)
    assert (low.open_ends, low.low) == (("low",), pytest.approx(1e-4))
    both = robustness([(1e-4, 86.0), (1e-3, 85.5), (1e-2, 85.9)], 1)
    assert (both.open_ends, both.decades) == (("low", "high"), pytest.approx(2.0))


def test_a_second_range_of_good_values_does_not_count():
    found = robustness([(1e-5, 85.9), (1e-4, 80.0), (1e-3, 86.0), (1e-2, 80.0)], 1)
    assert found.decades == pytest.approx(2 / 6)


def test_of_equal_learning_rates_and_of_neighbours_in_more_dimensions_the_best_counts():
    plain = [(1e-4, 82.0), (1e-3, 86.0), (1e-2, 84.0)]
    assert robustness([*plain, (1e-3, 70.0), (1e-4, None)], 1) == robustness(plain, 1)
    spoilt = [(0.9e-4, 60.0), (1e-4, 82.0), (1e-3, 86.0), (1.1e-3, 50.0), (0.9e-2, None), (1e-2, 84.0)]
    assert robustness(spoilt, 1, dimensions=2) == robustness(plain, 1)
    assert robustness(spoilt, 1).decades < 0.5


@pytest.mark.parametrize("trials", [[], [(1e-3, 80.0)], [(1e-3, 80.0)] * 3, [(1e-3, None), (1e-2, math.nan)]])
def test_there_is_no_width_of_one_learning_rate_or_without_a_score(trials):
    assert robustness(trials, 1) is None


@pytest.mark.parametrize(
    ("winner", "tried", "edge"),
    [
        (1e-4, [1e-4, 1e-3, 1e-2], "low"),
        (1e-2, [1e-4, 1e-3, 1e-2], "high"),
        (1e-3, [1e-4, 1e-3, 1e-2], None),
        (1e-3, [1e-4, 1e-3, 1e-3], "high"),
        (1e-3, [1e-3], None),
    ],
)
def test_a_winner_at_the_end_of_what_was_tried_is_at_the_edge(winner, tried, edge):
    assert at_edge(winner, tried) == edge


# -- several runs at each rate -----------------------------------------------------------------------------------------

RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]


def test_the_workable_range_is_that_of_the_means_and_a_failure_ends_it_halfway():
    runs = {1e-4: [80.0, 84.0], 1e-3: [85.0, 87.0], 1e-2: [86.0, None], 1e-1: [50.0, 50.0]}
    found = workable(runs, 1, 2.0)
    assert found.range == robustness([(1e-4, 82.0), (1e-3, 86.0), (1e-2, None), (1e-1, 50.0)], 1, 2.0)
    assert found.interval[0] <= found.range.decades <= found.interval[1]


def test_without_variation_between_runs_the_interval_is_the_width():
    runs = {rate: [90 - 4 * (math.log10(rate) + 3) ** 2] * 5 for rate in RATES}
    found = workable(runs, 1)
    assert found.interval == pytest.approx((found.range.decades, found.range.decades))


def test_where_some_run_fails_at_every_rate_none_is_workable():
    found = workable({rate: [None, math.nan] for rate in RATES}, 1)
    assert (found.range, found.interval) == (None, (0.0, 0.0))
    assert workable({1e-3: [80.0, 81.0]}, 1) is None


def test_the_interval_holds_the_width_of_a_known_curve():
    random, held = np.random.default_rng(0), 0
    true = robustness([(rate, 90 - 4 * (math.log10(rate) + 3) ** 2) for rate in RATES], 1).decades
    for _ in range(40):
        runs = {rate: 90 - 4 * (math.log10(rate) + 3) ** 2 + random.normal(0, 0.5, 10) for rate in RATES}
        low, high = workable(runs, 1, resamples=150).interval
        held += low <= true <= high
    assert held >= 34  # of 40, a true rate of 95 % shows as at least 34 (99 %)
