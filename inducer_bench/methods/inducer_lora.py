"""Inducer-tuning with LoRA on the query: Q <- Q + LoRA(X), then inducers on the changed Q.

Source: https://arxiv.org/abs/2210.14469; the parts are in `inducer.py` and `lora.py`.

    tuned = ib.attach(model, "inducer_lora", r_k=5, r_v=12, lora={"r": 24, "alpha": 32.0, "targets": ["q"]})
"""

from inducer_bench.methods import inducer, lora
from inducer_bench.methods.options import InducerLoraOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: InducerLoraOptions) -> None:
    """Attach LoRA on the query, which changes scores, MLP_k and MLP_v alike, and inducers."""
    lora.attach(tuned, options.lora)
    inducer.attach(tuned, options)
