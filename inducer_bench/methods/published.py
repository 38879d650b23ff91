"""The published settings of the shipped methods, from their files in `conf/method`: the defaults of `ib.attach`.

Of the recipes in a file, that for classification applies, `full_nlu`, on language models, too: the ranks published for
text generation fill a budget of parameters on GPT-2. What the files take from other groups of the configuration has the
default of the method's options here.
"""

import copy
import re
from functools import cache
from typing import Any

import yaml

from inducer_bench.files import CONF_DIR
from inducer_bench.methods.options import METHODS

RECIPE = "full_nlu"
_NO_OPTIONS = ("name", "title", "recipes", "search", "budget")
_LEFT_OUT = object()


def defaults(method: str) -> dict[str, Any]:
    """The options of a shipped method by its name, as plain values; none for a method from outside."""
    if method not in METHODS:
        return {}
    file = _file(method)
    recipes = file.get("recipes") or {}
    recipe = {**recipes.get("default", {}), **recipes.get(RECIPE, {})}
    found = _resolved({key: value for key, value in file.items() if key not in _NO_OPTIONS}, recipe)
    assert isinstance(found, dict)
    return found


def over_defaults(given: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Default values with the given ones in their place; where both are keys and values, key by key."""
    merged = dict(values)
    for key, value in given.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = over_defaults(value, merged[key]) if both else value
    return merged


def header(method: str) -> list[str]:
    """The lines of the comment that opens the file of a shipped method."""
    lines = (CONF_DIR / "method" / f"{method}.yaml").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("#").strip() for line in lines if line.startswith("#")]


def _resolved(value: Any, recipe: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        entries = {key: _resolved(each, recipe) for key, each in value.items()}
        return {key: each for key, each in entries.items() if each is not _LEFT_OUT}
    if isinstance(value, str) and (match := re.fullmatch(r"\$\{recipe:(\w+)\}", value)):
        return copy.copy(recipe[match[1]])
    return _LEFT_OUT if isinstance(value, str) and value.startswith("${") else copy.copy(value)


@cache
def _file(method: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CONF_DIR / "method" / f"{method}.yaml").read_text(encoding="utf-8"))
    return found
