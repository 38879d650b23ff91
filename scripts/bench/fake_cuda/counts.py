"""Launches of kernels by operator, and waits of the host by place.

An operator counts for as many kernels as CUDA runs for it, about: `KERNELS` holds those that are not one. The figures
compare designs and bound regressions; a profiler on a GPU gives the exact ones.
"""

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FREE = frozenset(  # views, or only memory
    "empty empty_like new_empty empty_strided new_empty_strided detach detach_ lift_fresh alias set_ resize_ "
    "_unsafe_view _reshape_alias view unbind split split_with_sizes record_stream".split()
)
KERNELS = {  # from their CUDA sources: those that run other operators, sort, or reduce in two passes
    "embedding_dense_backward": 4, "index_put": 9, "index_put_": 8, "_index_put_impl_": 8, "nonzero": 3, "sort": 4,
    "topk": 4, "cumsum": 2, "masked_fill": 2, "constant_pad_nd": 2, "slice_backward": 2, "select_backward": 2,
    "logsumexp": 9, "index_add": 2, "scatter": 2, "native_layer_norm_backward": 2, "multinomial": 6, "isin": 4,
    "_scaled_dot_product_efficient_attention_backward": 3, "_scaled_dot_product_flash_attention_backward": 3,
}  # fmt: skip
CHUNK, BLOCKS = 65_536, 320  # of torch's multi_tensor_apply: elements of a block, blocks of a launch
TENSORS = {"_fused_adamw_": 36, "_foreach_norm": 110}  # of a launch; other `_foreach_` operators: 64

_PACKAGES = ("inducer_bench", "transformers", "accelerate")


@dataclass(frozen=True)
class Operator:
    """What is known of an operator.

    Args:
        name: without namespace and overload.
        free: it launches nothing.
        random: it draws random numbers.
        mutable: it writes to an argument.
        composite: it is made of others, into which autograd takes it apart.
    """

    name: str
    free: bool
    random: bool
    mutable: bool
    composite: bool


@cache
def operator(func: Any) -> Operator:
    """The description of one of torch's operators."""
    schema = func._schema
    name = str(schema.name).split("::")[-1]
    return Operator(
        name,
        name in FREE or any(result.alias_info and not result.alias_info.is_write for result in schema.returns),
        torch.Tag.nondeterministic_seeded in func.tags,
        schema.is_mutable,
        torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"),
    )


class Counts:
    """What was counted so far, by phase; the current one is `phase`.

    Attributes:
        launches: phase -> operator -> kernels.
        casts: phase -> changes of type.
        waits: phase -> place -> times.
    """

    def __init__(self) -> None:
        self.phase = "other"
        self.clear()

    def clear(self) -> None:
        """Count from zero."""
        self.launches: dict[str, Counter[str]] = defaultdict(Counter)
        self.casts: Counter[str] = Counter()
        self.waits: dict[str, Counter[str]] = defaultdict(Counter)

    def launch(self, op: Operator, args: Sequence[Any], outputs: Sequence[Tensor]) -> None:
        """Count an operator that has run on CUDA tensors."""
        if op.free:
            return
        kernels = KERNELS.get(op.name, 1)
        if op.name in TENSORS or op.name.startswith("_foreach_"):
            kernels = multi_tensor_launches((tensor.numel() for tensor in args[0]), op.name)
        self.launches[self.phase][op.name] += kernels
        if op.name == "_to_copy" and args[0].dtype != outputs[0].dtype:
            self.casts[self.phase] += 1

    def wait(self, kind: str) -> None:
        """Count a wait of the host, at the place in the package or a library that caused it."""
        self.waits[self.phase][f"{kind}: {place()}"] += 1


def multi_tensor_launches(sizes: Iterable[int], name: str) -> int:
    """The launches of an operator over many tensors, which takes a limited number of tensors and blocks at a time."""
    most, launches, tensors, blocks = TENSORS.get(name, 64), 0, 0, 0
    for size in sizes:
        tensors += 1
        blocks += math.ceil(size / CHUNK)
        if tensors == most or blocks >= BLOCKS:
            launches += max(1, blocks // BLOCKS)
            tensors, blocks = 0, blocks % BLOCKS
    norms = 1 if name == "_foreach_norm" else 0  # and one that adds up the blocks
    return launches + (tensors > 0 or blocks > 0) + norms


def place() -> str:
    """`file:line (function)` of the innermost frame in the package or a library that uses torch."""
    frame = sys._getframe(1)
    while frame is not None:
        parts = Path(frame.f_code.co_filename).parts
        for package in _PACKAGES:
            if package in parts:
                start = len(parts) - 1 - parts[::-1].index(package)
                return f"{'/'.join(parts[start:])}:{frame.f_lineno} ({frame.f_code.co_name})"
        frame = frame.f_back  # type: ignore[assignment]
    return "backward pass"
