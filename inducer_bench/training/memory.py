"""Peak memory of a run: on a GPU as its allocator counts it, on a CPU the tensors that are alive in a training step.

The memory of a process holds its libraries, their caches and what earlier jobs have left: more than the run's own by
far, and another number each time. What is counted here is the run's: the model, the state of its optimizer, gradients,
and all that the forward and backward pass of its longest batch keep, to the byte. What a kernel uses inside itself is
not counted.
"""

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from inducer_bench.methods.tuned import TunedModel
from inducer_bench.training.generators import Generators


class _Alive(TorchDispatchMode):
    """Counts the bytes of storages that tensors in a block refer to, from when an operation returns them."""

    def __init__(self, held: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._storages: dict[int, weakref.ref[torch.UntypedStorage]] = {}  # by address of the object behind it
        for tensor in held:
            self._count(tensor)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count what an operation returns."""
        found = function(*args, **(kwargs or {}))
        for value in tree_leaves(found):
            if isinstance(value, Tensor):
                self._count(value)
        return found

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self._storages:

            def release(_: object) -> None:
                if self._storages.pop(key, None) is not None:
                    self.now -= size

            self._storages[key] = weakref.ref(storage, release)
            self.now += size
            self.peak = max(self.peak, self.now)


def tensors_at_peak(work: Callable[[], object], held: Iterable[Tensor] = ()) -> int:
    """The bytes of all tensors that are alive at once while something is done.

    Args:
        work: made of torch's operations on this thread, none of them compiled.
        held: tensors from before that count as well; what they share counts once.
    """
    alive = _Alive(held)
    with alive:
        work()
    return alive.peak


def of_step(
    step: Callable[[], object],
    tuned: TunedModel,
    trained: Sequence[torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    generators: Sequence[torch.Generator] = (),
) -> int:
    """The bytes of tensors at the peak of a training step on a CPU; nothing is left of the step.

    Args:
        step: adds gradients to the trained parameters; the optimizer's own step needs no more than its state.
        tuned: the model.
        trained: its trained parameters, or those of a stack.
        optimizer: holds the state that it has in training.
        generators: those that the step draws from, beside torch's own.
    """
    state = [value for one in optimizer.state.values() for value in one.values() if isinstance(value, Tensor)]
    held = [*tuned.model.parameters(), *tuned.model.buffers(), *trained, *state]
    was_training, before = tuned.training, [generator.get_state() for generator in generators]
    tuned.train()
    try:
        with Generators.now().in_place():
            return tensors_at_peak(step, held)
    finally:
        tuned.train(was_training)
        optimizer.zero_grad(set_to_none=True)
        for generator, random in zip(generators, before, strict=True):
            generator.set_state(random)


def reset_gpu_peak() -> None:
    """Start a new measurement on the GPU, if one is in use."""
    if torch.cuda.is_initialized():  # which this would do
        torch.cuda.reset_peak_memory_stats()


def gpu_peak(device: torch.device) -> int:
    """The most bytes that torch has allocated on a GPU since `reset_gpu_peak`."""
    return torch.cuda.max_memory_allocated(device)
