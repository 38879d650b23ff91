"""The types of method that `method=peft` can name, with options that suit the tiny models."""

from typing import Any

import peft
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from transformers import PreTrainedModel

from inducer_bench.methods.architectures import known_layout

TYPES = sorted(
    kind.value
    for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()
    if not issubclass(config, peft.PromptLearningConfig)
)
NORMS = [".*[lL]ayer_?[nN]orm", ".*ln_[12f]", ".*layernorm"]
OPTIONS: dict[str, dict[str, Any]] = {
    "ADALORA": {"total_step": 10},
    "ADAPTION_PROMPT": {"adapter_len": 2, "adapter_layers": 1},
    "C3A": {"block_size": 4},
    "FOURIERFT": {"n_frequency": 8},
    "IA3": {"feedforward_modules": []},
    "LN_TUNING": {"target_modules": rf"({'|'.join(NORMS)})"},
    "MISS": {"r": 2},
    "OFT": {"oft_block_size": 4},
    "PSOFT": {"r": 2},
    "ROAD": {"group_size": 4},
    "SHIRA": {"r": 2},
    "TRAINABLE_TOKENS": {"token_indices": [3, 4], "target_modules": None},
    "VBLORA": {"vector_length": 4},
    "WAVEFT": {"n_frequency": 8},
}


def config_for(kind: str, model: PreTrainedModel) -> dict[str, Any]:
    """Arguments of peft's config class for this type; where it takes target modules, Q, K and V."""
    projections = [name.rpartition(".")[2] for name in known_layout(model.config.model_type).projections]
    config = {"target_modules": projections, **OPTIONS.get(kind, {})}
    return {key: value for key, value in config.items() if value is not None and kind != "XLORA"}
