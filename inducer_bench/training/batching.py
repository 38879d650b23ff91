"""Batches of similar length, in an order that depends only on the seed and the epoch."""

from collections.abc import Iterator, Sequence

import torch

from inducer_bench import distributed
from inducer_bench.tasks.base import Task
from inducer_bench.tasks.cache import Encoded

WINDOW = 50  # batches; examples are sorted by length within shuffled windows of this size
EPOCHS_PER_SEED = 1_000_003  # generator seeds from one run seed to the next: fewer epochs than that never collide


def training_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The batches of one epoch as indices: every example once, of similar lengths, shuffled.

    Args:
        lengths: tokens of each example.
        batch_size: examples per batch; one batch may be smaller.
        seed, epoch: determine the order completely.
    """
    generator = torch.Generator().manual_seed(seed * EPOCHS_PER_SEED + epoch)
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


def padded_tokens(task: Task, examples: list[Encoded], micro_batch_size: int | None, multiple: int) -> int:
    """The tokens, padding included, that all processes compute for a batch, whose lengths are rounded up."""
    micros = (micro for shard in distributed.shards(examples) for micro in micro_batches(shard, micro_batch_size))
    return sum(len(micro) * task.padded_length(micro, multiple) for micro in micros)
