"""Records written by hand: what a sweep would leave, without training."""

import dataclasses
import gzip
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from inducer_bench.config.compose import compose
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.metrics.score import Score
from inducer_bench.runs import record as records
from inducer_bench.runs.artefacts import PREDICTIONS, checksums
from inducer_bench.runs.identity import recorded_hash
from inducer_bench.runs.record import Code, Data, Device, FinishedRecord, Parameters, Record, Status, Tokens

EXAMPLES = 200
MINI = ("preset=mini", "task=sst2")
FULL = ("task=sst2",)
OTHER_CODE = Code(version="0.0.9", algorithm=9, git_sha="fedcba9876543210", git_dirty=True)


@lru_cache(maxsize=256)
def configuration(overrides: tuple[str, ...]) -> ExperimentConfig:
    return compose(list(overrides))


def record_of(
    config: ExperimentConfig,
    /,
    *,
    status: Status = "done",
    score: float = 80.0,
    parameters: int = 17_000,
    train_seconds: float = 30.0,
    scores: dict[str, float | None] | None = None,
    **changes: Any,
) -> Record:
    """The record that a run of `config` would leave; `changes` replace fields."""
    values = dataclasses.asdict(config)
    values["suite"] = changes.get("suite", config.suite)
    values["protocol"]["name"] = changes.get("protocol", config.protocol.name)
    known: dict[str, Any] = {
        "status": status,
        "suite": config.suite,
        "task": config.task.name,
        "plm": config.plm.name,
        "plm_weights": config.plm.weights,
        "method": config.method.name,
        "protocol": config.protocol.name,
        "seed": config.seed,
        "config": values,
        "config_hash": "",
        "data": data("sha256:data"),
        "plm_fingerprint": "sha256:plm",
        "code": Code(version="0.1.0", algorithm=1, git_sha="0123456789abcdef", git_dirty=False),
        "versions": {"torch": "2.13.0"},
        "command": "inducer-bench ...",
    }
    if status != "done":
        return with_hash(Record(**{**known, "error": status, **changes}))
    found = scores or {config.task.metric: score}
    results: dict[str, Any] = {
        "scores": {
            key: Score(value=value, signature=key, reason="not computed: no Java" if value is None else None)
            for key, value in found.items()
        },
        "losses": {},
        "labels": None,
        "best_epoch": 3,
        "selection_score": score,
        "evaluations": [
            {"epoch": epoch, "step": 10 * epoch, "loss": 1 / epoch, config.task.metric: score - 6 / epoch + 2}
            for epoch in (1, 2, 3)
        ],
        "steps": 30,
        "examples": {"train": 4000, "selection": EXAMPLES, config.task.report[0]: EXAMPLES},
        "parameters": Parameters(
            method=parameters, head=100, tokens=0, plm=1_210_496, percent=100 * parameters / 1_210_496
        ),
        "train_seconds": train_seconds + config.seed,
        "eval_seconds": 1.5,
        "peak_memory_bytes": 2**29 + 2**20 * config.seed,
        "peak_memory_of": "process_resident",
        "adapter_bytes": 4 * parameters,
        "tokens": Tokens(real=1000, padded=1100),
        "train_flops": 10**12,
        "device": Device(type="cpu", name="x86_64", threads=1),
        "precision": "no",
        "processes": 1,
        "files": {},
    }
    return with_hash(FinishedRecord(**{**known, **results, **changes}))


def with_hash(record: Record) -> Record:
    """The record with the hash of its configuration, its algorithm, its data and its PLM."""
    config = json.loads(json.dumps(record.config))  # as it will be read
    found = recorded_hash(config, record.code.algorithm, record.data.fingerprint, record.plm_fingerprint)
    return dataclasses.replace(record, config_hash=found or _any_hash(record))


def _any_hash(record: Record) -> str:
    """A hash for a run with a user's code, whose own would cover the files of that code."""
    return hashlib.sha256(repr(record.config).encode()).hexdigest()[:16]


def data(fingerprint: str, source: str = "mini") -> Data:
    return Data(source=source, fingerprint=fingerprint)


def code(version: str) -> Code:
    """Code of another algorithm for each version: a run of the same algorithm would have been done already."""
    return Code(version=version, algorithm=int(version.replace(".", "")), git_sha=None, git_dirty=None)


def write_run(
    root: Path, *overrides: str, seed: int = 0, score: float = 80.0, predictions: bool = True, **changes: Any
) -> Path:
    """One run's folder, as `inducer-bench OVERRIDES seed=SEED` would leave it; `changes` are `record_of`'s.

    The predictions are right on the first `score` percent of the examples.
    """
    return write_run_of(root, configuration(overrides), seed=seed, score=score, predictions=predictions, **changes)


def write_run_of(
    root: Path, of: ExperimentConfig, /, seed: int = 0, score: float = 80.0, predictions: bool = True, **changes: Any
) -> Path:
    """`write_run`, of a configuration."""
    config = dataclasses.replace(of, seed=seed, output_dir=str(root))
    record = record_of(config, score=score, **changes)
    folder = root / record.task / record.plm / record.method / record.config_hash
    folder.mkdir(parents=True)
    if isinstance(record, FinishedRecord) and predictions:
        write_predictions(folder, config.task.report[0], score)
        record = dataclasses.replace(record, files=checksums(folder, [PREDICTIONS]))
    records.write(folder, record)
    return folder


def write_predictions(folder: Path, split: str, score: float) -> None:
    right = round(score / 100 * EXAMPLES)
    rows = [{"split": split, "index": i, "label": i % 2, "prediction": i % 2 if i < right else 1 - i % 2, "loss": 0.5}
            for i in range(EXAMPLES)]  # fmt: skip
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / PREDICTIONS).write_bytes(gzip.compress(lines.encode(), mtime=0))
