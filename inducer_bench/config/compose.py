"""Compose `conf/` with command-line overrides through Hydra, and say in one line what is wrong with them.

`config_dir` is everywhere a folder of the user's (`--config-dir`) with further files in the layout of `conf/`:
`method/mine.yaml` in it is the choice `method=mine`. Where both have a file, the shipped one counts, as in Hydra.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Sweep
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from inducer_bench.config import resolvers
from inducer_bench.config.budget import within_budget
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.config.validate import check_new, validated
from inducer_bench.errors import UserError, first_line, nearest, unknown

_PACKAGE = Path(__file__).resolve().parent.parent
CONF_DIR = next(path for path in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if path.is_dir())
CONFIG_ERRORS = (HydraException, OmegaConfBaseException)

resolvers.register()  # here, so that a job's process has them, too: whatever composes or resolves imports this module


def compose(overrides: list[str], config_dir: Path | None = None) -> ExperimentConfig:
    """The validated configuration for these overrides.

    Raises:
        UserError: a group option, key or value that does not exist or is impossible.
    """
    try:
        check_choices(overrides, config_dir)
        return experiment_config(_compose(overrides, config_dir))
    except CONFIG_ERRORS as error:
        raise explain(error, overrides, config_dir) from None


def experiment_config(composed: DictConfig) -> ExperimentConfig:
    """Resolve a composed Hydra config into the typed one, checked across groups.

    Raises:
        UserError: a key or value that is impossible.
        OmegaConfBaseException: a value is missing or cannot be resolved; see `explain`.
    """
    plain: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    plain["method"].pop("recipes", None)  # the source of the method's own values
    wanted = plain["method"].pop("budget", None)
    config = validated(plain)
    check_new(config)
    return config if wanted is None else within_budget(config, str(wanted))


def composed_with_hydra(overrides: list[str], config_dir: Path | None = None) -> DictConfig:
    """The configuration with Hydra's own, in the node `hydra`; nothing is checked.

    Raises:
        HydraException, OmegaConfBaseException: see `explain`.
    """
    return _compose(overrides, config_dir, return_hydra_config=True)


def choices(group: str, config_dir: Path | None = None) -> list[str]:
    """The choices of a config group; files whose name begins with _ are shared by others and are none."""
    return sorted({path.stem for path in files(group, config_dir) if not path.stem.startswith("_")})


def files(group: str, config_dir: Path | None = None) -> list[Path]:
    """The files of a config group: first the shipped ones, then the user's."""
    return [path for folder in _folders(config_dir) for path in sorted((folder / group).glob("*.yaml"))]


def check_choices(overrides: list[str], config_dir: Path | None = None) -> None:
    """Reject `group=null` and the like, which Hydra answers with a traceback, and files that others share.

    Raises:
        UserError: names the group, what was found and its options.
    """
    groups = _groups(config_dir)
    for o in OverridesParser.create().parse_overrides(overrides):
        if o.key_or_group not in groups or o.is_delete():
            continue
        value = o.value()
        for choice in value.list if isinstance(value, ChoiceSweep) else [value]:
            if not isinstance(choice, str | Sweep | Glob) or str(choice).startswith("_"):
                found = "null" if choice is None else str(choice)
                raise unknown(o.key_or_group, found, choices(o.key_or_group, config_dir))


def explain(error: Exception, overrides: list[str], config_dir: Path | None = None) -> UserError:
    """Turn Hydra's and OmegaConf's errors into one line with the key, what was found and what is allowed.

    The English that is searched here is that of hydra-core 1.3 and omegaconf 2.3; `pyproject.toml` bounds both.
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        return unknown(group, choice, choices(group, config_dir) or error.options or [])
    chain = list(_chain(error))
    cause = next((e for e in chain if getattr(e, "full_key", None)), error)
    key = str(getattr(cause, "full_key", None) or "configuration")
    if own := next((e for e in chain if isinstance(e, UserError)), None):  # of a resolver
        return UserError(f"{key}: {own}")
    if isinstance(cause, MissingMandatoryValue):
        return UserError(f"{key}: missing; give it a value")
    if "not in struct" in str(cause):
        parent, _, name = key.rpartition(".")
        return unknown_key(parent, name, overrides, config_dir)
    if match := re.search(r"Could not (?:override|find) '([\w/]+)'.*?No match in the defaults list", str(error), re.S):
        return unknown("configuration", match[1], [*_top_level_keys(config_dir), *_groups(config_dir)])
    if isinstance(error, OverrideParseException):
        return UserError(f"override '{error.override}': not understood; write key=value")
    if match := re.match(r"Ambiguous value for argument '(.*?)=(.*)'", str(error)):
        return UserError(f"{match[1]}: found several values, '{match[2]}'; for a sweep over them add -m")
    return UserError(f"{key}: {first_line(cause)}")


def unknown_key(parent: str, name: str, overrides: list[str], config_dir: Path | None = None) -> UserError:
    """An unknown key inside `parent`, with the nearest key that exists there under the same group choices."""
    node: Any = _compose(_group_choices(overrides, config_dir), config_dir)
    for part in parent.split(".") if parent else []:
        node = node[part]
    allowed = [str(key) for key in node if key != "recipes"] if isinstance(node, DictConfig) else []
    full = f"{parent}.{name}" if parent else name
    near = nearest(name, allowed)
    return UserError(
        f"{full}: there is no such key; {near}allowed in {parent or 'configuration'}: {', '.join(allowed)}"
    )


def _compose(overrides: list[str], config_dir: Path | None, return_hydra_config: bool = False) -> DictConfig:
    own = [] if config_dir is None else [f"hydra.searchpath=[{quoted(f'file://{config_dir.resolve()}')}]"]
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return hydra_compose("config", [*own, *overrides], return_hydra_config)


def quoted(text: str) -> str:
    """A string as the value of an override."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes; OmegaConf links them in another way while a tracer is on, or with OC_CAUSE=1."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _folders(config_dir: Path | None) -> list[Path]:
    return [CONF_DIR, *([config_dir] if config_dir else [])]


def _groups(config_dir: Path | None) -> list[str]:
    found = {path.name for folder in _folders(config_dir) for path in folder.iterdir() if path.is_dir()}
    return sorted(found - {"table"})


def _top_level_keys(config_dir: Path | None) -> list[str]:
    return [str(key) for key in _compose([], config_dir)]


def _group_choices(overrides: list[str], config_dir: Path | None) -> list[str]:
    """Only those overrides that choose an option of a config group, and one value of each."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    chosen = [o for o in parsed if o.key_or_group in _groups(config_dir) and not o.is_sweep_override()]
    return [f"{o.key_or_group}={o.value()}" for o in chosen if o.value() in choices(o.key_or_group, config_dir)]
