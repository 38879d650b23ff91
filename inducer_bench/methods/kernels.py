"""Softmax attention that also returns the log of its normaliser, which torch's own function does not.

Shapes as in `methods/attention.py`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.amp.autocast_mode import is_autocast_available
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from transformers.integrations.sdpa_attention import repeat_kv

from inducer_bench.methods.dropout import dropout_signs

FUSED_FROM = 256 * 256  # T x S scores per head: from here on, keeping none for the backward pass is worth its time
CACHE_SCORES = 2**18  # scores that a CPU's cache holds while they are written out


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float) -> Tensor:
    """Softmax attention f_i = softmax_j(s_ij) V; arguments as in `attend_with_logsumexp`."""
    if slow_in_sdpa(query, key, value, dropout):
        return attend_with_logsumexp(query, key, value, mask, scale, dropout)[0]
    key, value = for_each_query_head(query, key), for_each_query_head(query, value)
    return F.scaled_dot_product_attention(query, key, value, mask, dropout_p=dropout, scale=scale)


def slow_in_sdpa(query: Tensor, key: Tensor, value: Tensor, dropout: float) -> bool:
    """Whether a CPU's SDPA would be slow: with dropout it writes out all scores and draws a number for each.

    Its backward pass is slow on short rows in 16 bits: without it, a step of SmolLM2 takes 0.84 of the time. Under
    `torch.vmap` it runs once for each entry of the mapped axis: torch has no rule for it.
    """
    if query.device.type != "cpu":
        return False
    slow_backward = query.dtype.itemsize == 2 and _trains_on_short(query, key)
    return dropout > 0 or slow_backward or any(map(torch._C._functorch.is_batchedtensor, (query, key, value)))


def attend_with_logsumexp(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float
) -> tuple[Tensor, Tensor]:
    """Softmax attention f_i = softmax_j(s_ij) V with the log of its normaliser, in one softmax.

    `scripts/bench/attention.py` compares the forms; this picks the fastest. Scores are written out (on a CPU for a few
    rows of the batch at a time) with dropout and to train on short rows; otherwise torch's fused CPU kernel is used, if
    this version of torch has it.

    Args:
        query, key, value: (B, H, T, p), (B, G, S, p), (B, G, S, p).
        mask: additive, (B or 1, H or 1, T, S).
        scale: s_ij = scale * Q_i.K_j + mask.
        dropout: probability with which attention weights are dropped.

    Returns:
        f (B, H, T, p) and logsumexp_j s_ij (B, H, T), the latter in float32 or better.
    """
    key, value = (for_each_query_head(query, shared).to(query.dtype) for shared in (key, value))
    if dropout or _trains_on_short(query, key) or query.device.type != "cpu" or not HAS_FUSED_KERNEL:
        return by_rows(ExplicitAttention, query, key, value, mask, scale, dropout)
    f, logsumexp = applied(FusedAttention)(query, key, value, mask, scale, dropout)
    return f, logsumexp


def autocast_dtype(device: str) -> torch.dtype | None:
    """The type in which autocast lets attention compute on this type of device; None if it is off."""
    on = is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if on else None


def _trains_on_short(query: Tensor, key: Tensor) -> bool:
    return torch.is_grad_enabled() and query.shape[2] * key.shape[2] < FUSED_FROM


def by_rows(
    form: type[torch.autograd.Function],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scale: float,
    dropout: float,
) -> tuple[Tensor, Tensor]:
    """The result of `form.apply` for the whole batch (keys repeated for each query head), a few rows at a time."""
    rows, apply = rows_per_chunk(query, key), applied(form)
    if rows >= len(query):
        return apply(query, key, value, mask, scale, dropout)
    masks = [mask] * len(query) if mask is None or len(mask) == 1 else torch.split(mask, rows)
    chunks = [
        apply(*heads, part, scale, dropout)
        for *heads, part in zip(*(torch.split(x, rows) for x in (query, key, value)), masks, strict=False)
    ]
    f, logsumexp = zip(*chunks, strict=True)
    return torch.cat(f), torch.cat(logsumexp)


def rows_per_chunk(query: Tensor, key: Tensor) -> int:
    """Rows of a batch whose scores fit into a CPU's cache, so that every pass over the scores reads them from there.

    All rows on a GPU, which needs the work, and in compiled code, which fuses the passes.
    """
    if query.device.type != "cpu" or torch.compiler.is_compiling():
        return len(query)
    return max(1, CACHE_SCORES // (query.shape[1] * query.shape[2] * key.shape[2]))


def log_normaliser(query: Tensor, key: Tensor, scale: float) -> Tensor:
    """logsumexp_j s_ij over all keys, masked or not (B, H, T), for queries (B, H, T, p) and keys (B, G, S, p)."""
    precise = at_least_float32(query.dtype)
    scores = torch.matmul(query.to(precise), for_each_query_head(query, key).to(precise).mT) * scale
    return scores.logsumexp(dim=-1)


class ExplicitAttention(torch.autograd.Function):
    """Attention with scores written out: P = softmax(s), f = dropout(P) V.

    Keeps one T x S tensor for the backward pass: P, negative where it was dropped. With D the dropout (0 or
    1 / (1 - probability) for each weight), dF and dL the gradients of f and of the log-sum-exp,

        ds_ij = P_ij (D_ij dF_i.V_j - dF_i.f_i + dL_i),    since sum_j P_ij D_ij dF_i.V_j = dF_i.f_i.
    """

    @staticmethod
    def forward(
        query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        with without_autocast(query.device.type):  # the inputs decide the precision of both passes
            precise = at_least_float32(query.dtype)  # in 16 bits a score of 20 would be off by up to 0.06
            scores = torch.matmul(query.to(precise) * scale, key.to(precise).mT)
            if mask is not None:
                scores += mask
            weights = scores.softmax(dim=-1)
            # s_j - log P_j is the same for every key j; that of the greatest score has a P_j far from 0.
            logsumexp = scores.amax(dim=-1) - weights.amax(dim=-1).log()
            if dropout:
                weights.copysign_(dropout_signs(scores, dropout))
            del scores
            f = torch.matmul(_kept(weights, dropout).to(value.dtype), value * _rescale(dropout))
        return f, logsumexp, weights

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        query, key, value, _, ctx.scale, ctx.dropout = inputs
        f, _, weights = output
        ctx.mark_non_differentiable(weights)
        ctx.set_materialize_grads(False)  # no zeros for what is not differentiated
        ctx.save_for_backward(query, key, value, weights, f)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_f: Tensor | None, grad_logsumexp: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        query, key, value, weights, f = ctx.saved_tensors
        grad_f = torch.zeros_like(f) if grad_f is None else grad_f
        of_row = (grad_f * f).sum(dim=-1, dtype=weights.dtype)
        of_row = -of_row if grad_logsumexp is None else grad_logsumexp - of_row
        grad_f = grad_f * _rescale(ctx.dropout)
        grad_value = torch.matmul(_kept(weights, ctx.dropout).to(value.dtype).mT, grad_f)
        grad = torch.matmul(grad_f, value.mT).to(weights.dtype)
        if ctx.dropout:
            grad = torch.ops.aten.threshold_backward(grad, weights, 0)  # 0 where P is negative
            weights = weights.abs()
        grad = grad.add_(of_row.unsqueeze(-1)).mul_(weights).to(query.dtype)
        grad_query = torch.matmul(grad, key).mul_(ctx.scale)
        grad_key = torch.matmul(grad.mT, query).mul_(ctx.scale)
        return grad_query, grad_key, grad_value, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        return folded(ExplicitAttention, info.batch_size, in_dims, inputs)


def without_autocast(device: str) -> AbstractContextManager[object]:
    """No autocast on this type of device; the meta device has none."""
    return torch.autocast(device, enabled=False) if is_autocast_available(device) else nullcontext()


def _rescale(dropout: float) -> float:
    """What the weights that were not dropped are multiplied by."""
    return 1 / (1 - dropout) if dropout < 1 else 0.0


def _kept(weights: Tensor, dropout: float) -> Tensor:
    """The weights that were not dropped, 0 in place of the others."""
    return weights.relu() if dropout else weights


class FusedAttention(torch.autograd.Function):
    """Attention by torch's fused CPU kernel, which keeps no T x S tensor and also returns the log-sum-exp.

    The kernel's backward pass takes no gradient dL of the log-sum-exp, but ds_ij = P_ij (dF_i.V_j - dF_i.f_i + dL_i):
    one more column that is 1 in dF, -dL in f and 0 in V turns dF_i.f_i into dF_i.f_i - dL_i and leaves dF_i.V_j.

    The kernel's two operators are private in torch: see `has_fused_kernel`.
    """

    PAD = 8  # columns: the kernel needs whole vectors

    @staticmethod
    def forward(
        query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float
    ) -> tuple[Tensor, Tensor]:
        assert dropout == 0, "the kernel has no dropout"
        kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        outputs: tuple[Tensor, Tensor] = kernel(query, key, value, dropout, False, attn_mask=mask, scale=scale)
        return outputs

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        query, key, value, mask, ctx.scale, _ = inputs
        ctx.save_for_backward(query, key, value, mask, *output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_f: Tensor, grad_logsumexp: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, f, logsumexp = ctx.saved_tensors
        width = query.shape[-1]
        grad_f, query, key, value, f = (F.pad(x, (0, FusedAttention.PAD)) for x in (grad_f, query, key, value, f))
        grad_f[..., width] = 1
        f[..., width] = -grad_logsumexp
        kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
        grads = kernel(grad_f, query, key, value, f, logsumexp, 0.0, False, attn_mask=mask, scale=ctx.scale)
        return *(grad[..., :width] for grad in grads), None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        return folded(FusedAttention, info.batch_size, in_dims, inputs)


def folded(
    function: type[torch.autograd.Function], lanes: int, in_dims: tuple[int | None, ...], inputs: tuple[Any, ...]
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """The rule of `torch.vmap` for a function of batches: the mapped axis, `lanes` long, becomes part of the batch.

    Args:
        in_dims: of each input, where the mapped axis is; None where the lanes share the input.
        inputs: tensors (B or 1, ...) with the mapped axis, and others, such as None.

    Returns:
        The outputs with the mapped axis in front, and where it is (0) in each. Row b of lane n was row n B + b.
    """
    tensors = {
        i: x.expand(lanes, *x.shape) if dim is None else x.movedim(dim, 0)
        for i, (x, dim) in enumerate(zip(inputs, in_dims, strict=True))
        if isinstance(x, Tensor)
    }
    rows = max(x.shape[1] for x in tensors.values())
    whole = {i: x.expand(-1, rows, *x.shape[2:]).flatten(0, 1) for i, x in tensors.items()}
    outputs = function.apply(*(whole.get(i, x) for i, x in enumerate(inputs)))
    return tuple(x.unflatten(0, (lanes, -1)) for x in outputs), (0,) * len(outputs)


def has_fused_kernel(operators: Any = torch.ops.aten) -> bool:
    """Whether torch has the private operators that `FusedAttention` calls, with the arguments that it passes."""
    forward = ("query", "key", "value", "dropout_p", "is_causal", "attn_mask", "scale")
    expected = {
        "_scaled_dot_product_flash_attention_for_cpu": (forward, 2),
        "_scaled_dot_product_flash_attention_for_cpu_backward": (
            ("grad_out", *forward[:3], "out", "logsumexp", *forward[3:]), 3,
        ),
    }  # fmt: skip
    for name, (arguments, results) in expected.items():
        operator = getattr(operators, name, None)
        schema = getattr(getattr(operator, "default", None), "_schema", None)
        if schema is None or tuple(argument.name for argument in schema.arguments) != arguments:
            return False
        if len(schema.returns) != results:
            return False
    return True


HAS_FUSED_KERNEL = has_fused_kernel()


def applied(form: type[torch.autograd.Function]) -> Callable[..., tuple[Tensor, Tensor]]:
    """`form.apply` for f and log-sum-exp alone, with the type that torch does not declare."""

    def apply(*inputs: Any) -> tuple[Tensor, Tensor]:
        f, logsumexp, *_ = form.apply(*inputs)
        return f, logsumexp

    return apply


def for_each_query_head(query: Tensor, shared: Tensor) -> Tensor:
    """Keys or values (B, G, S, p), repeated for the query heads that share them, (B, H, S, p)."""
    return repeat_kv(shared, query.shape[1] // shared.shape[1])


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which scores are summed."""
    return torch.promote_types(dtype, torch.float32)
