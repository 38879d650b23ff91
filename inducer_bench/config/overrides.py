"""Overrides as the user means them: where a key holds a text, what stands after `=` is that text.

Hydra's grammar takes `2024` for a number, `true` for a truth value and `[x]` for a list, and has no place at all for
`v=1`, `a#b`, `~/data` or letters beyond ASCII. Here such a value gets the quotes that the grammar asks for. A value
that already is a text, `null`, an interpolation or a sweep stays as it is.
"""

import dataclasses
import os
import re
from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Quote, QuotedString, Sweep
from hydra.errors import HydraException

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.methods.options import METHODS, MethodOptions
from inducer_bench.tasks.options import KINDS, TaskOptions

_KEY_VALUE = re.compile(r"(\+{0,2})([\w$-]+(?:\.[\w$-]+)*)=(.*)", re.DOTALL)
_PLAIN = re.compile(r"(?!(true|false|null|nan|inf)$)[a-z_/.][\w/.-]*", re.IGNORECASE | re.ASCII)  # needs no quotes
# One of several values: commas within quotes, brackets, parentheses and interpolations belong to it.
_VALUE = re.compile(
    r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\[[^\]]*\]|\([^)]*\)|\$\{[^}]*\}|\\.|[^,])+""", re.DOTALL
)


def as_meant(overrides: list[str]) -> list[str]:
    """Overrides with quotes around each value that is a text for its key; `~/` is the home folder."""
    return [_as_meant(override) for override in overrides]


def quoted(text: str) -> str:
    """A text as the value of an override; `${` in it begins an interpolation."""
    return QuotedString(text, Quote.single).with_quotes()


def literal(text: str) -> str:
    """A text as the value of an override that means just that, whatever is in it; in quotes where it has to be."""
    escaped = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)  # OmegaConf halves backslashes before an escaped `${`
    return text if _PLAIN.fullmatch(text) else quoted(escaped)


def alternatives(key: str) -> list[str]:
    """The values that a key may have, if they are few and known: for completion in a shell."""
    found: dict[str, None] = {}
    for leaf in _hints(key):
        found |= dict.fromkeys(_alternatives(leaf))
    return [*found]


def _alternatives(hint: Any) -> Iterator[str]:
    origin = get_origin(hint)
    if origin is Literal:
        yield from (str(value) for value in get_args(hint))
    elif hint is bool:
        yield from ("true", "false")
    elif hint is type(None):
        yield "null"
    elif origin in (Annotated, Union, UnionType):
        for argument in get_args(hint)[: 1 if origin is Annotated else None]:
            yield from _alternatives(argument)


def _as_meant(override: str) -> str:
    match = _KEY_VALUE.fullmatch(override)
    kinds = _kinds(match[2]) if match else set()
    return f"{match[1]}{match[2]}={_texts(match[3], list in kinds)}" if match and kinds else override


def _texts(value: str, or_lists: bool, within_list: bool = False) -> str:
    """Texts separated by commas, each quoted if it has to be."""
    if or_lists and re.match(r"\s*\[\s*\[", value):  # lists within a list, which no type allows
        return value
    each = _VALUE.findall(value)
    if ",".join(each) != value:
        return quoted(value)
    return ",".join(_text(part, or_lists, within_list) for part in each)


def _text(value: str, or_list: bool, within_list: bool) -> str:
    inside = value.strip(" \t")
    if or_list and (match := re.fullmatch(r"\[([^\[\]]+)\]", inside, re.DOTALL)):
        return f"[{_texts(match[1], False, within_list=True)}]"
    if match := re.fullmatch(r"choice\((.+)\)", inside, re.DOTALL):
        return f"choice({_texts(match[1], or_list)})"
    try:
        meaning = OverridesParser.create().parse_override(f"key={inside}").value()
    except HydraException:
        return quoted(os.path.expanduser(inside) if inside.startswith("~/") else inside)
    if isinstance(meaning, str | Sweep | Glob) or (meaning is None and not within_list):
        return value
    if or_list and meaning == []:
        return value
    return quoted(inside)


@cache
def _kinds(key: str) -> set[type]:
    """What a key may hold: str alone or in lists, and list; empty where it may hold something else, or is unknown."""
    leaves = [leaf for hint in _hints(key) for leaf in _leaves(hint)]
    return {*leaves} if {*leaves} <= {str, list} else set()


def _hints(key: str) -> list[Any]:
    """The types of a key's value, one for each class of options that has it."""
    hints: list[Any] = [ExperimentConfig]
    for name in key.split("."):
        hints = [inner for hint in hints for inner in _inside(hint, name)]
    return hints


def _inside(hint: Any, name: str) -> Iterator[Any]:
    """The types that a key may have within a type; those of every kind of task and every method of this package."""
    if get_origin(hint) in (Annotated, Union, UnionType):
        for argument in get_args(hint):
            yield from _inside(argument, name)
    elif get_origin(hint) is dict:
        yield get_args(hint)[1]
    elif hint in (TaskOptions, MethodOptions):
        for kind in KINDS.values() if hint is TaskOptions else METHODS.values():
            yield from _inside(kind, name)
    elif dataclasses.is_dataclass(hint):
        yield from (field.type for field in dataclasses.fields(hint) if field.name == name)


def _leaves(hint: Any) -> Iterator[Any]:
    """The types of which a type is made, without None."""
    origin = get_origin(hint)
    if origin is Annotated:
        yield from _leaves(get_args(hint)[0])
    elif origin is Literal:
        yield from map(type, get_args(hint))
    elif origin in (Union, UnionType, list):
        yield from [list] if origin is list else []
        for argument in get_args(hint):
            yield from _leaves(argument)
    elif hint is not type(None):
        yield hint
