"""Kernel-mix: low-rank changes of Q, V and W_O, per head and shared.

    Q_h += X A_q^h B_q^h + b_q^h + [X A_q' B_q']_h          X (B, T, d) the input of the attention
    V_h += K_h A_v^h B_v^h + b_v^h + [X A_v' B_v']_h        K unchanged
    out += [f_1 A_o^1, ..., f_H A_o^H] B_o + b_o + [f_1 ... f_H] A_o' B_o'

Every entry starts as fmod(N(0, 1), 2) * 0.01.

Source: the companion paper of inducer-tuning, Findings of NAACL 2022 (https://arxiv.org/abs/2205.03720).

    tuned = ib.attach(model, "kernel_mix", q=3, q_shared=12, v_o=8, v_o_shared=8)
"""

import torch
from torch import Tensor, nn

from inducer_bench.methods.attention import PART
from inducer_bench.methods.init import truncated_normal
from inducer_bench.methods.kernels import attend
from inducer_bench.methods.layers import Layer, cast_together
from inducer_bench.methods.options import KernelMixOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: KernelMixOptions) -> None:
    """Put a `KernelMix` into every layer."""
    for layer in tuned.layers():
        part = KernelMix(layer, options)
        tuned.add_part(layer.attention, PART, part)
        tuned.add_hook(layer.query.module.register_forward_hook(part.change_query))
        tuned.add_hook(layer.value.module.register_forward_hook(part.change_value))
        tuned.add_hook(layer.output.module.register_forward_hook(part.change_output))
    tuned.use_our_attention()


class KernelMix(nn.Module):
    """Parameters of one layer, for H query heads and G key heads.

    Q: A_q (H, d, r_q), B_q (H, r_q, p), b_q (H, p), shared A_q' (d, r_q'), B_q' (r_q', H p).
    V: A_v (G, p, r_v), B_v (G, r_v, p), b_v (G, 1, p), shared A_v' (d, r_v'), B_v' (r_v', G p).
    O: A_o (H, p, r_v), B_o (H r_v, d), b_o (d), shared A_o' (H p, r_v'), B_o' (r_v', d).
    """

    def __init__(self, layer: Layer, options: KernelMixOptions) -> None:
        super().__init__()
        H, G, p, d = layer.heads, layer.key_heads, layer.head_width, layer.width
        r_q, r_v, shared_q, shared_v = options.q, options.v_o, options.q_shared, options.v_o_shared
        self.query, self.value = layer.query, layer.value
        self.A_q, self.B_q, self.b_q = truncated_normal(H, d, r_q), truncated_normal(H, r_q, p), truncated_normal(H, p)
        self.A_q_shared, self.B_q_shared = truncated_normal(d, shared_q), truncated_normal(shared_q, H * p)
        self.A_v, self.B_v = truncated_normal(G, p, r_v), truncated_normal(G, r_v, p)
        self.b_v = truncated_normal(G, 1, p)
        self.A_v_shared, self.B_v_shared = truncated_normal(d, shared_v), truncated_normal(shared_v, G * p)
        self.A_o, self.B_o, self.b_o = truncated_normal(H, p, r_v), truncated_normal(H * r_v, d), truncated_normal(d)
        self.A_o_shared, self.B_o_shared = truncated_normal(H * p, shared_v), truncated_normal(shared_v, d)

    def change_query(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Forward hook of W_Q: adds to (B, T, H p)."""
        x, own = inputs[0].to(output.dtype), self.own("A_q B_q b_q A_q_shared B_q_shared", output)
        per_head = torch.einsum("btd,hdr,hrp->bthp", x, own["A_q"], own["B_q"]) + own["b_q"]
        return self.query.add(per_head.flatten(2) + x @ own["A_q_shared"] @ own["B_q_shared"], output)

    def change_value(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Forward hook of W_V: adds the shared part to (B, T, G p)."""
        own = self.own("A_v_shared B_v_shared", output)
        return self.value.add(inputs[0].to(output.dtype) @ own["A_v_shared"] @ own["B_v_shared"], output)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float
    ) -> Tensor:
        """Heads (B, H, T, p) for queries (B, H, T, p), keys and values (B, G, S, p)."""
        own = self.own("A_v B_v b_v", value)
        value = value + key @ own["A_v"] @ own["B_v"] + own["b_v"]
        return attend(query, key, value, mask, scale, dropout)

    def change_output(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Forward hook of W_O: adds to (B, T, d), from merged heads (B, T, H p)."""
        merged, own = inputs[0].to(output.dtype), self.own("A_o B_o b_o A_o_shared B_o_shared", output)
        heads = merged.view(*merged.shape[:2], self.A_o.shape[0], -1)  # (B, T, H, p)
        per_head = torch.einsum("bthp,hpr->bthr", heads, own["A_o"]).flatten(2) @ own["B_o"]
        return output + per_head + own["b_o"] + merged @ own["A_o_shared"] @ own["B_o_shared"]

    def own(self, names: str, like: Tensor) -> dict[str, Tensor]:
        """Parameters in the type of `like`, so that in 16 bits no bias turns the heads into float32."""
        return cast_together({name: getattr(self, name) for name in names.split()}, like.dtype)
