"""inducer-bench: experiments that compare ways of tuning a pre-trained language model.

Two lines attach a tuning method to a transformers model, without the command line:

    import inducer_bench as ib
    tuned = ib.attach(model, "inducer", r_k=10, r_v=15)

A method of one's own is a module with a class `Options` and a function `attach`; see `methods/options.py`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from inducer_bench.version import __version__

__all__ = [
    "Layer", "Layout", "MethodOptions", "Projection", "Rank", "Sizes", "TunedModel", "__version__", "attach", "load",
]  # fmt: skip

if TYPE_CHECKING:
    from inducer_bench.methods.architectures import Layout, Sizes
    from inducer_bench.methods.attach import attach, load
    from inducer_bench.methods.layers import Layer, Projection
    from inducer_bench.methods.options import MethodOptions, Rank
    from inducer_bench.methods.tuned import TunedModel

_HOMES = {
    "attach": "attach", "load": "attach", "TunedModel": "tuned", "Layout": "architectures",
    # for authors of methods
    "MethodOptions": "options", "Rank": "options", "Sizes": "architectures", "Layer": "layers", "Projection": "layers",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import on first use, so that the command line answers without importing torch."""
    if name in _HOMES:
        return getattr(import_module(f"inducer_bench.methods.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
