"""Batches from buckets: shapes that all seeds share, little padding, and few shapes."""

from itertools import combinations

import pytest
import torch

from inducer_bench.training import buckets as module
from inducer_bench.training.batching import epoch_batches
from inducer_bench.training.buckets import buckets

LENGTHS = [5 + (index * 7919) % 60 for index in range(1000)]


def batches(seed, epoch, lengths=LENGTHS, size=16):
    return epoch_batches("buckets", lengths, size, seed, epoch)


def shapes(planned):
    return [(len(batch.indices), batch.length) for batch in planned]


def test_every_example_is_in_exactly_one_batch_of_full_size_but_one():
    planned = batches(seed=3, epoch=2)
    assert sorted(index for batch in planned for index in batch.indices) == list(range(1000))
    assert sorted(len(batch.indices) for batch in planned) == [8] + [16] * 62


def test_batches_of_all_seeds_have_the_same_shapes_in_an_order_that_each_epoch_has_for_itself():
    assert shapes(batches(seed=0, epoch=1)) == shapes(batches(seed=5, epoch=1))
    assert shapes(batches(seed=0, epoch=1)) != shapes(batches(seed=0, epoch=2))


def test_members_of_batches_depend_on_seed_and_epoch_alone():
    first = batches(seed=1, epoch=1)
    torch.rand(10)
    assert batches(seed=1, epoch=1) == first
    members = [{frozenset(batch.indices) for batch in batches(*order)} for order in ((1, 1), (2, 1), (1, 2))]
    assert not members[0] & members[1]
    assert not members[0] & members[2]


def test_no_example_is_longer_than_its_batch():
    assert all(LENGTHS[index] <= batch.length for batch in batches(0, 0) for index in batch.indices)


def test_batches_do_not_come_sorted_by_length():
    lengths = [batch.length for batch in batches(0, 0)]
    assert lengths != sorted(lengths)
    assert lengths != sorted(lengths, reverse=True)


def tokens(found):
    return sum((bucket.stop - bucket.start) * bucket.length for bucket in found)


@pytest.mark.parametrize("seed", range(5))
def test_cuts_are_the_best_of_all_that_there_are(seed, monkeypatch):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 30, (41,), generator=generator).tolist()
    size, ordered = 4, sorted(lengths)
    monkeypatch.setattr(module, "MOST", 4)
    monkeypatch.setattr(module, "PADDED", 1.0)
    best = min(
        sum((stop - start) * ordered[stop - 1] for start, stop in zip((0, *cuts), (*cuts, 41), strict=True))
        for cuts in combinations(range(size, 41, size), 3)
    )
    found = buckets(lengths, size)
    assert tokens(found) == best
    assert [bucket.start for bucket in found] == [0, *(bucket.stop for bucket in found[:-1])]
    assert all(bucket.length == ordered[bucket.stop - 1] for bucket in found)
    assert all(bucket.start % size == 0 for bucket in found)
    assert len(found) == 4


@pytest.mark.parametrize(("lengths", "size"), [([7], 4), ([7] * 9, 4), ([3, 1, 2], 8), (list(range(1, 200)), 2)])
def test_odd_data_have_buckets_too(lengths, size):
    planned = batches(0, 0, lengths, size)
    assert sorted(index for batch in planned for index in batch.indices) == list(range(len(lengths)))
    assert len({batch.length for batch in planned}) <= module.MOST


def test_few_buckets_are_enough_for_little_padding():
    lengths = torch.randn(5000, generator=torch.Generator().manual_seed(0)).mul(0.5).add(3).exp().clamp(3, 250).int()
    found = buckets(lengths.tolist(), 16)
    assert tokens(found) <= module.PADDED * int(lengths.sum())
    assert len(found) < module.MOST
