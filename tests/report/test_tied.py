"""The methods that are tied with the best: against pairwise tests, and what is claimed of many of them."""

import itertools
import time

import numpy as np
import pytest
from helpers.scores import metric_for
from helpers.simulated import answers, models

from inducer_bench.report import tied
from inducer_bench.report.statistics import holm, paired_test

ACCURACY = metric_for("accuracy", answers([1]))


def simulated(seed, runs, count=300, better=None, seed_spread=0.2):
    random = np.random.default_rng(seed)
    shifts = [0.0] * len(runs) if better is None else better
    return [[answers(run) for run in side] for side in models(random, runs, count, shifts, seed_spread)]


def verdict(sides, better=1, **options):
    return tied.verdict("accuracy", ACCURACY, sides, better, **{"resamples": 500, **options})


def test_two_methods_are_the_paired_test():
    left, right = simulated(0, (3, 4), better=(0.0, 0.5))
    found, test = verdict([left, right], resamples=2_000), paired_test("accuracy", ACCURACY, right, left, 2_000)
    assert found.best == 1
    assert found.standings[0].difference == test.difference < 0
    assert found.standings[0].p_value == test.p_value
    assert found.standings[0].interval == pytest.approx(test.interval)


@pytest.mark.parametrize("seed", range(5))
def test_p_values_are_those_of_all_pairs_by_holm(seed):
    sides = simulated(seed, (3, 4, 3, 5), better=(0, 1.6, 0.5, 1.2))
    found = verdict(sides)
    pairs = list(itertools.combinations(range(4), 2))
    tests = [paired_test("accuracy", ACCURACY, sides[left], sides[right], 500) for left, right in pairs]
    adjusted = dict(zip(pairs, holm([test.p_value for test in tests]), strict=True))
    for number, standing in enumerate(found.standings):
        if number != found.best:
            p_value = adjusted[min(number, found.best), max(number, found.best)]
            assert standing.p_value == pytest.approx(p_value)
            assert standing.tied == (p_value >= 0.05)
    assert {standing.tied for standing in found.standings} == {True, False}


@pytest.mark.parametrize("better", [1, -1])
def test_the_interval_excludes_zero_exactly_where_methods_are_told_apart(better):
    apart = 0
    for seed in range(12):
        for standing in verdict(simulated(seed, (3,) * 5, better=(0, 0.6, 1.2, 1.8, 2.4)), better).standings:
            low, high = standing.interval
            assert low <= standing.difference <= high
            assert standing.difference * better <= 0
            if standing.tied:
                assert low <= 0 <= high
            else:
                apart += 1
                assert (high if better > 0 else -low) <= 0
    assert apart > 10


def test_the_best_and_the_signs_follow_the_direction_of_the_score():
    sides = simulated(1, (3, 3, 3), better=(0, 1.0, 2.0))
    up, down = verdict(sides), verdict(sides, better=-1)
    assert (up.best, down.best) == (2, 0)
    assert up.standings[0].difference == -down.standings[2].difference
    assert up.standings[0].p_value == pytest.approx(down.standings[2].p_value)
    assert up.detectable == pytest.approx(down.detectable)


def test_more_seeds_more_examples_and_fewer_methods_show_smaller_differences():
    plain = verdict(simulated(2, (3,) * 4)).detectable
    assert verdict(simulated(2, (9,) * 4)).detectable < plain
    assert verdict(simulated(2, (3,) * 4, count=3_000, seed_spread=0.05)).detectable < plain / 2
    assert verdict(simulated(2, (3,) * 10)).detectable > plain


# -- where something cannot be tested ----------------------------------------------------------------------------------


def test_a_method_with_one_run_or_none_is_left_out_and_the_others_are_as_without_it():
    sides = simulated(3, (3, 3, 3), better=(0, 0.5, 1.0))
    single = [answers(np.ones(300))]
    whole, alone = verdict([sides[0], single, sides[1], [], sides[2]]), verdict(sides)
    assert [whole.standings[number] for number in (0, 2, 4)] == list(alone.standings)
    assert [whole.standings[number].reason for number in (1, 3)] == ["a single run", "no run"]
    assert whole.standings[1].mean == 100
    assert (whole.standings[1].tied, whole.best, whole.detectable) == (None, 4, alone.detectable)


@pytest.mark.parametrize(
    ("sides", "reason"),
    [
        ([], "there are no runs"),
        ([[], []], "there are no runs"),
        ([[answers([1, 0, 1])] * 2, [answers([1, 0])] * 2], "the runs predicted different examples"),
        ([[answers([1])] * 2, [answers([0])] * 2], "there are too few examples"),
        ([[answers([1, 0])], [answers([1, 1])]], "fewer than two methods have two runs with this score"),
        ([[answers([1, 0])] * 3, [answers([1, 1])]], "fewer than two methods have two runs with this score"),
    ],
)
def test_there_is_no_verdict_where_nothing_can_be_compared(sides, reason):
    found = verdict(sides)
    assert (found.reason, found.best, found.detectable) == (reason, None, None)
    assert len(found.standings) == len(sides)
    assert all(standing.tied is None for standing in found.standings)


def test_a_metric_without_statistics_of_examples_has_no_verdict():
    rows = [{"split": "dev", "index": 0, "id": "0", "group": "", "prediction": "a b", "references": ["a b"]}]
    metric = metric_for("meteor", rows)
    found = tied.verdict("meteor", metric, [[rows, rows], [rows, rows]], 1)
    assert found.reason == f"{metric.label} has no test over examples"


def test_a_method_with_an_undefined_score_is_left_out():
    random = np.random.default_rng(4)
    labels = random.normal(size=50)

    def numbers(values):
        pairs = zip(labels.tolist(), values.tolist(), strict=True)
        return [{"split": "dev", "index": i, "label": x, "prediction": y} for i, (x, y) in enumerate(pairs)]

    good = [[numbers(labels + random.normal(0, 1, 50)) for _ in range(2)] for _ in range(2)]
    constant = [numbers(np.zeros(50)), numbers(labels)]
    found = tied.verdict("pearson", metric_for("pearson", good[0][0]), [*good, constant], 1, resamples=300)
    assert found.standings[2].reason == "the score of a run is undefined"
    assert found.best in (0, 1)


def test_equal_predictions_are_tied():
    same = [answers([1, 0, 1, 1])] * 2
    found = verdict([same, same, same])
    assert [standing.p_value for standing in found.standings] == [1, 1, 1]
    assert all(standing.tied and standing.interval == (0, 0) for standing in found.standings)
    assert (found.best, found.detectable) == (0, None)  # without variance, nothing is known of what can be seen
    mixed = verdict([same, same, simulated(5, (2,), count=4)[0]])
    assert mixed.standings[0].tied
    assert mixed.standings[1].tied


# -- what is claimed of many comparisons; results/statistics has larger simulations ------------------------------------


def test_equal_methods_are_told_apart_in_at_most_five_percent_of_studies():
    studies = [verdict(simulated(seed, (3,) * 5, 200), resamples=200) for seed in range(200)]
    told = sum(not all(standing.tied for standing in study.standings) for study in studies)
    assert told <= 18  # of 200, 5 % are at most 18 (99.5 %)


def test_ten_methods_of_five_seeds_take_seconds():
    sides = simulated(6, (5,) * 10, 872)
    start = time.perf_counter()
    verdict(sides, resamples=10_000)
    assert time.perf_counter() - start < 20  # about one, where nothing else runs
