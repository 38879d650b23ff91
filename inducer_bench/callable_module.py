"""Packages of this package whose name is also that of a function of its interface: `ib.runs`, `ib.methods`."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class CallableModule(ModuleType):
    """A module that can be called."""

    function: tuple[str, str]  # the module and the name of what a call does

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, whose module is imported at the first call."""
        module, name = self.function
        return getattr(import_module(module), name)(*args, **kwargs)


def make_callable(package: str, module: str, name: str) -> None:
    """Let a call of a package call the function `name` of another module."""
    found: Any = sys.modules[package]
    found.__class__ = CallableModule
    found.function = module, name
