"""Inducer-tuning with LoRA on the query and an adapter parallel to the FFN."""

from inducer_bench.methods import adapter, inducer_lora
from inducer_bench.methods.options import InducerFfnOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: InducerFfnOptions) -> None:
    """Inducers with LoRA on the query, and a parallel adapter."""
    inducer_lora.attach(tuned, options)
    adapter.attach(tuned, options.adapter)
