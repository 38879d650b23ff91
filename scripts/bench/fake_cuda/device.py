"""The CUDA device: fake tensors on it, copies from and to it, and what it refuses.

CPU tensors are real, so that collating, masks and checkpoints work as they are. A CUDA tensor has no values, but what
the host reads from it decides what the package does next. So small tensors whose values follow from those that were
copied to the device, such as masks and lengths, are computed on the CPU, too. Whatever else is read is a tensor of
`UNKNOWN`s: a loss that is finite, a norm that is clipped, scores of equal tokens.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from scripts.bench.fake_cuda.counts import Counts, Operator, operator

CUDA = torch.device("cuda", 0)
UNKNOWN = 2  # above 1, the norm that gradients are clipped to; no special token
LARGEST = 2**16  # elements of a tensor whose values are computed, too

_DYNAMIC = frozenset("nonzero masked_select _unique2 unique_dim repeat_interleave bincount".split())  # shapes by values
_INDEXING = frozenset("index index_put index_put_ _index_put_impl_".split())
_OVERWRITING = frozenset("copy_ fill_ zero_".split())
_UNINITIALISED = frozenset("empty empty_like new_empty empty_strided new_empty_strided".split())
_ONE_TYPE = frozenset("mm bmm addmm baddbmm convolution native_layer_norm".split())  # CUDA's kernels take one type


class FakeCuda(TorchDispatchMode):
    """Runs operators on CUDA tensors without computing them, and counts; those on CPU tensors as always."""

    def __init__(self, counts: Counts) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts = counts
        self.fake = FakeTensorMode()

    def __enter__(self) -> "FakeCuda":
        torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor` then copies to the device by an operator seen here
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "prim":  # a tensor's device
            return func(*args, **kwargs)
        op = operator(func)
        if op.composite and torch.is_inference_mode_enabled():  # otherwise autograd has taken it apart before
            with self:
                return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
        if op.name in ("is_pinned", "_pin_memory"):
            return args[0].clone() if op.name == "_pin_memory" else False
        inputs = [*tensors(args), *tensors(kwargs.values())]
        target = kwargs.get("device")
        to = None if target is None else torch.device(target).type
        if to != "cuda" and not any(isinstance(tensor, FakeTensor) for tensor in inputs):
            return func(*args, **kwargs)
        if op.name == "_to_copy" and to == "cpu":
            return self._downloaded(args[0], kwargs.get("dtype"))
        if op.name == "copy_" and not isinstance(args[0], FakeTensor):
            return args[0].copy_(self._downloaded(args[1], None))
        if op.name in ("_local_scalar_dense", "equal"):
            self.counts.wait("a number is read")
            return func(*map(value_of, args), **kwargs)
        return self._run(func, op, args, kwargs, inputs)

    # -- operators on the device ---------------------------------------------------------------------------------------

    def _run(self, func: Any, op: Operator, args: tuple[Any, ...], kwargs: dict[str, Any], inputs: list[Tensor]) -> Any:
        if op.name in _INDEXING:
            args = (args[0], self._positions(args[1]), *args[2:])
        on_cpu = [tensor for tensor in inputs if not isinstance(tensor, FakeTensor)]
        if any(tensor.numel() for tensor in on_cpu) and op.name in ("_to_copy", "copy_"):
            if not kwargs.get("non_blocking", op.name == "copy_" and len(args) > 2 and args[2]):
                self.counts.wait("a copy to the device")
        elif on_cpu and op.name in _INDEXING:
            self.counts.wait("an index on the CPU")
        if op.name in _ONE_TYPE:
            check_one_type(op.name, inputs)
        if op.name in _DYNAMIC:
            self.counts.wait(f"the shape of {op.name}")
            out = tree_map(self._uploaded, func(*tree_map(value_of, args), **tree_map(value_of, kwargs)))
        elif op.name == "_fused_adamw_":  # returns nothing; with a tensor for the learning rate it has no fake form
            out = None
        else:
            fakes = (tree_map(self._as_fake, args), tree_map(self._as_fake, kwargs)) if on_cpu else (args, kwargs)
            with self.fake:
                out = func(*fakes[0], **fakes[1])
            follow(func, op, args, kwargs, inputs, out)
        self.counts.launch(op, args, list(tensors([out])))
        return out

    def _positions(self, indices: Iterable[Any]) -> list[Any]:
        """Indices with positions in place of boolean masks, as CUDA looks for them, waiting for their number."""
        found: list[Any] = []
        for index in indices:
            if isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8):
                if isinstance(index, FakeTensor):
                    self.counts.wait("the positions of a mask")
                    self.counts.launches[self.counts.phase]["nonzero"] += 3
                found += [self._uploaded(positions) for positions in value_of(index).nonzero(as_tuple=True)]
            else:
                found.append(index)
        return found

    # -- copies --------------------------------------------------------------------------------------------------------

    def _downloaded(self, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
        self.counts.wait("a copy to the CPU")
        value: Tensor = value_of(tensor)
        return value.detach().to(dtype=dtype or value.dtype, copy=True)

    def _uploaded(self, value: Any) -> Any:
        """A real tensor as one on the device, its values known; anything else as it is."""
        if not isinstance(value, Tensor):
            return value
        with self.fake:
            fake: Any = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=CUDA)
        fake.known = value
        return fake

    def _as_fake(self, value: Any) -> Any:
        """A real tensor as a fake one on the CPU, for an operator that also has fake ones; anything else as it is."""
        if not isinstance(value, Tensor) or isinstance(value, FakeTensor):
            return value
        with self.fake:
            return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="cpu")


def check_one_type(name: str, inputs: Iterable[Tensor]) -> None:
    """Check what CUDA's kernels require, and fake ones do not.

    Raises:
        TypeError: the tensors are of several types.
    """
    found = {tensor.dtype for tensor in inputs}
    if len(found) > 1:
        raise TypeError(f"{name}: CUDA takes tensors of one type, found {sorted(map(str, found))}")


# -- values of fake tensors: their attribute `known`, a tensor on the CPU ----------------------------------------------


def value_of(value: Any) -> Any:
    """A fake tensor's values as a real tensor; anything else as it is."""
    if not isinstance(value, FakeTensor):
        return value
    known = getattr(value, "known", None)
    return torch.full(value.shape, UNKNOWN, dtype=value.dtype) if known is None else known


def follow(
    func: Any, op: Operator, args: tuple[Any, ...], kwargs: dict[str, Any], inputs: list[Tensor], out: Any
) -> None:
    """Compute the values of an operator's results on the CPU, if they follow from known ones."""
    outs: list[Any] = list(tensors([out]))
    read = inputs[1:] if op.name in _OVERWRITING else inputs
    known = all(not isinstance(tensor, FakeTensor) or getattr(tensor, "known", None) is not None for tensor in read)
    decides = not op.mutable and len(outs) == 1 and not outs[0].dtype.is_floating_point  # such as `norm > most`
    if (
        not (known or decides)
        or op.random
        or op.name in _UNINITIALISED
        or any(tensor.numel() > LARGEST for tensor in (*inputs, *outs))
    ):
        written: list[Any] = (outs or inputs) if op.mutable else []
        for tensor in written:
            tensor.known = None
        return
    if "device" in kwargs:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    values = tensors([func(*tree_map(value_of, args), **tree_map(value_of, kwargs))])
    for tensor, value in zip(outs, values, strict=True):
        tensor.known = value


def tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among values and in lists among them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors(value)
