"""A candidate for inducers' attention on a GPU, not in use: torch's memory-efficient kernel, with dropout.

Its forward pass gives the log-sum-exp; its backward pass gets the gradient of that in a padded column, as
`inducer_bench.attention.FusedAttention` does on a CPU, and draws the forward pass's dropout again from its seed.
Written from the operators' signatures and shapes; nobody has run it on a GPU yet. `tests/test_benchmark.py` has the
check that must pass there before `bench_attention.py --device cuda` says whether it pays.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

PAD = 8  # columns: the kernel wants aligned rows
ALIGNED = 16  # elements: so must the rows of the mask be


class EfficientAttention(torch.autograd.Function):
    """f (B, H, T, p) and log-sum-exp (B, H, T) for heads (B, H, T, p), (B, H, S, p), (B, H, S, p), additive mask."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float
    ) -> tuple[Tensor, Tensor]:
        if mask is not None:
            length = mask.shape[-1]
            mask = F.pad(mask.to(query.dtype), (0, -length % ALIGNED))[..., :length]
            mask = mask.expand(*query.shape[:3], length)
        kernel = torch.ops.aten._scaled_dot_product_efficient_attention
        f, logsumexp, seed, offset = kernel(query, key, value, mask, True, dropout, False, scale=scale)
        ctx.save_for_backward(query, key, value, mask, f, logsumexp, seed, offset)
        ctx.scale, ctx.dropout = scale, dropout
        return f, logsumexp[..., : query.shape[2]]  # the kernel rounds T up

    @staticmethod
    def backward(ctx: Any, grad_f: Tensor, grad_logsumexp: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, f, logsumexp, seed, offset = ctx.saved_tensors
        width = query.shape[-1]
        grad_f, query, key, value, f = (F.pad(x, (0, PAD)) for x in (grad_f, query, key, value, f))
        grad_f[..., width] = 1
        f[..., width] = -grad_logsumexp
        kernel = torch.ops.aten._scaled_dot_product_efficient_attention_backward
        grads = kernel(
            grad_f, query, key, value, mask, f, logsumexp, seed, offset, ctx.dropout, [True, True, True, False],
            False, scale=ctx.scale,
        )  # fmt: skip
        return *(grad[..., :width] for grad in grads[:3]), None, None, None
