"""Mix-and-match: a prefix in attention and an adapter parallel to the FFN.

Source: He et al. 2022, Section 4.6 (https://arxiv.org/abs/2110.04366); the parts are in `prefix.py` and `adapter.py`.

    prefix, adapter = {"length": 16}, {"r": 16, "placement": "parallel", "scale": 2.0}
    tuned = ib.attach(model, "mam", prefix=prefix, adapter=adapter)
"""

from inducer_bench.methods import adapter, prefix
from inducer_bench.methods.options import MamOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: MamOptions) -> None:
    """Attach a prefix and a parallel adapter."""
    prefix.attach(tuned, options.prefix)
    adapter.attach(tuned, options.adapter)
