"""Ratios of variances and shares of failures, against scipy and by leaving runs out one by one."""

import math

import numpy as np
import pytest
from scipy import stats

from inducer_bench.report.spreads import share_interval, variance_ratio


def test_the_interval_of_a_ratio_of_variances_is_that_of_jackknifed_logarithms():
    random = np.random.default_rng(3)
    left, right = random.normal(80, 3, 10), random.normal(85, 1, 8)

    def pseudo(scores):
        whole = len(scores) * math.log(stats.tvar(scores))
        return [whole - (len(scores) - 1) * math.log(stats.tvar(np.delete(scores, out))) for out in range(len(scores))]

    welch = stats.ttest_ind(pseudo(left), pseudo(right), equal_var=False).confidence_interval()
    found = variance_ratio(left, right)
    assert found.ratio == pytest.approx(stats.tvar(left) / stats.tvar(right))
    assert np.log(found.interval) == pytest.approx((welch.low, welch.high))
    assert found.p_value == pytest.approx(stats.levene(left, right, center="median").pvalue)
    other = variance_ratio(right, left)
    assert (1 / other.interval[1], 1 / other.interval[0]) == pytest.approx(found.interval)


def test_runs_without_variance_have_no_ratio():
    assert variance_ratio([80.0] * 5, [80.0, 81.0, 82.0]) is None
    assert variance_ratio([80.0, 81.0, 82.0], [80.0] * 4 + [90.0]) is None
    assert variance_ratio([80.0, 81.0], [80.0, 81.0, 82.0]) is None
    assert variance_ratio([0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 2.0, 2.0]) is None


@pytest.mark.parametrize(("count", "of"), [(0, 10), (1, 10), (5, 10), (10, 10), (3, 60)])
def test_the_interval_of_a_share_is_the_exact_one_of_scipy(count, of):
    known = stats.binomtest(count, of).proportion_ci(method="exact")
    assert share_interval(count, of) == pytest.approx((known.low, known.high))
