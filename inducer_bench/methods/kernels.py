"""Softmax attention with the log of its normaliser: what torch's own function does not give.

Shapes as in `methods/attention.py`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.integrations.sdpa_attention import repeat_kv

FUSED_FROM = 256 * 256  # scores of a head, T x S: as many are worth some time if none is kept for the backward pass
CACHED = 2**18  # scores that are written out at once on a CPU


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float) -> Tensor:
    """Softmax attention f_i = softmax_j(s_ij) V; arguments as in `attend_with_logsumexp`."""
    if drops_on_cpu(query, dropout):
        return attend_with_logsumexp(query, key, value, mask, scale, dropout)[0]
    key, value = for_each_query_head(query, key), for_each_query_head(query, value)
    return F.scaled_dot_product_attention(query, key, value, mask, dropout_p=dropout, scale=scale)


def drops_on_cpu(query: Tensor, dropout: float) -> bool:
    """Whether SDPA would write out all scores, and draw for one after another whether it is dropped."""
    return dropout > 0 and query.device.type == "cpu"


def attend_with_logsumexp(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float
) -> tuple[Tensor, Tensor]:
    """Softmax attention f_i = softmax_j(s_ij) V with the log of its normaliser, in one softmax.

    The form is the fastest of those in `scripts/bench/attention.py`: scores that are written out to train with dropout
    or on shorter rows, on a CPU for a few rows of the batch at a time; else torch's fused CPU kernel.

    Args:
        query, key, value: (B, H, T, p), (B, G, S, p), (B, G, S, p).
        mask: additive, (B or 1, H or 1, T, S).
        scale: s_ij = scale * Q_i.K_j + mask.
        dropout: probability with which attention weights are dropped.

    Returns:
        f (B, H, T, p) and logsumexp_j s_ij (B, H, T), the latter at least float32.
    """
    key, value = (for_each_query_head(query, shared).to(query.dtype) for shared in (key, value))
    few_to_train = torch.is_grad_enabled() and query.shape[2] * key.shape[2] < FUSED_FROM
    if dropout or few_to_train or query.device.type != "cpu":
        return in_parts(ExplicitAttention, query, key, value, mask, scale, dropout)
    return FusedAttention.apply(query, key, value, mask, scale, dropout)


def in_parts(
    form: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float
) -> tuple[Tensor, Tensor]:
    """What `form.apply` gives for the whole batch (keys repeated for each query head), a few of its rows at a time."""
    rows = rows_at_once(query, key)
    if rows >= len(query):
        return form.apply(query, key, value, mask, scale, dropout)
    masks = [mask] * len(query) if mask is None or len(mask) == 1 else mask.split(rows)
    parts = [
        form.apply(*heads, part, scale, dropout)
        for *heads, part in zip(query.split(rows), key.split(rows), value.split(rows), masks, strict=False)
    ]
    f, logsumexp = zip(*parts, strict=True)
    return torch.cat(f), torch.cat(logsumexp)


def rows_at_once(query: Tensor, key: Tensor) -> int:
    """How many rows of a batch a CPU's cache holds the scores of, so that every pass over them finds them there.

    All of them on a GPU, which must be kept busy, and in compiled code, which makes one pass of several.
    """
    if query.device.type != "cpu" or torch.compiler.is_compiling():
        return len(query)
    return max(1, CACHED // (query.shape[1] * query.shape[2] * key.shape[2]))


def log_normaliser(query: Tensor, key: Tensor, scale: float) -> Tensor:
    """logsumexp_j s_ij over all keys, masked or not (B, H, T), for queries (B, H, T, p) and keys (B, G, S, p)."""
    scores = torch.matmul(query, for_each_query_head(query, key).transpose(2, 3)) * scale
    return scores.to(at_least_float32(scores.dtype)).logsumexp(dim=-1)


class ExplicitAttention(torch.autograd.Function):
    """Attention by scores that are written out: P = softmax(s), f = dropout(P) V.

    Keeps one T x S tensor for the backward pass: P, negative where dropout took it out. With D the dropout (0 or
    1 / (1 - probability) for each weight), dF and dL the gradients of f and of the log-sum-exp,

        ds_ij = P_ij (D_ij dF_i.V_j - dF_i.f_i + dL_i),    since sum_j P_ij D_ij dF_i.V_j = dF_i.f_i.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(query.device.type, enabled=False):  # what comes in decides the precision of both passes
            scores = torch.matmul(query * scale, key.mT)
            scores = scores.to(at_least_float32(scores.dtype))
            if mask is not None:
                scores += mask
            weights = scores.softmax(dim=-1)
            # s_j - log P_j is the same for every key j; the one of the greatest score has a P_j far from 0.
            logsumexp = scores.amax(dim=-1) - weights.amax(dim=-1).log()
            if dropout:
                weights.copysign_(signs(scores, dropout))
            del scores
            rescale = 1 / (1 - dropout) if dropout < 1 else 0.0
            f = torch.matmul(_kept(weights, dropout).to(value.dtype), value * rescale)
        ctx.save_for_backward(query, key, value, weights, f)
        ctx.scale, ctx.dropout, ctx.rescale = scale, dropout, rescale
        return f, logsumexp

    @staticmethod
    def backward(ctx: Any, grad_f: Tensor, grad_logsumexp: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, weights, f = ctx.saved_tensors
        of_row = grad_logsumexp - (grad_f * f).sum(dim=-1, dtype=weights.dtype)
        grad_f = grad_f * ctx.rescale
        grad_value = torch.matmul(_kept(weights, ctx.dropout).to(value.dtype).mT, grad_f)
        grad = torch.matmul(grad_f, value.mT).to(weights.dtype)
        if ctx.dropout:
            grad = torch.ops.aten.threshold_backward(grad, weights, 0)  # 0 where P is negative
            weights = weights.abs()
        grad = grad.add_(of_row.unsqueeze(-1)).mul_(weights).to(query.dtype)
        grad_query = torch.matmul(grad, key).mul_(ctx.scale)
        grad_key = torch.matmul(grad.mT, query).mul_(ctx.scale)
        return grad_query, grad_key, grad_value, None, None, None


def signs(like: Tensor, dropout: float) -> Tensor:
    """Random numbers, negative with the probability `dropout` (on a CPU to 1 / 65,536); `like` may be overwritten.

    A CPU draws one after another, and to draw takes longest: four numbers of 16 bits come from each draw.
    """
    if like.device.type != "cpu" or torch.compiler.is_compiling():
        return like.bernoulli_(1 - dropout).sub_(0.5)
    draws = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None)  # all 64 bits
    numbers = draws.view(torch.int16)[: like.numel()].view_as(like)
    return numbers.to(like.dtype).add_(2**15 - dropout * 2**16)


