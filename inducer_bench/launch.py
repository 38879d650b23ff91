"""Hand over to Hydra, which composes one configuration, or those of a sweep, and have each of them run."""

import os
import sys
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from inducer_bench.config.compose import CONF_DIR, CONFIG_ERRORS, check_choices, experiment_config, explain
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.runner import Outcome, run

# Worst last: a sweep's exit code is the worst of its jobs'.
_SEVERITY = [ExitCode.DONE, ExitCode.INTERRUPTED, ExitCode.OUT_OF_MEMORY, ExitCode.BAD_INPUT, ExitCode.FAILED]


def launch(arguments: list[str]) -> int:
    """Run what Hydra makes of the command line; returns the worst exit code of its jobs.

    Raises:
        UserError: the command line does not compose.
    """
    overrides = _overrides(arguments)
    outcomes: list[Outcome] = []
    summary: list[str] = []  # a line for each job of a sweep

    def job(composed: DictConfig) -> float | None:
        try:
            outcome = run(experiment_config(composed))
        except UserError as error:
            outcome = Outcome(ExitCode.BAD_INPUT, Path(), str(error))
        _report(outcome)
        outcomes.append(outcome)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            choices = " ".join(HydraConfig.get().overrides.task)
            summary.append(f"  exit code {outcome.code:<3}  {choices}  {outcome.message}")
        if outcome.code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt  # end a sweep, too
        return None if outcome.record is None else outcome.record.get("selection_score")

    os.environ["HYDRA_FULL_ERROR"] = "1"  # let Hydra's exceptions through: they are explained here
    sys.argv[1:] = arguments
    try:
        check_choices(overrides)
        hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(job)()
    except CONFIG_ERRORS as error:
        raise explain(error, overrides) from None
    except KeyboardInterrupt:
        if not outcomes:
            raise
    if summary:
        print("\n".join([f"sweep of {len(summary)} jobs:", *summary]), file=sys.stderr)
    return max((outcome.code for outcome in outcomes), key=_SEVERITY.index, default=ExitCode.DONE)


def _overrides(arguments: list[str]) -> list[str]:
    """The arguments that are overrides.

    Raises:
        UserError: an option that Hydra does not have, or one in between; its parser would print its whole usage.
    """
    parsed, unknown = get_args_parser().parse_known_args(arguments)
    if unknown:
        raise UserError(f"'{unknown[0]}': not understood; options such as -m stand before all overrides")
    return list(parsed.overrides)


def _report(outcome: Outcome) -> None:
    """One line for a person, then the run's folder as the last line for a script."""
    if outcome.code == ExitCode.BAD_INPUT:
        print(f"inducer-bench: {outcome.message}", file=sys.stderr)
        return
    print(outcome.message, file=sys.stdout if outcome.code == ExitCode.DONE else sys.stderr)
    print(outcome.folder, flush=True)
