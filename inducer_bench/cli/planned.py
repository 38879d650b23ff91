"""The jobs of a command line, composed and looked up, but not run: what `inducer-bench plan` counts."""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

from omegaconf import DictConfig

from inducer_bench import hub
from inducer_bench.cli.cores import at_once
from inducer_bench.cli.hydra_internals import Composer
from inducer_bench.cli.sweep_folder import count
from inducer_bench.cli.tuning import planned_studies, with_long_names
from inducer_bench.config.choices import CONF_DIR
from inducer_bench.config.compose import (
    check_choices,
    composed_with_hydra,
    experiment_config,
    explain,
    explained,
    with_recipe,
)
from inducer_bench.config.overrides import as_meant
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError, lacks_memory
from inducer_bench.runs.state import State, States
from inducer_bench.search.record import Trial
from inducer_bench.search.study import Plan


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
    with explained(overrides := as_meant(overrides), config_dir):
        overrides = with_recipe(overrides, config_dir)
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
            _job(composer, job, number, states, config_dir)
            for number, job in enumerate(composer.jobs(sweeper.params or {}))
        ]
        return Planned(jobs, _output_dir(jobs, composed), _workers(composed.hydra, len(jobs)))


def planned_study(overrides: list[str], config_dir: Path | None) -> Planned:
    """The jobs that `inducer-bench tune` would run: trials and untuned runs, the best trials again, winners.

    Settings that are not known yet are taken to be the method's own.

    Args:
        overrides: of the command line.
        config_dir: the user's folder of configuration files.

    Raises:
        UserError: they do not compose, a record is damaged, or data or PLM are not there.
    """
    with explained(overrides := as_meant(with_long_names(overrides)), config_dir), hub.offline(True):
        check_choices(overrides, config_dir)
        composed = composed_with_hydra(overrides, config_dir)
        states = States()
        jobs = [
            job
            for study in planned_studies(overrides, composed, config_dir)
            for plan in study
            for job in _of_search(plan, states)
        ]
        return Planned(jobs, _output_dir(jobs, composed), _workers(composed.hydra, len(jobs)))


def elapsed(seconds: Sequence[float], workers: int) -> float:
    """The time until all jobs have ended, each begun, in their order, when one before it has ended."""
    busy = [0.0] * min(workers, len(seconds))
    for job in seconds:
        heapq.heapreplace(busy, busy[0] + job)
    return max(busy, default=0.0)


def _of_search(plan: Plan, states: States) -> Iterator[PlannedJob]:
    """The jobs of one search."""
    search = plan.search
    for trial in search.trials:
        job, config = plan.trial.job(trial.settings, search.seed), plan.trial.config(trial.settings, search.seed)
        yield _alone(job, config, _ended(trial, states.of(config)), "trial", 0)
    for run in search.untuned:
        config = plan.final.config({}, run.seed)
        yield _alone(plan.final.job({}, run.seed), config, states.of(config), "untuned", 0)
    for number in range(search.confirm):
        again = search.confirmations[number] if number < len(search.confirmations) else None
        settings = again.settings if again else {}
        config = plan.confirmation.config(settings, search.seed)
        state = states.of(config)
        state = _ended(again, state) if again else State("to do", data=state.data)
        yield _alone(plan.confirmation.job(settings, search.seed), config, state, "confirmation", 1)
    winner = plan.winner()
    settings = winner.settings if winner else {}
    for seed in plan.seeds:
        config = plan.final.config(settings, seed)
        state = states.of(config)
        state = state if winner else State("to do", data=state.data)
        yield _alone(plan.final.job(settings, seed, search.id), config, state, "final", 2)


def _ended(trial: Trial, state: State) -> State:
    """The state of a trial's run: one that diverged has ended, and counts as the worst one."""
    return replace(state, name="done") if trial.status == "diverged" else state


def _alone(overrides: list[str], config: ExperimentConfig, state: State, kind: str, phase: int) -> PlannedJob:
    return PlannedJob(" ".join(overrides), (PlannedRun(config, state),), None, kind, phase)


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


def _output_dir(jobs: Sequence[PlannedJob], composed: DictConfig) -> Path:
    found = next((run.config.output_dir for job in jobs for run in job.runs), composed.output_dir)
    return Path(str(found))


def _workers(hydra: DictConfig, jobs: int) -> int | None:
    """The jobs that run at a time: on this machine, or on those that Slurm has."""
    launcher = str(hydra.launcher._target_)
    if launcher.endswith(".BasicLauncher"):
        return 1
    if launcher.endswith(".SlurmLauncher"):
        most = [hydra.launcher.get("array_parallelism"), hydra.sweeper.get("max_batch_size"), jobs]
        return max(min(int(number) for number in most if number is not None), 1)
    return at_once(hydra, jobs)
