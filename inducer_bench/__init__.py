"""inducer-bench: experiments that compare ways of tuning a pre-trained language model.

Two lines put a tuning method on a transformers model, outside the runner:

    import inducer_bench as ib
    tuned = ib.attach(model, "inducer", r_k=10, r_v=15)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inducer_bench.methods import attach, load

__version__ = "0.1.0"
__all__ = ["__version__", "attach", "load"]


def __getattr__(name: str) -> Any:
    """Load `attach` and `load` on first use: the command line must answer without importing torch."""
    if name in ("attach", "load"):
        from inducer_bench import methods

        return getattr(methods, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
