"""Compose `conf/` with command-line overrides through Hydra, and say in one line what is wrong with them.

`config_dir` is everywhere the user's folder of configuration files; see `choices.py`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, QuotedString, Sweep
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from inducer_bench.config import recipe, resolvers, yaml_files
from inducer_bench.config.budget import within_budget
from inducer_bench.config.choices import choices, groups
from inducer_bench.config.overrides import as_meant, literal
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.config.validate import check_new, validated, with_true_name
from inducer_bench.errors import UserError, first_line, lacks_memory, nearest, shown, unknown
from inducer_bench.files import CONF_DIR
from inducer_bench.options import check_name
from inducer_bench.plm.options import PlmOptions

resolvers.register()  # here, so that a job's process has them, too: whatever composes or resolves imports this module


def compose(overrides: list[str], config_dir: Path | None = None) -> ExperimentConfig:
    """The validated configuration for these overrides.

    Raises:
        UserError: a group option, key or value that does not exist or is impossible.
    """
    with explained(overrides := as_meant(overrides), config_dir):
        return experiment_config(composition(with_recipe(overrides, config_dir), config_dir), overrides)


def compose_plm(overrides: list[str], config_dir: Path | None = None) -> PlmOptions:
    """The PLM that these overrides choose, whatever method and task go with it.

    Raises:
        UserError: a group option, key or value that does not exist or is impossible.
    """
    with explained(overrides := as_meant(overrides), config_dir):
        plm = with_true_name(resolvers.chosen_plm(composition(with_recipe(overrides, config_dir), config_dir)))
    check_name("plm.name", plm.name)
    return plm


def with_recipe(overrides: list[str], config_dir: Path | None = None, folder: Path = Path()) -> list[str]:
    """Overrides with those of a recipe's file in the place of its name, after `check_choices`.

    Args:
        overrides: made by `config.overrides.as_meant`.
        config_dir: the user's folder of configuration files.
        folder: what the names of files are relative to.

    Raises:
        UserError: see `check_choices` and `recipe.expanded`.
    """
    found = recipe.expanded(overrides, choices("method", config_dir), folder)
    check_choices(found, config_dir)
    return found


def experiment_config(composed: DictConfig, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Resolve a composed Hydra config into the typed one, checked across groups.

    Args:
        composed: without Hydra's own configuration.
        overrides: that it was composed with, as the user wrote them, for hints in messages.

    Raises:
        UserError: a key or value that is impossible.
        OmegaConfBaseException: a value is missing or cannot be resolved; see `explain`.
    """
    if searched := [
        key for override in overrides if (key := override.partition("=")[0].lstrip("+")).startswith("tune.")
    ]:
        raise UserError(f"{searched[0]}: a run has no use for it; allowed: inducer-bench tune ...")
    plain: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    plain.pop("tune", None)
    published = plain["method"].pop("recipes", None) or {}
    for key in ("search", "title"):  # what a search tries, and what its tables call the method
        plain["method"].pop(key, None)
    wanted = plain["method"].pop("budget", None)
    try:
        config = validated(plain)
        check_new(config)
        recipe.check_name(config.recipe, resolvers.recipe_names(composed, published))
    except UserError as error:
        raise _hinted(error, overrides) from None
    return config if wanted is None else within_budget(config, str(wanted), composed.method)


def composed_with_hydra(overrides: list[str], config_dir: Path | None = None) -> DictConfig:
    """The configuration with Hydra's own, in the node `hydra`; overrides that are sweeps are left out.

    Nothing is checked.

    Raises:
        HydraException, OmegaConfBaseException: see `explain`.
    """

    def load(those: list[str]) -> DictConfig:
        fixed = [str(o.input_line) for o in _parsed(those) if not o.is_sweep_override()]
        return composition(fixed, config_dir, return_hydra_config=True)

    return composed_for_all_jobs(overrides, config_dir, load)


