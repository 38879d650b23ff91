"""Prefix-tuning: L virtual key/value pairs in front of K and V.

    f_i = softmax_j([Q_i P_k^T, Q_i K^T] / sqrt p) [P_v; V]        the same P_k, P_v (L, p) per head for every query

In training the pairs are reparameterised: an embedding E (L, d) and one MLP for all layers.

    [P_k^(0), P_v^(0), P_k^(1), ...] = tanh(E W_a + a) W_b + b,    W_a: d -> m, W_b: m -> 2 d n_layers

Prefix rows are never masked, and positions are not shifted: the pairs join inside attention, not through a KV cache.

Sources: Li and Liang 2021, reparameterisation in Section 4.3 (https://aclanthology.org/2021.acl-long.353); inside
attention as in He et al. 2022 (https://arxiv.org/abs/2110.04366).

    tuned = ib.attach(model, "prefix", length=32, hidden=512)
    tuned = ib.attach(model, "prefix", length=32, reparameterize=False)
"""

import threading

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F

from inducer_bench.methods.attention import PART
from inducer_bench.methods.init import INITIALIZER_RANGE
from inducer_bench.methods.kernels import attend
from inducer_bench.methods.layers import Layer, Unregistered, body
from inducer_bench.methods.options import PrefixOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: PrefixOptions) -> None:
    """Put a `Prefix` into every layer; with reparameterisation they share a `Trunk`."""
    trunk = None
    for layer in tuned.layers():
        if options.reparameterize and trunk is None:
            trunk = Trunk(layer.width, options)
            tuned.add_part(tuned.model.base_model, "prefix_trunk", trunk)
            tuned.add_hook(body(tuned.model).register_forward_pre_hook(trunk.begin))
            tuned.add_hook(body(tuned.model).register_forward_hook(trunk.end, always_call=True))
        tuned.add_part(layer.attention, PART, Prefix(layer, options, trunk))
    tuned.use_our_attention()


class _Handed(threading.local):
    """What the trunk hands to the layers of the same forward pass, which run in the same thread."""

    trunk: "Trunk | None" = None
    rows: Tensor | None = None  # (L, m)


_handed = _Handed()


class Trunk(nn.Module):
    """The part that the layers' prefixes share: tanh(E W_a + a), (L, m). Parameters: E (L, d), W_a (m, d), a (m).

    It is computed once in each forward pass. Outside a forward pass each layer computes it for
    itself: gradient checkpointing reruns layers in the backward pass, when the graph of the forward pass may be freed.
    """

    def __init__(self, width: int, options: PrefixOptions) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(options.length, width))
        self.linear = nn.Linear(width, options.hidden)

    def forward(self) -> Tensor:
        """(L, m)."""
        return torch.tanh(self.linear(self.embedding))

    def begin(self, body: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Forward pre-hook of the model's body."""
        _handed.trunk, _handed.rows = self, self.forward()

    def end(self, body: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        """Forward hook of the model's body, also of a forward pass that fails."""
        _handed.trunk, _handed.rows = None, None

    def rows(self) -> Tensor:
        """tanh(E W_a + a), (L, m): from the current forward pass, if there is one."""
        if _handed.trunk is self and _handed.rows is not None:
            return _handed.rows
        # Checkpointing expects a rerun layer to save the same tensors as before. Under hooks of their own, those of the
        # trunk are not counted among them.
        with saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor):
            return self.forward()

    def deployed(self) -> dict[str, Tensor]:
        """Nothing: the pairs of the layers are enough."""
        return {}


class Prefix(nn.Module):
    """One layer's L pairs for G key heads: free vectors (L, 2 G p), or a linear map of the trunk, m -> 2 G p."""

    def __init__(self, layer: Layer, options: PrefixOptions, trunk: Trunk | None) -> None:
        super().__init__()
        self.key_heads, self.head_width = layer.key_heads, layer.head_width
        size = 2 * layer.key_heads * layer.head_width
        self._trunk = Unregistered(trunk)
        if trunk is None:
            self.pairs = nn.Parameter(torch.randn(options.length, size) * INITIALIZER_RANGE)
        else:
            self.linear = nn.Linear(options.hidden, size)

    def table(self) -> Tensor:
        """P_k and P_v next to each other, (L, 2 G p): what a deployed model keeps."""
        trunk = self._trunk.value
        if trunk is None:
            return self.pairs
        table: Tensor = self.linear(trunk.rows())
        return table

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
