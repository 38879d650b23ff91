"""The random numbers of dropout: the one place where the kernels draw; under `torch.vmap` each lane has its own.

The rows of the mapped lanes lie one lane after another in the first axis of what the kernels draw.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def dropout_signs(like: Tensor, dropout: float) -> Tensor:
    """Random numbers, negative with probability `dropout` (on a CPU to within 1 / 65,536); may overwrite `like`.

    A CPU draws numbers one after another, which takes most of the time: each draw yields four numbers of 16 bits.
    """
    if like.device.type != "cpu" or torch.compiler.is_compiling():
        for part, generator in by_lane(like):
            part.bernoulli_(1 - dropout, generator=generator)
        return like.sub_(0.5)
    for part, generator in by_lane(like):
        draws = torch.empty(-(-part.numel() // 4), dtype=torch.int64)
        draws.random_(-(2**63), None, generator=generator)  # all 64 bits
        part.copy_(draws.view(torch.int16)[: part.numel()].view_as(part))
    return like.add_(2**15 - dropout * 2**16)


# -- several lanes of torch.vmap ---------------------------------------------------------------------------------------


class _Lanes(threading.local):
    """The generators of the lanes that this thread computes side by side; none outside `DropoutByLane`."""

    generators: Sequence[torch.Generator] = ()


_lanes = _Lanes()


class DropoutByLane(TorchFunctionMode):
    """In a function that `torch.vmap` maps over lanes, each lane drops what it would drop alone.

    On a CPU a lane draws from its own generator, in the order and shapes of a run alone. A GPU draws for all lanes at
    once, from the first one's: a launch for each lane would cost what the lanes save.

    Args:
        generators: of the lanes, on the device of the model.
        lane: (), the lane's number, mapped over 0 to N - 1: what makes each draw one of all lanes.
    """

    def __init__(self, generators: Sequence[torch.Generator], lane: Tensor) -> None:
        super().__init__()
        self._generators, self._lane = generators, lane

    def __enter__(self) -> "DropoutByLane":
        _lanes.generators = self._generators
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *raised: object) -> None:
        _lanes.generators = ()
        super().__exit__(*raised)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.dropout:
            return self._dropout(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _dropout(self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        """`F.dropout`, with numbers for each lane."""
        if not training or p == 0:
            return input
        kept = _kept(self._lane, input, p)
        return input.mul_(kept) if inplace else input * kept


class _Kept(torch.autograd.Function):
    """1 / (1 - p) where `like` is kept, 0 where it is dropped; drawn when `torch.vmap` asks for all lanes."""

    @staticmethod
    def forward(lane: Tensor, like: Tensor, p: float) -> Tensor:
        """(N, ...) for lanes (N,) and the shape (...) of `like`."""
        kept = like.new_empty((len(lane), *like.shape))
        for part, generator in by_lane(kept):
            part.bernoulli_(1 - p, generator=generator)
        return kept.div_(1 - p) if p < 1 else kept.zero_()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, None]:
        return None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], lane: Tensor, like: Tensor, p: float) -> tuple[Tensor, int]:
        one = like if in_dims[1] is None else like.select(in_dims[1], 0)
        return _kept(lane, one, p), 0


_kept: Callable[[Tensor, Tensor, float], Tensor] = _Kept.apply  # torch declares no type


def by_lane(numbers: Tensor) -> list[tuple[Tensor, torch.Generator | None]]:
    """The parts of a tensor (N B, ...) or (N, ...) to draw, each with its generator: one a lane, or the whole."""
    if not _lanes.generators:
        return [(numbers, None)]
    if numbers.device.type != "cpu":
        return [(numbers, _lanes.generators[0])]
    return list(zip(numbers.chunk(len(_lanes.generators)), _lanes.generators, strict=True))
