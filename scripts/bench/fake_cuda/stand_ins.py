"""What is replaced in the simulation, and why; all the rest is the package and its libraries as they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.cuda.amp import common as amp
from torch.nn import functional as F
from torch.utils import _foreach_utils
from transformers.utils import import_utils

from scripts.bench.fake_cuda.counts import Counts
from scripts.bench.fake_cuda.device import CUDA

_cpu_attention = F.scaled_dot_product_attention
_to = nn.Module.to


def install() -> None:
    """Replace what a CPU build of torch lacks; for a process that does nothing else."""
    replaced: list[tuple[Any, str, Any]] = [
        (amp, "amp_definitely_not_available", lambda: False),  # else autocast turns itself off without a GPU
        (torch.cuda, "_lazy_init", lambda: None),  # looks for the driver
        (torch, "Generator", lambda device="cpu": Generator()),  # of a GPU there is none; nothing is drawn
        (torch.cuda, "is_bf16_supported", lambda *args, **kwargs: True),  # asks the driver
        (F, "scaled_dot_product_attention", attention),  # chooses the CPU's math in a build without CUDA's kernels
        (nn.Module, "to", to),  # cannot replace fake parameters; all are made on the device already
        (_foreach_utils, "_foreach_supported_types", [Tensor, FakeTensor]),  # else one kernel for each tensor
        (FakeTensor, "tolist", lambda tensor: tensor.cpu().tolist()),  # reads one number after another
        (import_utils, "is_fake_tensor", lambda tensor: False),  # else transformers makes masks as for a compiler
    ]
    for owner, name, value in replaced:
        setattr(owner, name, value)


def to(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
    """The module as it is, if its parameters already are where and what they are to be."""
    device, dtype, *_ = torch._C._nn._parse_to(*args, **kwargs)
    for tensor in (*module.parameters(), *module.buffers()):
        if device is not None and tensor.device.type != torch.device(device).type:
            return _to(module, *args, **kwargs)
        if dtype is not None and tensor.is_floating_point() and tensor.dtype != dtype:
            return _to(module, *args, **kwargs)
    return module


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`F.scaled_dot_product_attention` as CUDA dispatches it.

    Autocast casts all arguments, except inside `torch.vmap`, where they are checked before autocast sees them. Flash
    attention in half precision without a mask; otherwise the memory-efficient kernel, for which torch makes the mask
    additive, and pads it in memory unless its rows begin at multiples of 8.

    Raises:
        TypeError: the arguments are not all of one type, which CUDA's kernels refuse.
        NotImplementedError: none of these kernels takes the arguments; torch would write out all scores.
    """
    if query.device.type != "cuda":
        return _cpu_attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
    mapped = any(map(torch._C._functorch.is_batchedtensor, (query, key, value)))
    if torch.is_autocast_enabled("cuda") and not mapped:
        query, key, value = (tensor.to(torch.bfloat16) for tensor in (query, key, value))
        if attn_mask is not None and attn_mask.is_floating_point():
            attn_mask = attn_mask.to(torch.bfloat16)
    types = {tensor.dtype for tensor in (query, key, value, attn_mask) if tensor is not None}
    if len(types - {torch.bool}) > 1:
        raise TypeError(f"scaled_dot_product_attention: CUDA takes one type, found {sorted(map(str, types))}")
    aten = torch.ops.aten
    if attn_mask is None and query.dtype in (torch.bfloat16, torch.float16):
        found = aten._scaled_dot_product_flash_attention(query, key, value, dropout_p, is_causal, scale=scale)
    elif enable_gqa:
        raise NotImplementedError("scaled_dot_product_attention: CUDA has no fused kernel for a mask and fewer keys")
    else:
        bias = None if attn_mask is None else _bias(attn_mask, query)
        grad = torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad)
        found = aten._scaled_dot_product_efficient_attention(
            query, key, value, bias, grad, dropout_p, is_causal, scale=scale
        )
    output: Tensor = found[0]
    return output


def _bias(mask: Tensor, query: Tensor) -> Tensor:
    if mask.dtype == torch.bool:
        zero = torch.zeros((), dtype=query.dtype, device=CUDA)
        mask = torch.where(mask.logical_not(), -torch.inf, zero)
    length = mask.shape[-1]
    if mask.stride(-1) != 1 or any(stride % 8 for stride in mask.stride()[:-1]):
        mask = F.pad(mask, (0, 8 - length % 8))[..., :length]
    return mask.expand(*query.shape[:3], length)


class Accelerator:
    """`accelerate.Accelerator` on the device in bf16, which asks for a real one; it also tells the phase."""

    device = CUDA
    mixed_precision = "bf16"

    def __init__(self, counts: Counts) -> None:
        self.counts = counts

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """As accelerate does."""
        with self._phase("forward"), torch.autocast("cuda", torch.bfloat16):
            yield

    def backward(self, loss: Tensor) -> None:
        """As accelerate does with one process and no loss scaling."""
        with self._phase("backward"):
            loss.backward()

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        before, self.counts.phase = self.counts.phase, name
        try:
            yield
        finally:
            self.counts.phase = before
