"""A tuned model as an adapter in the format of the `peft` library, which loads it without this package.

LoRA and peft's own methods (`methods/peft.py`) can be written in this format. The other methods have no equivalent in
peft: its prefixes shift positions, and it has neither inducers nor bottleneck adapters nor kernel-mix.

    config, tensors = peft_format.to_peft(tuned, "roberta-base")
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from inducer_bench.methods.layers import is_transposed, output_embedding
from inducer_bench.methods.lora import Lora
from inducer_bench.methods.options import LoraOptions, PeftOptions
from inducer_bench.methods.tuned import TunedModel

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."  # every tensor's name starts with it


def has_peft_form(tuned: TunedModel) -> bool:
    """Whether `to_peft` can write this model.

    Of peft's methods, its LoRA alone takes rows of special tokens along. None may be inside the head, which peft saves
    without what it has put there.
    """
    options, head = tuned.options, tuned.head_parameters()
    modules = tuple(f"{name}." for name in _modules_of_head(tuned))
    if any(name.startswith(modules) for name in tuned.method_parameters().keys() - head.keys()):
        return False
    if isinstance(options, PeftOptions):
        takes_rows = options.peft_type.upper() == "LORA" and not options.config.get("trainable_token_indices")
        return takes_rows or not tuned.token_parameters()
    return isinstance(options, LoraOptions)


def to_peft(
    tuned: TunedModel, base_model: str, labels: Sequence[str] | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The adapter's configuration and tensors; the head is included as `modules_to_save`.

    Rows of special tokens become `trainable_token_indices`: before the adapter is loaded, the PLM's embeddings must be
    resized to hold them (`resize_token_embeddings`).

    Args:
        tuned: a model for which `has_peft_form` is true.
        base_model: the hub id or the folder of the PLM, for the configuration.
        labels: names of the head's outputs; they stand beside the model's class in `auto_mapping`.
    """
    config, tensors = _from_library(tuned) if isinstance(tuned.options, PeftOptions) else _from_lora(tuned)
    head = tuned.head_parameters()
    saved = _modules_of_head(tuned) or None
    config |= {"base_model_name_or_path": base_model, "inference_mode": True, "modules_to_save": saved}
    tensors |= {_PREFIX + name: parameter for name, parameter in head.items()}
    for rows in tuned.token_parameters().values():
        indices, rows_of = _token_rows(tuned, rows)
        config["trainable_token_indices"] = indices
        tensors |= rows_of
    if labels is not None:
        model = type(tuned.model)
        names = {"base_model_class": model.__name__, "parent_library": model.__module__}
        config["auto_mapping"] = {**names, "id2label": dict(enumerate(labels))}
    return config, {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _modules_of_head(tuned: TunedModel) -> list[str]:
    """The outermost modules that have parameters of the head and none of the PLM: `bert.pooler`, `classifier`."""
    plm = {module for name in tuned.plm_parameters() for module in _modules_around(name)}
    return sorted({next(m for m in _modules_around(name) if m not in plm) for name in tuned.head_parameters()})


def _modules_around(parameter: str) -> list[str]:
    """`a`, `a.b` and so on: the names of the modules around a parameter, the outermost first."""
    parts = parameter.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))]


def _from_lora(tuned: TunedModel) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Maps that one module computes together (GPT-2's c_attn) become one LoRA: A stacked, B in diagonal blocks."""
    options = tuned.options
    assert isinstance(options, LoraOptions)
    by_module: dict[str, list[Lora]] = defaultdict(list)
    for name, module in tuned.model.named_modules():
        if isinstance(module, Lora):
            by_module[name.rpartition(".")[0]].append(module)
    ranks: dict[str, int] = {}
    tensors: dict[str, Tensor] = {}
    for name, parts in by_module.items():
        ranks[name] = options.r * len(parts)
        tensors |= {f"{_PREFIX}{name}.{key}": tensor for key, tensor in _side_by_side(parts).items()}
    return {
        "peft_type": "LORA",
        "task_type": None,
        "r": options.r,
        "lora_alpha": options.alpha,
        "lora_dropout": options.dropout,
        "lora_bias": options.bias,
        "bias": "none",
        "fan_in_fan_out": any(is_transposed(tuned.model.get_submodule(name)) for name in ranks),
        "target_modules": sorted(ranks),
        "rank_pattern": {name: rank for name, rank in ranks.items() if rank != options.r},
        # so that alpha / r does not change
        "alpha_pattern": {name: options.alpha * rank / options.r for name, rank in ranks.items() if rank != options.r},
    }, tensors


@torch.no_grad()
def _side_by_side(parts: list[Lora]) -> dict[str, Tensor]:
    """One A (n r, in), B (out, n r) and bias (out), equivalent to n LoRAs on parts of one module's columns."""
    outputs = parts[0].projection.module_outputs
    a = torch.cat([part.A for part in parts])
    b, bias = a.new_zeros(outputs, len(a)), a.new_zeros(outputs)
    for number, part in enumerate(parts):
        rows, rank = slice(part.projection.start, part.projection.stop), len(part.A)
        b[rows, number * rank : (number + 1) * rank] = part.B
        if part.b is not None:
            bias[rows] = part.b
    tensors = {"lora_A.weight": a, "lora_B.weight": b}
    return tensors if parts[0].b is None else {**tensors, "lora_B.bias": bias}


def _token_rows(tuned: TunedModel, rows: Tensor) -> tuple[dict[str, list[int]], dict[str, Tensor]]:
    """The ids of special tokens by the name of each embedding that has their rows, and the tensors (n, d) of peft.

    peft itself ties an output embedding to that of the input.
    """
    embedding, output = tuned.model.get_input_embeddings(), output_embedding(tuned.model)
    assert isinstance(embedding, nn.Embedding)
    assert output is not None
    first = embedding.num_embeddings
    own = [embedding] if output.weight is embedding.weight else [embedding, output]
    names = [name for name, module in tuned.model.named_modules() if any(module is each for each in own)]
    ids = list(range(first, first + len(rows)))
    return (
        {name.rpartition(".")[2]: ids for name in names},
        {f"{_PREFIX}{name}.token_adapter.trainable_tokens_delta": rows.clone() for name in names},
    )


def _from_library(tuned: TunedModel) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from peft import get_peft_model_state_dict

    wrapped = tuned.wrapper.value
    config = wrapped.peft_config["default"].to_dict()
    # JSON has neither enumerations nor sets.
    plain = {key: getattr(value, "value", value) for key, value in config.items()}
    plain = {key: sorted(value) if isinstance(value, set) else value for key, value in plain.items()}
    return plain, dict(get_peft_model_state_dict(wrapped))
