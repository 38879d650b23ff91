"""inducer-bench: experiments that compare ways of tuning a pre-trained language model.

Two lines put a tuning method on a transformers model, outside the runner:

    import inducer_bench as ib
    tuned = ib.attach(model, "inducer", r_k=10, r_v=15)
"""

from typing import TYPE_CHECKING, Any

from inducer_bench.version import __version__

if TYPE_CHECKING:
    from inducer_bench.methods.architectures import Layout
    from inducer_bench.methods.attach import attach, load
    from inducer_bench.methods.tuned import TunedModel

__all__ = ["Layout", "TunedModel", "__version__", "attach", "load"]

_HOMES = {"attach": "attach", "load": "attach", "Layout": "architectures", "TunedModel": "tuned"}


def __getattr__(name: str) -> Any:
    """Import on first use: the command line must answer without torch."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"inducer_bench.methods.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
