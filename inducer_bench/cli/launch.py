"""Hand over to Hydra, which composes the configuration of a run, or those of a sweep, and calls `Jobs` with each."""

import sys
import time
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from inducer_bench import distributed
from inducer_bench.cli.hydra_internals import parse, run_hydra
from inducer_bench.cli.parser import folder, search_modules_in
from inducer_bench.cli.sweep import SEVERITY, Job, Sweep, planned
from inducer_bench.config.compose import CONF_DIR, CONFIG_ERRORS, check_choices, experiment_config, explain
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.runs.outcome import Outcome
from inducer_bench.runs.record import FinishedRecord
from inducer_bench.runs.run import run


def launch(arguments: list[str]) -> int:
    """Run what Hydra makes of the command line; returns the worst exit code of its jobs.

    Raises:
        UserError: the command line does not compose.
    """
    options = parse(arguments)
    config_dir = None if options.config_dir is None else folder(options.config_dir)
    overrides = list(options.overrides)
    options.resolve = options.resolve or options.cfg == "job"
    try:
        check_choices(overrides, config_dir)
        sweep = planned(overrides, config_dir) if options.multirun else None
        options.overrides += [sweep.folder_override()] if sweep else []
        jobs = Jobs(overrides, config_dir, sweep)
        try:
            run_hydra(options, CONF_DIR, jobs)
        except KeyboardInterrupt:
            if not jobs.outcomes:
                raise
    except CONFIG_ERRORS as error:
        raise explain(error, overrides, config_dir) from None
    if sweep is not None and distributed.is_main_process():
        return sweep.report()
    return max((outcome.code for outcome in jobs.outcomes), key=SEVERITY.index, default=ExitCode.DONE)


class Jobs:
    """Runs the jobs that Hydra composes. A launcher may pickle it and call it in another process.

    Args:
        overrides: of the command line, for messages.
        config_dir: the user's folder of configuration files.
        sweep: what the jobs are part of; None for a single run.
    """

    def __init__(self, overrides: list[str], config_dir: Path | None, sweep: Sweep | None) -> None:
        self.overrides = overrides
        self.config_dir = config_dir
        self.sweep = sweep
        self.outcomes: list[Outcome] = []  # of the jobs of this process

    def __call__(self, composed: DictConfig) -> float | None:
        """Run one job; returns the objective value for a sweeper that searches."""
        hydra_config = HydraConfig.get()
        search_modules_in(hydra_config.runtime.cwd)  # the process of a launcher does not go through `cli.main`
        in_sweep = hydra_config.mode == RunMode.MULTIRUN and distributed.is_main_process()
        given: Any = OmegaConf.to_container(hydra_config.overrides.task, resolve=False)  # a value may have ${...} in it
        choices = " ".join(given)
        if in_sweep and self.sweep is not None and self.sweep.is_here():
            print(f"{self.sweep.progress(hydra_config.job.num)}: {choices}", file=sys.stderr)
        started = time.monotonic()
        outcome = self._run(composed)
        _report(outcome)
        distributed.barrier()  # a rank that exits early makes the launcher kill rank 0 before it has printed
        self.outcomes.append(outcome)
        if in_sweep:
            seconds = time.monotonic() - started
            job = Job(hydra_config.job.num, choices, outcome.status, outcome.code, outcome.message, seconds)
            job.write(Path(hydra_config.sweep.dir))
        if outcome.code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt  # it ends a sweep, too
        record = outcome.record
        return optimized(record, composed.optimized_metric) if isinstance(record, FinishedRecord) else None

    def _run(self, composed: DictConfig) -> Outcome:
        """Bad input is an outcome: Hydra would print a line of its own about an exception."""
        try:
            return run(experiment_config(composed))
        except UserError as error:
            message = str(error)
        except CONFIG_ERRORS as error:
            message = str(explain(error, self.overrides, self.config_dir))
        return Outcome(ExitCode.BAD_INPUT, Path(), "refused", message)


def optimized(record: FinishedRecord, metric: str | None) -> float | None:
    """The objective value for a searching sweeper (Optuna): a score, by default the one that selected the epoch."""
    if metric is None:
        return record.selection_score
    return record.scores[metric].value if metric in record.scores else None


@distributed.on_main_process
def _report(outcome: Outcome) -> None:
    """Print one line for a person, then the run's folder as the last line for a script."""
    if outcome.code == ExitCode.BAD_INPUT:
        print(f"inducer-bench: {outcome.message}", file=sys.stderr)
        return
    print(outcome.message, file=sys.stdout if outcome.code == ExitCode.DONE else sys.stderr)
    print(outcome.folder, flush=True)
