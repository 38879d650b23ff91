"""LoRA: a low-rank change of a linear map.

    x ──┬── W ─────────────────(+)── y
        └── dropout ── A ── B ──┘ alpha / r

    y = W x + (alpha / r) (B A dropout(x) + b),   A: in -> r, B: r -> out, B = 0 at the start; b optional

On Q it comes before everything that reads Q: scores and inducers alike.

Source: Hu et al. 2022, Equation 3 (https://arxiv.org/abs/2106.09685).

    tuned = ib.attach(model, "lora", r=8, alpha=16.0, targets=["q", "v"])
    model = tuned.merge()       # the change folded into W
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inducer_bench.errors import UserError
from inducer_bench.methods.layers import Layer, Projection, is_transposed
from inducer_bench.methods.options import LoraOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: LoraOptions) -> None:
    """Add a `Lora` to every targeted linear map."""
    for layer in tuned.layers():
        for projection in targets(layer, options):
            lora = Lora(projection, options)
            tuned.add_part(projection.module, f"lora_{projection.name}", lora)
            tuned.add_hook(projection.module.register_forward_hook(lora.add_change))


def targets(layer: Layer, options: LoraOptions) -> list[Projection]:
    """The linear maps of a layer that `options.targets` names."""
    by_name = {
        "q": [layer.query], "k": [layer.key], "v": [layer.value], "o": [layer.output],
        "ffn": [*layer.ffn_up, layer.ffn_down],
    }  # fmt: skip
    return [projection for name in options.targets for projection in by_name[name]]


class Lora(nn.Module):
    """Parameters: A (r, in), B (out, r), and with bias b (out)."""

    def __init__(self, projection: Projection, options: LoraOptions) -> None:
        super().__init__()
        self.projection, self.dropout = projection, options.dropout
        self.scale = options.alpha / options.r
        self.A = nn.Parameter(torch.empty(options.r, projection.inputs))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        self.B = nn.Parameter(torch.zeros(projection.outputs, options.r))
        self.b = nn.Parameter(torch.zeros(projection.outputs)) if options.bias else None

    def add_change(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Forward hook of the linear map with input (B, T, in): adds the change to its output (B, T, out)."""
        x = F.dropout(inputs[0], self.dropout, self.training)
        bias = None if self.b is None else self.scale * self.b
        change = F.linear(self.scale * F.linear(x, self.A), self.B, bias)  # scaled where it has only r columns
        return self.projection.add(change, output)

    def check_mergeable(self) -> None:
        """Check that the linear map can take the change.

        Raises:
            UserError: this LoRA has a bias b, and the linear map has none.
        """
        if self.b is not None and self.projection.module.bias is None:
            raise UserError("method.bias: a LoRA with a bias cannot be merged into a linear map that has none")

    @torch.no_grad()
    def merge(self) -> None:
        """W <- W + (alpha / r) B A and bias <- bias + (alpha / r) b, in the PLM's own weights."""
        module, rows = self.projection.module, slice(self.projection.start, self.projection.stop)
        change = self.scale * (self.B @ self.A)
        weight, bias = module.weight, module.bias
        assert isinstance(weight, Tensor)
        if is_transposed(module):
            weight[:, rows] += change.T
        else:
            weight[rows] += change
        if self.b is not None:
            assert isinstance(bias, Tensor)
            bias[rows] += self.scale * self.b
