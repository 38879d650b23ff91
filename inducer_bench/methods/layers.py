"""The parts of a transformers model that methods attach to: its layers and their linear maps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedConfig, PreTrainedModel

from inducer_bench.errors import UserError, nearest
from inducer_bench.methods.architectures import Layout, known_layout

Value = TypeVar("Value")


@dataclass(frozen=True)
class Projection:
    """A linear map: the module that computes it, and its columns of that module's output, `start` to `stop`."""

    module: nn.Module
    name: str
    start: int
    stop: int

    @property
    def inputs(self) -> int:
        """Width of the input."""
        rows, columns = _weight(self.module).shape
        return rows if is_transposed(self.module) else columns

    @property
    def outputs(self) -> int:
        """Width of this map's part of the output."""
        return self.stop - self.start

    @property
    def module_outputs(self) -> int:
        """Width of the module's whole output."""
        rows, columns = _weight(self.module).shape
        return columns if is_transposed(self.module) else rows

    def add(self, change: Tensor, output: Tensor) -> Tensor:
        """The module's `output` (B, T, all columns) plus a change of this map's columns (B, T, outputs)."""
        if self.outputs == output.shape[-1]:
            return output + change
        return output + F.pad(change, (self.start, output.shape[-1] - self.stop))


@dataclass(frozen=True)
class Layer:
    """One transformer layer."""

    attention: nn.Module
    query: Projection
    key: Projection
    value: Projection
    output: Projection
    ffn_up: tuple[Projection, ...]
    ffn_down: Projection
    final_norm: nn.Module | None
    heads: int  # H
    key_heads: int  # G <= H: heads of keys and values (grouped-query attention)
    head_width: int  # p
    width: int  # d


@dataclass
class Unregistered(Generic[Value]):
    """Holds a module for another module that must not own it.

    `nn.Module` registers each module assigned to an attribute as a submodule: its parameters would appear twice in the
    state, and a parent held by its child would make a circle. Inside this holder the module is invisible to
    `nn.Module`, while `deepcopy` still copies it along.
    """

    value: Value


def layers(model: PreTrainedModel, layout: Layout | None = None) -> Iterator[Layer]:
    """The layers of a model, lowest first.

    Args:
        model: a model whose architecture has a row in `architectures.LAYOUTS`, or any other with a `layout`.
        layout: module names of an architecture that this package does not know.

    Raises:
        UserError: no layout is given or known, it names a module that the model does not have or that is no linear map
            where it should be one, or the heads of the model's config are not those of its queries.
    """
    layout = layout or known_layout(model.config.model_type)
    heads, key_heads, head_width, width = _head_sizes(model.config)
    widths = {"query": heads * head_width, "key": key_heads * head_width, "value": key_heads * head_width}
    for layer in _submodule(model.base_model, layout.layers, "layers").children():
        names = layout.projections if len(layout.projections) == 3 else layout.projections * 3
        start, projections = 0, {}
        for (kind, size), name in zip(widths.items(), names, strict=True):
            projections[kind] = Projection(_linear(layer, name, "projections"), kind, start, start + size)
            start = start + size if len(layout.projections) == 1 else 0
        *_, last = (one for one in projections.values() if one.module is projections["query"].module)
        _check_end(last, heads, key_heads, head_width)
        yield Layer(
            attention=_submodule(layer, layout.attention, "attention"),
            **projections,
            output=_whole(layer, layout.output, "output"),
            ffn_up=_ffn_up(layer, layout.ffn_up),
            ffn_down=_whole(layer, layout.ffn_down, "ffn_down"),
            final_norm=_submodule(layer, layout.final_norm, "final_norm") if layout.final_norm else None,
            heads=heads,
            key_heads=key_heads,
            head_width=head_width,
            width=width,
        )


def pretrained_parameters(model: PreTrainedModel) -> list[nn.Parameter]:
    """The parameters that belong to the PLM and not to a task's head: those of base model and output embedding.

    A classifier's pooler is the first layer of its head, although transformers keeps it in the base model.
    """
    output, head = output_embedding(model), {id(parameter) for parameter in pooler_parameters(model).values()}
    parts = [model.base_model] if output is None else [model.base_model, output]
    own = {id(parameter): parameter for part in parts for parameter in part.parameters()}
    return [parameter for key, parameter in own.items() if key not in head]