def composed_for_all_jobs(
    overrides: list[str], config_dir: Path | None, load: Callable[[list[str]], DictConfig]
) -> DictConfig:
    """What the jobs of a sweep have in common; keys of a group that the sweep goes through may not be among that.

    `method=lora,bitfit method.r=2` has no meaning for the default method, and may have one for some of the jobs, which
    are composed one by one.

    Args:
        overrides: of the command line.
        config_dir: the user's folder of configuration files.
        load: composes some of them; the result has Hydra's own configuration.

    Raises:
        HydraException, OmegaConfBaseException: the rest does not compose either.
    """
    try:
        return load(overrides)
    except (HydraException, OmegaConfBaseException):
        parsed, known = _parsed(overrides), groups(config_dir)
        choosing = [str(o.input_line) for o in parsed if o.is_hydra_override() or o.key_or_group in known]
        params = load(choosing).hydra.sweeper.get("params") or {}
        given = [*_parsed([f"{key}={value}" for key, value in params.items()]), *parsed]
        swept = {o.key_or_group for o in given if o.is_sweep_override()} & {*known}
        kept = [str(o.input_line) for o in parsed if o.key_or_group.partition(".")[0] not in swept - {o.key_or_group}]
        if kept == overrides:
            raise
        return load(kept)


def check_choices(overrides: list[str], config_dir: Path | None = None) -> None:
    """Reject what Hydra answers with a traceback, such as `group=null`, and files that others share.

    Reject unknown choices among several, too: no job of a sweep should start before they are spelt right.

    Raises:
        UserError: names the group, what was found and its options.
    """
    known_groups = groups(config_dir)
    for o in _parsed(overrides):
        if not o.key_or_group:
            raise _not_understood(str(o.input_line), config_dir)
        if o.key_or_group not in known_groups or o.is_delete():
            continue
        value, known = o.value(), choices(o.key_or_group, config_dir)
        for each in value.list if isinstance(value, ChoiceSweep) else [value]:
            choice = each.text if isinstance(each, QuotedString) else each
            one_of_several = isinstance(value, ChoiceSweep) and choice not in known and "/" not in str(choice)
            if not isinstance(choice, str | Sweep | Glob) or str(choice).startswith("_") or one_of_several:
                raise _unknown_choice(o.key_or_group, "null" if choice is None else str(choice), known)


def _unknown_choice(group: str, found: str, known: Sequence[str]) -> UserError:
    others = {"plm": "; any other model: plm.path=FOLDER", "method": "; one of your own: method=own method.name=MODULE"}
    return UserError(f"{unknown(group, found, known)}{others.get(group, '')}")


def explain(error: Exception, overrides: list[str], config_dir: Path | None = None) -> UserError:
    """Turn Hydra's and OmegaConf's errors into one line with the key, what was found and what is allowed.

    The same for what other libraries raise where Hydra calls them.
    """
    try:
        return _hinted(_explained(error, overrides, config_dir), overrides)
    except Exception:  # the configuration is composed again to see what is allowed, which may fail as before
        return UserError(f"configuration: {first_line(error)}")


@contextmanager
def explained(overrides: list[str], config_dir: Path | None = None) -> Iterator[None]:
    """Within it, errors of composition are those of `explain`.

    Raises:
        UserError: see `explain`.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # of Hydra, of OmegaConf, or of something that the command line made them call
        if lacks_memory(error):
            raise
        raise explain(error, overrides, config_dir) from None


def _explained(error: Exception, overrides: list[str], config_dir: Path | None) -> UserError:
    """See `explain`. The English that is searched here is that of hydra-core 1.3 and omegaconf 2.3.

    `pyproject.toml` bounds both.
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        named = [name for name in error.options or [] if not name.startswith("_")]
        return _unknown_choice(group or "--config-name", choice, choices(group, config_dir) or named)
    unreadable = isinstance(error, OSError | UnicodeError | YAMLError)
    if unreadable and config_dir is not None and (problem := yaml_files.problem_in(config_dir)):
        return problem
    if isinstance(error, OSError) and error.filename is not None:
        key = "hydra.run.dir" if "hydra.run.dir" in " ".join(overrides) else "hydra.sweep.dir"
        return UserError(f"{key}: '{error.filename}' cannot be written ({error.strerror}); give another folder")
    chain = list(_chain(error))
    cause = next((e for e in chain if getattr(e, "full_key", None)), error)
    key = str(getattr(cause, "full_key", None) or "configuration")
    if own := next((e for e in chain if isinstance(e, UserError)), None):  # of a resolver
        return own if re.match(r"[\w.]+: ", str(own)) else UserError(f"{key}: {own}")  # it may name a key itself
    if re.match("Cannot merge DictConfig with ListConfig", str(cause)):
        return UserError(f"{key}: found a list; allowed: keys and values")
    if isinstance(cause, MissingMandatoryValue):
        return UserError(f"{key}: missing; give it a value")
    if "not in struct" in str(cause):
        parent, _, name = key.rpartition(".")
        return unknown_key(parent, name, overrides, config_dir)
    if match := re.search(r"Could not (?:override|find) '([\w/]+)'.*?No match in the defaults list", str(error), re.S):
        return unknown("configuration", match[1], [*_top_level_keys(config_dir), *groups(config_dir)])
    if isinstance(error, OverrideParseException):
        return _not_understood(error.override, config_dir)
    if match := re.match(r"Ambiguous value for argument '(.*?)=(.*)'", str(error)):
        return UserError(f"{match[1]}: found several values, '{match[2]}'; allowed: one, or with -m a sweep of runs")
    found = f"KeyError: {cause}" if type(cause) is KeyError else first_line(cause)  # its message is the key alone
    return UserError(f"{key}: {found}")


