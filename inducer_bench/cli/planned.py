"""The jobs of a command line, composed and looked up, but not run: what `inducer-bench plan` counts."""

import heapq
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from omegaconf import DictConfig

from inducer_bench import distributed
from inducer_bench.cli.cores import at_once
from inducer_bench.cli.hydra_internals import Composer
from inducer_bench.cli.sweep_size import count
from inducer_bench.config.compose import (
    composed_with_hydra,
    experiment_config,
    explain,
    explained,
    with_recipe,
)
from inducer_bench.config.overrides import as_meant
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError, lacks_memory
from inducer_bench.files import CONF_DIR
from inducer_bench.runs.state import State, States

_MOST_LOOKED_UP = 200  # jobs, before a sweep starts; each takes some hundredths of a second


@dataclass(frozen=True)
class PlannedRun:
    """A run, and what is known of it already."""

    config: ExperimentConfig
    state: State


@dataclass(frozen=True)
class PlannedJob:
    """A job: one run, or several seeds side by side; none if it does not compose."""

    overrides: str
    runs: tuple[PlannedRun, ...]
    refused: str | None = None  # why
    kind: str = ""  # in a study: trial, untuned, confirmation or final
    phase: int = 0  # a job begins when those of earlier phases have ended


@dataclass(frozen=True)
class Planned:
    """What a command line asks for."""

    jobs: list[PlannedJob]
    output_dir: Path
    workers: int | None  # jobs at a time; None where the launcher does not say


def planned_sweep(overrides: list[str], config_dir: Path | None) -> Planned:
    """The jobs that `inducer-bench -m` would run, in their order.

    Args:
        overrides: of the command line.
        config_dir: the user's folder of configuration files.

    Raises:
        UserError: they do not compose, or do not say which jobs there are.
    """
    with explained(given := as_meant(overrides), config_dir):
        overrides = with_recipe(given, config_dir)
        composed = composed_with_hydra(overrides, config_dir)
        sweeper = composed.hydra.sweeper
        if not str(sweeper._target_).endswith(".BasicSweeper"):
            raise UserError(
                f"hydra/sweeper: '{sweeper._target_}' chooses each job by the results of others; allowed in a plan: "
                "basic"
            )
        count(overrides, composed.hydra, config_dir)  # refuses what would take for ever to enumerate
        composer, states = Composer(overrides, CONF_DIR, config_dir), States()
        jobs = [
            _job(composer, job, number, states, [*given, *job], config_dir)
            for number, job in enumerate(composer.jobs(sweeper.params or {}))
        ]
        return Planned(jobs, output_dir(jobs, composed), workers(composed.hydra, len(jobs)))


def announcement(number: int | None, overrides: list[str], config_dir: Path | None) -> str:
    """What a sweep will do, in a line: its jobs, and how many of their runs are done already.

    Args:
        number: of jobs; None if only the sweeper knows.
        overrides: of the command line; without any, only the number is reported.
        config_dir: the user's folder of configuration files.

    Raises:
        UserError: no job composes, all of them for one reason.
    """
    if number is None:
        return "a sweep whose jobs depend on one another's scores"
    text = f"{number:,} job{'s' if number > 1 else ''}"
    if not overrides or number > _MOST_LOOKED_UP or distributed.world_size() > 1:
        return text
    try:
        jobs = planned_sweep(overrides, config_dir).jobs
    except UserError:  # each job will say what is wrong with it
        return text
    reasons = {job.refused for job in jobs}
    if len(reasons) == 1 and number > 1 and (reason := jobs[0].refused):
        raise UserError(reason)
    states = Counter(run.state.name for job in jobs for run in job.runs)
    left = states.total() - states["done"] - states["refused"]
    parts = [] if states["unknown"] else [f"{states['done']} done already", f"{left} to run"]
    refused = states["refused"] + sum(job.refused is not None for job in jobs)
    parts += [f"{refused} refused"] if refused else []
    return f"{text}: {', '.join(parts)}" if parts else text


def elapsed(seconds: Sequence[float], workers: int) -> float:
    """The time until all jobs have ended, each begun, in their order, when one before it has ended."""
    busy = [0.0] * min(workers, len(seconds))
    for job in seconds:
        heapq.heapreplace(busy, busy[0] + job)
    return max(busy, default=0.0)


def _job(
    composer: Composer, job: list[str], number: int, states: States, given: list[str], config_dir: Path | None
) -> PlannedJob:
    """A job, planned; the overrides that the user gave are for messages, such as the name of a recipe's file."""
    text = " ".join(job)
    try:
        with redirect_stderr(StringIO()):  # what `method.budget` has to say of each job
            config = experiment_config(composer.composed(job, number), given)
    except UserError as error:
        return PlannedJob(text, (), str(error))
    except Exception as error:
        if lacks_memory(error):
            raise
        return PlannedJob(text, (), str(explain(error, given, config_dir)))
    return PlannedJob(text, tuple(PlannedRun(one, states.of(one)) for one in config.each_run()))


def output_dir(jobs: Sequence[PlannedJob], composed: DictConfig) -> Path:
    """The folder of the runs."""
    found = next((run.config.output_dir for job in jobs for run in job.runs), composed.output_dir)
    return Path(str(found))


def workers(hydra: DictConfig, jobs: int) -> int | None:
    """The jobs that run at a time: on this machine, or on those that Slurm has."""
    launcher = str(hydra.launcher._target_)
    if launcher.endswith(".BasicLauncher"):
        return 1
    if launcher.endswith(".SlurmLauncher"):
        most = [hydra.launcher.get("array_parallelism"), hydra.sweeper.get("max_batch_size"), jobs]
        return max(min(int(number) for number in most if number is not None), 1)
    return at_once(hydra, jobs)
