"""Batches of similar length, in an order that depends only on the seed and the epoch.

Two schemes (`trainer.batches`):

    windows   shuffled examples are sorted by length within windows of 50 batches; every seed has lengths of its own
    buckets   sorted examples are cut into buckets, in which each seed shuffles; batch k of every seed has the same shape

With buckets a batch is padded to the longest example of its bucket. So an epoch has as many shapes as there are buckets
(and one more for its smaller batch), and the seeds of a setting can be trained side by side.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

WINDOW = 50  # batches; examples are sorted by length within shuffled windows of this size
EPOCHS_PER_SEED = 1_000_003  # generator seeds from one run seed to the next: fewer epochs than that never collide
PADDED = 1.05  # tokens computed per real token that buckets may cost
MOST_BUCKETS = 24


class PlannedBatch(NamedTuple):
    """Indices of examples, and the tokens that each is padded to at least; 0: the longest of those padded together."""

    indices: list[int]
    length: int


class Bucket(NamedTuple):
    """Examples of similar length: those with ranks `start` to `stop` when all are sorted by length."""

    start: int
    stop: int
    length: int  # tokens of the longest


def epoch_batches(scheme: str, lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[PlannedBatch]:
    """The batches of one epoch by a scheme: every example once; arguments as in `training_batches`."""
    if scheme == "buckets":
        return bucketed_batches(lengths, batch_size, seed, epoch)
    return [PlannedBatch(indices, 0) for indices in training_batches(lengths, batch_size, seed, epoch)]


def training_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The batches of one epoch as indices: every example once, of similar lengths, shuffled.

    Args:
        lengths: tokens of each example.
        batch_size: examples per batch; one batch may be smaller.
        seed, epoch: determine the order completely.
    """
    generator = _generator(seed, epoch)
    order = torch.randperm(len(lengths), generator=generator).tolist()
    window = WINDOW * batch_size
    batches = []
    for start in range(0, len(order), window):
        by_length = sorted(order[start : start + window], key=lambda index: lengths[index])
        batches += [by_length[i : i + batch_size] for i in range(0, len(by_length), batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def bucketed_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[PlannedBatch]:
    """The batches of one epoch: every example once, shuffled within its bucket.

    The seed decides which examples of a bucket form a batch; in which order the buckets' batches come depends on the
    epoch alone. So batch k of every seed has the same number of rows and the same padded length.
    """
    generator = _generator(seed, epoch)
    ranked = sorted(range(len(lengths)), key=lambda index: lengths[index])
    batches = []
    for bucket in buckets(lengths, batch_size):
        shuffled = (bucket.start + torch.randperm(bucket.stop - bucket.start, generator=generator)).tolist()
        for i in range(0, len(shuffled), batch_size):
            batches.append(PlannedBatch([ranked[rank] for rank in shuffled[i : i + batch_size]], bucket.length))
    shared = torch.Generator().manual_seed(epoch)
    return [batches[i] for i in torch.randperm(len(batches), generator=shared).tolist()]


def buckets(lengths: Sequence[int], batch_size: int) -> list[Bucket]:
    """As few buckets as keep the tokens computed within `PADDED` of the real ones, but at most `MOST_BUCKETS`.

    All but the last hold whole batches. Of all cuts the ones with the fewest padded tokens are found, by dynamic
    programming over the ranks where a longer example begins.
    """
    ordered = np.sort(np.asarray(lengths))
    longer = np.flatnonzero(np.diff(ordered)) + 1  # ranks at which examples get longer
    stops = np.append(np.unique(longer // batch_size * batch_size), len(ordered))
    stops = stops[stops > 0]
    widths = ordered[stops - 1]
    # tokens[j]: the fewest for all examples before stops[j]; before[k][j]: where the last of k + 2 buckets begins
    tokens, before = stops * widths, []
    earlier = np.tri(len(stops), k=-1, dtype=bool)
    while tokens[-1] > PADDED * ordered.sum() and len(before) + 1 < min(MOST_BUCKETS, len(stops)):
        choices = np.where(earlier, tokens + (stops[:, None] - stops) * widths[:, None], np.inf)
        before.append(choices.argmin(axis=1))
        tokens = choices.min(axis=1)
    last, found = len(stops) - 1, []
    for starts in [*reversed(before), None]:
        start = 0 if starts is None else int(stops[starts[last]])
        found.append(Bucket(start, int(stops[last]), int(widths[last])))
        last = last if starts is None else int(starts[last])
    return found[::-1]


def evaluation_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Batches over all examples as indices, longest first: a lack of memory shows in the first batch."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def _generator(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * EPOCHS_PER_SEED + epoch)
