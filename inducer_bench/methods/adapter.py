"""Bottleneck adapters (Houlsby et al. 2019, Pfeiffer et al. 2021; parallel: He et al. 2021).

    A(x) = s (W_up relu(W_down LN(x) + b_down) + b_up),   W_up = 0 and b_up = 0 at the start; LN optional

    sequential   y ──┬──────(+)──      y the output of the FFN or the attention, before the residual
                     └─ A ───┘
    parallel     x ──┬─ FFN ─(+)──     x the input of the FFN (behind its LayerNorm, where that comes first)
                     └── A ───┘
    pfeiffer     u ──┬───────────(+)── LN_out    u = h + F, the residual sum behind the FFN (post-norm PLMs)
                     └ LN_out ─ A ┘

In a pre-norm PLM no LayerNorm follows the residual: there, as on attention, `pfeiffer` is `sequential`. With
`layer_norm: after` the adapter's output passes the LayerNorm: LN(A(x)), or LN(y + A(y)) where the output of a pre-norm
PLM is adapted in sequence.
Parallel to the attention, the adapter adds to what W_O is applied to (post-norm) or to what W_O gives (pre-norm).
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from inducer_bench.methods.layers import Layer
from inducer_bench.methods.options import AdapterOptions
from inducer_bench.methods.tuned import TunedModel

NAME = "adapter"


def attach(tuned: TunedModel, options: AdapterOptions) -> None:
    """Put an `Adapter` at each place that the options name, in every layer."""
    for layer in tuned.layers():
        if "attention" in options.sites:
            _attach_to_attention(tuned, layer, options)
        if "ffn" in options.sites:
            _attach_to_ffn(tuned, layer, options)


class Adapter(nn.Module):
    """Parameters: W_down (r, d), b_down (r), W_up (d, r), b_up (d); with a LayerNorm its weight and bias (d)."""

    def __init__(self, layer: Layer, options: AdapterOptions) -> None:
        super().__init__()
        d, r = layer.width, options.r
        self.scale = options.scale
        self.down, self.up = nn.Linear(d, r), nn.Linear(r, d)
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        for start in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(start)
        self.norm = nn.LayerNorm(d) if options.layer_norm != "none" else None
        self.norm_first = options.layer_norm == "before"
        self.norm_sum = options.layer_norm == "after" and layer.final_norm is None and options.placement != "parallel"
        self._input: Tensor | None = None  # (B, T, d): on its way past the module that the adapter is parallel to

    def forward(self, x: Tensor) -> Tensor:
        """A(x), (B, T, d) -> (B, T, d)."""
        if self.norm is not None and self.norm_first:
            x = self.norm(x)
        change = self.scale * self.up(F.relu(self.down(x)))
        if self.norm is not None and not self.norm_first and not self.norm_sum:
            change = self.norm(change)
        return change

    def add_behind(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Forward hook, sequential: y + A(y), or LN(y + A(y))."""
        result = output + self(output)
        return self.norm(result) if self.norm is not None and self.norm_sum else result

    def keep_input(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Forward pre-hook where a parallel adapter branches off."""
        self._input = args[0] if args else kwargs["hidden_states"]

    def add_beside(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Forward hook where a parallel adapter comes back: output + A(x)."""
        return output + self(self._kept())

    def add_before_output(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        """Forward pre-hook of W_O: context + A(x)."""
        return inputs[0] + self(self._kept())

    def add_inside_norm(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Forward hook of LN_out: LN_out(u + A(LN_out(u)))."""
        norm = module.forward  # not the module itself: its hook is running
        return norm(inputs[0] + self(output))

    def _kept(self) -> Tensor:
        assert self._input is not None, "the end of a parallel adapter ran without its beginning"
        kept, self._input = self._input, None
        return kept


def _attach_to_attention(tuned: TunedModel, layer: Layer, options: AdapterOptions) -> None:
    adapter, output = Adapter(layer, options), layer.output.module
    tuned.add_part(output, NAME, adapter)
    if options.placement != "parallel":
        tuned.add_hook(output.register_forward_hook(adapter.add_behind))
        return
    tuned.add_hook(layer.attention.register_forward_pre_hook(adapter.keep_input, with_kwargs=True))
    if layer.final_norm is None:
        tuned.add_hook(output.register_forward_hook(adapter.add_beside))
    else:
        tuned.add_hook(output.register_forward_pre_hook(adapter.add_before_output))


def _attach_to_ffn(tuned: TunedModel, layer: Layer, options: AdapterOptions) -> None:
    adapter, output = Adapter(layer, options), layer.ffn_down.module
    tuned.add_part(output, NAME, adapter)
    if options.placement == "parallel":
        first = layer.ffn_up[0].module
        tuned.add_hook(first.register_forward_pre_hook(adapter.keep_input, with_kwargs=True))
        tuned.add_hook(output.register_forward_hook(adapter.add_beside))
    elif options.placement == "pfeiffer" and layer.final_norm is not None:
        tuned.add_hook(layer.final_norm.register_forward_hook(adapter.add_inside_norm))
    else:
        tuned.add_hook(output.register_forward_hook(adapter.add_behind))
