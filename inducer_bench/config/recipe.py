"""Recipes: a method with its settings in a small YAML file, such as the winner of a search; `recipe=FILE` takes it.

    # The winner of 16 trials of lora on sst2, mini_roberta: held-out accuracy 84.2.
    method: lora # a choice of conf/method
    settings: # as overrides
      trainer.lr: 0.00123
      method.dropout: 0.1
    search: 0123456789abcdef # the id of the search; null or left out: it was written by hand

In a command line the overrides of a recipe come first, so that all others win.
"""

import dataclasses
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, OverrideType, QuotedString
from hydra.errors import HydraException
from pydantic import AfterValidator

from inducer_bench.config import yaml_files
from inducer_bench.config.overrides import quoted
from inducer_bench.config.schema import SearchId
from inducer_bench.errors import UserError, nearest, shown, unknown
from inducer_bench.options import options, typed

_KEY = "recipe"
_SETTING = re.compile(r"ablation|\+{0,2}(method|trainer)(\.[\w$-]+)+")

Scalar = bool | int | float | str | None


def _settings(found: dict[str, Any]) -> dict[str, Any]:
    for key, value in found.items():
        if not _SETTING.fullmatch(key):
            raise UserError(f"settings: found '{shown(key)}'; allowed: method.KEY, trainer.KEY and ablation")
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, Scalar):
                raise UserError(f"settings: {key}: found {shown(value)}; allowed: a value, or a list of values")
    return found


@options
class Recipe:
    """A method and its settings."""

    method: str  # a choice of conf/method
    settings: Annotated[dict[str, Any], AfterValidator(_settings)] = dataclasses.field(default_factory=dict)
    search: SearchId = None  # the search that it won

    def overrides(self) -> list[str]:
        """As a command line says the same."""
        search = [] if self.search is None else [f"search={quoted(self.search)}"]
        return [f"method={self.method}", *(f"{key}={_written(value)}" for key, value in self.settings.items()), *search]


def read(name: str, folder: Path = Path()) -> Recipe:
    """The recipe in a file.

    Args:
        name: of the file, as the user wrote it.
        folder: what a relative name is relative to; by default the working directory.

    Raises:
        UserError: there is no such file, or it is not a recipe.
    """
    try:
        found = yaml_files.read(folder / name)
        known = [field.name for field in dataclasses.fields(Recipe)]
        for key in found:
            if key not in known:
                raise UserError(f"there is no key '{shown(key)}'; {nearest(key, known)}allowed: {', '.join(known)}")
        return typed(Recipe, found)
    except UserError as error:
        raise _refused(name, error) from None


def expanded(overrides: list[str], methods: Sequence[str], folder: Path = Path()) -> list[str]:
    """Overrides with those of a recipe's file in the place of its name.

    A sweep over recipes stays as it is, because each of its jobs is expanded by itself; but the files are checked. The
    name of a published recipe, such as `full_nlu`, stays, too.

    Args:
        overrides: made by `config.overrides.as_meant`.
        methods: the choices of conf/method.
        folder: what relative names are relative to; by default the working directory.

    Raises:
        UserError: a file is not a recipe, or is one of another method than the overrides name.
        OverrideParseException: an override is not understood.
    """
    given = OverridesParser.create().parse_overrides(overrides)
    chosen, names = _chosen(given)
    found = {name: read(name, folder) for name in names}
    for name, recipe in found.items():
        if recipe.method not in methods:
            raise _refused(name, unknown("method", recipe.method, methods))
        for method in (method for o in given if o.key_or_group == "method" for method in _texts(o, methods)):
            if method != recipe.method:
                raise _refused(
                    name, f"is for method={recipe.method}; found method={method}; allowed: the same, or none", ""
                )
    if chosen is None or chosen.is_sweep_override() or not found:
        return overrides
    (recipe,) = found.values()
    others = [o for o in given if o.key_or_group != _KEY]
    if {o.key_or_group for o in others} & {key.lstrip("+") for key in recipe.settings}:
        recipe = dataclasses.replace(recipe, search=None)  # it has not found these settings
    return [*recipe.overrides(), *(str(o.input_line) for o in others)]


def blamed(error: UserError, overrides: Sequence[str]) -> UserError:
    """The error, with the file of the recipe that sets the key which the error is about, if one does."""
    key = str(error).partition(":")[0]
    with suppress(UserError, HydraException):
        given = OverridesParser.create().parse_overrides(list(overrides))
        last = {o.key_or_group: str(o.value()) for o in given}
        for name in _chosen(given)[1]:
            for own in OverridesParser.create().parse_overrides(read(name).overrides()):
                about, value = f"{key}.".startswith(f"{own.key_or_group}."), str(own.value())
                if about and last.get(own.key_or_group, value) == value:
                    return _refused(name, error)
    return error


def check_name(name: Any, known: Sequence[str]) -> None:
    """Check the name of a method's published settings.

    Args:
        name: the value of `recipe` in the configuration.
        known: the names that there are.

    Raises:
        UserError: it is none of them.
    """
    if name in known:
        return
    if isinstance(name, str) and is_file(name):
        raise UserError(f"recipe: found '{shown(name)}'; a file is named on the command line, not in another file")
    raise UserError(f"{unknown(_KEY, 'null' if name is None else str(name), known)}, or the path of a file")


def _refused(name: str, problem: object, colon: str = ":") -> UserError:
    return UserError(f"{_KEY}: '{shown(name)}'{colon} {problem}")


def is_file(name: str) -> bool:
    """Whether a value of `recipe` is the name of a file."""
    return "/" in name or name.endswith((".yaml", ".yml"))


def _chosen(given: list[Override]) -> tuple[Override | None, list[str]]:
    """The override of `recipe` that counts, which is the last one, and the files that it names."""
    kinds = (OverrideType.CHANGE, OverrideType.FORCE_ADD)
    chosen = next((o for o in reversed(given) if o.key_or_group == _KEY and o.type in kinds), None)
    return chosen, [] if chosen is None else [name for name in _texts(chosen, ()) if is_file(name)]


def _texts(override: Override, choices: Sequence[str]) -> list[str]:
    """The texts that an override goes through."""
    value = override.value()
    if isinstance(value, Glob):
        return value.filter(list(choices))
    values = value.list if isinstance(value, ChoiceSweep) else [value]
    found = [each.text if isinstance(each, QuotedString) else each for each in values]
    return [each for each in found if isinstance(each, str)]


def _written(value: Scalar | list[Scalar]) -> str:
    """A value as an override has it."""
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)
