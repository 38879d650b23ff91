"""The architectures that this package knows: one row each, by the `model_type` of its transformers config.

This module does not import torch, so that parameters are counted and configurations checked without it.
"""

from dataclasses import dataclass
from typing import Any

from inducer_bench.errors import UserError
from inducer_bench.options import options


@options
class Layout:
    """The names of the modules that methods attach to, in one architecture.

    `layers` is a path within the base model; the others are paths within a layer. A user gives one for an architecture
    without a row in `LAYOUTS`:

        ib.attach(model, "lora", layout=ib.Layout(layers="layers", attention="self_attn", ...), r=8, alpha=16.0)
    """

    layers: str
    attention: str  # the module that calls transformers' attention interface
    projections: list[str]  # of Q, K and V; one name if a single module computes [Q, K, V] in its output columns
    output: str  # W_O: merged heads (B, T, H p) -> (B, T, d)
    ffn_up: list[str]  # first linear maps of the FFN; more than one if it is gated
    ffn_down: str  # last linear map of the FFN
    final_norm: str | None = None  # LayerNorm after the FFN's residual (post-norm architectures)
    encoder: bool = False  # cannot generate text
    first_position: int = 0  # row of the position embedding for the first token
    adds_segments: bool = False  # adds embeddings of `token_type_ids` from the token embedding


def _encoder(first_position: int = 0) -> Layout:
    return Layout(
        layers="encoder.layer",
        attention="attention.self",
        projections=["attention.self.query", "attention.self.key", "attention.self.value"],
        output="attention.output.dense",
        ffn_up=["intermediate.dense"],
        ffn_down="output.dense",
        final_norm="output.LayerNorm",
        encoder=True,
        first_position=first_position,
    )


_LLAMA = Layout(
    layers="layers",
    attention="self_attn",
    projections=["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    output="self_attn.o_proj",
    ffn_up=["mlp.gate_proj", "mlp.up_proj"],
    ffn_down="mlp.down_proj",
)
LAYOUTS = {
    "bert": _encoder(),
    "roberta": _encoder(first_position=2),  # positions start after the padding index
    "distilbert": Layout(
        layers="transformer.layer",
        attention="attention",
        projections=["attention.q_lin", "attention.k_lin", "attention.v_lin"],
        output="attention.out_lin",
        ffn_up=["ffn.lin1"],
        ffn_down="ffn.lin2",
        final_norm="output_layer_norm",
        encoder=True,
    ),
    "gpt2": Layout(
        layers="h",
        attention="attn",
        projections=["attn.c_attn"],
        output="attn.c_proj",
        ffn_up=["mlp.c_fc"],
        ffn_down="mlp.c_proj",
        adds_segments=True,
    ),
    "opt": Layout(
        layers="decoder.layers",
        attention="self_attn",
        projections=["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        output="self_attn.out_proj",
        ffn_up=["fc1"],
        ffn_down="fc2",
    ),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
}


def layout_of(model_type: str | None) -> Layout | None:
    """The row of an architecture; None if there is none."""
    return LAYOUTS.get(model_type or "")


def known_layout(model_type: str | None) -> Layout:
    """The row of an architecture.

    Raises:
        UserError: there is none.
    """
    layout = layout_of(model_type)
    if layout is None:
        raise UserError(
            f"plm: no layout is known for model type '{model_type}'; supported: {', '.join(sorted(LAYOUTS))}; "
            "for another one give plm.layout, or `layout=` from Python"
        )
    return layout


@dataclass(frozen=True)
class Sizes:
    """The sizes that parameter counts depend on."""

    layers: int
    width: int  # d
    heads: int  # H
    key_heads: int  # G
    head_width: int  # p
    ffn: int  # width of the FFN
    ffn_ups: int  # its first linear maps: two if it is gated


def sizes(architecture: dict[str, Any], layout: Layout | None = None) -> Sizes:
    """The sizes of a PLM from its transformers config, whose names differ by architecture.

    Args:
        architecture: the values of the transformers config.
        layout: for an architecture without a row here.

    Raises:
        UserError: a size is missing.
    """

    def first(*names: str, default: int | None = None) -> int:
        value = next((architecture[name] for name in names if architecture.get(name) is not None), default)
        if value is None:
            raise UserError(f"plm: the configuration has none of {', '.join(names)}")
        return int(value)

    layout = layout or layout_of(architecture.get("model_type"))
    width, heads = first("hidden_size", "n_embd", "dim"), first("num_attention_heads", "n_head", "n_heads")
    return Sizes(
        layers=first("num_hidden_layers", "n_layer", "n_layers"),
        width=width,
        heads=heads,
        key_heads=first("num_key_value_heads", default=heads),
        head_width=first("head_dim", default=width // heads),
        ffn=first("intermediate_size", "n_inner", "ffn_dim", "hidden_dim", default=4 * width),
        ffn_ups=len(layout.ffn_up) if layout else 1,
    )
