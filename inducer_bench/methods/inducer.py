"""Inducer-tuning: one virtual key/value pair for each query.

      Q_i ──┬───────────────── attention(Q, K, V) ── f_i ── W_O ──(+)── out_i
            │                          │ logsumexp_j s_ij          │
            ├── Q_i + MLP_k(Q_i) ── sigmoid(s_i - lse_i) = g_i ────┤
            └── tanh(Q_i A_v + a_v) ───────────(x)── B_v ── + b_B ─┘

    P_k,i = Q_i + MLP_k(Q_i),   MLP_k(x) = tanh(x A_k + a_k) B_k + b_k per head, none if r_k < 2
    s_i   = Q_i.P_k,i / sqrt p
    g_i   = exp(s_i) / (exp(s_i) + sum_j exp(s_ij)) = sigmoid(s_i - logsumexp_j s_ij)
    out_i = sum_h f_h(Q_i) W_O^h + b_O + sum_h g_i^h tanh(Q_i^h A_v^h + a_v^h) B_v^h + b_B

Two options about the self score are ours and not the paper's. On real PLMs |Q_i|^2 / sqrt p is far above the
log-sum-exp in many layers, so that g is near 1 whatever is learnt (`docs/methods.md` has numbers):

    key_residual=attended    P_k,i = sum_j softmax_j(s_ij) K_j + MLP_k(Q_i)
    self_temperature=tau     s_i   = Q_i.P_k,i / (tau sqrt p)

The first is for keys what P_v is for values: a change of what attention averages. As Q_i scores that key by
sum_j P_ij s_ij = logsumexp_j s_ij - H_i, with P_ij = softmax_j(s_ij) and its entropy H_i = -sum_j P_ij log P_ij,

    g_i = sigmoid(Q_i.MLP_k(Q_i) / sqrt p - H_i):

at the start 1 / (1 + exp H_i), the share of one key among as many as attention uses. It lies between 1 / (S + 1), for
attention spread evenly over S keys, and 1 / 2, for attention to a single one, on any PLM; nothing is calibrated.

The last line of the equations is prefix-tuning's (1 - g) f + g P_v with P_v = f + MLP_v, where MLP_v ends after W_O
("extension"). The base attention keeps its own softmax. The bias b_B is shared by the heads and not gated.

With rotary positions inducers see Q after rotation: its scores s_ij are the ones that the self score competes with, and
the attention interface passes no other. Q_i.Q_i is the same before and after rotation; the input of MLP_k and A_v
carries the position, as all of attention does.

Source: "Inducer-tuning: Connecting Prefix-tuning and Adapter-tuning", EMNLP 2022 (https://arxiv.org/abs/2210.14469,
https://aclanthology.org/2022.emnlp-main.50). The equations are also written as plain loops over heads and tokens, in
`Reference.inducer` of `tests/helpers/reference.py`.

    tuned = ib.attach(model, "inducer", r_k=10, r_v=15)
"""

import threading
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inducer_bench.methods.attention import PART
from inducer_bench.methods.init import truncated_normal
from inducer_bench.methods.kernels import at_least_float32
from inducer_bench.methods.layers import Layer, cast_together
from inducer_bench.methods.options import InducerOptions
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.methods.virtual_key import Gate, attend_with_gate


def attach(tuned: TunedModel, options: InducerOptions) -> None:
    """Put an `Inducer` into every layer of the model."""
    for layer in tuned.layers():
        inducer = Inducer(layer, options)
        tuned.add_part(layer.attention, PART, inducer)
        if options.sqrt_position:
            tuned.add_hook(layer.attention.register_forward_pre_hook(count_cached, with_kwargs=True))
        if options.extension:
            tuned.add_hook(layer.output.module.register_forward_hook(add_extension))
    tuned.use_our_attention()


class _Handed(threading.local):
    """What one hook hands to the next: those of a layer follow each other in the same thread."""

    inducer: "Inducer"
    gated: Tensor | None = None  # (B, H, T, r_v)
    own: dict[str, Tensor]  # its parameters in the type of the queries
    first_position: int | Tensor = 0  # of the queries; with `sqrt_position`


_handed = _Handed()


