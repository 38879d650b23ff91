"""Hand over to Hydra, which composes one configuration, or those of a sweep, and have each of them run."""

import os
import sys
import time
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from inducer_bench import distributed
from inducer_bench.cli import sweep
from inducer_bench.cli.sweep import Job
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
    overrides = _overrides(arguments)
    outcomes: list[Outcome] = []

    def job(composed: DictConfig) -> float | None:
        hydra_config = HydraConfig.get()
        in_sweep = (
            hydra_config.mode == RunMode.MULTIRUN and distributed.is_main_process()
        )  # one process tells of a sweep
        choices = " ".join(hydra_config.overrides.task)
        if in_sweep and sweep.current is not None:
            print(f"{sweep.current.progress(hydra_config.job.num)}: {choices}", file=sys.stderr)
        started = time.monotonic()
        try:
            outcome = run(experiment_config(composed))
        except UserError as error:
            outcome = Outcome(ExitCode.BAD_INPUT, Path(), "refused", str(error))
        _report(outcome)
        distributed.barrier()  # a process that ends before the main one has told would have it ended, too
        outcomes.append(outcome)
        if in_sweep:
            seconds = time.monotonic() - started
            result = Job(hydra_config.job.num, choices, outcome.status, outcome.code, outcome.message, seconds)
            result.write(Path(hydra_config.sweep.dir))
        if outcome.code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt  # end a sweep, too
        record = outcome.record
        return optimized(record, composed.optimized_metric) if isinstance(record, FinishedRecord) else None

    os.environ["HYDRA_FULL_ERROR"] = "1"  # let Hydra's exceptions through: they are explained here
    sys.argv[1:] = arguments
    sweep.current = None
    try:
        check_choices(overrides)
        hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(job)()
    except CONFIG_ERRORS as error:
        raise explain(error, overrides) from None
    except KeyboardInterrupt:
        if not outcomes:
            raise
    if sweep.current is not None and distributed.is_main_process():
        return sweep.current.report()
    return max((outcome.code for outcome in outcomes), key=sweep.SEVERITY.index, default=ExitCode.DONE)


def optimized(record: FinishedRecord, metric: str | None) -> float | None:
    """The objective value for a searching sweeper (Optuna): a score, by default the one that selected the epoch."""
    if metric is None:
        return record.selection_score
    return record.scores[metric].value if metric in record.scores else None


def _overrides(arguments: list[str]) -> list[str]:
    """The arguments that are overrides.

    Raises:
        UserError: an option that Hydra does not have, or one in between; its parser would print its whole usage.
    """
    parsed, unknown = get_args_parser().parse_known_args(arguments)
    if unknown:
        raise UserError(f"'{unknown[0]}': not understood; options such as -m stand before all overrides")
    return list(parsed.overrides)


@distributed.on_main_process
def _report(outcome: Outcome) -> None:
    """One line for a person, then the run's folder as the last line for a script."""
    if outcome.code == ExitCode.BAD_INPUT:
        print(f"inducer-bench: {outcome.message}", file=sys.stderr)
        return
    print(outcome.message, file=sys.stdout if outcome.code == ExitCode.DONE else sys.stderr)
    print(outcome.folder, flush=True)
