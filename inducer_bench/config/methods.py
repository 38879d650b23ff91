"""The methods that a table or a search names: by a word, or one by one."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from inducer_bench.config import yaml_files
from inducer_bench.config.choices import choices, files
from inducer_bench.config.compose import composition, explain
from inducer_bench.errors import UserError, unknown
from inducer_bench.methods.options import METHODS, PeftOptions, method_title, options_class

# all: shipped methods but `peft`, without variants such as `prefix_direct`, and the user's own; or those with ranks
WORDS = ("all", "with_ranks")


def named(methods: Sequence[str] | str, config_dir: Path | None = None, key: str = "methods") -> dict[str, str]:
    """Choice (a file of `conf/method`) -> the method's name in records; shipped ones in the order of their options.

    Args:
        methods: one of `WORDS`, or a list of choices.
        config_dir: the user's folder of configuration files, whose methods come last.
        key: of `methods`, for messages.

    Raises:
        UserError: there is no such choice, or it is there twice; or a file of the user's cannot be composed.
    """
    known = choices("method", config_dir)
    if not isinstance(methods, str):
        for choice in methods:
            if choice not in known:
                raise unknown(key, choice, [*WORDS, *known])
            if methods.count(choice) > 1:
                raise UserError(f"{key}: found '{choice}' twice; allowed: each method once")
        return {choice: _name(choice, config_dir) for choice in methods}
    own = sorted({*known} - {*choices("method")})
    shipped = [name for name, kind in METHODS.items() if kind is not PeftOptions]
    found = {choice: _name(choice, config_dir) for choice in [*shipped, *own]}
    return found if methods == "all" else {c: name for c, name in found.items() if options_class(name).ranks}


def title(choice: str, method: str, config_dir: Path | None = None) -> str:
    """What people call a choice: by the title in its file, or the method's, or if its file has another name, by that.

    Args:
        choice: a file of `conf/method`.
        method: its name in records.
        config_dir: the user's folder of configuration files.
    """
    path = next(path for path in files("method", config_dir) if path.stem == choice)
    given = yaml_files.value(path, "title")
    if given is not None:
        return str(given)
    return method_title(method) if choice in (method, method.rpartition(".")[2]) else choice


def _name(choice: str, config_dir: Path | None) -> str:
    if choice in METHODS:
        return choice
    overrides = [f"method={choice}"]
    try:
        method = composition(overrides, config_dir).method
        return choice if OmegaConf.is_missing(method, "name") else str(method.name)
    except MemoryError:
        raise
    except Exception as error:
        raise explain(error, overrides, config_dir) from None
