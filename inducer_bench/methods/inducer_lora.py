"""Inducer-tuning with LoRA on the query: Q <- Q + LoRA(X), then inducers on the changed Q."""

from inducer_bench.methods import inducer, lora
from inducer_bench.methods.options import InducerLoraOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: InducerLoraOptions) -> None:
    """LoRA on the query, which moves scores, MLP_k and MLP_v alike, and inducers."""
    lora.attach(tuned, options.lora)
    inducer.attach(tuned, options)