class Inducer(nn.Module):
    """The inducers of one layer's H heads.

    Parameters (per layer): A_k (H, p, r_k), a_k (H, 1, r_k), B_k (H, r_k, p), b_k (H, 1, p); A_v (H, p, r_v),
    a_v (H, 1, r_v); with extension B_v (H, r_v, d) or shared (r_v, d), b_B (d); else B_v (H, r_v, p), b_v (H, 1, p).
    """

    def __init__(self, layer: Layer, options: InducerOptions) -> None:
        super().__init__()
        self.options = options
        # A decoder's gates must not see the future; the released code does this in encoders only.
        self.gate_before_mask = options.gate_before_mask and not getattr(layer.attention, "is_causal", True)
        heads, p, d, r_k, r_v = layer.heads, layer.head_width, layer.width, options.r_k, options.r_v
        if options.gate and r_k >= 2:
            self.A_k, self.a_k = truncated_normal(heads, p, r_k), truncated_normal(heads, 1, r_k)
            self.B_k, self.b_k = truncated_normal(heads, r_k, p), truncated_normal(heads, 1, p)
        self.A_v, self.a_v = truncated_normal(heads, p, r_v), truncated_normal(heads, 1, r_v)
        if options.extension:
            self.B_v = truncated_normal(r_v, d) if options.share_output else truncated_normal(heads, r_v, d)
            self.b_B = truncated_normal(d)
        else:
            self.B_v, self.b_v = truncated_normal(heads, r_v, p), truncated_normal(heads, 1, p)
        self.names = list(dict(self.named_parameters()))  # a replica of `nn.DataParallel` has none to ask for

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float
    ) -> Tensor:
        """Heads (B, H, T, p) for queries (B, H, T, p), keys and values (B, G, S, p)."""
        about_attended = self.options.gate and self.options.key_residual == "attended"
        f, gate = attend_with_gate(query, key, value, mask, scale, dropout, self.gate_before_mask, about_attended)
        own = cast_together({name: getattr(self, name) for name in self.names}, query.dtype)
        terms, hidden = self.inner(query, own)
        g = self.gate(gate, terms, query) if self.options.gate else F.dropout(f.new_ones(*f.shape[:3], 1), dropout)
        hidden = g * hidden  # (B, H, T, r_v)
        if not self.options.value_residual:
            f = (1 - g) * f
        if self.options.extension:
            self.hand_over(hidden, own)
            return f
        return f + hidden @ own["B_v"] + g * own["b_v"]

    def hand_over(self, hidden: Tensor, own: dict[str, Tensor]) -> None:
        """Give g tanh(.) (B, H, T, r_v) to `add_extension`, which runs after W_O in the same thread."""
        _handed.inducer, _handed.gated, _handed.own = self, hidden, own

    def inner(self, query: Tensor, own: dict[str, Tensor]) -> tuple[list[Tensor], Tensor]:
        """Terms of Q_i.P_k,i (B, H, T, r_k or 1) and tanh(Q_i A_v + a_v) (B, H, T, r_v) for queries (B, H, T, p).

        P_k is never materialised: Q.MLP_k(Q) = tanh(Q A_k + a_k).(Q B_k^T) + Q.b_k, from one product with Q. These are
        the terms, not summed up; there are none if r_k < 2. For the naive form see `Reference.inducer` in
        `tests/helpers/reference.py`.
        """
        if not self.options.gate or self.options.r_k < 2:
            (into_value,) = per_head(query, own["A_v"])
            return [], torch.tanh(into_value + own["a_v"])
        into_key, back, bias, into_value = per_head(query, own["A_k"], own["B_k"].mT, own["b_k"].mT, own["A_v"])
        products = torch.tanh(into_key + own["a_k"]) * back
        return [products, bias], torch.tanh(into_value + own["a_v"])

    def gate(self, form: Gate, terms: list[Tensor], query: Tensor) -> Tensor:
        """g (B, H, T, 1) for the terms of Q_i.P_k,i and queries (B, H, T, p)."""
        return form(*terms, factor=self.factor(query))

    def factor(self, query: Tensor) -> Tensor | None:
        """What the self score is multiplied by (1, 1, T, 1), for queries (B, H, T, p); None for 1."""
        by_position, tau = self.options.sqrt_position, self.options.self_temperature
        if not by_position and tau == 1:
            return None
        precise = at_least_float32(query.dtype)
        return (sqrt_positions(query) if by_position else query.new_ones(1, 1, query.shape[2], 1, dtype=precise)) / tau

    def extended(self, output: Tensor, hidden: Tensor, own: dict[str, Tensor]) -> Tensor:
        """(B, T, d) + sum_h g^h tanh(.) B_v^h + b_B, for g tanh(.) (B, H, T, r_v)."""
        if self.options.share_output:
            return output + hidden.sum(dim=1) @ own["B_v"] + own["b_B"]
        # b_B is one more row, for a column of ones: a single product adds everything to the output.
        merged = hidden.transpose(1, 2).flatten(2)  # (B, T, H r_v)
        merged = torch.cat((merged, merged.new_ones(1, 1, 1).expand(*merged.shape[:2], 1)), dim=-1)
        rows = torch.cat((own["B_v"].flatten(0, 1), own["b_B"][None]))
        return torch.addmm(output.flatten(0, 1), merged.flatten(0, 1), rows).view_as(output)


def count_cached(module: nn.Module, inputs: tuple[Tensor, ...], arguments: dict[str, Any]) -> None:
    """Forward pre-hook of attention: the tokens that its cache has seen, of which a sliding one has kept the last."""
    cache = arguments.get("past_key_values")
    _handed.first_position = (
        0 if cache is None else 0 + cache.get_seq_length(module.layer_idx)
    )  # a static one counts on


def add_extension(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Forward hook of W_O, with output (B, T, d): adds the part of the inducer that ends after W_O."""
    hidden, _handed.gated = _handed.gated, None
    assert hidden is not None, "W_O ran without its attention"
    return _handed.inducer.extended(output, hidden, _handed.own)


def sqrt_positions(query: Tensor) -> Tensor:
    """sqrt(1), sqrt(2), ... (1, 1, T, 1) for queries (B, H, T, p).

    Positions in the row, as in the released code: left padding counts.
    """
    numbers = torch.arange(1, query.shape[2] + 1, device=query.device, dtype=at_least_float32(query.dtype))
    return (_handed.first_position + numbers).sqrt()[None, None, :, None]


def per_head(query: Tensor, *matrices: Tensor) -> list[Tensor]:
    """The products of each head, (B, H, T, p) and (H, p, r) -> (B, H, T, r): in all one matrix for each head."""
    by_head = query.transpose(0, 1).flatten(1, 2)  # (H, B T, p)
    products = torch.bmm(by_head, torch.cat(matrices, dim=-1)).split([matrix.shape[-1] for matrix in matrices], dim=-1)
    return [product.unflatten(1, (len(query), query.shape[2])).transpose(0, 1) for product in products]
