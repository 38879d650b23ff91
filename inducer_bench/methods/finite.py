"""A check of many tensors with one wait for a GPU."""

from collections.abc import Iterable

import torch
from torch import Tensor


def first_not_finite(named: Iterable[tuple[str, Tensor]]) -> str | None:
    """The name of the first tensor that has a NaN or an infinite number; None if there is none."""
    names, tensors = zip(*named, strict=True)
    finite = torch.stack([torch.isfinite(tensor).all() for tensor in tensors])
    return next((name for name, good in zip(names, finite.tolist(), strict=True) if not good), None)
