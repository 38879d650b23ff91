"""What the YAML files of `conf/` may ask for besides plain values.

`${recipe:KEY}`, `${by_family:{...}}`, `${by_task:{...},OTHER}`, `${by_seeds:{...}}`, `${model_length:MOST}` and
`${matched_budget:{...}}`.
"""

from collections.abc import Iterable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from inducer_bench.config.budget import is_given
from inducer_bench.config.recipe import check_name
from inducer_bench.errors import UserError, unknown
from inducer_bench.methods.architectures import positions, sizes
from inducer_bench.methods.options import options_class
from inducer_bench.options import typed
from inducer_bench.plm.location import architecture
from inducer_bench.plm.options import PlmOptions

_NONE = object()


def register() -> None:
    """Make them known to OmegaConf."""
    OmegaConf.register_new_resolver("recipe", _recipe, replace=True)
    OmegaConf.register_new_resolver("by_family", _by_family, replace=True)
    OmegaConf.register_new_resolver("by_task", _by_task, replace=True)
    OmegaConf.register_new_resolver("by_seeds", _by_seeds, replace=True)
    OmegaConf.register_new_resolver("model_length", _model_length, replace=True)
    OmegaConf.register_new_resolver("matched_budget", _matched_budget, replace=True)


def recipe_names(config: DictConfig, published: Iterable[Any]) -> list[str]:
    """The names that `recipe` may have: those of the chosen method's settings, and those of suites and PLMs."""
    sizes = (config.suite, "full", "small", "mini")  # a wrong suite is not for `recipe` to tell
    return sorted({f"{size}_{family}" for size in sizes for family in ("nlu", "nlg")} | set(map(str, published)))


def _recipe(key: str, default: Any = _NONE, *, _root_: DictConfig) -> Any:
    """`${recipe:KEY}` or `${recipe:KEY,DEFAULT}`: a published setting of the chosen method.

    It comes from the recipe of the method that applies, or if that has none, from the recipe called `default`.

    Raises:
        UserError: there is no recipe of that name, or neither has the key, and there is no default.
    """
    recipes = _root_.method.get("recipes") or {}
    check_name(_root_.recipe, recipe_names(_root_, recipes))
    for name in (_root_.recipe, "default"):
        if key in recipes.get(name, {}):
            return recipes[name][key]
    if default is _NONE:
        raise UserError(
            f"missing; give it a value, or add '{key}' to the method's recipes.{_root_.recipe} or recipes.default"
        )
    return default


def _by_family(values: DictConfig, *, _root_: DictConfig) -> Any:
    """`${by_family:{nlu:VALUE,nlg:VALUE}}`: the value for the family of the chosen task.

    Raises:
        UserError: there is none for it.
    """
    family = _root_.task.family
    if family not in values:
        raise unknown("task.family", str(family), map(str, values))
    return values[family]


def _by_task(values: DictConfig, other: Any, *, _root_: DictConfig) -> Any:
    """`${by_task:{sst2:VALUE,...},OTHER}`: the value for the chosen task, or `OTHER`, if none is given for it."""
    return values.get(_root_.task.name, other)


def _by_seeds(values: DictConfig, *, _root_: DictConfig) -> Any:
    """`${by_seeds:{one:VALUE,several:VALUE}}`: the value for a run of one seed, or for seeds side by side."""
    return values["one" if _root_.get("seeds") is None else "several"]


def _model_length(most: int, *, _root_: DictConfig) -> int:
    """`${model_length:MOST}`: the tokens that the chosen PLM takes, or `most`, if it takes more or has no limit.

    Raises:
        UserError: the options of the PLM are impossible, or `plm.path` has no readable config.json.
    """
    options = chosen_plm(_root_)
    longest = positions(architecture(options), options.layout)
    return most if longest is None else min(most, longest)


def _matched_budget(values: DictConfig, *, _root_: DictConfig) -> str | None:
    """`${matched_budget:{nlu:SHARE,nlg:SHARE}}`: the family's share on a PLM with fewer heads of keys; else null.

    The published ranks of the methods have equally many parameters where each head of queries has one of keys, and not
    elsewhere: those of a prefix shrink with the heads of keys, and those of an adapter do not. It is also null if a
    rank is given, unless that turns a part of the method off.

    Raises:
        UserError: the options of the PLM are impossible, or `plm.path` has no readable config.json.
    """
    options = chosen_plm(_root_)
    found = architecture(options)
    if not found:  # of a PLM on the hub, the sizes may not be known
        return None
    plm, method = sizes(found, options.layout), _root_.method
    for rank in options_class(str(method.name)).ranks:
        if is_given(method, rank.path):
            value = OmegaConf.select(method, ".".join(rank.path))
            if not isinstance(value, int) or value >= rank.least:
                return None
    return None if plm.key_heads == plm.heads else str(values[_root_.task.family])


def chosen_plm(root: DictConfig) -> PlmOptions:
    """The options of the chosen PLM.

    Raises:
        UserError: they are impossible.
    """
    plm: Any = OmegaConf.to_container(root.plm, resolve=True, throw_on_missing=True)
    return typed(PlmOptions, plm, "plm")
