"""The examples that a run trains on, and those that select its best epoch."""

import random
from collections.abc import Sequence

from inducer_bench.errors import UserError
from inducer_bench.tasks.base import Task
from inducer_bench.training.loop import Splits
from inducer_bench.training.options import ProtocolOptions


def select_splits(task: Task, protocol: ProtocolOptions, seed: int) -> Splits:
    """The training and selection examples of a protocol.

    Args:
        task: gives the examples of train and dev.
        protocol: select on dev, or on a slice of train that is not trained on.
        seed: decides which examples that slice holds.

    Raises:
        UserError: the data are bad, or the held-out slice leaves nothing to train on.
    """
    train = task.examples("train")
    if protocol.select_on == "dev":
        return Splits(train, task.examples("dev")[: protocol.select_first])
    size = protocol.held_out_of(len(train))
    sources = train.sources if protocol.hold_out == "sources" else None
    held_out = _drawn(range(len(train)) if sources is None else sources, size, seed)
    rest = sorted({*range(len(train))} - {*held_out})
    if not rest:
        raise UserError(f"protocol.held_out: found {protocol.held_out}; leaves no example of {len(train)} to train on")
    return Splits(train.select(rest), train.select(held_out)[: protocol.select_first])


def _drawn(sources: Sequence[object], size: int, seed: int) -> list[int]:
    """The examples of random sources: of as few as have so many."""
    members: dict[object, list[int]] = {}
    for index, source in enumerate(sources):
        members.setdefault(source, []).append(index)
    order = [*members.values()]
    random.Random(seed).shuffle(order)
    drawn: list[int] = []
    for indices in order:
        if len(drawn) >= size:
            break
        drawn += indices
    return drawn