def _kept(weights: Tensor, dropout: float) -> Tensor:
    """The weights that dropout left, 0 for the others."""
    return weights.relu() if dropout else weights


class FusedAttention(torch.autograd.Function):
    """Attention by torch's fused CPU kernel, which keeps no T x S tensor and computes the log-sum-exp on its way.

    Its backward pass knows no gradient dL of the log-sum-exp, but ds_ij = P_ij (dF_i.V_j - dF_i.f_i + dL_i): with one
    more column that is 1 in dF, -dL in f and 0 in V, dF_i.f_i becomes dF_i.f_i - dL_i and dF_i.V_j stays.
    """

    PAD = 8  # columns: the kernel wants whole vectors

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float
    ) -> tuple[Tensor, Tensor]:
        assert dropout == 0, "the kernel has no dropout"
        kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        f, logsumexp = kernel(query, key, value, dropout, False, attn_mask=mask, scale=scale)
        ctx.save_for_backward(query, key, value, mask, f, logsumexp)
        ctx.scale = scale
        return f, logsumexp

    @staticmethod
    def backward(ctx: Any, grad_f: Tensor, grad_logsumexp: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, f, logsumexp = ctx.saved_tensors
        width = query.shape[-1]
        grad_f, query, key, value, f = (F.pad(x, (0, FusedAttention.PAD)) for x in (grad_f, query, key, value, f))
        grad_f[..., width] = 1
        f[..., width] = -grad_logsumexp
        kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
        grads = kernel(grad_f, query, key, value, f, logsumexp, 0.0, False, attn_mask=mask, scale=ctx.scale)
        return *(grad[..., :width] for grad in grads), None, None, None


def for_each_query_head(query: Tensor, shared: Tensor) -> Tensor:
    """Keys or values (B, G, S, p) as (B, H, S, p): in grouped-query attention several query heads share one."""
    return repeat_kv(shared, query.shape[1] // shared.shape[1])


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """The type in which scores are summed."""
    return torch.promote_types(dtype, torch.float32)
