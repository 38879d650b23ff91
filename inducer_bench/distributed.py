"""One run on several processes, as `torchrun` or `accelerate launch --multi_gpu` start them.

Every process reads the data, builds the same model and takes its share of each batch. Gradients are summed over the
shares, so that all processes take the same step; what decides how a run goes on is decided once and told to all. Only
the main process writes. With one process nothing here does anything, nor imports torch.

These are torch's own collectives: accelerate's need a state that depends on the device, which a run learns only later.
"""

import os
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")


def world_size() -> int:
    """How many processes work on this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """This process's number; that of the main one is 0."""
    return int(os.environ["RANK"]) if world_size() > 1 else 0


def is_main_process() -> bool:
    """Whether this is the process that writes."""
    return rank() == 0


def on_main_process(write: Callable[P, None]) -> Callable[P, None]:
    """A function that does nothing but in the main process."""

    @wraps(write)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        if is_main_process():
            write(*args, **kwargs)

    return guarded


def shard(items: list[T]) -> list[T]:
    """The items that are this process's; each is in one process's share, which may be empty."""
    return items[rank() :: world_size()]


def all_gather(items: list[T]) -> list[T]:
    """The items of all processes, those of the main one first."""
    if world_size() == 1:
        return items
    import torch.distributed as dist

    if not dist.is_initialized():
        dist.init_process_group()  # without a backend: one for each kind of device
    parts: list[list[T]] = [[] for _ in range(world_size())]
    dist.all_gather_object(parts, items)
    return [item for part in parts for item in part]


def barrier() -> None:
    """Go on once every process is here."""
    all_gather([None])


def raise_on_all(compute: Callable[[], T]) -> T:
    """What `compute` gives in this process; an exception in one process is raised in all: none waits in vain."""
    if world_size() == 1:
        return compute()
    results: list[T] = []
    errors: list[Exception] = []
    try:
        results.append(compute())
    except Exception as error:  # whatever it is, it is raised again below
        errors.append(error)
    if everywhere := all_gather(errors):
        raise (errors or everywhere)[0]
    return results[0]


def broadcast_from_main(decide: Callable[[], T]) -> T:
    """What `decide` gives or raises in the main process, where alone it is called, in all of them."""
    return all_gather(raise_on_all(lambda: [decide()] if is_main_process() else []))[0]


def all_reduce_gradients(parameters: Sequence["torch.nn.Parameter"], *numbers: "Tensor | float") -> Sequence[Any]:
    """Sum gradients over the processes, in place, and numbers with them: one message for all.

    A sum needs no wrapper around the model, and asks nothing more of a process whose share of the batch is empty, or
    comes in fewer parts than that of others.
    """
    if world_size() == 1:
        return numbers
    import torch

    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    extra = [torch.as_tensor(number, dtype=torch.float32, device=gradients[0].device) for number in numbers]
    message = torch.cat([tensor.flatten() for tensor in [*gradients, *extra]])
    torch.distributed.all_reduce(message)
    *parts, sums = message.split([*(p.numel() for p in parameters), len(extra)])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter)
    return list(sums)


def seed_other_ranks(seed: int, step: int) -> None:
    """Give the other processes random numbers of their own, so that dropout differs; they follow from seed and step.

    The main process draws on from its generators, as one alone does: a checkpoint holds all that is needed.
    """
    if not is_main_process():
        import torch

        torch.manual_seed(hash((seed, step, rank())))
