"""The examples that a run trains on, and those that select its best epoch."""

import math
import random

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
    order = list(range(len(train)))
    random.Random(seed).shuffle(order)
    size = math.ceil(protocol.held_out * len(train))
    if size >= len(train):
        raise UserError(f"protocol.held_out: found {protocol.held_out}; leaves no example of {len(train)} to train on")
    return Splits(train.select(sorted(order[size:])), train.select(order[:size])[: protocol.select_first])
