"""The CUDA device: fake tensors on it, copies from and to it, and what it refuses.

CPU tensors are real, so that collating, masks and checkpoints work as they are. A CUDA tensor has no values, but what
the host reads from it decides what the package does next. So small tensors whose values follow from those that were
copied to the device, such as masks and lengths, are computed on the CPU, too. Whatever else is read is a tensor of
`UNKNOWN`s: a loss that is finite, a norm that is clipped, scores of equal tokens.
"""

from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakIdKeyDictionary

from scripts.bench.fake_cuda.counts import Counts, is_random, operator

CUDA = torch.device("cuda", 0)
UNKNOWN = 2  # above 1, the norm that gradients are clipped to; no special token
LARGEST = 2**20  # elements of a tensor whose values are computed, too

_DYNAMIC = frozenset("nonzero masked_select _unique2 unique_dim repeat_interleave bincount".split())  # shapes by values
_OVERWRITING = frozenset("copy_ fill_ zero_".split())
_UNINITIALISED = frozenset("empty empty_like new_empty empty_strided new_empty_strided".split())
_ONE_TYPE = frozenset("mm bmm addmm baddbmm convolution native_layer_norm".split())  # CUDA's kernels take one type


class FakeCuda(TorchDispatchMode):
    """Runs operators on CUDA tensors without computing them, and counts; those on CPU tensors as always."""

    def __init__(self, counts: Counts) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts = counts
        self.fake = FakeTensorMode()
        self.known = WeakIdKeyDictionary()  # fake tensor -> its values on the CPU

    def __enter__(self) -> "FakeCuda":
        torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor` then copies to the device by an operator seen here
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        target = kwargs.get("device")
        to = None if target is None else torch.device(target).type
        name = operator(func)
        if func.namespace == "prim":  # a tensor's device
            return func(*args, **kwargs)
        if torch.is_inference_mode_enabled() and _is_composite(func):  # otherwise autograd has taken it apart before
            with self:
                return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
        if name in ("is_pinned", "_pin_memory"):
            return args[0].clone() if name == "_pin_memory" else False
        if to != "cuda" and not any(isinstance(tensor, FakeTensor) for tensor in inputs):
            return func(*args, **kwargs)
        if name == "_to_copy" and to == "cpu":
            return self._download(args[0], kwargs)
        if name == "copy_" and not isinstance(args[0], FakeTensor):
            return args[0].copy_(self._download(args[1], kwargs))
        if name in ("_local_scalar_dense", "equal"):
            self.counts.wait("a number is read")
            return func(*(self._value(a) if isinstance(a, Tensor) else a for a in args), **kwargs)
        return self._run(func, name, args, kwargs, inputs)

    # -- operators on the device ---------------------------------------------------------------------------------------

    def _run(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], inputs: list[Tensor]) -> Any:
        if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            args = self._by_positions(args)
        on_cpu = [tensor for tensor in inputs if not isinstance(tensor, FakeTensor)]
        if name in ("_to_copy", "copy_") and on_cpu and not _non_blocking(name, args, kwargs):
            self.counts.wait("a copy to the device")
        elif on_cpu and name.startswith("index"):
            self.counts.wait("an index on the CPU")
        if name in _ONE_TYPE:
            self._check_one_type(name, inputs)
        if name in _DYNAMIC:
            self.counts.wait(f"the shape of {name}")
            out = tree_map(self._uploaded, func(*tree_map(self._of_cpu, args), **tree_map(self._of_cpu, kwargs)))
        else:
            with self.fake:
                out = func(*tree_map(self._as_fake, args), **tree_map(self._as_fake, kwargs))
            self._follow(func, name, args, kwargs, inputs, out)
        self.counts.launch(func, inputs, [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)])
        return out

    def _by_positions(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of an indexing operator with positions in place of boolean masks, as CUDA looks for them."""
        indices: list[Any] = []
        for index in args[1]:
            if isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8):
                if isinstance(index, FakeTensor):
                    self.counts.wait("the positions of a mask")
                    self.counts.launches[self.counts.phase]["nonzero"] += 3
                indices += [self._uploaded(found) for found in self._value(index).nonzero(as_tuple=True)]
            else:
                indices.append(index)
        return (args[0], indices, *args[2:])

    def _check_one_type(self, name: str, inputs: list[Tensor]) -> None:
        found = {tensor.dtype for tensor in inputs}
        if len(found) > 1:
            raise TypeError(f"{name}: CUDA takes tensors of one type, found {sorted(map(str, found))}")

    # -- values --------------------------------------------------------------------------------------------------------

    def _follow(
        self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], inputs: list[Tensor], out: Any
    ) -> None:
        """Compute the values of an operator's results on the CPU, if they follow from known ones."""
        outs = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        fakes = [tensor for tensor in inputs if isinstance(tensor, FakeTensor)]
        written = func._schema.is_mutable
        if written:
            fakes = fakes[1:] if name in _OVERWRITING else fakes
        known = all(tensor in self.known for tensor in fakes)
        decides = not written and len(outs) == 1 and not outs[0].is_floating_point()  # such as `norm > most`
        large = any(tensor.numel() > LARGEST for tensor in (*inputs, *outs))
        if large or is_random(func) or name in _UNINITIALISED or not (known or decides):
            if written:
                for tensor in outs or fakes[:1]:
                    self.known.pop(tensor, None)
            return
        if "device" in kwargs:
            kwargs = {**kwargs, "device": torch.device("cpu")}
        values = func(*tree_map(self._of_cpu, args), **tree_map(self._of_cpu, kwargs))
        leaves = [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
        for tensor, value in zip(outs, leaves, strict=True):
            self.known[tensor] = value

    def _value(self, tensor: Tensor) -> Tensor:
        """The values of a tensor as a real one."""
        if not isinstance(tensor, FakeTensor):
            return tensor
        if tensor not in self.known:
            return torch.full(tensor.shape, UNKNOWN, dtype=tensor.dtype)
        known: Tensor = self.known[tensor]
        return known

    def _of_cpu(self, value: Any) -> Any:
        return self._value(value) if isinstance(value, Tensor) else value

    # -- copies --------------------------------------------------------------------------------------------------------

    def _download(self, tensor: Tensor, kwargs: dict[str, Any]) -> Tensor:
        self.counts.wait("a copy to the CPU")
        return self._value(tensor).detach().to(dtype=kwargs.get("dtype"), copy=True)

    def _uploaded(self, value: Any) -> Any:
        """A real tensor as one on the device, its values known; anything else as it is."""
        if not isinstance(value, Tensor):
            return value
        with self.fake:
            fake = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=CUDA)
        self.known[fake] = value
        return fake

    def _as_fake(self, value: Any) -> Any:
        """A real tensor as a fake one on the CPU, for an operator that also has fake ones; anything else as it is."""
        if not isinstance(value, Tensor) or isinstance(value, FakeTensor):
            return value
        with self.fake:
            return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="cpu")


def _non_blocking(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a copy to the device is asked not to wait for it."""
    return bool(kwargs.get("non_blocking", name == "copy_" and len(args) > 2 and args[2]))


def _is_composite(func: Any) -> bool:
    """Whether an operator is made of others."""
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"))
