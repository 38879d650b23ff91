"""The random sample of a split: fixed, of any order of the file, in that order, and smaller ones within larger ones."""

from collections import Counter
from itertools import pairwise

import pytest

from inducer_bench.tasks.subset import sample


@pytest.mark.parametrize("size", [0, 1, 5, 20, 99])
def test_sample_has_so_many_examples_in_their_order(size):
    found = sample(iter(range(20)), size)
    assert len(found) == min(size, 20)
    assert found == sorted({*found})


def test_sample_is_the_same_everywhere():
    assert sample("abcdefghij", 4) == ["c", "d", "f", "h"]
    assert sample(range(67_349), 5) == [2607, 5755, 20161, 48749, 63785]
    assert sample([{"equal": 1}] * 9, 3) == [{"equal": 1}] * 3  # examples need no order


def test_smaller_samples_are_part_of_larger_ones():
    samples = [{*sample(range(300), size)} for size in range(0, 301, 10)]
    assert all(one < more for one, more in pairwise(samples))


def test_every_part_of_a_file_is_drawn_from():
    found = Counter(number // 1000 for number in sample(range(10_000), 1000))
    assert all(70 < found[part] < 130 for part in range(10))  # 100 each on average, with a deviation of 9.5


def test_whole_units_are_drawn_and_of_the_last_one_the_first_parts():
    parts = [(unit, part) for unit in range(40) for part in range(1 + unit % 7)]
    for size in range(0, len(parts) + 1, 3):
        found = sample(parts, size, unit=lambda part: part[0])
        counts = Counter(unit for unit, _ in found)
        assert len(found) == size
        assert found == [(unit, part) for unit in sorted(counts) for part in range(counts[unit])]
        assert sum(counts[unit] <= unit % 7 for unit in counts) <= 1
