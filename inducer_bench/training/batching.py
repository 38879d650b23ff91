"""Batches of similar length, in an order that depends only on the seed and the epoch."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from inducer_bench import distributed
from inducer_bench.tasks.base import Task
from inducer_bench.tasks.cache import Encoded
from inducer_bench.training.buckets import bucketed_batches

WINDOW = 50  # batches; examples are sorted by length within shuffled windows of this size
EPOCHS_PER_SEED = 1_000_003  # generator seeds from one run seed to the next: fewer epochs than that never collide


class PlannedBatch(NamedTuple):
    """Indices of examples, and the length that they are padded to; None: to the longest of a micro-batch."""

    indices: list[int]
    length: int | None


def epoch_batches(scheme: str, lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[PlannedBatch]:
    """The batches of one epoch by the scheme `windows` or `buckets` (see `buckets.py`): every example once.

    Other arguments as in `training_batches`.
    """
    if scheme == "windows":
        return [PlannedBatch(indices, None) for indices in training_batches(lengths, batch_size, seed, epoch)]
    own, shared = _generator(seed, epoch), torch.Generator().manual_seed(epoch)
    return [PlannedBatch(*batch) for batch in bucketed_batches(lengths, batch_size, own, shared)]


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


def evaluation_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Batches over all examples as indices, longest first: a lack of memory shows in the first batch."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def micro_batches(examples: Sequence[Encoded], size: int | None) -> Iterator[Sequence[Encoded]]:
    """The parts of a batch whose gradients are accumulated; `size` None: the whole batch."""
    size = size or len(examples) or 1
    return (examples[start : start + size] for start in range(0, len(examples), size))


def padded_tokens(
    task: Task, examples: list[Encoded], micro_batch_size: int | None, multiple: int, length: int | None = None
) -> int:
    """The tokens, padding included, that all processes compute for a batch, whose lengths are rounded up.

    Args:
        task, examples, micro_batch_size, multiple: decide how long each micro-batch is.
        length: of all of them; None for the longest of each.
    """
    micros = (micro for shard in distributed.shards(examples) for micro in micro_batches(shard, micro_batch_size))
    return sum(len(micro) * task.padded_length(micro, multiple, length) for micro in micros)


def _generator(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * EPOCHS_PER_SEED + epoch)
