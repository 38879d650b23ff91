"""The fields of an options class as a reader needs them: type, allowed values, default, and the comment beside them."""

import ast
import dataclasses
import inspect
import io
import textwrap
import tokenize
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

NAMES = {int: "whole number", float: "number", str: "text", bool: "`true`, `false`", type(None): "`null`"}
BOUNDS = {"gt": "> {}", "ge": "≥ {}", "lt": "< {}", "le": "≤ {}"}
LENGTHS = {"min_length": "at least {} of them", "max_length": "at most {} of them"}


@dataclasses.dataclass(frozen=True)
class FieldDoc:
    """One key of the configuration."""

    key: str
    allowed: str
    default: Any  # of the class; `dataclasses.MISSING` if it has none
    meaning: str


def fields(kind: type[Any], prefix: str = "") -> Iterator[FieldDoc]:
    """The fields of an options class; those of a class inside it follow with its name and a dot before theirs."""
    comments = dict(pair for base in reversed(kind.__mro__[:-1]) for pair in _comments(base).items())
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        key, hint = prefix + field.name, hints[field.name]
        inner = next((part for part in _parts(hint) if isinstance(part, type) and dataclasses.is_dataclass(part)), None)
        if inner is not None:
            yield from fields(inner, f"{key}.")
            continue
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        yield FieldDoc(key, allowed(hint), default, comments.get(field.name, ""))


def allowed(hint: Any) -> str:
    """What a type lets through, in words."""
    origin = get_origin(hint)
    if origin is typing.Annotated:
        base, *metadata = get_args(hint)
        return _bounded(allowed(base), metadata)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in get_args(hint))
    if origin in (types.UnionType, typing.Union):
        return ", ".join(allowed(part) for part in get_args(hint))
    if origin is list:
        return f"list of: {allowed(get_args(hint)[0])}"
    return NAMES.get(hint, "keys and values")


def _bounded(base: str, metadata: list[Any]) -> str:
    """A description with the bounds that pydantic checks."""
    bounds: list[str] = []
    for found in metadata:
        for each in getattr(found, "metadata", [found]):
            for name, pattern in (LENGTHS if base.startswith("list of") else BOUNDS).items():
                value = getattr(each, name, None)
                if isinstance(value, int | float) and value < 2**31 - 1:
                    bounds.append(pattern.format(f"{value:g}" if value < 10**6 else f"{value:,}"))
    return f"{base}{', ' if base.startswith('list of') else ' '}{', '.join(bounds)}" if bounds else base


def _parts(hint: Any) -> Iterator[Any]:
    """A type and those that it is made of."""
    yield hint
    for part in get_args(hint):
        yield from _parts(part)


def _comments(kind: type[Any]) -> dict[str, str]:
    """The comment of each field in the source of a class: behind it, or above it."""
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):
        return {}
    said = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    lines = source.splitlines()
    (body,) = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    found = {}
    for node in body.body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        behind = [said[n] for n in range(node.lineno, (node.end_lineno or node.lineno) + 1) if n in said]
        above: list[str] = []
        number = node.lineno - 1
        while not behind and number in said and lines[number - 1].lstrip().startswith("#"):
            above.insert(0, said[number])
            number -= 1
        if words := " ".join(behind or above):
            found[node.target.id] = words
    return found
