"""Where a transformers model keeps what the methods attach to.

One row for each architecture; a model of another architecture is refused in one line.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from inducer_bench.errors import UserError


@dataclass(frozen=True)
class Layout:
    """Module names of an architecture: `layers` within the base model, the others within a layer."""

    layers: str
    attention: str  # the module that calls the attention interface
    output: str  # W_O: merged heads (B, T, d) -> (B, T, d)


@dataclass(frozen=True)
class Layer:
    """One transformer layer, taken apart."""

    attention: nn.Module
    output: nn.Module
    heads: int  # H
    head_width: int  # p
    width: int  # d


LAYOUTS = {
    "roberta": Layout("encoder.layer", "attention.self", "attention.output.dense"),
    "gpt2": Layout("h", "attn", "attn.c_proj"),
}


def layers(model: PreTrainedModel) -> Iterator[Layer]:
    """The layers of a supported model, lowest first.

    Raises:
        UserError: the model's architecture has no row above, or it does not go through the attention interface.
    """
    config = model.config
    layout = LAYOUTS.get(config.model_type)
    if layout is None:
        raise UserError(
            f"plm: no layout is known for model type '{config.model_type}'; supported: {', '.join(sorted(LAYOUTS))}"
        )
    for layer in model.base_model.get_submodule(layout.layers).children():
        yield Layer(
            attention=layer.get_submodule(layout.attention),
            output=layer.get_submodule(layout.output),
            heads=config.num_attention_heads,
            head_width=config.hidden_size // config.num_attention_heads,
            width=config.hidden_size,
        )
