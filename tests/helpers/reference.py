"""The tuning methods written a second time, from their equations: one sentence, one token, one head at a time.

A `Reference` runs a whole RoBERTa or GPT-2 from its weights, with a method's equations in their places:

    RoBERTa   h = LN_att(x + att(x)),      x' = LN_out(h + ffn(h))
    GPT-2     h = x + att(LN_1(x)),        x' = h + ffn(LN_2(h)),      LN_f after the last layer

It takes nothing from the package but the names of its weights. A sentence is a list of vectors x_1 ... x_n (d); padding
does not exist, unless `real` says which tokens are no padding, for the released code's gates that see it.
Letters: H heads, p head width, d model width, L prefix length, r rank or bottleneck, s_ij = Q_i.K_j / sqrt p.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

ROBERTA = {
    "layer": "encoder.layer", "attention": "attention.self", "query": "attention.self.query",
    "key": "attention.self.key", "value": "attention.self.value", "output": "attention.output.dense",
    "ffn_up": "intermediate.dense", "ffn_down": "output.dense", "attention_norm": "attention.output.LayerNorm",
    "ffn_norm": "output.LayerNorm",
}  # fmt: skip
GPT2 = {
    "layer": "h", "attention": "attn", "query": "attn.c_attn", "key": "attn.c_attn", "value": "attn.c_attn",
    "output": "attn.c_proj", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj", "attention_norm": "ln_1",
    "ffn_norm": "ln_2",
}  # fmt: skip
ROBERTA_PAD = 1  # RoBERTa counts positions from here; padding has this one itself


class Reference:
    """A transformer with a tuning method in it.

    Args:
        architecture: "roberta" (post-norm, bidirectional) or "gpt2" (pre-norm, causal).
        weights: name -> tensor of the tuned base model, all of it.
        layers, heads: how many.
        parts: options of the method's parts, of "lora", "inducer", "prefix", "adapter" and "kernel_mix".
    """

    def __init__(
        self, architecture: str, weights: Mapping[str, Tensor], layers: int, heads: int, parts: dict[str, Any]
    ) -> None:
        self.architecture, self.weights = architecture, weights
        self.layers = [Layer(architecture, weights, i, heads, parts) for i in range(layers)]

    def __call__(self, ids: list[int], real: list[bool] | None = None) -> Tensor:
        """Hidden states (n, d) after the last layer, for a sentence of n token ids."""
        real = real or [True] * len(ids)
        xs = [self.embedding(i, ids, real) for i in range(len(ids))]
        for layer in self.layers:
            xs = layer(xs, real)
        if self.architecture == "gpt2":
            xs = [layer_norm(self.weights, "ln_f", x) for x in xs]
        return torch.stack(xs)

    def embedding(self, i: int, ids: list[int], real: list[bool]) -> Tensor:
        """x_i below the first layer."""
        w = self.weights
        if self.architecture == "gpt2":
            return w["wte.weight"][ids[i]] + w["wpe.weight"][i]
        position = ROBERTA_PAD + sum(real[: i + 1]) if real[i] else ROBERTA_PAD
        word, kind = w["embeddings.word_embeddings.weight"][ids[i]], w["embeddings.token_type_embeddings.weight"][0]
        x = word + kind + w["embeddings.position_embeddings.weight"][position]
        return layer_norm(w, "embeddings.LayerNorm", x)


class Layer:
    """One layer: attention and FFN, each with what the method changes."""

    def __init__(
        self, architecture: str, weights: Mapping[str, Tensor], i: int, heads: int, parts: dict[str, Any]
    ) -> None:
        self.transposed = self.causal = self.pre_norm = architecture == "gpt2"
        self.names = GPT2 if architecture == "gpt2" else ROBERTA
        root = f"{self.names['layer']}.{i}."
        self.w = {name.removeprefix(root): w for name, w in weights.items() if name.startswith((root, "prefix_trunk"))}
        self.H, self.parts = heads, parts

    def __call__(self, xs: list[Tensor], real: list[bool]) -> list[Tensor]:
        """x_i -> x'_i."""
        if self.pre_norm:
            normed = [self.norm("attention_norm", x) for x in xs]
            hs = [x + y for x, y in zip(xs, self.attention(normed, real), strict=True)]
            return [h + self.ffn(self.norm("ffn_norm", h)) for h in hs]
        hs = [self.norm("attention_norm", x + y) for x, y in zip(xs, self.attention(xs, real), strict=True)]
        sums = [h + self.ffn(h) for h in hs]
        if self.placement("ffn") == "pfeiffer":  # the residual sum u becomes u + A(LN_out(u))
            sums = [u + self.adapter("ffn_down", self.norm("ffn_norm", u)) for u in sums]
        return [self.norm("ffn_norm", u) for u in sums]

    # -- attention ---------------------------------------------------------------------------------------------------

    def attention(self, xs: list[Tensor], real: list[bool]) -> list[Tensor]:
        """out_i for each x_i, after W_O and whatever the method puts there."""
        keys = [self.split(self.linear("key", x)) for x in xs]
        queries = [self.split(self.query(x)) for x in xs]
        values = [self.value(x, K) for x, K in zip(xs, keys, strict=True)]
        outs = []
        for i, x in enumerate(xs):
            visible = [j for j in range(len(xs)) if real[j] and (j <= i or not self.causal)]
            heads, extra = [], torch.zeros_like(x)
            for h in range(self.H):
                Q = queries[i][h]
                K, V = [keys[j][h] for j in visible], [values[j][h] for j in visible]
                if "prefix" in self.parts:
                    P_k, P_v = self.prefix_pairs(h)
                    K, V = P_k + K, P_v + V
                weights = [torch.exp(score(Q, k)) for k in K]
                total = sum(weights)
                f = sum(w * v for w, v in zip(weights, V, strict=True)) / total
                if "inducer" in self.parts:
                    if self.parts["inducer"]["gate_before_mask"]:  # of encoders: g also sees padding
                        total = sum(torch.exp(score(Q, K_j[h])) for K_j in keys)
                    mean = sum(w * k for w, k in zip(weights, K, strict=True)) / sum(weights)
                    f, extension = self.inducer(h, i, Q, f, mean, total)
                    extra = extra + extension
                heads.append(f)
            if "inducer" in self.parts and self.parts["inducer"]["extension"]:
                extra = extra + self.own("b_B")  # once for all heads, not gated
            if "kernel_mix" in self.parts:
                extra = self.kernel_mix_output(heads)
            outs.append(self.attention_output(torch.cat(heads), extra))
        return outs

    def attention_output(self, merged: Tensor, extra: Tensor) -> Tensor:
        """merged heads W_O + b_O + extra, with the attention's adapter, if it has one."""
        out = self.linear("output", merged) + extra
        return out if self.placement("attention") is None else out + self.adapter("output", out)

    def query(self, x: Tensor) -> Tensor:
        """Q (H p); kernel_mix: Q_h += x A_q^h B_q^h + b_q^h + [x A_q' B_q']_h."""
        Q = self.linear("query", x)
        if "kernel_mix" in self.parts:
            A, B, b = self.own("A_q"), self.own("B_q"), self.own("b_q")
            Q = Q + torch.cat([x @ A[h] @ B[h] + b[h] for h in range(self.H)])
            Q = Q + x @ self.own("A_q_shared") @ self.own("B_q_shared")
        return Q

    def value(self, x: Tensor, K: list[Tensor]) -> list[Tensor]:
        """V by heads; kernel_mix: V_h += K_h A_v^h B_v^h + b_v^h + [x A_v' B_v']_h."""
        V = self.split(self.linear("value", x))
        if "kernel_mix" in self.parts:
            A, B, b = self.own("A_v"), self.own("B_v"), self.own("b_v")
            shared = self.split(x @ self.own("A_v_shared") @ self.own("B_v_shared"))
            V = [V[h] + K[h] @ A[h] @ B[h] + b[h, 0] + shared[h] for h in range(self.H)]
        return V

    def kernel_mix_output(self, f: list[Tensor]) -> Tensor:
        """[f_1 A_o^1, ..., f_H A_o^H] B_o + b_o + [f_1 ... f_H] A_o' B_o'."""
        per_head = torch.cat([f[h] @ self.own("A_o")[h] for h in range(self.H)]) @ self.own("B_o")
        return per_head + self.own("b_o") + torch.cat(f) @ self.own("A_o_shared") @ self.own("B_o_shared")

    def prefix_pairs(self, h: int) -> tuple[list[Tensor], list[Tensor]]:
        """P_k and P_v of head h, L vectors (p) each: free, or rows of tanh(E W_a + a) W_b + b."""
        if self.parts["prefix"]["reparameterize"]:
            E, W_a, a = (self.w[f"prefix_trunk.{name}"] for name in ("embedding", "linear.weight", "linear.bias"))
            W_b, b = self.own("linear.weight"), self.own("linear.bias")
            rows = [linear(W_b, b, torch.tanh(linear(W_a, a, e))) for e in E]
        else:
            rows = list(self.own("pairs"))
        keys_and_values = [row.chunk(2) for row in rows]
        return [self.split(k)[h] for k, _ in keys_and_values], [self.split(v)[h] for _, v in keys_and_values]

    def inducer(self, h: int, i: int, Q: Tensor, f: Tensor, mean: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        """Head h of token i with one more virtual pair (P_k, P_v), and the vector to add after W_O.

        P_k = Q + MLP_k(Q),  g = exp(Q.P_k / sqrt p) / (exp(Q.P_k / sqrt p) + sum_j exp s_ij),  (1 - g) f + g P_v
        With the attended key P_k = mean + MLP_k(Q), where mean is that of the keys by their attention weights.
        P_v = f + MLP_v(Q); with extension MLP_v ends after W_O, and its bias (b_B) is neither per head nor gated.
        """
        options = self.parts["inducer"]
        g = torch.ones(())
        if options["gate"]:
            P_k = mean if options["key_residual"] == "attended" else Q
            if options["r_k"] >= 2:
                hidden = torch.tanh(Q @ self.own("A_k")[h] + self.own("a_k")[h, 0])
                P_k = P_k + hidden @ self.own("B_k")[h] + self.own("b_k")[h, 0]
            s = score(Q, P_k) / options["self_temperature"] * (math.sqrt(i + 1) if options["sqrt_position"] else 1.0)
            g = torch.exp(s) / (torch.exp(s) + total)
        P_v = f if options["value_residual"] else torch.zeros_like(f)
        hidden, B = torch.tanh(Q @ self.own("A_v")[h] + self.own("a_v")[h, 0]), self.own("B_v")
        if options["extension"]:
            return (1 - g) * f + g * P_v, g * (hidden @ (B if options["share_output"] else B[h]))
        P_v = P_v + hidden @ B[h] + self.own("b_v")[h, 0]
        return (1 - g) * f + g * P_v, torch.zeros(())

    # -- FFN and adapters --------------------------------------------------------------------------------------------

    def ffn(self, x: Tensor) -> Tensor:
        """W_down gelu(W_up x), with the FFN's adapter unless that comes after the residual."""
        y = self.linear("ffn_up", x)
        y = self.linear("ffn_down", gelu_tanh(y) if self.pre_norm else gelu(y))
        placement = self.placement("ffn")
        if placement == "parallel":
            return y + self.adapter("ffn_down", x)
        if placement == "sequential" or (placement == "pfeiffer" and self.pre_norm):
            return y + self.adapter("ffn_down", y)
        return y

    def adapter(self, host: str, x: Tensor) -> Tensor:
        """A(x) = s (W_up relu(W_down LN(x) + b_down) + b_up), LN optional."""
        root = f"{self.names[host]}.adapter."
        if self.parts["adapter"]["layer_norm"] == "before":
            x = layer_norm(self.w, f"{root}norm", x)
        hidden = linear(self.w[f"{root}down.weight"], self.w[f"{root}down.bias"], x)
        return self.parts["adapter"]["scale"] * linear(
            self.w[f"{root}up.weight"], self.w[f"{root}up.bias"], hidden.clamp(min=0)
        )

    def placement(self, site: str) -> str | None:
        """Where a site, "attention" or "ffn", has its adapter; None if it has none."""
        adapter = self.parts.get("adapter", {"sites": []})
        return adapter["placement"] if site in adapter["sites"] else None

    # -- reading weights ---------------------------------------------------------------------------------------------

    def own(self, name: str) -> Tensor:
        """A weight of the method's part in the attention."""
        return self.w[f"{self.names['attention']}.tuning.{name}"]

    def norm(self, name: str, x: Tensor) -> Tensor:
        """One of the PLM's LayerNorms."""
        return layer_norm(self.w, self.names[name], x)

    def linear(self, name: str, x: Tensor) -> Tensor:
        """W x + b of the PLM, plus (alpha / r) (B A x + b) where LoRA is on it."""
        W, b = self.w[f"{self.names[name]}.weight"], self.w[f"{self.names[name]}.bias"]
        W = W.T if self.transposed else W
        if self.transposed and name in ("query", "key", "value"):  # side by side in one matrix
            which = ("query", "key", "value").index(name)
            W, b = W.chunk(3)[which], b.chunk(3)[which]
        y = linear(W, b, x)
        lora = self.parts.get("lora", {"targets": []})
        if {"query": "q", "key": "k", "value": "v", "output": "o"}.get(name, "ffn") in lora["targets"]:
            A, B = (self.w[f"{self.names[name]}.lora_{name}.{letter}"] for letter in "AB")
            change = B @ (A @ x)
            if lora["bias"]:
                change = change + self.w[f"{self.names[name]}.lora_{name}.b"]
            y = y + lora["alpha"] / lora["r"] * change
        return y

    def split(self, x: Tensor) -> list[Tensor]:
        """(H p) -> H vectors (p)."""
        return list(x.chunk(self.H))


def score(Q: Tensor, K: Tensor) -> Tensor:
    """Q.K / sqrt p."""
    return Q @ K / math.sqrt(len(Q))


def linear(W: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """W x + b, W (out, in)."""
    return W @ x + b


def layer_norm(weights: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """(x - mean) / sqrt(variance + 1e-5), times a weight, plus a bias."""
    centred = x - x.mean()
    variance = (centred**2).mean()
    return centred / torch.sqrt(variance + 1e-5) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def gelu(x: Tensor) -> Tensor:
    """x Phi(x), Phi the normal distribution: RoBERTa's."""
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def gelu_tanh(x: Tensor) -> Tensor:
    """Its approximation by tanh: GPT-2's."""
    return x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
