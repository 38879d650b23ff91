"""Bottleneck adapters.

    A(x) = s (W_up relu(W_down LN(x) + b_down) + b_up),   W_up = 0 and b_up = 0 at the start; LN optional

    placement    site        branches off at x =                   returns to
    ----------   ---------   -----------------------------------   ------------------------------------------
    sequential   attention   y, the output of W_O                  y + A(x)
    sequential   ffn         y, the output of the FFN              y + A(x)
    parallel     ffn         the input of the FFN                  y + A(x), y the output of the FFN
    pfeiffer     ffn         LN_out(u), u the residual sum h + y   LN_out(u + A(x))

`pfeiffer` needs the LayerNorm after the residual of a post-norm PLM; in a pre-norm PLM, and on attention, it is
`sequential`. Outputs y are those before the residual sum.

Sources: sequential on attention and FFN, Houlsby et al. 2019, Section 2.1 (https://arxiv.org/abs/1902.00751); one
adapter per layer, Pfeiffer et al. 2021 (https://arxiv.org/abs/2005.00247); parallel with a scale s, He et al. 2022
(https://arxiv.org/abs/2110.04366).

    tuned = ib.attach(model, "adapter", r=32)                                                       # Pfeiffer
    tuned = ib.attach(model, "adapter", r=32, placement="sequential", sites=["attention", "ffn"])   # Houlsby
"""

import threading

from torch import Tensor, nn
from torch.nn import functional as F

from inducer_bench.methods.layers import Layer
from inducer_bench.methods.options import AdapterOptions
from inducer_bench.methods.tuned import TunedModel

NAME = "adapter"


class _Handed(threading.local):
    """What the beginning of an FFN hands to its end, which follows in the same thread."""

    input: Tensor | None = None  # (B, T, d), of the FFN


_handed = _Handed()


def attach(tuned: TunedModel, options: AdapterOptions) -> None:
    """Put an `Adapter` at each site that the options name, in every layer."""
    for layer in tuned.layers():
        if "attention" in options.sites:
            output = layer.output.module
            tuned.add_hook(output.register_forward_hook(_added(tuned, layer, output, options).add_sequential))
        if "ffn" in options.sites:
            output = layer.ffn_down.module
            adapter = _added(tuned, layer, output, options)
            if options.placement == "parallel":
                tuned.add_hook(layer.ffn_up[0].module.register_forward_pre_hook(keep_input))
                tuned.add_hook(output.register_forward_hook(adapter.add_parallel))
            elif options.placement == "pfeiffer" and layer.final_norm is not None:
                tuned.add_hook(layer.final_norm.register_forward_hook(adapter.add_inside_norm))
            else:
                tuned.add_hook(output.register_forward_hook(adapter.add_sequential))


class Adapter(nn.Module):
    """Parameters: W_down (r, d), b_down (r), W_up (d, r), b_up (d); with a LayerNorm its weight and bias (d)."""

    def __init__(self, width: int, options: AdapterOptions) -> None:
        super().__init__()
        self.scale = options.scale
        self.down, self.up = nn.Linear(width, options.r), nn.Linear(options.r, width)
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        for start in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(start)
        self.norm = nn.LayerNorm(width) if options.layer_norm == "before" else None

    def forward(self, x: Tensor) -> Tensor:
        """A(x), (B, T, d) -> (B, T, d)."""
        if self.norm is not None:
            x = self.norm(x)
        change: Tensor = self.scale * self.up(F.relu(self.down(x)))
        return change

    def add_sequential(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Forward hook of the module that gives y: y + A(y)."""
        return output + self.forward(output)

    def add_parallel(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Forward hook of the FFN's last linear map: y + A(x)."""
        x, _handed.input = _handed.input, None
        assert x is not None, "the end of the FFN ran without its beginning"
        return output + self.forward(x)

    def add_inside_norm(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Forward hook of LN_out: LN_out(u + A(LN_out(u)))."""
        changed: Tensor = module.forward(inputs[0] + self.forward(output))  # `module(...)` would call this hook again
        return changed


def keep_input(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Forward pre-hook of the FFN's first linear map, where a parallel adapter branches off."""
    _handed.input = inputs[0]


def _added(tuned: TunedModel, layer: Layer, host: nn.Module, options: AdapterOptions) -> Adapter:
    adapter = Adapter(layer.width, options)
    tuned.add_part(host, NAME, adapter)
    return adapter
