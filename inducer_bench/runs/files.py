"""The files of a run's folder, but for the record, the log and the checkpoint's own."""

import dataclasses
import gzip
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from omegaconf import OmegaConf

from inducer_bench import distributed
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic
from inducer_bench.methods.tuned import WEIGHTS_FILE, TunedModel
from inducer_bench.runs.outcome import cannot_use
from inducer_bench.tasks.base import Task
from inducer_bench.training.checkpoint import PREVIOUS
from inducer_bench.training.evaluation import Evaluation
from inducer_bench.training.tracking import FILE as METRICS

CONFIG, ADAPTER, PREDICTIONS, CHECKPOINT = "config.yaml", "adapter", "predictions.jsonl.gz", "checkpoint"


def prepare(folder: Path, config: ExperimentConfig) -> None:
    """Check that everything can be written into a run's folder, and write the resolved configuration as YAML.

    Raises:
        UserError: something else is in the place of a file or folder, or the disk is full or read-only.
    """
    for name in (ADAPTER, CHECKPOINT):
        if (folder / name).exists() and not (folder / name).is_dir():
            raise UserError(f"output_dir: found '{folder / name}'; allowed: a folder in its place; move it away")
    for name in (CONFIG, METRICS, PREDICTIONS, f"{CHECKPOINT}/{PREVIOUS}"):
        if (folder / name).exists() and not (folder / name).is_file():
            raise UserError(f"output_dir: found '{folder / name}'; allowed: a file in its place; move it away")
    for name in ("", ADAPTER, CHECKPOINT, METRICS):
        if (folder / name).exists() and not os.access(folder / name, os.W_OK):
            raise UserError(f"output_dir: '{folder / name}' is read-only; make it writable, or move it away")
    try:
        write_atomic(folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(dataclasses.asdict(config))).encode())
    except OSError as error:
        raise UserError(f"output_dir: {cannot_use(error)}, or give another folder") from None


@distributed.on_main_process
def write_results(folder: Path, tuned: TunedModel, task: Task, evaluations: Mapping[str, Evaluation]) -> None:
    """Write the adapter, the predictions, and further files of the task.

    Predictions are JSON lines, one per example, in the order of the data. Further files, such as the input of an
    official scorer, are of the first split.
    """
    lines = "".join(
        json.dumps({"split": split, "index": i, **prediction}) + "\n"
        for split, result in evaluations.items()
        for i, prediction in enumerate(result.predictions)
    )
    tuned.save(folder / ADAPTER)
    write_atomic(folder / PREDICTIONS, gzip.compress(lines.encode(), mtime=0))  # equal bytes for equal lines
    for name, content in task.files(next(iter(evaluations.values())).predictions).items():
        write_atomic(folder / name, content)


def adapter_bytes(folder: Path) -> int:
    """The size of the adapter's weights on disk."""
    return (folder / ADAPTER / WEIGHTS_FILE).stat().st_size if distributed.is_main_process() else 0


@distributed.on_main_process
def remove_checkpoint(folder: Path) -> None:
    """Delete the checkpoint of a finished run, which nothing reads any more.

    One that cannot be deleted, or is left by a crash between record and deletion, does no harm: a finished run is never
    resumed.
    """
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
