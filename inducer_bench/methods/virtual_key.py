"""Attention f and the gate g of one virtual key for each query, in one of two forms.

    g_i = exp(s_i) / (exp(s_i) + sum_j exp(s_ij))        s_i the score of query i's own virtual key P_k,i

P_k,i is a change of the query, Q_i, or of the key that its attention averages, sum_j softmax_j(s_ij) K_j.

On a CPU, from the log-sum-exp of the scores: g_i = sigmoid(s_i - logsumexp_j s_ij). On CUDA, where torch's attention
returns none, from a second call of it in which the virtual key is a real one: public, without a tensor of T x S, with
scores added up in float32. Shapes as in `methods/attention.py`.
"""

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from inducer_bench.methods.kernels import (
    applied,
    at_least_float32,
    attend,
    attend_with_logsumexp,
    folded,
    for_each_query_head,
    log_normaliser,
    without_autocast,
)

COLUMNS = 8  # CUDA's kernels want heads and rows of masks that begin at multiples of 8 elements


class Gate(Protocol):
    """g (B, H, T, 1) of virtual keys P_k,i, in the type of f, with gates dropped as attention weights are.

    s_i = scale * factor_i (Q_i.R_i + sum of the terms' columns); terms are (B, H, T, n), the factor is (1, 1, T, 1).
    R_i, of which P_k,i is a change, is the query or the attended key.
    """

    def __call__(self, *terms: Tensor, factor: Tensor | None = None) -> Tensor: ...


def attend_with_gate(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scale: float,
    dropout: float,
    before_mask: bool = False,
    about_attended: bool = False,
) -> tuple[Tensor, Gate]:
    """f (B, H, T, p), and the function that gives g for the terms of s_i.

    Args:
        query, key, value: (B, H, T, p), (B, G, S, p), (B, G, S, p).
        mask: additive, (B or 1, H or 1, T, S); virtual keys are never masked.
        scale: s_ij = scale * Q_i.K_j + mask.
        dropout: probability with which attention weights are dropped.
        before_mask: whether g sees all keys, masked or not.
        about_attended: whether R_i is sum_j softmax_j(s_ij) K_j, and not Q_i.
    """
    form = f_and_gate_by_attention if query.device.type == "cuda" else f_and_gate_by_logsumexp
    return form(query, key, value, mask, scale, dropout, before_mask, about_attended)


def attended_product(query: Tensor, key: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """Q_i . sum_j softmax_j(s_ij) K_j (B, H, T), in float32 or better: what 16 bits lose is lost to the gate.

    Args:
        query, key, mask, scale: as in `attend_with_gate`. The weights are not dropped.
    """
    precise = at_least_float32(query.dtype)
    query, key = query.to(precise), key.to(precise)
    with without_autocast(query.device.type):
        attended = attend(query, key, key, None if mask is None else mask.to(precise), scale, 0.0)
    return (query * attended).sum(dim=-1)


def f_and_gate_by_logsumexp(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scale: float,
    dropout: float,
    before_mask: bool,
    about_attended: bool = False,
) -> tuple[Tensor, Gate]:
    """`attend_with_gate` by g_i = sigmoid(s_i - logsumexp_j s_ij)."""
    f, log_odds = f_and_log_odds(query, key, value, mask, scale, dropout, before_mask, about_attended)

    def gate(*terms: Tensor, factor: Tensor | None = None) -> Tensor:
        g = torch.sigmoid(log_odds(*terms, factor=factor))
        return F.dropout(g, dropout).to(f.dtype).unsqueeze(-1)

    return f, gate


def f_and_log_odds(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scale: float,
    dropout: float,
    before_mask: bool,
    about_attended: bool = False,
) -> tuple[Tensor, Gate]:
    """f, and the function that gives the log-odds of g, s_i - logsumexp_j s_ij (B, H, T), in float32 or better.

    Arguments as in `attend_with_gate`.
    """
    f, logsumexp = attend_with_logsumexp(query, key, value, mask, scale, dropout)
    if before_mask:
        logsumexp = log_normaliser(query, key, scale)
    if about_attended:
        own = attended_product(query, key, None if before_mask else mask, scale)
    else:
        precise = query.to(at_least_float32(query.dtype))
        own = (precise * precise).sum(dim=-1)

    def log_odds(*terms: Tensor, factor: Tensor | None = None) -> Tensor:
        s = sum((term.sum(dim=-1, dtype=own.dtype) for term in terms), own) * scale
        return (s if factor is None else s * factor.squeeze(-1)) - logsumexp

    return f, log_odds


def f_and_gate_by_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scale: float,
    dropout: float,
    before_mask: bool,
    about_attended: bool = False,
) -> tuple[Tensor, Gate]:
    """`attend_with_gate` by attention over one more key, whose value is 1 where that of all others is 0."""
    key, value = for_each_query_head(query, key), for_each_query_head(query, value)
    room = None if mask is None else with_room(mask)
    f = attend(query, key, value, None if room is None else room[..., :-1], scale, dropout)
    own = None
    if about_attended:
        own = attended_product(query, key, None if before_mask else mask, scale).unsqueeze(-1)

    def gate(*terms: Tensor, factor: Tensor | None = None) -> Tensor:
        wide_query, wide_key = applied(WithVirtualKey)(query, key, factor, own, *terms)
        one_hot = wide_key.detach()[..., query.shape[-1] :][..., :COLUMNS]
        seen = None if before_mask else room
        g = F.scaled_dot_product_attention(wide_query, wide_key, one_hot, seen, dropout, scale=scale)
        return g[..., :1]

    return f, gate


