"""Batches of similar length, in an order that depends on the seed and the epoch alone."""

from collections.abc import Sequence

import torch

WINDOW = 50  # batches: examples are sorted by length within shuffled windows of this size


def training_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Indices of one epoch's batches: every example once, little padding, shuffled.

    Args:
        lengths: tokens of each example.
        batch_size: examples in a batch; the last one may be smaller.
        seed, epoch: decide the order; the same two give the same batches.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(lengths), generator=generator).tolist()
    window = WINDOW * batch_size
    batches = []
    for start in range(0, len(order), window):
        by_length = sorted(order[start : start + window], key=lambda index: lengths[index])
        batches += [by_length[i : i + batch_size] for i in range(0, len(by_length), batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def evaluation_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Indices of batches over all examples, longest first, so that running out of memory shows at once."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
