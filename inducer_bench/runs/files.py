"""The files of a run's folder, but for the record, the log and the checkpoint's own."""

import dataclasses
import gzip
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from omegaconf import OmegaConf

from inducer_bench import distributed
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.files import write_atomic
from inducer_bench.methods.tuned import WEIGHTS_FILE, TunedModel
from inducer_bench.tasks.base import Task
from inducer_bench.training.evaluation import Evaluation

CONFIG, ADAPTER, PREDICTIONS, CHECKPOINT = "config.yaml", "adapter", "predictions.jsonl.gz", "checkpoint"


@distributed.on_main_process
def write_config(folder: Path, config: ExperimentConfig) -> None:
    """Write the resolved configuration as YAML."""
    write_atomic(folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(dataclasses.asdict(config))).encode())


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