def _hinted(error: UserError, overrides: Sequence[str]) -> UserError:
    """The error with a hint, where only a name was set and the choice of its group brings more keys than that."""
    for group, key in (("method", "name"), ("task", "kind")):
        named = [override.partition("=")[2] for override in overrides if override.startswith(f"{group}.{key}=")]
        if named and named[-1] in choices(group) and str(error).startswith(f"{group}."):
            return UserError(
                f"{group}={named[-1]} instead of {group}.{key}={named[-1]} brings all of its keys; {error}"
            )
    return recipe.blamed(error, overrides)


def _not_understood(override: str, config_dir: Path | None) -> UserError:
    if group := next((group for group in groups(config_dir) if override in choices(group, config_dir)), None):
        return UserError(f"override '{override}': found no key; did you mean '{group}={override}'?")
    return UserError(
        f"override '{shown(override, 200)}': not understood; write key=value, "
        """and where the value has special characters 'key="value"'"""
    )


def unknown_key(parent: str, name: str, overrides: list[str], config_dir: Path | None = None) -> UserError:
    """An unknown key inside `parent`, with the nearest key that exists there under the same group choices."""
    node: Any = composition(_group_choices(overrides, config_dir), config_dir, return_hydra_config=True)
    for part in parent.split(".") if parent else []:
        node = node[part]
    allowed = (
        [str(key) for key in node if key not in ("recipes", "search", "hydra")] if isinstance(node, DictConfig) else []
    )
    full = f"{parent}.{name}" if parent else name
    if full == "method.budget":
        return UserError(f"{full}: method={node.name} has no rank that a budget could size; remove it")
    remedy = f"allowed in {parent or 'configuration'}: {', '.join(allowed)}" if allowed else "remove it"
    if isinstance(node, DictConfig) and not node:  # what it takes, its owner knows
        remedy = f"to add it write +{full}=..."
    return UserError(f"{full}: there is no such key; {nearest(name, allowed)}{remedy}")


def composition(overrides: list[str], config_dir: Path | None = None, return_hydra_config: bool = False) -> DictConfig:
    """The configuration for these overrides, not resolved and not checked.

    Raises:
        HydraException, OmegaConfBaseException: see `explain`.
    """
    own = [] if config_dir is None else [f"hydra.searchpath=[{literal(f'file://{config_dir.resolve()}')}]"]
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return hydra_compose("config", [*own, *overrides], return_hydra_config)


def _parsed(overrides: Sequence[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides([*overrides])


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes; OmegaConf links them in another way while a tracer is on, or with OC_CAUSE=1."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _top_level_keys(config_dir: Path | None) -> list[str]:
    return [str(key) for key in composition([], config_dir)]


def _group_choices(overrides: list[str], config_dir: Path | None) -> list[str]:
    """Only those overrides that choose an option of a config group, and one value of each."""
    parsed = _parsed(recipe.expanded(overrides, choices("method", config_dir)))
    chosen = [o for o in parsed if o.key_or_group in groups(config_dir) and not o.is_sweep_override()]
    return [f"{o.key_or_group}={o.value()}" for o in chosen if o.value() in choices(o.key_or_group, config_dir)]
