"""Mean ranks: by hand, and what their intervals do."""

import math

import pytest

from inducer_bench.report.ranks import mean_ranks


def test_ranks_follow_the_direction_of_each_task_and_are_averaged():
    found = mean_ranks(
        [{"a": [90, 91], "b": [80, 81], "c": [70, 71]}, {"a": [2, 3], "b": [1, 2], "c": [8, 9]}], [1, -1]
    )
    assert {name: (rank.ranks, rank.mean) for name, rank in found.items()} == {
        "a": ((1, 2), 1.5), "b": ((2, 1), 1.5), "c": ((3, 3), 3.0),
    }  # fmt: skip
    assert list(found)[-1] == "c"


def test_equal_means_share_their_ranks_and_failed_methods_share_the_last():
    found = mean_ranks([{"a": [1, 3], "b": [2, 2], "c": [], "d": [math.nan]}], [1])
    assert [found[name].ranks[0] for name in "abcd"] == [1.5, 1.5, 3.5, 3.5]


def test_a_method_that_was_not_tried_on_a_task_has_no_rank_and_takes_none():
    tasks = [{"a": [90, 91], "b": [95, 96], "c": [70, 71]}, {"a": [90, 91], "c": [70, 71]}]
    found = mean_ranks(tasks, [1, 1])
    assert {name: rank.ranks for name, rank in found.items()} == {"a": (1, 1), "c": (2, 2)}
    assert mean_ranks([{"a": [1]}, {"b": [1]}], [1, 1]) == {}
    assert mean_ranks([], []) == {}


def test_the_interval_is_narrow_where_methods_are_far_apart_and_wide_where_seeds_decide():
    far = mean_ranks([{"a": [90, 91, 92], "b": [50, 51, 52]}] * 2, [1, 1])
    assert far["a"].interval == (1, 1)
    assert far["b"].interval == (2, 2)
    near = mean_ranks([{"a": [80, 90, 100], "b": [81, 89, 99]}] * 2, [1, 1])
    assert near["a"].interval == (1, 2)
    many = mean_ranks([{"a": [80, 90, 100], "b": [81, 89, 99]}] * 30, [1] * 30)
    low, high = many["a"].interval
    assert 1.1 < low < 1.5 < high < 1.9
    assert mean_ranks([{"a": [80, 90, 100], "b": [81, 89, 99]}] * 2, [1, 1]) == near


def test_a_method_that_always_fails_is_last_for_sure():
    found = mean_ranks([{"a": [80, 90], "b": [81, 89], "c": []}] * 2, [1, 1])
    assert (found["c"].mean, found["c"].interval) == (3, (3, 3))


def test_one_seed_has_ranks_but_no_interval():
    found = mean_ranks([{"a": [90], "b": [80, 81]}], [1])
    assert found["a"].mean == 1
    assert found["a"].interval is None
    assert found["b"].interval is None


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_more_confidence_is_a_wider_interval(confidence):
    tasks = [{"a": [80, 90, 100], "b": [81, 89, 99], "c": [85, 90, 92]}] * 8
    low, high = mean_ranks(tasks, [1] * 8, confidence)["a"].interval
    wide = mean_ranks(tasks, [1] * 8, 0.99)["a"].interval
    assert wide[0] < low < high < wide[1]
