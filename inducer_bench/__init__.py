"""inducer-bench: experiments that compare ways of tuning a pre-trained language model.

Two lines attach a tuning method to a transformers model:

    import inducer_bench as ib
    tuned = ib.attach(model, "inducer", r_k=10, r_v=15)

and one runs an experiment, or finds it done, as the command `inducer-bench` does:

    ib.run(["preset=mini", "task=sst2", "method=lora"])

| use | names |
|---|---|
| a method on a model of your own | `attach`, `load`, `TunedModel`, `methods` |
| experiments | `run`, `runs`, `open_run`, `compare`, `Run` |
| errors | `UserError`: bad input, in one line; `RunFailed` |
| for a method of your own | `MethodOptions`, `Rank`, `Sizes`, `Layer`, `Projection` |
| an architecture that the package does not know | `Layout` |
A method of your own is a module with a class `Options` and a function `attach`; see `help(ib.MethodOptions)`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from inducer_bench.version import __version__

__all__ = [
    "Layer", "Layout", "MethodOptions", "Projection", "Rank", "Run", "RunFailed", "Sizes", "TunedModel", "UserError",
    "__version__", "attach", "compare", "load", "methods", "open_run", "run", "runs",
]  # fmt: skip

if TYPE_CHECKING:
    from inducer_bench.api.frames import methods, runs
    from inducer_bench.api.running import Run, RunFailed, compare, open_run, run
    from inducer_bench.errors import UserError
    from inducer_bench.methods.architectures import Layout, Sizes
    from inducer_bench.methods.attach import attach, load
    from inducer_bench.methods.layers import Layer, Projection
    from inducer_bench.methods.options import MethodOptions, Rank
    from inducer_bench.methods.tuned import TunedModel

_HOMES = {
    "attach": "methods.attach", "load": "methods.attach", "TunedModel": "methods.tuned",
    "run": "api.running", "Run": "api.running", "open_run": "api.running", "compare": "api.running",
    "UserError": "errors", "RunFailed": "api.running", "Layout": "methods.architectures",
    # for authors of methods
    "MethodOptions": "methods.options", "Rank": "methods.options",
    "Sizes": "methods.architectures", "Layer": "methods.layers", "Projection": "methods.layers",
}  # fmt: skip
_PACKAGES = ("api", "methods", "runs")  # the last two can be called, as functions


def __getattr__(name: str) -> Any:
    """Import on first use, so that the command line answers without importing torch."""
    if name in _HOMES:
        return getattr(import_module(f"inducer_bench.{_HOMES[name]}"), name)
    if name in _PACKAGES:
        return import_module(f"inducer_bench.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is public, also before it is used."""
    return sorted(__all__)
