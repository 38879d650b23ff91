"""Every method with the same tuning effort, then fresh seeds of each winner.

    trials of all searches -> winners -> their runs on the reported splits

Hydra's launcher runs the jobs, as those of a sweep. A job that fails stops nothing, and the same command goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from inducer_bench import distributed
from inducer_bench.cli.cores import shared
from inducer_bench.cli.hydra_internals import Launch, jobs_of, run_batches
from inducer_bench.cli.launch import Jobs, run_sweep
from inducer_bench.cli.sweep import SEVERITY, Job, Sweep, report_jobs
from inducer_bench.cli.sweep_folder import begun
from inducer_bench.config.compose import check_choices, composed_with_hydra, explained
from inducer_bench.config.overrides import as_meant
from inducer_bench.config.recipe import is_file
from inducer_bench.errors import ExitCode, UserError, printable
from inducer_bench.files import CONF_DIR
from inducer_bench.metrics.table import written
from inducer_bench.options import typed
from inducer_bench.runs.record import FinishedRecord
from inducer_bench.search import record as searches
from inducer_bench.search.options import TuneOptions
from inducer_bench.search.plan import Plan, in_turn
from inducer_bench.search.recipe import write_winner
from inducer_bench.search.record import ENDED
from inducer_bench.search.study import plans, without_methods_own

_SHORT = ("methods", "trials", "seeds")  # keys that need no `tune.` before them here


def tune(args: argparse.Namespace) -> int:
    """Run what is left of the studies that the command line asks for; returns the worst exit code.

    Raises:
        UserError: a configuration is impossible, or a record is damaged.
    """
    config_dir = None if args.config_dir is None else args.config_dir.resolve()
    overrides = as_meant(with_long_names(args.overrides))
    jobs = Jobs(_of_jobs(overrides), config_dir)
    with explained(overrides, config_dir):
        check_choices(overrides, config_dir)
        composed = composed_with_hydra(without_methods_own(overrides), config_dir)
        studies = planned_studies(overrides, composed, config_dir)
        jobs.sweep = begun(_of_jobs(overrides), composed, None, args.config_dir)
    args.overrides = [*_of_jobs(overrides), jobs.sweep.folder_override()]
    tuning = _Tuning(studies, jobs, jobs.sweep)
    with shared(composed.hydra, tuning.most()):
        return run_sweep(jobs, lambda: run_batches(args, CONF_DIR, jobs, jobs.explained, tuning.run), tuning.report)


def planned_studies(overrides: Sequence[str], composed: DictConfig, config_dir: Path | None) -> list[list[Plan]]:
    """For every scenario that the overrides ask for the search of each method, with what has been recorded of it.

    Args:
        overrides: of the command line, with long names.
        composed: from those without keys of methods, with Hydra's own configuration.
        config_dir: the user's folder of configuration files.

    Raises:
        UserError: a configuration is impossible, or a record is damaged.
    """
    effort: Any = OmegaConf.to_container(composed.tune, resolve=True)
    options = typed(TuneOptions, effort, "tune")
    params = [f"{key}={value}" for key, value in (composed.hydra.sweeper.params or {}).items()]
    given = OverridesParser.create().parse_overrides([*params, *_of_jobs(overrides)])
    for override in given:
        _check(override)
    scenarios = jobs_of([o for o in given if not _is_hydras(o)])
    return [[plan.refreshed() for plan in plans(scenario, options, config_dir)] for scenario in scenarios]


def with_long_names(overrides: Sequence[str]) -> list[str]:
    """The overrides with `tune.` before the short keys; methods may be given without brackets, as in a sweep."""
    found = []
    for override in overrides:
        key, _, value = override.partition("=")
        if key.removeprefix("tune.") == "methods" and value not in ("all", "with_ranks") and not value.startswith("["):
            value = f"[{value}]"
        found.append(f"tune.{key}={value}" if key in _SHORT else f"{key}={value}" if value else override)
    return found


def _of_jobs(overrides: Sequence[str]) -> list[str]:
    return [override for override in overrides if not override.lstrip("+").startswith("tune.")]


def _is_hydras(override: Override) -> bool:
    return override.key_or_group.startswith(("hydra.", "hydra/"))


def _check(override: Override) -> None:
    key = override.key_or_group
    remedies = {"method": "give methods=[...]", "seeds": "it is the number of final runs here",
                "dry_run": "inducer-bench plan tune ... says what would run", "search": "it is made here"}  # fmt: skip
    if key == "seed" and override.is_sweep_override():
        raise UserError("seed: found several; allowed in tune: one, of the trials; the final runs have the next ones")
    if override.is_sweep_override() and not override.is_discrete_sweep():
        raise UserError(f"{key}: found an interval; allowed in tune: values, or a range of them")
    if key == "recipe" and is_file(str(override.value())):
        raise UserError("recipe: not a file in tune; its values are searched for")
    if key in remedies:
        raise UserError(f"{key}: not allowed in tune; {remedies[key]}")


class _Tuning:
    """Runs the jobs of searches in three batches, and keeps the searches' own files.

    Args:
        studies: the plans of each scenario.
        jobs: that run.
        sweep: that they are part of.
    """

    def __init__(self, studies: list[list[Plan]], jobs: Jobs, sweep: Sweep) -> None:
        self.studies, self.jobs, self.sweep = studies, jobs, sweep

    def plans(self) -> list[Plan]:
        """All of them."""
        return [plan for study in self.studies for plan in study]

    def most(self) -> int:
        """The largest number of jobs that are launched together."""
        plans = self.plans()
        first = sum(len(plan.trial_jobs()) + len(plan.untuned_jobs()) for plan in plans)
        return max(first, sum(max(len(plan.seeds), plan.search.confirm) for plan in plans))

    def run(self, launch: Launch) -> None:
        """Launch what is left: trials and untuned runs, then the best trials on all of the data, then final runs."""
        self._keep()
        first = [job for study in self.studies for job in in_turn([plan.trial_jobs() for plan in study])]
        trials = len(first)
        first += [job for plan in self.plans() for job in plan.untuned_jobs()]
        later = sum(plan.to_come() for plan in self.plans())
        if distributed.is_main_process():
            print(
                f"tune: {self._effort()}; to do: {trials} trials, {len(first) - trials + later} runs", file=sys.stderr
            )
        self._expect(len(first) + later)
        launch(first)
        self._refresh()
        second = [job for plan in self.plans() for job in plan.confirmation_jobs()]
        launch(second)
        self._refresh()
        third = [job for plan in self.plans() for job in plan.final_jobs()]
        self._expect(len(first) + len(second) + len(third))
        launch(third)

    def report(self, interrupted: bool) -> ExitCode:
        """Print what did not end well, and each search's outcome; returns the exit code of all.

        A trial that diverged has ended well: it counts as the worst one.
        """
        self._refresh()
        found = [job for job in self.sweep.found() if not _is_result(job)]
        if failed := [job for job in found if job.status not in ("done", "skipped")]:
            report_jobs(failed, "not done:")
        for study in self.studies:
            _print_study(study)
        if any(plan.winner() for plan in self.plans()):
            print(self.sweep.next_command(), file=sys.stderr)
        if interrupted:
            return ExitCode.INTERRUPTED
        code = max((job.code for job in found), key=SEVERITY.index, default=ExitCode.DONE)
        complete = all(plan.winner() and not plan.final_jobs() for plan in self.plans())
        return code if complete or code != ExitCode.DONE else ExitCode.FAILED

    def _effort(self) -> str:
        searches = [plan.search for plan in self.plans()]
        tasks = {(search.task, search.plm): None for search in searches}
        methods = {search.choice: None for search in searches}
        where = ", ".join(f"{task} on {plm}" for task, plm in tasks)
        trials, seeds = len(searches[0].trials), len(self.plans()[0].seeds)
        return f"{where}: {len(methods)} methods, {trials} trials and {seeds} seeds each"

    def _expect(self, jobs: int) -> None:
        """Tell the sweep how many jobs there are, for its estimate of the time to go."""
        self.sweep = self.jobs.sweep = replace(self.sweep, jobs=jobs)

    def _refresh(self) -> None:
        self.studies = distributed.broadcast_from_main(
            lambda: [[plan.refreshed() for plan in study] for study in self.studies]
        )
        self._keep()

    @distributed.on_main_process
    def _keep(self) -> None:
        """Write the file of each search, and a recipe once it has a winner.

        Raises:
            UserError: that is not possible.
        """
        for plan in self.plans():
            try:
                plan.folder.mkdir(parents=True, exist_ok=True)
                searches.write(plan.folder, plan.with_earlier())
                if plan.winner() is not None:
                    write_winner(plan.folder / searches.RECIPE, plan.search)
            except OSError as error:
                raise UserError(f"output_dir: '{plan.folder}' cannot be written ({error.strerror})") from None


def _is_result(job: Job) -> bool:
    """Whether a job is a trial that diverged."""
    return "protocol.score=held_out" in job.overrides and job.message.startswith("diverged")


def _print_study(study: Sequence[Plan]) -> None:
    """Print a line for each search: the winner, what its runs scored, and its recipe."""
    first = study[0].search
    reported = study[0].search.config["task"]["metric"]
    held_out = f"the held-out {first.held_out:.0%} of train"
    print(f"{first.task}, {first.plm}: {first.metric} on {held_out}; then {reported} of the final runs")
    for plan in study:
        search, winner = plan.search, plan.search.best()
        if winner is None:
            ended = sum(trial.status in ENDED for trial in search.trials)
            print(f"  {search.choice:<14}{ended} of {len(search.trials)} trials have ended, no winner")
            continue
        settings = " ".join(f"{key}={value}" for key, value in winner.settings.items())
        records = [plan.record(run.run) for run in search.finals]
        scores = [record.score for record in records if isinstance(record, FinishedRecord)]
        known = [score for score in scores if score is not None]
        spread = f" ± {written(reported, stdev(known), finer=1)}" if len(known) > 1 else ""
        final = f"{written(reported, fmean(known), finer=1)}{spread} ({len(known)} seeds)" if known else "no runs yet"
        recipe = printable(str(plan.folder / searches.RECIPE))
        print(f"  {search.choice:<14}{written(search.metric, winner.score, finer=1)}  {final}  {settings}  {recipe}")
