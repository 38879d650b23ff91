"""Shared by the option classes of all rooms: strict types, modules named by the user, and errors in one line."""

import json
import re
from collections.abc import Iterable
from functools import reduce, wraps
from importlib import import_module
from operator import getitem
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from inducer_bench.errors import UserError, first_line, listed, nearest, shown, unknown

Options = TypeVar("Options")

_LARGEST = 2**31 - 1  # of a whole number, so that no product of two of them overflows in torch
LONGEST_NAME = 100  # in characters


PositiveInt = Annotated[int, Field(gt=0, le=_LARGEST)]
NonNegativeInt = Annotated[int, Field(ge=0, le=_LARGEST)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def options(cls: type[Options]) -> type[Options]:
    """Turn a class into an options class: a frozen pydantic dataclass with strict types and no unknown keys.

    Users make instances of some classes, which say so by `made_by_users = True`: what is wrong with the values of one
    is reported in a line, as a `UserError`.
    """
    strict = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    made: Any = dataclass(config=strict, frozen=True, kw_only=True)(cls)
    if not getattr(cls, "made_by_users", False):
        return cast(type[Options], made)
    checked = made.__init__

    @wraps(checked)
    def init(self: Any, *args: Any, **values: Any) -> None:
        try:
            checked(self, *args, **values)
        except ValidationError as error:
            raise _one_line(error, cls.__name__, values) from None

    made.__init__ = init
    return cast(type[Options], made)


def typed(kind: type[Options], values: dict[str, Any], prefix: str = "") -> Options:
    """An instance of an options class from plain values.

    Args:
        kind: a class made by `options`.
        values: plain values, as read from YAML or JSON.
        prefix: the key above `values`, for messages.

    Raises:
        UserError: one line for the first key that is unknown, missing, of the wrong type or impossible.
    """
    adapter = TypeAdapter(kind)
    try:
        found: Options = adapter.validate_json(json.dumps(values, default=repr))  # strict, but plain dicts
        return found
    except ValidationError as error:
        raise _one_line(error, prefix, values, adapter) from None


def check_name(key: str, name: str) -> None:
    """Check a name that becomes that of a folder, of a row in a table, and of a group on a server.

    Records of earlier versions may hold others, so that no type checks it.

    Raises:
        UserError: it is none, could be a path, or is too long for a file system.
    """
    too_long = len(name) > LONGEST_NAME or len(name.encode(errors="replace")) > 255
    if too_long or not re.fullmatch(r"\w[\w.-]*", name):
        allowed = f"1 to {LONGEST_NAME} letters, digits, . _ -, not beginning with . or -"
        raise UserError(f"{key}: found '{shown(name)}'; allowed: {allowed}")


def user_module(key: str, name: str, *needed: str) -> ModuleType:
    """The module outside this package that the configuration names.

    Args:
        key: the key of the name, for messages.
        name: dotted, such as `my_package.my_module`.
        needed: names that the module must define.

    Raises:
        UserError: there is no such module, it cannot be imported, or a name is missing.
    """
    try:
        module = import_module(name)
    except Exception as error:  # importing runs the user's code, which may raise anything
        raise UserError(f"{key}: '{name}' cannot be imported ({type(error).__name__}: {first_line(error)})") from error
    for attribute in needed:
        if not hasattr(module, attribute):
            raise UserError(f"{key}: module '{name}' does not define '{attribute}'; needed: {', '.join(needed)}")
    return module


def unknown_name(key: str, name: str, shipped: Iterable[str]) -> UserError:
    """The error for a name that is neither shipped nor dotted; with a hint if it is that of the user's module.

    Args:
        key: the key of the name.
        shipped: the names of this package.
    """
    if Path(f"{name}.py").is_file():
        return UserError(
            f"{key}: '{name}' is a module by itself; allowed: one in a folder, for the dot in its name: move {name}.py "
            f"to my_folder/{name}.py and write my_folder.{name}"
        )
    return UserError(f"{unknown(key, name, shipped)}, or the dotted name of a module")


# What pydantic calls the types of JSON -> what a user of YAML calls them.
_TYPES = {
    "a valid string": "a text",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "a valid array": "a list",
    "an object": "keys and values",
}


def _one_line(
    error: ValidationError, prefix: str, values: dict[str, Any], adapter: TypeAdapter[Any] | None = None
) -> UserError:
    """The first of pydantic's errors, with its key as a user writes it.

    The English that is edited here is that of pydantic 2; `pyproject.toml` bounds it.

    Args:
        prefix: the key above `values`.
        values: what was checked.
        adapter: checked it; says whether null is allowed in the place of the value.
    """
    first, *others = error.errors()
    path = _path(first, values)
    key = ".".join([*([prefix] if prefix else []), *map(str, path)])
    found = shown(_written(first["input"]))
    kind = first["type"]
    if kind == "unexpected_keyword_argument":
        return UserError(f"{key}: there is no such key; remove it")
    if kind in ("missing", "missing_argument"):
        return UserError(f"{key}: missing; give it a value")
    if kind == "literal_error":
        allowed = first["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return UserError(f"{key}: found {found}; {nearest(str(first['input']), allowed)}allowed: {listed(allowed)}")
    if kind in ("too_short", "too_long"):
        bound, number = ("at least", "min_length") if kind == "too_short" else ("at most", "max_length")
        entries = first["ctx"][number]
        return UserError(f"{key}: found {found}; allowed: {bound} {entries} {'entry' if entries == 1 else 'entries'}")
    if kind == "string_pattern_mismatch":
        return UserError(f"{key}: found {found}; allowed: a text that matches {first['ctx']['pattern']}")
    of_this = [first, *(other for other in others if _path(other, values) == path)]  # one for each type of a union
    allowed = list(dict.fromkeys(map(_requirement, of_this)))
    is_type = {*allowed} <= {*_TYPES.values()}  # and not a bound, nor what is wrong with JSON as a whole
    if kind == "string_type" and isinstance(first["input"], int | float) and allowed == ["a text"]:
        allowed = [f"""a text, such as '{key}="{found}"'"""]
    if adapter is not None and is_type and first["input"] is not None and _takes_null(adapter, values, path):
        allowed.append("null")
    return UserError(f"{key}: found {found}; allowed: {' or '.join(allowed)}")


def _path(error: ErrorDetails, values: Any) -> list[str | int]:
    """Where the value of an error is: without the types of a union, which pydantic names beside the keys."""
    path: list[str | int] = []
    for part in error["loc"]:
        inside = isinstance(values, dict) or (isinstance(values, list) and isinstance(part, int))
        if inside:
            path.append(part)
            values = values.get(part) if isinstance(values, dict) else values[part]
    return path


def _requirement(error: ErrorDetails) -> str:
    requirement = error["msg"].removeprefix("Input should be ").removeprefix("Value should ")
    return _TYPES.get(requirement, requirement)


def _takes_null(adapter: TypeAdapter[Any], values: dict[str, Any], path: list[str | int]) -> bool:
    """Whether the value at a path could be null."""
    other = json.loads(json.dumps(values, default=repr))
    *above, last = path
    reduce(getitem, above, other)[last] = None
    try:
        adapter.validate_json(json.dumps(other))
    except ValidationError as error:
        return path not in (_path(one, other) for one in error.errors())
    return True


def _written(value: Any) -> str:
    """A value as it is written in YAML and on the command line."""
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else repr(value)
