"""Seeds and differences of planned studies, against scipy's noncentral t and a two-way analysis."""

import numpy as np
import pytest
from helpers.scores import metric_for
from helpers.simulated import answers, models
from scipy import stats

from inducer_bench.report import power
from inducer_bench.report.power import Pilot, power_of, seeds_needed, smallest_difference
from inducer_bench.report.statistics import Contrast

ACCURACY = metric_for("accuracy", answers([1]))
PILOT = Pilot(fixed=0.5, noises=(1.0, 1.2), spreads=(2.0, 3.0), freedom=7.0, units=500)


def pilot_of(left, right):
    return Pilot.of("accuracy", ACCURACY, [answers(run) for run in left], [answers(run) for run in right])


@pytest.mark.parametrize("freedom", [1.5, 4.0, 30.0, 5_000.0])
@pytest.mark.parametrize("level", [0.05, 0.05 / 45])
def test_power_is_a_tail_of_the_noncentral_t_distribution(freedom, level):
    critical = stats.t.isf(level / 2, freedom)
    for difference in (0.5, 2.0, 9.0):
        expected = stats.nct.sf(critical, freedom, difference / 2)
        assert power_of(difference, 4.0, freedom, level) == pytest.approx(expected, abs=1e-6)
        assert power_of(-difference, 4.0, freedom, level) == power_of(difference, 4.0, freedom, level)
    found = smallest_difference(4.0, freedom, level, 0.8)
    assert power_of(found, 4.0, freedom, level) == pytest.approx(0.8, abs=1e-4)


def test_differences_that_cannot_be_missed_are_found():
    powers = [power_of(difference, 1.0, freedom, 0.001) for difference in (30, 50.5, 100) for freedom in (15, 60)]
    assert powers == pytest.approx([1.0] * len(powers), abs=1e-3)


def test_variances_of_a_pilot_are_those_of_a_two_way_analysis():
    """Against sums of squares: for means, no resampling is needed."""
    random = np.random.default_rng(0)
    left, right = (np.array(side, dtype=float) for side in models(random, (4, 5), 800, 0.3, 0.4))
    right[:, :200] = random.random((5, 200)) < 0.9  # examples that the second method has right more often
    noises = [100**2 * (side - side.mean(0)).var(axis=1).sum() / (len(side) - 1) / 800 for side in (left, right)]
    spreads = [100**2 * side.mean(1).var(ddof=1) for side in (left, right)]
    of_examples = 100**2 * (right.mean(0) - left.mean(0)).var() / 800
    pilot = pilot_of(left, right)
    assert pilot.spreads == pytest.approx(spreads)
    assert pilot.noises == pytest.approx(noises, rel=0.1)
    assert pilot.fixed == pytest.approx(of_examples - noises[0] / 4 - noises[1] / 5, rel=0.15)
    assert pilot.units == 800
    assert pilot.freedom == pytest.approx(sum(spreads) ** 2 / (spreads[0] ** 2 / 3 + spreads[1] ** 2 / 4))


@pytest.mark.parametrize("difference", [2.2, 3.0, 4.0, 6.0])
def test_the_seeds_needed_are_the_fewest_with_the_power(difference):
    seeds = seeds_needed(difference, PILOT)
    powers = [PILOT.power(difference, number) for number in range(2, seeds + 1)]
    assert powers[-1] >= 0.8
    assert all(power < 0.8 for power in powers[:-1])
    assert powers == sorted(powers)
    assert PILOT.smallest_difference(seeds) <= difference * 1.001
    assert seeds == 2 or PILOT.smallest_difference(seeds - 1) > difference


def test_smaller_differences_stricter_levels_and_more_power_need_more_seeds():
    plain = seeds_needed(3.0, PILOT)
    assert seeds_needed(2.5, PILOT) > plain
    assert seeds_needed(3.0, PILOT, level=0.01) > plain
    assert seeds_needed(3.0, PILOT, power=0.9) > plain
    assert seeds_needed(1_000.0, PILOT) == 2


def test_no_number_of_seeds_is_enough_where_the_examples_forbid_it():
    limit = PILOT.limit()
    assert limit == pytest.approx(PILOT.smallest_difference(9_999), rel=0.01)
    assert seeds_needed(0.99 * limit, PILOT) is None
    assert seeds_needed(1.1 * limit, PILOT) > 10
    without = Pilot(0.0, (1.0, 1.0), (2.0, 3.0), 7.0, 500)
    assert without.limit() == 0
    assert seeds_needed(0.5, without) > 100


def test_a_single_run_is_taken_to_vary_as_the_other_methods_runs_do():
    random = np.random.default_rng(1)
    left, right = models(random, (4, 1), 300, 0.2, 0.4)
    pilot = pilot_of(left, right)
    assert pilot.spreads[0] == pilot.spreads[1] > 0
    assert pilot.noises[0] == pilot.noises[1]
    assert pilot.freedom == pytest.approx(3)


def test_there_is_no_pilot_without_two_runs_of_a_method_on_the_same_examples():
    assert pilot_of([[1, 0]], [[1, 1]]) is None
    assert pilot_of([[1, 0]] * 2, [[1, 1, 0]] * 2) is None
    assert pilot_of([[1]] * 2, [[0]] * 2) is None


def test_equal_predictions_need_two_seeds_for_any_difference():
    pilot = pilot_of([[1, 0, 1]] * 2, [[1, 0, 1]] * 2)
    assert (pilot.fixed, pilot.spreads) == (0, (0, 0))
    assert seeds_needed(0.1, pilot) == 2


def test_the_detectable_difference_is_found_with_that_power_on_average_over_pairs():
    pairs = [Contrast(0.0, 1.0, variance, freedom) for variance, freedom in ((1.0, 4.0), (9.0, 8.0), (0.0, np.inf))]
    found = power.detectable(pairs, 0.05 / 3)
    inflated = [(1.0 * (1 + 2.5 / 4), 4.0), (9.0 * (1 + 2.5 / 8), 8.0)]
    powers = [stats.nct.sf(stats.t.isf(0.05 / 6, df), df, found / variance**0.5) for variance, df in inflated]
    assert np.mean(powers) == pytest.approx(0.8, abs=1e-6)
    assert powers[0] > 0.8 > powers[1]
    assert power.detectable(pairs[2:]) is None


@pytest.mark.parametrize("freedom", [1.2, 4, 20, 100])
def test_a_difference_beyond_all_doubt_is_always_found(freedom):
    found = [power_of(difference, 1.0, freedom, 0.05 / 45) for difference in np.linspace(0.0, 1000, 2000)]
    assert np.isfinite(found).all()
    assert found[-1] == pytest.approx(1.0)
    assert (np.diff(found) > -1e-9).all()
