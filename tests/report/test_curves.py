"""Tuning curves: against medians of the best of many random subsets, and with failed trials."""

import math

import numpy as np
import pytest

from inducer_bench.report.curves import tuning_curve

SCORES = [80.0, 81.5, 82.0, 84.0, 84.5, 86.0, 87.0, 88.0]


def test_the_centre_is_the_median_of_the_best_of_random_trials():
    random = np.random.default_rng(0)
    for better in (1, -1):
        found = tuning_curve(SCORES, better)
        assert found.trials.tolist() == list(range(1, 9))
        for number, centre in zip(found.trials, found.centre, strict=True):
            drawn = better * random.choice(better * np.array(SCORES), (4_000, number)).max(axis=1)
            near = np.quantile(better * drawn, [0.44, 0.56])
            assert near[0] <= better * centre <= near[1]


@pytest.mark.parametrize("better", [1, -1])
def test_the_band_holds_the_centre_and_rises_with_it(better):
    found = tuning_curve(SCORES, better)
    assert (found.low <= found.centre).all()
    assert (found.centre <= found.high).all()
    for line in (found.low, found.centre, found.high):
        assert (better * np.diff(line[np.isfinite(line)]) >= 0).all()


def test_lower_is_better_is_the_mirror_image():
    up = tuning_curve(SCORES, 1, (0, 100))
    down = tuning_curve([100 - score for score in SCORES], -1, (0, 100))
    assert down.high[:3] == pytest.approx(100 - up.low[:3])
    assert down.low == pytest.approx(100 - up.high)


def test_failed_trials_are_the_worst_and_do_not_move_the_best():
    found = tuning_curve([*SCORES, None, math.nan], 1, (0, 100))
    assert found.centre[0] < tuning_curve(SCORES, 1, (0, 100)).centre[0]
    assert (found.centre[-1], found.low[0]) == (88.0, 0)
    assert np.isfinite([*found.low, *found.high]).all()
    assert tuning_curve([*SCORES, None], -1, (1, math.inf)).centre[-1] == 80.0
    assert tuning_curve([None, math.nan], 1) is None
    assert tuning_curve([], 1) is None


def test_without_bounds_the_band_is_infinite_where_the_trials_set_no_limit():
    found = tuning_curve(SCORES, 1)
    assert found.high[-1] == math.inf
    assert found.low[-1] > 80


def test_order_does_not_matter_and_more_trials_narrow_the_band():
    first, second = tuning_curve(SCORES, 1, (0, 100)), tuning_curve(SCORES[::-1], 1, (0, 100))
    assert (first.low.tolist(), first.high.tolist()) == (second.low.tolist(), second.high.tolist())
    random = np.random.default_rng(1)
    widths = [
        (curve.high - curve.low)[1]
        for count in (8, 32, 200)
        if (curve := tuning_curve(random.normal(80, 2, count).tolist(), 1, (0, 100)))
    ]
    assert widths == sorted(widths, reverse=True)


def test_a_single_trial_has_a_curve_of_one_point():
    found = tuning_curve([80.0], 1, (0, 100))
    assert (found.centre.tolist(), found.low.tolist(), found.high.tolist()) == ([80], [0], [100])
