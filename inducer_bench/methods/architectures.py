"""The architectures that this package knows: one row each, by the `model_type` of its transformers config.

This module does not import torch, so that parameters are counted and configurations checked without it.
"""

from dataclasses import dataclass, replace
from itertools import chain
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from inducer_bench.errors import UserError, shown
from inducer_bench.options import options


def _one_or_three(names: list[str]) -> list[str]:
    if len(names) not in (1, 3):
        raise PydanticCustomError("names", "one name, or three")
    return names


@options
class Layout:
    """The names of the modules that methods attach to, in one architecture.

    `layers` is a path within the base model; the others are paths within a layer. A user gives one for an architecture
    without a row in `LAYOUTS`:

        ib.attach(model, "lora", layout=ib.Layout(layers="layers", attention="self_attn", ...), r=8, alpha=16.0)
    """

    layers: str  # the list of layers in the model without its head
    attention: str  # the module that calls transformers' attention interface
    # of Q, K and V; one name if a single module computes [Q, K, V] in its output columns
    projections: Annotated[list[str], AfterValidator(_one_or_three)]
    output: str  # W_O: merged heads (B, T, H p) -> (B, T, d)
    # first linear maps of the FFN; two if it is gated, the same name twice if one module has both
    ffn_up: Annotated[list[str], Field(min_length=1)]
    ffn_down: str  # last linear map of the FFN
    final_norm: str | None = None  # LayerNorm after the FFN's residual (post-norm architectures)
    encoder: bool = False  # cannot generate text
    first_position: int = 0  # row of the position embedding for the first token
    adds_segments: bool = False  # adds embeddings of `token_type_ids` from the token embedding
    own_attention: bool = False  # not through transformers' attention interface, so that no method can work inside it

    made_by_users: ClassVar[bool] = True


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
_DEBERTA = replace(
    _encoder(),
    projections=[f"attention.self.{name}_proj" for name in ("query", "key", "value")],
    own_attention=True,  # disentangled: scores of contents with relative positions, too
)
_ROBERTA = _encoder(first_position=2)  # behind the padding index; where that is not 1, see `positions`
LAYOUTS = {
    "bert": _encoder(),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
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
    "deberta-v2": _DEBERTA,  # also the model type of version 3
    "modernbert": Layout(
        layers="layers",
        attention="attn",
        projections=["attn.Wqkv"],
        output="attn.Wo",
        ffn_up=["mlp.Wi", "mlp.Wi"],
        ffn_down="mlp.Wo",
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
    "gemma3_text": _LLAMA,
}


_NAMES = {  # of the sizes in transformers' configs, whose names differ by architecture
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "width": ("hidden_size", "n_embd", "dim", "d_model", "emb_dim"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "key_heads": ("num_key_value_heads",),
    "head_width": ("head_dim",),
    "ffn": ("intermediate_size", "n_inner", "ffn_dim", "hidden_dim"),
}
# No PLM is as large as these; larger numbers are mistakes, and a model of them would first fill the memory.
_LARGEST, _MOST_LAYERS, _MOST_POSITIONS = 2**21, 1_000, 2**24


def layout_of(model_type: Any) -> Layout | None:
    """The row of an architecture; None if there is none."""
    return LAYOUTS.get(model_type) if isinstance(model_type, str) else None


def known_layout(model_type: str | None) -> Layout:
    """The row of an architecture.

    Raises:
        UserError: there is none.
    """
    layout = layout_of(model_type)
    if layout is None:
        raise UserError(
            f"plm: no layout is known for model type '{model_type}'; supported: {', '.join(sorted(LAYOUTS))}; "
            "for another one give plm.layout, or `layout=` from Python; fine_tune and head_only need none"
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
    """The sizes of a PLM from its transformers config.

    Args:
        architecture: the values of the transformers config.
        layout: for an architecture without a row here.

    Raises:
        UserError: a size is missing or impossible.
    """

    def first(what: str, default: int | None = None) -> int:
        name = next((name for name in _NAMES[what] if architecture.get(name) is not None), None)
        if name is not None:
            return _size(architecture, name)
        if default is None:
            kind = architecture.get("model_type")
            raise UserError(
                f"plm: no sizes are known for model type '{kind}', whose config.json has none of "
                f"{', '.join(_NAMES[what])}; supported: {', '.join(sorted(LAYOUTS))}"
            )
        return default

    layout = layout or layout_of(architecture.get("model_type"))
    width, heads = first("width"), first("heads")
    key_heads = first("key_heads", default=heads)
    if architecture.get("head_dim") is None and width % heads:
        raise UserError(f"plm: found width {width} and {heads} heads; allowed: a width that the heads divide")
    if heads % key_heads:
        raise UserError(f"plm: found {heads} heads and {key_heads} of keys and values; allowed: a divisor of the heads")
    return Sizes(
        layers=first("layers"),
        width=width,
        heads=heads,
        key_heads=key_heads,
        head_width=first("head_width", default=width // heads),
        ffn=first("ffn", default=4 * width),
        ffn_ups=len(layout.ffn_up) if layout else 1,
    )


def check_sizes(architecture: dict[str, Any]) -> None:
    """Check every size that a transformers config has.

    Raises:
        UserError: one of them is impossible.
    """
    for name in ("vocab_size", *chain.from_iterable(_NAMES.values())):
        if architecture.get(name) is not None:
            _size(architecture, name)


def positions(architecture: dict[str, Any], layout: Layout | None = None) -> int | None:
    """The number of tokens that a PLM has positions for; None if it knows no such limit.

    Args:
        architecture: the values of the transformers config.
        layout: for an architecture without a row here.

    Raises:
        UserError: the number, or the padding index that positions begin behind, is impossible.
    """
    name = next((key for key in ("n_positions", "max_position_embeddings") if architecture.get(key) is not None), None)
    if name is None:
        return None
    layout = layout or layout_of(architecture.get("model_type"))
    if layout is not _ROBERTA:
        return _size(architecture, name) - (layout.first_position if layout else 0)
    return _size(architecture, name) - 1 - _size(architecture, "pad_token_id", default=1, least=0)


def _size(architecture: dict[str, Any], name: str, default: int | None = None, least: int = 1) -> int:
    """A value of the transformers config that must be a whole number.

    Raises:
        UserError: it is not, or it is too small or larger than that of any PLM.
    """
    value = architecture.get(name, default)
    most = _MOST_LAYERS if "layer" in name else _MOST_POSITIONS if "position" in name else _LARGEST
    if type(value) is not int or not least <= value <= most:
        raise UserError(f"plm: found {name} {shown(repr(value))}; allowed: a whole number from {least} to {most:,}")
    return value