def with_room(mask: Tensor) -> Tensor:
    """The mask (B or 1, H or 1, T, S) with one more column, of zeros; rows begin at multiples of `COLUMNS`."""
    length = mask.shape[-1]
    return F.pad(mask, (0, COLUMNS - length % COLUMNS))[..., : length + 1]


class WithVirtualKey(torch.autograd.Function):
    """Queries Q' and keys K' with more columns and one more key: Q'_i.K'_j = Q_i.K_j, Q'_i.K'_S = s_i / scale.

        Q' = [Q | factor terms | high low | * * *]       K' = [K | 0 ... 0 | 0 0 | 0 0 0]       * anything finite
                                                              [0 | 1 ... 1 | 1 1 | 0 0 0]       row S, the virtual key

    high + low = factor Q_i.R_i: one number of the queries' type (bfloat16 has 8 bits) would lose the gate. Both stand
    for the same number, so only the gradient of `high` counts. Without `own`, Q_i.R_i (B, H, T, 1), R_i is the query.
    """

    @staticmethod
    def forward(
        query: Tensor, key: Tensor, factor: Tensor | None, own: Tensor | None, *terms: Tensor
    ) -> tuple[Tensor, Tensor]:
        width, (batch, heads, length, _) = query.shape[-1], key.shape
        if own is None:
            own = torch.linalg.vector_norm(query, dim=-1, keepdim=True, dtype=at_least_float32(query.dtype)).square()
        if factor is not None:
            own, terms = own * factor, tuple((term * factor).to(query.dtype) for term in terms)
        at = width + sum(term.shape[-1] for term in terms)  # where `high` is
        more = at + 2 - width
        filler = query[..., :1].expand(-1, -1, -1, 2 + -more % COLUMNS)
        wide_query = torch.cat((query, *terms, filler), dim=-1)
        high = wide_query[..., at : at + 1].copy_(own)
        torch.sub(own, high, out=wide_query[..., at + 1 : at + 2])
        wide_key = key.new_zeros(batch, heads, length + 1, wide_query.shape[-1])
        wide_key[..., :-1, :width] = key
        wide_key[..., -1, width : at + 2] = 1
        return wide_query, wide_key

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        query, _, factor, own, *terms = inputs
        ctx.columns = [query.shape[-1], *(term.shape[-1] for term in terms), 1]
        ctx.own_dtype = None if own is None else own.dtype
        ctx.save_for_backward(query, factor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_query: Tensor, grad_key: Tensor) -> tuple[Tensor | None, ...]:
        query, factor = ctx.saved_tensors
        grad, *grad_terms, grad_own = grad_query[..., : sum(ctx.columns)].split(ctx.columns, dim=-1)
        if factor is not None:
            grad_own, *grad_terms = ((x * factor).to(query.dtype) for x in (grad_own, *grad_terms))
        if ctx.own_dtype is None:
            grad, grad_own = torch.addcmul(grad, query, grad_own, value=2), None
        else:
            grad_own = grad_own.to(ctx.own_dtype)
        return grad, grad_key[..., :-1, : query.shape[-1]], None, grad_own, *grad_terms

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        return folded(WithVirtualKey, info.batch_size, in_dims, inputs)
