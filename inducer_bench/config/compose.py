"""Compose `conf/` with command-line overrides through Hydra, and say in one line what is wrong with them."""

import re
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Sweep
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from inducer_bench.config.budget import within_budget
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.config.validate import validated
from inducer_bench.errors import UserError, first_line, nearest, unknown

_PACKAGE = Path(__file__).resolve().parent.parent
CONF_DIR = next(path for path in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if path.is_dir())
CONFIG_ERRORS = (HydraException, OmegaConfBaseException)


def compose(overrides: list[str]) -> ExperimentConfig:
    """The validated configuration for these overrides.

    Raises:
        UserError: a group option, key or value that does not exist or is impossible.
    """
    try:
        check_choices(overrides)
        return experiment_config(_compose(overrides))
    except CONFIG_ERRORS as error:
        raise explain(error, overrides) from None


def experiment_config(composed: DictConfig) -> ExperimentConfig:
    """Resolve a composed Hydra config into the typed one, checked across groups."""
    plain: Any = OmegaConf.to_container(composed, resolve=True)
    for group in ("method", "plm", "task"):
        plain[group].pop("settings", None)  # what its own values were picked from
    wanted = plain["method"].pop("budget", None)
    config = validated(plain)
    return config if wanted is None else within_budget(config, str(wanted))


def choices(group: str) -> list[str]:
    """The shipped choices of a config group; files whose name begins with _ are what others share."""
    return sorted(path.stem for path in (CONF_DIR / group).glob("[!_]*.yaml"))


def check_choices(overrides: list[str]) -> None:
    """Refuse `group=null` and the like, which Hydra answers with a traceback, and files that others share.

    Raises:
        UserError: names the group, what was found and its options.
    """
    for o in OverridesParser.create().parse_overrides(overrides):
        if o.key_or_group not in _groups() or o.is_delete():
            continue
        value = o.value()
        for choice in value.list if isinstance(value, ChoiceSweep) else [value]:
            if not isinstance(choice, str | Sweep | Glob) or str(choice).startswith("_"):
                found = "null" if choice is None else str(choice)
                raise unknown(o.key_or_group, found, choices(o.key_or_group))


def explain(error: Exception, overrides: list[str]) -> UserError:
    """Turn Hydra's and OmegaConf's errors into one line with the key, what was found and what is allowed."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        return unknown(group, choice, error.options or choices(group))
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key = str(getattr(cause, "full_key", "") or "")
    if key and "not in struct" in str(cause):
        parent, _, name = key.rpartition(".")
        return unknown_key(parent, name, overrides)
    if match := re.search(r"Could not (?:override|find) '([\w/]+)'.*?No match in the defaults list", str(error), re.S):
        return unknown("configuration", match[1], [*_top_level_keys(), *_groups()])
    if isinstance(error, OverrideParseException):
        return UserError(f"override '{error.override}': not understood; write key=value")
    if match := re.match(r"Ambiguous value for argument '(.*?)=(.*)'", str(error)):
        return UserError(f"{match[1]}: found several values, '{match[2]}'; for a sweep over them add -m")
    return UserError(f"{key or 'configuration'}: {first_line(cause)}")


def unknown_key(parent: str, name: str, overrides: list[str]) -> UserError:
    """An unknown key inside `parent`, with the nearest key that exists there under the same group choices."""
    node: Any = _compose(_group_choices(overrides))
    for part in parent.split(".") if parent else []:
        node = node[part]
    allowed = [str(key) for key in node if key != "settings"] if isinstance(node, DictConfig) else []
    full = f"{parent}.{name}" if parent else name
    near = nearest(name, allowed)
    return UserError(
        f"{full}: there is no such key; {near}allowed in {parent or 'configuration'}: {', '.join(allowed)}"
    )


def _compose(overrides: list[str]) -> DictConfig:
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return hydra_compose("config", overrides)


def _groups() -> list[str]:
    return sorted(path.name for path in CONF_DIR.iterdir() if path.is_dir() and path.name != "table")


def _top_level_keys() -> list[str]:
    return [str(key) for key in _compose([])]


def _group_choices(overrides: list[str]) -> list[str]:
    """Only those overrides that choose an option of a config group, and one value of each."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    chosen = [o for o in parsed if o.key_or_group in _groups() and not o.is_sweep_override()]
    return [f"{o.key_or_group}={o.value()}" for o in chosen if o.value() in choices(o.key_or_group)]
