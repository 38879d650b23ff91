"""Hand over to Hydra, which composes one configuration, or those of a sweep, and have each of them run."""

import os
import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from inducer_bench.config.compose import CONF_DIR, CONFIG_ERRORS, experiment_config, explain
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.runner import Outcome, run

# Worst last: a sweep's exit code is the worst of its jobs'.
_SEVERITY = [ExitCode.DONE, ExitCode.INTERRUPTED, ExitCode.OUT_OF_MEMORY, ExitCode.BAD_INPUT, ExitCode.FAILED]


def launch(arguments: list[str]) -> int:
    """Run what Hydra makes of the command line; returns the worst exit code of its jobs.

    Raises:
        UserError: the command line does not compose.
    """
    outcomes: list[Outcome] = []

    def job(composed: DictConfig) -> float | None:
        try:
            outcome = run(experiment_config(composed))
        except UserError as error:
            outcome = Outcome(ExitCode.BAD_INPUT, Path(), str(error))
        _report(outcome)
        outcomes.append(outcome)
        if outcome.code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt  # end a sweep, too
        return None if outcome.record is None else outcome.record.get("selection_score")

    os.environ["HYDRA_FULL_ERROR"] = "1"  # let Hydra's exceptions through: they are explained here
    sys.argv[1:] = arguments
    try:
        hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(job)()
    except CONFIG_ERRORS as error:
        raise explain(error, [argument for argument in arguments if not argument.startswith("-")]) from None
    except KeyboardInterrupt:
        if not outcomes:
            raise
    return max((outcome.code for outcome in outcomes), key=_SEVERITY.index, default=ExitCode.DONE)


def _report(outcome: Outcome) -> None:
    """One line for a person, then the run's folder as the last line for a script."""
    if outcome.code == ExitCode.BAD_INPUT:
        print(f"inducer-bench: {outcome.message}", file=sys.stderr)
        return
    print(outcome.message, file=sys.stdout if outcome.code == ExitCode.DONE else sys.stderr)
    print(outcome.folder, flush=True)
