"""The page of the public Python names: a line for mkdocstrings for each of them."""

import ast
from pathlib import Path

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
    """The page, as Markdown: functions, then classes."""
    homes = _homes()
    functions = sorted(name for name in homes if name[0].islower())
    classes = sorted(name for name in homes if name[0].isupper())
    directives = [f"\n::: {homes[name]}.{name}\n" for name in functions]
    return INTRODUCTION + "".join([*directives, *(f"\n::: {homes[name]}.{name}\n{MEMBERS}" for name in classes)])


def _homes() -> dict[str, str]:
    """The module of each public name, from the imports that the package declares for type checkers."""
    tree = ast.parse(Path(inducer_bench.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    homes = {alias.name: str(node.module) for node in imports for alias in node.names}
    return {name: homes[name] for name in inducer_bench.__all__ if not name.startswith("_")}
