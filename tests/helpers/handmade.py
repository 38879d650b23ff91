"""Records written by hand: what a sweep would leave, without training."""

import dataclasses
import gzip
import json
import random
from functools import lru_cache
from pathlib import Path
from typing import Any

from inducer_bench.config.compose import compose
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.metrics.score import Score
from inducer_bench.runs import record as records
from inducer_bench.runs.record import Code, Data, Device, FinishedRecord, Parameters, Record, Status, Tokens

EXAMPLES = 200
MINI = ("preset=mini", "task=sst2")
FULL = ("task=sst2",)
OTHER_CODE = Code(version="0.0.9", algorithm=1, git_sha="fedcba9876543210", git_dirty=True)


@lru_cache(maxsize=256)
def configuration(overrides: tuple[str, ...]) -> ExperimentConfig:
    return compose(list(overrides))


def record_of(
    config: ExperimentConfig,
    config_hash: str = "0123456789abcdef",
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
    known: dict[str, Any] = {
        "status": status,
        "suite": config.suite,
        "task": config.task.name,
        "plm": config.plm.name,
        "plm_weights": config.plm.weights,
        "method": config.method.name,
        "protocol": config.protocol.name,
        "seed": config.seed,
        "config": dataclasses.asdict(config),
        "config_hash": config_hash,
        "data": data("sha256:data"),
        "plm_fingerprint": "sha256:plm",
        "code": Code(version="0.1.0", algorithm=1, git_sha="0123456789abcdef", git_dirty=False),
        "versions": {"torch": "2.13.0"},
        "command": "inducer-bench ...",
    }
    if status != "done":
        return Record(**{**known, "error": status, **changes})
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
    }
    return FinishedRecord(**{**known, **results, **changes})


def data(fingerprint: str, source: str = "mini") -> Data:
    return Data(source=source, fingerprint=fingerprint)


def code(version: str) -> Code:
    return Code(version=version, algorithm=1, git_sha=None, git_dirty=None)


def write_run(
    root: Path, *overrides: str, seed: int = 0, score: float = 80.0, predictions: bool = True, **changes: Any
) -> Path:
    """One run's folder, as `inducer-bench OVERRIDES seed=SEED` would leave it; `changes` are `record_of`'s.

    The predictions are right on the first `score` percent of the examples.
    """
    config = dataclasses.replace(configuration(overrides), seed=seed, output_dir=str(root))
    name = f"{random.Random(repr((overrides, seed, sorted(changes.items())))).getrandbits(64):016x}"
    folder = root / config.task.name / config.plm.name / config.method.name / name
    folder.mkdir(parents=True)
    record = record_of(config, name, score=score, **changes)
    if isinstance(record, FinishedRecord) and predictions:
        write_predictions(folder, config.task.report[0], score)
    records.write(folder, record)
    return folder


def write_predictions(folder: Path, split: str, score: float) -> None:
    right = round(score / 100 * EXAMPLES)
    rows = [{"split": split, "index": i, "label": i % 2, "prediction": i % 2 if i < right else 1 - i % 2, "loss": 0.5}
            for i in range(EXAMPLES)]  # fmt: skip
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "predictions.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
