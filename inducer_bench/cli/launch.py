"""Hand over to Hydra, which composes the configuration of a run, or those of a sweep, and calls `Jobs` with each."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from inducer_bench import distributed
from inducer_bench.cli.closing import close
from inducer_bench.cli.cores import shared
from inducer_bench.cli.hydra_internals import REFUSED, checked, only_shows, run_hydra, show
from inducer_bench.cli.parser import search_modules_in
from inducer_bench.cli.planned import announcement
from inducer_bench.cli.sweep import SEVERITY, Job, Sweep
from inducer_bench.cli.sweep_folder import begun
from inducer_bench.cli.sweep_size import count
from inducer_bench.config.compose import composed_with_hydra, experiment_config, explain, with_recipe
from inducer_bench.config.overrides import as_meant
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import LONGEST_MESSAGE, ExitCode, UserError, first_line, lacks_memory, shown
from inducer_bench.files import CONF_DIR
from inducer_bench.runs import header
from inducer_bench.runs.outcome import Outcome
from inducer_bench.runs.record import FinishedRecord
from inducer_bench.runs.several import run_all
from inducer_bench.training import interruption
from inducer_bench.training.interruption import Stopped


def launch(args: argparse.Namespace) -> int:
    """Run what Hydra makes of the command line; returns the worst exit code of its jobs.

    Args:
        args: of `cli/run.py`.

    Raises:
        UserError: the command line does not compose.
    """
    options = checked(args)
    config_dir = None if options.config_dir is None else options.config_dir.resolve()
    jobs = Jobs(options.overrides, config_dir)
    options.resolve = options.resolve or options.cfg == "job"
    try:
        jobs.overrides = as_meant(options.overrides)
        options.overrides = with_recipe(jobs.overrides, config_dir)
        if only_shows(options):
            show(options, CONF_DIR)
            return ExitCode.DONE
        composed = composed_with_hydra(options.overrides, config_dir)
        hydra = composed.hydra
        if options.multirun or hydra.mode == RunMode.MULTIRUN:
            number = count(options.overrides, hydra, config_dir)
            ahead = announcement(number, [] if composed.dry_run is True else jobs.overrides, config_dir)
            jobs.sweep = begun(options.overrides, composed, number, args.config_dir)
            options.overrides.append(jobs.sweep.folder_override())
            if distributed.is_main_process():
                print(ahead, file=sys.stderr)
            with shared(hydra, jobs.sweep.jobs):
                return run_sweep(
                    jobs, lambda: run_hydra(options, True, CONF_DIR, jobs, jobs.explained), jobs.sweep.report
                )
        run_hydra(options, False, CONF_DIR, jobs, jobs.explained)
    except KeyboardInterrupt:
        if not jobs.outcomes:
            raise
    except (UserError, BrokenPipeError):
        raise
    except Exception as error:  # of Hydra, of OmegaConf, or of something that the command line made them call
        if lacks_memory(error) or interruption.requested():
            raise
        raise jobs.explained(error, jobs.overrides) from None
    if jobs.error is not None:
        raise jobs.error
    return _worst(jobs)


def run_sweep(jobs: "Jobs", run: Callable[[], None], report: Callable[[bool], ExitCode]) -> ExitCode:
    """Run the jobs of a sweep, and report them however it ends.

    Args:
        jobs: of a sweep.
        run: runs them.
        report: prints what they came to, and returns the worst exit code; it is told whether they were interrupted.
    """
    complete = interrupted = False
    try:
        run()
        complete = True
    except KeyboardInterrupt:
        interrupted = True
    except Exception as error:
        interrupted = interruption.requested()  # and a launcher made it an error of its own
        begun = jobs.sweep is not None and jobs.sweep.found()
        if not (interrupted or begun or isinstance(error, BrokenExecutor)):  # a launcher's workers died
            raise
        if not interrupted:
            print(f"inducer-bench: the sweep ended early: {shown(first_line(error), 400)}", file=sys.stderr)
    if not distributed.is_main_process():
        return _worst(jobs)
    code = report(interrupted)
    return code if complete or code != ExitCode.DONE else ExitCode.FAILED


def _worst(jobs: "Jobs") -> ExitCode:
    return max((outcome.code for outcome in jobs.outcomes), key=SEVERITY.index, default=ExitCode.DONE)


class Jobs:
    """Runs the jobs that Hydra composes. A launcher may pickle it and call it in another process.

    Args:
        overrides: of the command line, for messages.
        config_dir: the user's folder of configuration files.

    Attributes:
        sweep: what the jobs are part of; None for a single run.
        outcomes: of the runs of this process's jobs.
        error: an error of this program in a single run; Hydra would print a line of its own about it.
    """

    def __init__(self, overrides: list[str], config_dir: Path | None) -> None:
        self.overrides = overrides
        self.config_dir = config_dir
        self.sweep: Sweep | None = None
        self.outcomes: list[Outcome] = []
        self.error: BaseException | None = None

    def explained(self, error: Exception, overrides: list[str]) -> UserError:
        """The message for an error of composition."""
        return explain(error, overrides, self.config_dir)

    def __call__(self, composed: DictConfig) -> float | None:
        """Run one job; returns the objective value for a sweeper that searches."""
        hydra = HydraConfig.get()
        search_modules_in(hydra.runtime.cwd)  # the process of a launcher does not go through `cli.main`
        given: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)  # a value may have ${...} in it
        sweep = self.sweep if distributed.is_main_process() else None
        if sweep is not None:
            begun = Job(hydra.job.num, " ".join(given))
            if sweep.is_here():
                about = shown(sweep.differing(begun.overrides), 400)
                print(f"{sweep.progress(begun.number)}: {about}", file=sys.stderr)
            sweep.keep(begun)
        started = time.monotonic()
        outcomes = self._outcomes(composed, given)
        for outcome in outcomes:
            _report(outcome, alone=self.sweep is None and len(outcomes) == 1)
        distributed.barrier()  # a rank that exits early makes the launcher kill rank 0 before it has printed
        self.outcomes += outcomes
        if sweep is not None:
            sweep.keep(begun.ended_with(outcomes, time.monotonic() - started))
        if any(outcome.code == ExitCode.INTERRUPTED for outcome in outcomes):
            raise Stopped  # it ends a sweep, too
        finished = [outcome.record for outcome in outcomes if isinstance(outcome.record, FinishedRecord)]
        complete = bool(finished) and len(finished) == len(outcomes)
        return optimized(finished, composed.optimized_metric) if complete else None

    def _outcomes(self, composed: DictConfig, overrides: list[str]) -> list[Outcome]:
        """The outcome of each run of a job, none for an `error`. Bad input is one, and in a sweep any error is."""
        try:
            config = self._config(composed, [*self.overrides, *overrides])
            return run_all(config, header.show if self.sweep is None else header.tell_no_one)
        except UserError as error:
            return [Outcome(ExitCode.BAD_INPUT, Path(), "refused", str(error))]
        except (Exception, SystemExit) as error:
            if distributed.world_size() > 1:  # the launcher ends the other processes, which may wait for this one
                raise
            if self.sweep is None:
                self.error = error
                return []
            if lacks_memory(error):
                return [Outcome(ExitCode.OUT_OF_MEMORY, Path(), "oom", "out of memory")]
            return [Outcome(ExitCode.FAILED, Path(), "failed", f"{type(error).__name__}: {first_line(error)}")]

    def _config(self, composed: DictConfig, overrides: list[str]) -> ExperimentConfig:
        """The typed configuration; the overrides are for messages.

        Raises:
            UserError: it does not compose, or is impossible.
        """
        if REFUSED in composed:
            raise UserError(composed[REFUSED])
        try:
            return experiment_config(composed, overrides)
        except UserError:
            raise
        except Exception as error:
            if lacks_memory(error):
                raise
            raise self.explained(error, overrides) from None


def optimized(records: Sequence[FinishedRecord], metric: str | None) -> float | None:
    """The objective value for a sweeper that searches: a score, by default the one that selected the epoch.

    Of several seeds it is the mean; None if one of them has no such score.
    """
    values = [_optimized(record, metric) for record in records]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _optimized(record: FinishedRecord, metric: str | None) -> float | None:
    if metric is None:
        return record.selection_score
    return record.scores[metric].value if metric in record.scores else None


@distributed.on_main_process
def _report(outcome: Outcome, alone: bool) -> None:
    """Print one line for a person, then the run's folder, if there is one, as the last line for a script.

    Args:
        outcome: of a run.
        alone: it is no part of a sweep: more is told of it.
    """
    if outcome.folder == Path():
        print(f"inducer-bench: {shown(outcome.message, LONGEST_MESSAGE)}", file=sys.stderr)
        return
    if alone and outcome.status == "done" and isinstance(outcome.record, FinishedRecord):
        close(outcome.message, outcome.folder, outcome.record, outcome.folder.parents[3])
    else:
        print(outcome.message, file=sys.stdout if outcome.code == ExitCode.DONE else sys.stderr, flush=True)
    if outcome.folder.is_dir():  # a dry run leaves none
        print(outcome.folder, flush=True)
