"""The files of a run's folder, but for the record, the log and the checkpoint's own."""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from inducer_bench import distributed
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.files import write_atomic
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.runs.artefacts import ADAPTER, DESCRIPTION, PREDICTIONS, WEIGHTS, checksums, packed
from inducer_bench.tasks.base import Task
from inducer_bench.training import tracking
from inducer_bench.training.evaluation import Evaluation

CONFIG, CHECKPOINT = "config.yaml", "checkpoint"
_LONGEST_INPUT = 2_000  # characters of a text that is kept with its prediction


@distributed.on_main_process
def write_config(folder: Path, config: ExperimentConfig) -> None:
    """Write the resolved configuration as YAML."""
    write_atomic(folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(dataclasses.asdict(config))).encode())


def write_results(
    folder: Path,
    tuned: TunedModel,
    task: Task,
    evaluations: Mapping[str, Evaluation],
    inputs: Mapping[str, Sequence[Mapping[str, Any]]],
    trial: bool,
) -> dict[str, str]:
    """Write the adapter, the predictions, and further files of the task; returns the checksums of the run's files.

    Predictions are JSON lines, one per example, in the order of the data. Further files, such as the input of an
    official scorer, are of the first split. A trial leaves its predictions alone. Processes other than the main one
    write nothing.

    Args:
        inputs: split -> what each prediction was made for, kept with it; a split that lacks some has none.
    """
    if not distributed.is_main_process():
        return {}
    lines = (
        {"split": split, "index": i, **prediction, **given}
        for split, result in evaluations.items()
        for i, (prediction, given) in enumerate(
            zip(result.predictions, _kept(inputs.get(split, ()), len(result.predictions)), strict=True)
        )
    )
    write_atomic(folder / PREDICTIONS, packed(lines))
    if trial:
        return checksums(folder, [tracking.FILE, PREDICTIONS])
    tuned.save(folder / ADAPTER)
    further = task.files(next(iter(evaluations.values())).predictions)
    for name, content in further.items():
        write_atomic(folder / name, content)
    return checksums(folder, [tracking.FILE, DESCRIPTION, WEIGHTS, PREDICTIONS, *further])


def _kept(inputs: Sequence[Mapping[str, Any]], count: int) -> list[dict[str, Any]]:
    """What a line of predictions has besides the prediction; data that have changed meanwhile are left out."""
    return [{"input": _cut(given)} for given in inputs] if len(inputs) == count else [{}] * count


def _cut(value: Any) -> Any:
    """Plain values with the beginning of each text."""
    if isinstance(value, Mapping):
        return {key: _cut(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_cut(inner) for inner in value]
    too_long = isinstance(value, str) and len(value) > _LONGEST_INPUT
    return f"{value[:_LONGEST_INPUT]} ..." if too_long else value


def adapter_bytes(folder: Path) -> int:
    """The size of the adapter's weights on disk; 0 for a trial, which keeps none."""
    return (folder / WEIGHTS).stat().st_size if (folder / WEIGHTS).exists() and distributed.is_main_process() else 0


@distributed.on_main_process
def remove_checkpoint(folder: Path) -> None:
    """Delete the checkpoint of a finished run, and what was set aside of it: nothing reads them any more.

    One that cannot be deleted, or is left by a crash between record and deletion, does no harm: a finished run is never
    resumed.
    """
    for path in (folder / CHECKPOINT, *folder.glob(f"{CHECKPOINT}-damaged-*")):
        shutil.rmtree(path, ignore_errors=True)
