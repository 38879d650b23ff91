"""Prefix-tuning (Li and Liang 2021, in the form of He et al. 2021): L virtual key/value pairs before K and V.

    f_i = softmax_j([Q_i P_k^T, Q_i K^T] / sqrt p) [P_v; V]        the same P_k, P_v (L, p) per head for every query

In training they are reparameterised, E: Embedding(L, d), one MLP for all layers:

    [P_k^(0), P_v^(0), P_k^(1), ...] = tanh(E W_a + a) W_b + b,    W_a: d -> m, W_b: m -> 2 d n_layers

Prefix rows are never masked, and positions are not shifted: the pairs join inside attention, not through a KV cache.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inducer_bench.methods.attention import PART
from inducer_bench.methods.kernels import attend
from inducer_bench.methods.layers import Layer
from inducer_bench.methods.options import PrefixOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: PrefixOptions) -> None:
    """Put a `Prefix` into every layer; with reparameterisation they share a `Trunk`."""
    trunk = None
    for layer in tuned.layers():
        if options.reparameterize and trunk is None:
            trunk = Trunk(layer.width, options)
            tuned.add_part(tuned.model.base_model, "prefix_trunk", trunk)
        tuned.add_part(layer.attention, PART, Prefix(layer, options, trunk))
    tuned.use_our_attention()


class Trunk(nn.Module):
    """What the layers' prefixes share: tanh(E W_a + a), (L, m). Parameters: E (L, d), W_a (m, d), a (m)."""

    def __init__(self, width: int, options: PrefixOptions) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(options.length, width))
        self.linear = nn.Linear(width, options.hidden)

    def forward(self) -> Tensor:
        """(L, m)."""
        return torch.tanh(self.linear(self.embedding))

    def deployed(self) -> dict[str, Tensor]:
        """Nothing: the layers' pairs say it all."""
        return {}


class Prefix(nn.Module):
    """One layer's L pairs for G key heads: free vectors (L, 2 G p), or a linear map of the trunk, m -> 2 G p."""

    def __init__(self, layer: Layer, options: PrefixOptions, trunk: Trunk | None) -> None:
        super().__init__()
        self.key_heads, self.head_width = layer.key_heads, layer.head_width
        size = 2 * layer.key_heads * layer.head_width
        self._trunk = [trunk]  # in a list: the trunk is a part of its own, not one of this module's
        if trunk is None:
            self.pairs = nn.Parameter(torch.randn(options.length, size) * 0.02)
        else:
            self.linear = nn.Linear(options.hidden, size)

    def table(self) -> Tensor:
        """P_k and P_v side by side, (L, 2 G p): what a deployed model keeps."""
        trunk = self._trunk[0]
        return self.pairs if trunk is None else self.linear(trunk())

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float
    ) -> Tensor:
        """Heads (B, H, T, p) for queries (B, H, T, p), keys and values (B, G, S, p)."""
        pairs = self.table().to(key.dtype).view(-1, 2, self.key_heads, self.head_width)  # (L, 2, G, p)
        prefix_key, prefix_value = (
            pairs[:, i].transpose(0, 1).expand(key.shape[0], -1, -1, -1) for i in (0, 1)
        )  # (B, G, L, p)
        if mask is not None:
            mask = F.pad(mask, (pairs.shape[0], 0))  # zeros: never masked
        key, value = torch.cat([prefix_key, key], dim=2), torch.cat([prefix_value, value], dim=2)
        return attend(query, key, value, mask, scale, dropout)

    def deployed(self) -> dict[str, Tensor]:
        """The free vectors that give the same outputs."""
        return {"pairs": self.table().detach()}
