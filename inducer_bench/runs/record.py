"""`record.json`: what a run was, what it scored, what it cost and where it came from.

A record is complete and checksummed, or it does not exist. Reading one needs no torch.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic
from inducer_bench.metrics.score import Scores
from inducer_bench.options import options, typed

FILE = "record.json"
SCHEMA = 3
_SCORES_IN_A_LINE = 4

Status = Literal["done", "failed", "interrupted", "oom"]


# -- parts of a record -------------------------------------------------------------------------------------------------


@options
class Data:
    """The origin of a run's data, and what identifies them."""

    source: str  # hub, mini or local
    fingerprint: str


@options
class Code:
    """The code of a run; git's values are None where the package does not run from its repository."""

    version: str
    algorithm: int
    git_sha: str | None
    git_dirty: bool | None

    def __str__(self) -> str:
        """The version, the commit and its state, in words."""
        commit = f" at {self.git_sha[:7]}" if self.git_sha else ""
        return f"{self.version}{commit}{', with uncommitted changes' if self.git_dirty else ''}"


@options
class Parameters:
    """Deployed parameters of the method, the head and the special-token rows, and those of the PLM."""

    method: int
    head: int
    tokens: int
    plm: int
    percent: float  # method / PLM


@options
class Tokens:
    """Tokens of the training batches, without and with padding."""

    real: int
    padded: int


@options
class Device:
    """The device of a run and torch's number of CPU threads."""

    type: str
    name: str
    threads: int

    def __str__(self) -> str:
        """The device in words; the threads of a CPU decide its times."""
        return f"{self.type} {self.name}{f', threads: {self.threads}' if self.type == 'cpu' else ''}"


# -- records -----------------------------------------------------------------------------------------------------------


@options
class Record:
    """The facts that are known however a run ends."""

    status: Status
    suite: str
    task: str
    plm: str
    plm_weights: str
    method: str
    protocol: str
    seed: int
    config: dict[str, Any]  # resolved, as plain values; it hashes to `config_hash`
    config_hash: str
    data: Data
    plm_fingerprint: str
    code: Code
    versions: dict[str, str]  # of Python and of the packages that decide numbers
    command: str
    error: str | None = None  # one line, unless the run is done

    @property
    def metric(self) -> str:
        """The score that selects the epoch and headlines tables."""
        return str(self.config["task"]["metric"])

    def headline(self) -> str:
        """The status, for one line."""
        return self.status


@options
class FinishedRecord(Record):
    """The record of a run that is done, with its scores and costs."""

    scores: Scores
    losses: dict[str, float]  # split -> mean loss, of tasks that predict labels or numbers
    labels: list[str] | None  # in the order of their codes; None where the task has none
    best_epoch: int
    selection_score: float | None
    evaluations: list[dict[str, int | float | None]]  # one per epoch: epoch, step, loss and scores
    steps: int
    examples: dict[str, int]  # of train, of the selection set, and of each split scored at the end
    parameters: Parameters
    train_seconds: float
    eval_seconds: float
    peak_memory_bytes: int
    peak_memory_of: str  # cuda_allocated or process_resident
    adapter_bytes: int  # size of the file with method parameters, head and special-token rows
    tokens: Tokens
    train_flops: int  # an estimate
    device: Device
    precision: str  # no: fp32; bf16: mixed precision
    processes: int

    @property
    def dtype(self) -> str:
        """The precision in words: fp32 or bf16."""
        return "fp32" if self.precision == "no" else self.precision

    def headline(self) -> str:
        """The first scores, those of the task's metric before all others, for one line."""
        metric = self.metric
        names = sorted(self.scores, key=lambda name: (name != metric, not name.startswith(f"{metric}_"), name))
        shown = [(name, self.scores[name].value) for name in names[:_SCORES_IN_A_LINE]]
        more = f"  and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
        return "  ".join(f"{name} {'-' if value is None else f'{value:.2f}'}" for name, value in shown) + more


# -- files -------------------------------------------------------------------------------------------------------------


def write(folder: Path, record: Record) -> None:
    """Write `record` into `folder`, with its schema version and checksum, whole or not at all.

    Raises:
        OSError: the folder cannot be written; an earlier record is left as it was.
        TypeError, ValueError: the configuration holds a value that JSON has no form for.
    """
    values = {"schema": SCHEMA, **dataclasses.asdict(record)}
    body = json.loads(json.dumps(values, allow_nan=False))  # as it will be read: keys of dicts become strings
    text = json.dumps({**body, "checksum": _checksum(body)}, indent=2, sort_keys=True)
    write_atomic(folder / FILE, (text + "\n").encode())


def read(folder: Path) -> Record | None:
    """The record in `folder`: a `FinishedRecord` if the run is done; None if there is no record.

    Raises:
        UserError: the record is truncated, was edited, is of another schema, or has a bad key.
    """
    path = folder / FILE
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        checksum = body.pop("checksum")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise UserError(f"{path}: not a whole record; move the folder away to run again") from None
    if checksum != _checksum(body):
        raise UserError(f"{path}: its checksum does not match; it was edited; move the folder away to run again")
    schema = body.pop("schema", None)
    if schema == 2:
        raise UserError(
            f"{path}: found schema 2, of version 0.1.0; allowed: {SCHEMA}; run the same command again with this "
            "version, or read the record with version 0.1.0"
        )
    if schema != SCHEMA:
        raise UserError(f"{path}: found schema {schema}; allowed: {SCHEMA}")
    try:
        return typed(FinishedRecord if body.get("status") == "done" else Record, body)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def find(root: Path) -> list[Path]:
    """The run folders below `root` (`<task>/<plm>/<method>/<hash>`), sorted."""
    return sorted(path.parent for path in root.glob(f"*/*/*/*/{FILE}"))


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
