"""Training batches from buckets of similar length: batch k of an epoch has the same shape for every seed.

The examples, sorted by length, are cut into buckets. Each seed shuffles within buckets; in which order the buckets'
batches come depends on the epoch alone. A batch is padded to the longest example of its bucket, so an epoch has as many
shapes as there are buckets, and one more for its smaller batch.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

PADDED = 1.05  # tokens computed per real token that buckets may cost
MOST = 24  # buckets


class Bucket(NamedTuple):
    """Examples of similar length: those with ranks `start` to `stop` when all are sorted by length."""

    start: int
    stop: int
    length: int  # tokens of the longest


def bucketed_batches(
    lengths: Sequence[int], batch_size: int, own: torch.Generator, shared: torch.Generator
) -> list[tuple[list[int], int]]:
    """The batches of one epoch: indices of every example once, and the length that those of a batch are padded to.

    Args:
        lengths: tokens of each example.
        batch_size: examples per batch; one batch may be smaller.
        own: decides which examples of a bucket form a batch.
        shared: decides in which order the batches come; equal for all seeds.
    """
    ranked = sorted(range(len(lengths)), key=lambda index: lengths[index])
    batches = []
    for bucket in buckets(lengths, batch_size):
        shuffled = (bucket.start + torch.randperm(bucket.stop - bucket.start, generator=own)).tolist()
        members = [ranked[rank] for rank in shuffled]
        batches += [(members[i : i + batch_size], bucket.length) for i in range(0, len(members), batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=shared).tolist()]


def buckets(lengths: Sequence[int], batch_size: int) -> list[Bucket]:
    """As few buckets as keep the tokens computed within `PADDED` of the real ones, but at most `MOST`.

    All but the last hold whole batches. Of all cuts the ones with the fewest padded tokens are found, by dynamic
    programming over the ranks where a longer example begins.
    """
    ordered = np.sort(np.asarray(lengths))
    longer = np.flatnonzero(np.diff(ordered)) + 1  # ranks at which examples get longer
    stops = np.append(np.unique(longer // batch_size * batch_size), len(ordered))
    stops = stops[stops > 0]
    widths = ordered[stops - 1]
    # tokens[j]: the fewest for all examples before stops[j]; before[k][j]: which stop the last of k + 2 buckets follows
    tokens = stops * widths
    before: list[np.ndarray] = []
    earlier = np.tri(len(stops), k=-1, dtype=bool)
    while tokens[-1] > PADDED * ordered.sum() and len(before) + 1 < min(MOST, len(stops)):
        choices = np.where(earlier, tokens + (stops[:, None] - stops) * widths[:, None], np.inf)
        before.append(choices.argmin(axis=1))
        tokens = choices.min(axis=1)
    last, found = len(stops) - 1, []
    for follows in reversed(before):
        found.append(Bucket(int(stops[follows[last]]), int(stops[last]), int(widths[last])))
        last = follows[last]
    found.append(Bucket(0, int(stops[last]), int(widths[last])))
    return found[::-1]
