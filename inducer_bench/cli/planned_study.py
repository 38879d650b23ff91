"""The jobs of `inducer-bench tune`, composed and looked up, but not run."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from inducer_bench import hub
from inducer_bench.cli.planned import Planned, PlannedJob, PlannedRun, output_dir, workers
from inducer_bench.cli.tuning import planned_studies, with_long_names
from inducer_bench.config.compose import check_choices, composed_with_hydra, explained
from inducer_bench.config.overrides import as_meant
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.runs.state import State, States
from inducer_bench.search.plan import Plan
from inducer_bench.search.record import Trial
from inducer_bench.search.study import without_methods_own


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
        composed = composed_with_hydra(without_methods_own(overrides), config_dir)
        states = States()
        jobs = [
            job
            for study in planned_studies(overrides, composed, config_dir)
            for plan in study
            for job in _of_search(plan, states)
        ]
        return Planned(jobs, output_dir(jobs, composed), workers(composed.hydra, len(jobs)))


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
