"""A transformers model taken apart: its layers, their linear maps, and what belongs to the PLM and not to a head."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from inducer_bench.methods.architectures import Layout, known_layout


@dataclass(frozen=True)
class Projection:
    """A linear map: the module that computes it and its columns of the module's output, `start` to `stop`."""

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
        """`output` of the module (B, T, all columns) plus a change of this map's columns (B, T, outputs)."""
        if self.outputs == output.shape[-1]:
            return output + change
        return output + F.pad(change, (self.start, output.shape[-1] - self.stop))


@dataclass(frozen=True)
class Layer:
    """One transformer layer, taken apart."""

    attention: nn.Module
    query: Projection
    key: Projection
    value: Projection
    output: Projection
    ffn_up: tuple[Projection, ...]
    ffn_down: Projection
    final_norm: nn.Module | None
    heads: int  # H
    key_heads: int  # G, at most H: heads of keys and values (grouped-query attention)
    head_width: int  # p
    width: int  # d


def layers(model: PreTrainedModel, layout: Layout | None = None) -> Iterator[Layer]:
    """The layers of a model, lowest first.

    Args:
        model: of a supported architecture.
        layout: of an architecture that this package does not know.

    Raises:
        UserError: no layout is given or known.
    """
    config = model.config
    layout = layout or known_layout(config.model_type)
    heads, width = config.num_attention_heads, config.hidden_size
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    head_width = getattr(config, "head_dim", None) or width // heads
    widths = {"query": heads * head_width, "key": key_heads * head_width, "value": key_heads * head_width}
    for layer in model.base_model.get_submodule(layout.layers).children():
        names = layout.projections if len(layout.projections) == 3 else layout.projections * 3
        start, projections = 0, {}
        for (kind, size), name in zip(widths.items(), names, strict=True):
            projections[kind] = Projection(layer.get_submodule(name), kind, start, start + size)
            start = start + size if len(layout.projections) == 1 else 0
        yield Layer(
            attention=layer.get_submodule(layout.attention),
            **projections,
            output=_whole(layer, layout.output, "output"),
            ffn_up=tuple(_whole(layer, name, "ffn_up") for name in layout.ffn_up),
            ffn_down=_whole(layer, layout.ffn_down, "ffn_down"),
            final_norm=layer.get_submodule(layout.final_norm) if layout.final_norm else None,
            heads=heads,
            key_heads=key_heads,
            head_width=head_width,
            width=width,
        )


def pretrained_parameters(model: PreTrainedModel) -> list[nn.Parameter]:
    """What belongs to the PLM and not to a task's head: the base model, and a language model's output embedding."""
    output = model.get_output_embeddings()
    parts = [model.base_model] if output is None else [model.base_model, output]
    return list({id(parameter): parameter for part in parts for parameter in part.parameters()}.values())


def is_transposed(module: nn.Module) -> bool:
    """Whether a linear module keeps its weight as (inputs, outputs): GPT-2's Conv1D, y = x W + b."""
    return type(module).__name__ == "Conv1D"


def _whole(layer: nn.Module, path: str, name: str) -> Projection:
    whole = Projection(layer.get_submodule(path), name, 0, 0)
    return replace(whole, stop=whole.module_outputs)


def _weight(module: nn.Module) -> nn.Parameter:
    weight = module.weight
    assert isinstance(weight, nn.Parameter)
    return weight
