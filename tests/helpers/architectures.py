"""Tiny models with random weights: one builder for each supported architecture."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import transformers as tf
from transformers import PreTrainedModel
from transformers.models.llama import modeling_llama
from transformers.models.modernbert import modeling_modernbert

# ModernBERT's own rounds to float32; in float64, results can be compared to the last digits.
modeling_modernbert.apply_rotary_pos_emb = modeling_llama.apply_rotary_pos_emb

VOCABULARY = 40
PAD = 1

_ENCODER = {
    "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 24, "max_position_embeddings": 40, "pad_token_id": PAD, "num_labels": 3,
}  # fmt: skip
_LLAMA = _ENCODER | {"num_key_value_heads": 2, "bos_token_id": 0, "eos_token_id": None}
_GPT2 = {
    "vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 40, "pad_token_id": PAD,
    "num_labels": 3, "bos_token_id": 0, "eos_token_id": None,
}  # fmt: skip
_OPT = {
    "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 24,
    "max_position_embeddings": 40, "word_embed_proj_dim": 16, "pad_token_id": PAD, "bos_token_id": 0,
    "eos_token_id": None,
}  # fmt: skip
_DISTILBERT = {
    "vocab_size": VOCABULARY, "dim": 16, "n_layers": 2, "n_heads": 4, "hidden_dim": 24, "max_position_embeddings": 40,
    "pad_token_id": PAD, "num_labels": 3,
}  # fmt: skip
_MODERNBERT = _ENCODER | {
    "num_hidden_layers": 3, "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
    "local_attention": 6, "cls_token_id": 0, "sep_token_id": 2, "bos_token_id": 0, "eos_token_id": 2,
    "reference_compile": False,
}  # fmt: skip
_DEBERTA = _ENCODER | {
    "type_vocab_size": 0, "relative_attention": True, "position_buckets": 8, "norm_rel_ebd": "layer_norm",
    "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False,
}  # fmt: skip
_GEMMA3 = _LLAMA | {
    "num_hidden_layers": 3, "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
    "head_dim": 6, "sliding_window": 4, "query_pre_attn_scalar": 9,
}  # fmt: skip


def _builder(model: type[PreTrainedModel], config: type, sizes: dict[str, Any]) -> Callable[[], PreTrainedModel]:
    return lambda: model(config(**sizes))


ARCHITECTURES: dict[str, Callable[[], PreTrainedModel]] = {
    "roberta": _builder(tf.RobertaForSequenceClassification, tf.RobertaConfig, _ENCODER | {"type_vocab_size": 1}),
    "bert": _builder(tf.BertForSequenceClassification, tf.BertConfig, _ENCODER),
    "distilbert": _builder(tf.DistilBertForSequenceClassification, tf.DistilBertConfig, _DISTILBERT),
    "gpt2": _builder(tf.GPT2LMHeadModel, tf.GPT2Config, _GPT2),
    "gpt2_cls": _builder(tf.GPT2ForSequenceClassification, tf.GPT2Config, _GPT2),
    "opt": _builder(tf.OPTForCausalLM, tf.OPTConfig, _OPT),
    "llama": _builder(tf.LlamaForCausalLM, tf.LlamaConfig, _LLAMA),
    "mistral": _builder(tf.MistralForCausalLM, tf.MistralConfig, _LLAMA),
    "qwen2": _builder(tf.Qwen2ForCausalLM, tf.Qwen2Config, _LLAMA),
    "qwen3": _builder(tf.Qwen3ForCausalLM, tf.Qwen3Config, _LLAMA | {"head_dim": 6}),
    "gemma3": _builder(tf.Gemma3ForCausalLM, tf.Gemma3TextConfig, _GEMMA3),
    "modernbert": _builder(tf.ModernBertForSequenceClassification, tf.ModernBertConfig, _MODERNBERT),
    "deberta": _builder(tf.DebertaV2ForSequenceClassification, tf.DebertaV2Config, _DEBERTA),
}
DECODERS = ["gpt2", "opt", "llama", "mistral", "qwen2", "qwen3", "gemma3"]


def build(name: str, seed: int = 0, dropout: float = 0.0) -> PreTrainedModel:
    """A float64 model in eval mode whose weights are large enough for attention to matter."""
    torch.manual_seed(seed)
    model = ARCHITECTURES[name]().double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = partial(_exact_rms_norm, module)
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
        for attribute in ("dropout", "attention_dropout"):  # some architectures keep a bare number
            if isinstance(getattr(module, attribute, None), float):
                setattr(module, attribute, dropout)
    return model


def _exact_rms_norm(norm: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Llama's kin compute this in float32; in float64, results can be compared to the last digits."""
    if type(norm).__name__.startswith("Gemma"):
        return (1 + norm.weight) * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.eps)
    return norm.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)


def tokens(batch: int, length: int, seed: int = 0) -> torch.Tensor:
    """Random token ids (B, T) without padding."""
    return torch.randint(2, VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(seed))


def loss(model: torch.nn.Module, input_ids: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
    """A scalar that depends on every output."""
    logits = model(input_ids=input_ids, **inputs).logits
    weights = torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).view_as(logits)
    return (logits.log_softmax(-1) * weights).sum()
