"""The jobs of a command line, composed and looked up, but not run: what `inducer-bench plan` counts."""

import heapq
import os
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from inducer_bench.cli.hydra_internals import Composer
from inducer_bench.cli.sweep_folder import count
from inducer_bench.config.compose import CONF_DIR, check_choices, composed_with_hydra, experiment_config, explain
from inducer_bench.config.overrides import as_meant
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError, lacks_memory
from inducer_bench.runs.state import State, States

BASIC = ".BasicSweeper"


@dataclass(frozen=True)
class PlannedRun:
    """A run, and what is known of it already."""

    config: ExperimentConfig
    state: State


@dataclass(frozen=True)
class PlannedJob:
    """A job of a sweep: one run, or several seeds side by side; none if it does not compose."""

    overrides: str
    runs: tuple[PlannedRun, ...]
    refused: str | None = None  # why


def planned_jobs(overrides: list[str], config_dir: Path | None) -> tuple[list[PlannedJob], DictConfig]:
    """The jobs that `inducer-bench -m` would run, in their order, and Hydra's own configuration.

    Args:
        overrides: of the command line.
        config_dir: the user's folder of configuration files.

    Raises:
        UserError: they do not compose, or do not say which jobs there are.
    """
    try:
        overrides = as_meant(overrides)
        check_choices(overrides, config_dir)
        hydra: DictConfig = composed_with_hydra(overrides, config_dir).hydra
        if not str(hydra.sweeper._target_).endswith(BASIC):
            raise UserError(
                f"hydra/sweeper: '{hydra.sweeper._target_}' chooses each job by the results of others; "
                "allowed in a plan: basic"
            )
        count(overrides, hydra, config_dir)  # refuses what would take for ever to enumerate
        composer = Composer(overrides, CONF_DIR, config_dir)
        jobs = composer.jobs(hydra.sweeper.params or {})
    except UserError:
        raise
    except Exception as error:  # of Hydra, of OmegaConf, or of something that the command line made them call
        if lacks_memory(error):
            raise
        raise explain(error, overrides, config_dir) from None
    states = States()
    return [_job(composer, job, number, states, config_dir) for number, job in enumerate(jobs)], hydra


def _job(composer: Composer, job: list[str], number: int, states: States, config_dir: Path | None) -> PlannedJob:
    text = " ".join(job)
    try:
        with redirect_stderr(StringIO()):  # what `method.budget` has to say of each job
            config = experiment_config(composer.composed(job, number), job)
    except UserError as error:
        return PlannedJob(text, (), str(error))
    except Exception as error:
        if lacks_memory(error):
            raise
        return PlannedJob(text, (), str(explain(error, job, config_dir)))
    return PlannedJob(text, tuple(PlannedRun(one, states.of(one)) for one in config.each_run()))


def workers(hydra: DictConfig) -> int | None:
    """The jobs that run at a time; None where the launcher does not say."""
    launcher: Any = hydra.launcher
    target = str(launcher._target_)
    most = hydra.sweeper.get("max_batch_size") or 2**31
    if target.endswith(".BasicLauncher"):
        return 1
    if target.endswith(".JoblibLauncher"):
        wanted, cores = int(launcher.get("n_jobs") or 1), len(os.sched_getaffinity(0))
        return min(wanted if wanted > 0 else max(cores + 1 + wanted, 1), most)
    if target.endswith(".LocalLauncher"):
        return int(most)
    if target.endswith(".SlurmLauncher"):
        return int(min(launcher.get("array_parallelism") or most, most))
    return None


def elapsed(seconds: Sequence[float], workers: int) -> float:
    """The time until all jobs have ended, each begun, in their order, when one before it has ended."""
    busy = [0.0] * min(workers, len(seconds))
    for job in seconds:
        heapq.heappushpop(busy, busy[0] + job)
    return max(busy, default=0.0)
