"""The number of jobs of a sweep, before they are made; importing this is cheap."""

import math
from fractions import Fraction
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from inducer_bench.config import yaml_files
from inducer_bench.config.choices import choices
from inducer_bench.errors import UserError

MOST_JOBS = 10_000


def count(overrides: list[str], hydra: DictConfig, config_dir: Path | None) -> int | None:
    """The number of jobs that Hydra's basic sweeper makes, before it makes them; None for another sweeper.

    Args:
        overrides: of the command line.
        hydra: Hydra's own configuration for those of them that are no sweeps.
        config_dir: the user's folder of configuration files.

    Raises:
        UserError: there are no jobs or far too many, or the sweeper cannot enumerate them.
        HydraException: an override is not understood.
    """
    if not str(hydra.sweeper._target_).endswith(".BasicSweeper"):
        return None
    batch = hydra.sweeper.max_batch_size
    if batch is not None and batch < 1:
        raise UserError(f"hydra.sweeper.max_batch_size: found {batch}; allowed: null, or greater than 0")
    params = [f"{key}={value}" for key, value in (hydra.sweeper.params or {}).items()]
    given = OverridesParser.create().parse_overrides([*params, *overrides])
    sizes = {o.get_key_element(): _size(o, config_dir) for o in given}  # the last one of a key counts
    jobs = math.prod(sizes.values())
    if jobs > MOST_JOBS:
        longest = max(sizes, key=lambda key: sizes[key])
        raise UserError(f"{longest}: found a sweep of {jobs:,} jobs; allowed: at most {MOST_JOBS:,}")
    return jobs


def jobs_of_experiment(path: Path, config_dir: Path | None) -> str:
    """The number of jobs that a file of conf/experiment makes by itself, in words; empty if the file does not say."""
    try:
        experiment = yaml_files.read(path)
        params = OmegaConf.select(OmegaConf.create(experiment), "hydra.sweeper.params") or {}
        given = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
        number = math.prod(_size(override, config_dir) for override in given)
    except (UserError, HydraException, OmegaConfBaseException, AttributeError):
        return ""
    name = ("study", "studies") if "tune" in experiment else ("job", "jobs")
    return f"{number} {name[number != 1]}"


def _size(override: Override, config_dir: Path | None) -> int:
    """The number of values that an override goes through."""
    if not override.is_sweep_override():
        return 1
    value, key = override.value(), override.get_key_element()
    if isinstance(value, ChoiceSweep):
        size = len(value.list)
    elif isinstance(value, Glob):
        size = len(value.filter(choices(override.key_or_group, config_dir)))
    elif isinstance(value, RangeSweep):
        size = _range_size(value, key)
    else:
        found = override.get_value_string()
        raise UserError(f"{key}: found {found}, which needs a sweeper that searches; allowed: values or a range")
    if not size:
        raise UserError(f"{key}: found {override.get_value_string()}, which matches no value; allowed: at least one")
    return size


def _range_size(sweep: RangeSweep, key: str) -> int:
    ends = (sweep.start or 0, sweep.stop or 0, sweep.step)
    if not all(map(math.isfinite, ends)) or not sweep.step:
        raise UserError(f"{key}: found range{ends}; allowed: finite numbers, and a step that is not 0")
    start, stop, step = (Fraction(str(number)) for number in ends)
    return max(0, math.ceil((stop - start) / step))