def pooler_parameters(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    """Name -> parameter of what a classifier puts between the hidden states (B, T, d) and its output, such as BERT's.

    transformers calls that module `pooler`, in the base model of each architecture that has one. A base model by itself
    has no head, and its pooler is a part of it.
    """
    prefix = f"{model.base_model_prefix}.pooler."
    return {name: parameter for name, parameter in model.named_parameters() if name.startswith(prefix)}


def body(model: PreTrainedModel) -> nn.Module:
    """What computes the hidden states (B, T, d) in every forward pass: the base model, or a decoder inside it.

    OPT's language model calls the decoder of its base model, and its classifier the base model.
    """
    base: Any = model.base_model
    found: nn.Module = base.get_decoder()
    return found


def output_embedding(model: PreTrainedModel) -> nn.Module | None:
    """The map from hidden states (..., d) to logits (..., V) of a language model; None for other models."""
    untyped: Any = model
    found: nn.Module | None = untyped.get_output_embeddings()
    return found


def is_transposed(module: nn.Module) -> bool:
    """Whether a linear module stores its weight as (inputs, outputs), as GPT-2's Conv1D does: y = x W + b."""
    return type(module).__name__ == "Conv1D"


def cast_together(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The same tensors in another type. A GPU casts them at once, one after another in memory, and so their gradients.

    In training in 16 bits each cast of a small tensor, and of its gradient, takes as long as a layer's product.
    """
    if all(tensor.dtype == dtype for tensor in tensors.values()):
        return dict(tensors)
    flat = torch.cat([tensor.flatten() for tensor in tensors.values()]).to(dtype)
    parts = flat.split([tensor.numel() for tensor in tensors.values()])
    return {name: part.view_as(tensor) for (name, tensor), part in zip(tensors.items(), parts, strict=True)}


def _head_sizes(config: PreTrainedConfig) -> tuple[int, int, int, int]:
    """H, G, p and d."""
    heads, width = config.num_attention_heads, config.hidden_size
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    return heads, key_heads, getattr(config, "head_dim", None) or width // heads, width


def _check_end(projection: Projection, heads: int, key_heads: int, head_width: int) -> None:
    """Check that the last map of the module that computes queries ends where its output does.

    A model may ignore a size of its config that every method in attention goes by, such as `head_dim`.

    Raises:
        UserError: it does not.
    """
    if projection.module_outputs != projection.stop:
        raise UserError(
            f"plm: found a {projection.name} projection with {projection.module_outputs} outputs; allowed: "
            f"{projection.stop}, as the configuration says {heads} heads, {key_heads} of keys and values, of width "
            f"{head_width}"
        )


def _submodule(parent: nn.Module, path: str, key: str) -> nn.Module:
    try:
        return parent.get_submodule(path)
    except AttributeError:
        names = [name for name, _ in parent.named_modules() if name]
        raise UserError(
            f"layout.{key}: found '{path}'; {nearest(path, names)}allowed: a module of {type(parent).__name__}"
        ) from None


def _ffn_up(layer: nn.Module, names: list[str]) -> tuple[Projection, ...]:
    """The first linear maps of the FFN; those of one module are equally many of its columns, one after the other."""
    maps = []
    for index, name in enumerate(names):
        whole, parts, place = _whole(layer, name, "ffn_up"), names.count(name), names[:index].count(name)
        if parts > 1:
            size = whole.stop // parts
            whole = replace(whole, name=f"ffn_up_{place + 1}", start=place * size, stop=(place + 1) * size)
        maps.append(whole)
    return tuple(maps)


def _linear(layer: nn.Module, path: str, key: str) -> nn.Module:
    module = _submodule(layer, path, key)
    if not isinstance(weight := getattr(module, "weight", None), nn.Parameter) or weight.dim() != 2:
        raise UserError(f"layout.{key}: found '{path}', a {type(module).__name__}; allowed: a linear map")
    return module


def _whole(layer: nn.Module, path: str, key: str) -> Projection:
    whole = Projection(_linear(layer, path, key), key, 0, 0)
    return replace(whole, stop=whole.module_outputs)


def _weight(module: nn.Module) -> nn.Parameter:
    weight = module.weight
    assert isinstance(weight, nn.Parameter)
    return weight
