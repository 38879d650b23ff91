"""Data-parallel runs, as `torchrun` or `accelerate launch --multi_gpu` start them.

Every process reads the data, builds the same model and computes its shard of each batch. Gradients are summed over all
processes, so that all take the same step. Decisions about the course of a run are made by the main process and
broadcast. Only the main process writes files. With a single process every function here is trivial and imports no
torch.

The collectives are torch.distributed's: accelerate's require the device, which a run knows only later.
"""

import os
import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from inducer_bench.errors import UserError, shown

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_AS_SET = "as torchrun or accelerate launch sets it"

P = ParamSpec("P")
T = TypeVar("T")


def world_size() -> int:
    """The number of processes of this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The rank of this process; the main process has rank 0."""
    return int(os.environ["RANK"]) if world_size() > 1 else 0


def local_rank() -> int:
    """The rank of this process among those of this machine; 0 where no launcher sets it."""
    return max(0, int(os.environ.get("LOCAL_RANK", "0")))


def check_environment() -> None:
    """Check the variables that a launcher of several processes sets: numbers, and where the processes meet.

    Raises:
        UserError: one is missing or is no such number; torch would fail, or wait for processes that do not exist.
    """
    size = _number("WORLD_SIZE", 1, 1_000_000, default="1")
    _number("LOCAL_RANK", -1, size - 1, default="-1")
    if size == 1 and os.environ.get("LOCAL_RANK", "-1") == "-1":  # accelerate takes any other one for several processes
        return
    _number("RANK", 0, size - 1)
    _number("MASTER_PORT", 1, 65535)
    if not os.environ.get("MASTER_ADDR"):
        raise UserError(f"MASTER_ADDR: not set; allowed: a host name, {_AS_SET}")


def _number(name: str, least: int, most: int, default: str | None = None) -> int:
    """The number that an environment variable stands for."""
    found = os.environ.get(name, default)
    if found is not None and re.fullmatch("-?[0-9]{1,9}", found) and int(found) in range(least, most + 1):
        return int(found)
    told = "not set" if found is None else f"found '{shown(found)}'"
    raise UserError(f"{name}: {told}; allowed: {least} to {most}, {_AS_SET}")


def is_main_process() -> bool:
    """Whether this process has rank 0: the only one that writes files."""
    return rank() == 0


def on_main_process(write: Callable[P, None]) -> Callable[P, None]:
    """`write`, made to do nothing in all processes but the main one."""

    @wraps(write)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        if is_main_process():
            write(*args, **kwargs)

    return guarded


def shard(items: list[T]) -> list[T]:
    """This process's items, possibly none; each item belongs to exactly one process."""
    return shards(items)[rank()]


def shards(items: list[T]) -> list[list[T]]:
    """The items of each process, by rank."""
    return [items[start :: world_size()] for start in range(world_size())]


def all_gather(items: list[T]) -> list[T]:
    """The items of all processes, ordered by rank."""
    if world_size() == 1:
        return items
    import torch.distributed as dist

    if not dist.is_initialized():
        dist.init_process_group()  # no backend given: torch chooses one per device type
    parts: list[list[T]] = [[] for _ in range(world_size())]
    dist.all_gather_object(parts, items)
    return [item for part in parts for item in part]


def barrier() -> None:
    """Wait until every process has reached this point."""
    all_gather([None])


def raise_on_all(compute: Callable[[], T]) -> T:
    """The result of `compute` in this process; an exception in any process is raised in all, so that none deadlocks."""
    if world_size() == 1:
        return compute()
    results: list[T] = []
    errors: list[Exception] = []
    try:
        results.append(compute())
    except Exception as error:  # any exception: it is raised again below
        errors.append(error)
    if everywhere := all_gather(errors):
        raise (errors or everywhere)[0]
    return results[0]


def broadcast_from_main(decide: Callable[[], T]) -> T:
    """The result of `decide`, or its exception, in all processes; only the main process calls it."""
    return all_gather(raise_on_all(lambda: [decide()] if is_main_process() else []))[0]


def all_reduce_gradients(parameters: Sequence["torch.nn.Parameter"], *numbers: "Tensor | float") -> Sequence[Any]:
    """Sum gradients in place, and `numbers`, over all processes in a single message; returns the sums of `numbers`.

    An explicit sum needs no wrapper around the model. It also allows a process to have an empty shard of the batch, or
    fewer micro-batches than the others.
    """
    if world_size() == 1:
        return numbers
    import torch

    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    extra = [torch.zeros((), device=gradients[0].device) + number for number in numbers]  # waits for no GPU
    message = torch.cat([tensor.flatten() for tensor in [*gradients, *extra]])
    torch.distributed.all_reduce(message)
    *parts, sums = message.split([*(p.numel() for p in parameters), len(extra)])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter)
    return list(sums)


def seed_other_ranks(seed: int, step: int) -> None:
    """Seed torch in all processes but the main one, by seed, step and rank, so that their dropout masks differ.

    The main process continues with its own generators, as a single process does: a checkpoint of their state suffices
    to resume on any number of processes.
    """
    if not is_main_process():
        import torch

        torch.manual_seed(hash((seed, step, rank())))
