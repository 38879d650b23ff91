"""The files of a run's folder, but for the record, the log and the checkpoint's own."""

import dataclasses
import gzip
import shutil
from collections.abc import Mapping
from pathlib import Path

from omegaconf import OmegaConf

from inducer_bench import distributed, strict_json
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.files import write_atomic
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.runs.artefacts import ADAPTER, DESCRIPTION, PREDICTIONS, WEIGHTS, checksums
from inducer_bench.tasks.base import Task
from inducer_bench.training import tracking
from inducer_bench.training.evaluation import Evaluation

CONFIG, CHECKPOINT = "config.yaml", "checkpoint"


@distributed.on_main_process
def write_config(folder: Path, config: ExperimentConfig) -> None:
    """Write the resolved configuration as YAML."""
    write_atomic(folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(dataclasses.asdict(config))).encode())


def write_results(
    folder: Path, tuned: TunedModel, task: Task, evaluations: Mapping[str, Evaluation], trial: bool
) -> dict[str, str]:
    """Write the adapter, the predictions, and further files of the task; returns the checksums of the run's files.

    Predictions are JSON lines, one per example, in the order of the data. Further files, such as the input of an
    official scorer, are of the first split. A trial leaves its predictions alone. Processes other than the main one
    write nothing.
    """
    if not distributed.is_main_process():
        return {}
    lines = "".join(
        strict_json.dumps({"split": split, "index": i, **prediction}) + "\n"
        for split, result in evaluations.items()
        for i, prediction in enumerate(result.predictions)
    )
    write_atomic(folder / PREDICTIONS, gzip.compress(lines.encode(), mtime=0))  # equal bytes for equal lines
    if trial:
        return checksums(folder, [tracking.FILE, PREDICTIONS])
    tuned.save(folder / ADAPTER)
    further = task.files(next(iter(evaluations.values())).predictions)
    for name, content in further.items():
        write_atomic(folder / name, content)
    return checksums(folder, [tracking.FILE, DESCRIPTION, WEIGHTS, PREDICTIONS, *further])


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
