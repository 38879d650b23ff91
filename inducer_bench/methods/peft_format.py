"""A tuned model as an adapter in the format of the `peft` library, which loads it without this package.

LoRA and peft's own methods (`methods/peft.py`) can be written in this format. The other methods have no equivalent in
peft: its prefixes shift positions, and it has neither inducers nor bottleneck adapters nor kernel-mix.

    config, tensors = peft_format.to_peft(tuned, "roberta-base")
"""

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

from inducer_bench.methods.layers import is_transposed
from inducer_bench.methods.lora import Lora
from inducer_bench.methods.options import LoraOptions, PeftOptions
from inducer_bench.methods.tuned import TunedModel

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."  # every tensor's name starts with it


def has_peft_form(tuned: TunedModel) -> bool:
    """Whether `to_peft` can write this model; the format cannot hold rows of special tokens."""
    return isinstance(tuned.options, LoraOptions | PeftOptions) and not tuned.token_parameters()


def to_peft(tuned: TunedModel, base_model: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The adapter's configuration and tensors; the head is included as `modules_to_save`.

    Args:
        tuned: a model for which `has_peft_form` is true.
        base_model: the hub id or the folder of the PLM, for the configuration.
    """
    config, tensors = _from_library(tuned) if isinstance(tuned.options, PeftOptions) else _from_lora(tuned)
    head = tuned.head_parameters()
    saved = sorted({name.split(".")[0] for name in head})
    config |= {"base_model_name_or_path": base_model, "inference_mode": True, "modules_to_save": saved or None}
    tensors |= {_PREFIX + name: parameter for name, parameter in head.items()}
    return config, {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


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


def _from_library(tuned: TunedModel) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from peft import get_peft_model_state_dict

    wrapped = tuned.wrapper.value
    config = wrapped.peft_config["default"].to_dict()
    # JSON has neither enumerations nor sets.
    plain = {key: getattr(value, "value", value) for key, value in config.items()}
    plain = {key: sorted(value) if isinstance(value, set) else value for key, value in plain.items()}
    return plain, dict(get_peft_model_state_dict(wrapped))
