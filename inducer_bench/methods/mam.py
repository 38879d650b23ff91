"""Mix-and-match (He et al. 2021): a prefix in attention and an adapter parallel to the FFN, neither written again."""

from inducer_bench.methods import adapter, prefix
from inducer_bench.methods.options import MamOptions
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, options: MamOptions) -> None:
    """Prefix and parallel adapter."""
    prefix.attach(tuned, options.prefix)
    adapter.attach(tuned, options.adapter)
