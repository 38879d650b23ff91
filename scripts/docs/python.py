"""The page of the public Python names: a line for mkdocstrings for each of them."""

import inspect

import inducer_bench

INTRODUCTION = """\
# Python

`import inducer_bench as ib` offers these names. Each is imported when it is first used.
"""
MEMBERS = """\
    options:
      members: true
      filters: ["!^_"]
"""


def page() -> str:
    """The page, as Markdown."""
    return INTRODUCTION + "".join(f"\n{_directive(name)}" for name in names())


def names() -> list[str]:
    """The public names, functions before classes."""
    found = [name for name in inducer_bench.__all__ if not name.startswith("_")]
    return sorted(found, key=lambda name: (inspect.isclass(getattr(inducer_bench, name)), name.lower()))


def _directive(name: str) -> str:
    thing = getattr(inducer_bench, name)
    return f"::: {thing.__module__}.{thing.__qualname__}\n{MEMBERS if inspect.isclass(thing) else ''}"
