"""Inducer-tuning with LoRA on the query and an adapter parallel to the FFN: three parts, each from its own module.

Source: https://arxiv.org/abs/2210.14469; the parts are in `inducer.py`, `lora.py` and `adapter.py`.

    lora, adapter = {"r": 16, "alpha": 32.0, "targets": ["q"]}, {"r": 42, "placement": "parallel"}
    tuned = ib.attach(model, "inducer_ffn", r_k=3, r_v=7, lora=lora, adapter=adapter)
"""

from inducer_bench.methods import adapter, inducer_lora
from inducer_bench.methods.options import InducerFfnOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: InducerFfnOptions) -> None:
    """Attach inducers with LoRA on the query, and a parallel adapter."""
    inducer_lora.attach(tuned, options)
    adapter.attach(tuned, options.adapter)
