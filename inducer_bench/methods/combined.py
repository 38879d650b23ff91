"""The published combinations: parts of other methods on one model, none of them written again.

mam           prefix in attention + adapter parallel to the FFN           (He et al. 2021)
inducer_lora  Q <- Q + LoRA(X), then inducers on the changed Q
inducer_ffn   inducer_lora + adapter parallel to the FFN
"""

from inducer_bench.config.methods import InducerFfn, InducerLora, Mam
from inducer_bench.methods import adapter, inducer, lora, prefix
from inducer_bench.methods.tuned import TunedModel


def attach_mam(tuned: TunedModel, options: Mam) -> None:
    """Prefix and parallel adapter."""
    prefix.attach(tuned, options.prefix)
    adapter.attach(tuned, options.adapter)


def attach_inducer_lora(tuned: TunedModel, options: InducerLora) -> None:
    """LoRA on the query, which moves scores, MLP_k and MLP_v alike, and inducers."""
    lora.attach(tuned, options.lora)
    inducer.attach(tuned, options)


def attach_inducer_ffn(tuned: TunedModel, options: InducerFfn) -> None:
    """Inducers with LoRA on the query, and a parallel adapter."""
    attach_inducer_lora(tuned, options)
    adapter.attach(tuned, options.adapter)
