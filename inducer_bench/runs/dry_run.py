"""`dry_run=true`: build everything and take a few steps, recording nothing. torch waits until the data are there."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inducer_bench import distributed, hub
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import ExitCode, TrainingDiverged, UserError
from inducer_bench.runs import words
from inducer_bench.runs.fetch import fetch
from inducer_bench.runs.outcome import Outcome, diagnosis
from inducer_bench.runs.words import Rows
from inducer_bench.training.units import clock, duration, size

if TYPE_CHECKING:
    from inducer_bench.runs.timing import Timing

_SECONDS = 10.0  # of steps, where they do not take longer


def dry_run(
    configs: Sequence[ExperimentConfig], folders: Sequence[Path], show: Callable[[Rows], None]
) -> list[Outcome]:
    """The outcome of some steps of a run, or of one step of several side by side; their folders are not created.

    Args:
        configs, folders: of the runs.
        show: is given what is known of the runs.

    Raises:
        UserError: bad configuration, data or PLM.
    """
    offline = fetch(configs[0])
    show([*words.known_before(configs[0]), ("folder", f"{folders[0]}, of a run; it is not made here")])
    try:
        with hub.offline(offline):
            told = _timed(configs[0], folders[0], show) if len(configs) == 1 else _of_each(configs)
    except UserError:
        raise
    except Exception as error:
        status, code, message = diagnosis(error)
        if distributed.world_size() > 1 or (status == "failed" and not isinstance(error, TrainingDiverged)):
            raise  # other processes wait for this one, or the error is a bug, not the user's mistake
        return [Outcome(code, folder, status, f"dry run: {message}") for folder in folders]
    return [
        Outcome(ExitCode.DONE, folder, "done", f"dry run: {line}; nothing was recorded")
        for folder, line in zip(folders, told, strict=True)
    ]


def _timed(config: ExperimentConfig, folder: Path, show: Callable[[Rows], None]) -> list[str]:
    """What a run would take, by some of its steps, those on the longest examples first."""
    from inducer_bench.runs.timed import timed

    found = timed(config, _SECONDS, whole=True, show=show)
    show(_rows(config, folder, found))
    memory = f", {size(found.memory)} at the peak" if found.memory else ""
    whole = found.train_seconds + found.eval_seconds
    return [f"loss {found.loss:.4f}, {duration(found.step_seconds)} a step{memory}, about {clock(whole)} for the run"]


def _rows(config: ExperimentConfig, folder: Path, found: "Timing") -> Rows:
    longest = f"{duration(found.step_seconds)} on average, {duration(found.longest_seconds)} on the longest batch"
    rows = [("step", longest)]
    if found.memory:
        what = "by torch on the GPU" if found.device.type == "cuda" else "of tensors, on the longest batch"
        rows.append(("memory", f"{size(found.memory)} at the peak, {what}"))
    whole = f"{clock(found.train_seconds)} of training with its evaluations, {clock(found.eval_seconds)} of scoring"
    rows.append(("time", f"about {whole}"))
    return rows


def _of_each(configs: Sequence[ExperimentConfig]) -> list[str]:
    from inducer_bench.runs.side_by_side import one_step

    return [f"one step on the longest examples with loss {loss:.4f}" for loss in one_step(configs)]
