"""Tiny models with random weights: one builder for each supported architecture."""

from collections.abc import Callable

import torch
from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

VOCABULARY = 40
PAD = 1


def roberta() -> PreTrainedModel:
    return RobertaForSequenceClassification(
        RobertaConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=32,
            max_position_embeddings=40,
            type_vocab_size=1,
            pad_token_id=PAD,
            num_labels=3,
        )
    )


def _gpt2_config() -> GPT2Config:
    return GPT2Config(
        vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=4, n_positions=40, pad_token_id=PAD, num_labels=3,
        bos_token_id=0, eos_token_id=None,
    )  # fmt: skip


def gpt2() -> PreTrainedModel:
    return GPT2LMHeadModel(_gpt2_config())


def gpt2_classifier() -> PreTrainedModel:
    return GPT2ForSequenceClassification(_gpt2_config())


ARCHITECTURES: dict[str, Callable[[], PreTrainedModel]] = {
    "roberta": roberta,
    "gpt2": gpt2,
    "gpt2_cls": gpt2_classifier,
}
DECODERS = ["gpt2"]


def build(name: str, seed: int = 0, dropout: float = 0.0) -> PreTrainedModel:
    """A float64 model in eval mode whose weights are large enough for attention to matter."""
    torch.manual_seed(seed)
    model = ARCHITECTURES[name]().double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    return model


def tokens(batch: int, length: int, seed: int = 0) -> torch.Tensor:
    """Random token ids (B, T) without padding."""
    return torch.randint(2, VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(seed))


def loss(model: torch.nn.Module, input_ids: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
    """A scalar that depends on every output."""
    logits = model(input_ids=input_ids, **inputs).logits
    weights = torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).view_as(logits)
    return (logits.log_softmax(-1) * weights).sum()
