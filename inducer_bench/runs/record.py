"""`record.json`: what a run was, what it scored, what it cost and where it came from.

A record is complete and checksummed, or it does not exist. Reading one needs no torch.
"""

import dataclasses
import os
import shlex
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from inducer_bench.errors import UserError, shown
from inducer_bench.metrics.confusion import table
from inducer_bench.metrics.score import Scores
from inducer_bench.metrics.table import written
from inducer_bench.options import options, typed
from inducer_bench.runs import checksummed
from inducer_bench.runs.identity import recorded_hash

FILE = "record.json"
SCHEMA = 4
_WITHOUT_CHECKSUMS = 3  # the schema before this one: without `files`
_SCORES_IN_A_LINE = 4
_LEVELS = 4  # of folders of runs: task, PLM, method, hash

Status = Literal["done", "failed", "interrupted", "oom"]
Count = Annotated[int, Field(ge=0, lt=2**63)]
NonNegative = Annotated[float, Field(ge=0.0)]


# -- parts of a record -------------------------------------------------------------------------------------------------


@options
class Data:
    """The origin of a run's data, and what identifies them."""

    source: str  # hub, mini or local
    fingerprint: str


@options
class Code:
    """The code of a run; git's values are None where the package does not run from its repository."""

    version: Annotated[str, Field(max_length=100)]
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

    method: Count
    head: Count
    tokens: Count
    plm: Count
    percent: NonNegative  # method / PLM


@options
class Tokens:
    """Tokens of the training batches, without and with padding."""

    real: Count
    padded: Count


@options
class Device:
    """The device of a run and torch's number of CPU threads."""

    type: str
    name: str
    threads: Count

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

    @property
    def is_trial(self) -> bool:
        """Whether it scored nothing but its held-out slice of train, for a search."""
        return bool(self.config["protocol"].get("score") == "held_out")

    def headline(self) -> str:
        """The status, for one line."""
        return self.status


@options
class FinishedRecord(Record):
    """The record of a run that is done, with its scores and costs."""

    scores: Annotated[Scores, Field(min_length=1)]
    losses: dict[str, float]  # split -> mean loss, of tasks that predict labels or numbers
    labels: list[str] | None  # in the order of their codes; None where the task has none
    # split -> examples by label (rows) and prediction (columns); empty for tasks without labels, or with many
    confusion: dict[str, list[list[Count]]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)  # what is odd about the predictions
    best_epoch: Count
    selection_score: float | None
    evaluations: list[dict[str, int | float | None]]  # one per epoch: epoch, step, loss and scores
    steps: Count
    examples: dict[str, Count]  # of train, of the selection set, and of each split scored at the end
    parameters: Parameters
    train_seconds: NonNegative  # of several side by side: this run's part
    side_by_side: Count = 1  # runs that one PLM trained at a time, whose memory was measured together
    eval_seconds: NonNegative
    peak_memory_bytes: Count | None  # None where it was not measured: on a CPU with trainer.compile, or without a step
    # cuda_allocated, or tensors_allocated in a training step on a CPU; in older records the memory of the whole process
    peak_memory_of: Literal["cuda_allocated", "tensors_allocated", "process_resident"]
    adapter_bytes: Count  # size of the file with method parameters, head and special-token rows
    tokens: Tokens
    train_flops: Count  # an estimate
    device: Device
    precision: str  # no: fp32; tf32: fp32 with TF32 products; bf16: mixed precision
    processes: Count
    files: dict[str, str]  # path below the run's folder -> sha256, of all that the run left; none in schema 3

    @property
    def dtype(self) -> str:
        """The precision in words: fp32, tf32 or bf16."""
        return "fp32" if self.precision == "no" else self.precision

    @property
    def score(self) -> float | None:
        """The main score, that of `metric`; None if it was not computed."""
        return self.scores[self.metric].value if self.metric in self.scores else None

    @property
    def own_memory(self) -> int | None:
        """The run's own peak memory in bytes; None where it was not measured, or is that of the whole process."""
        return None if self.peak_memory_of == "process_resident" else self.peak_memory_bytes

    def class_lines(self) -> list[str]:
        """The scores and predictions of each class of each split, as aligned lines of text, safe to print."""
        lines = []
        for split, matrix in self.confusion.items():
            rows = [[shown(cell, 30) for cell in row] for row in table(matrix, self.labels or [])]
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            lines += [f"{split}, by class:", *("  ".join(map(str.rjust, row, widths)) for row in rows)]
        return lines

    def own_scores(self) -> dict[str, float | None]:
        """The scores of the task's metrics, its main one first, then those of parts: of other splits, or of groups."""
        metrics = [self.metric, *self.config["task"].get("metrics", ())]
        main = self.metric
        names = sorted(
            self.scores, key=lambda name: (name not in metrics, name != main, not name.startswith(f"{main}_"), name)
        )
        return {name: self.scores[name].value for name in names}

    def headline(self) -> str:
        """The scores of the task's metrics and the first of its parts, for one line."""
        found, metrics = self.own_scores(), self.config["task"].get("metrics", ())
        count = max(_SCORES_IN_A_LINE, sum(name in metrics for name in found))
        first = [f"{shown(name, 60)} {written(name, value)}" for name, value in list(found.items())[:count]]
        return "  ".join(first) + (f"  and {len(found) - count} more" if len(found) > count else "")


# -- files -------------------------------------------------------------------------------------------------------------


def write(folder: Path, record: Record) -> None:
    """Write `record` into `folder`, with its schema version and checksum, whole or not at all.

    Raises:
        OSError: the folder cannot be written; an earlier record is left as it was.
        TypeError, ValueError: the configuration holds a value that JSON has no form for.
    """
    checksummed.write(folder / FILE, SCHEMA, dataclasses.asdict(record))


def read(folder: Path) -> Record | None:
    """The record in `folder`: a `FinishedRecord` if the run is done; None if there is no record.

    Raises:
        UserError: the record cannot be read, is truncated, was edited, is of another schema, has a bad key, or
            contradicts itself.
    """
    path = folder / FILE
    body = checksummed.read(path)
    if body is None:
        return None
    schema = body.pop("schema", None)
    if schema == 2:
        raise UserError(
            f"{path}: found schema 2, of version 0.1.0; allowed: {_WITHOUT_CHECKSUMS}, {SCHEMA}; run the same command "
            "again with this version, or read the record with version 0.1.0"
        )
    if schema not in (_WITHOUT_CHECKSUMS, SCHEMA):
        raise UserError(f"{path}: found schema {shown(schema)}; allowed: {_WITHOUT_CHECKSUMS}, {SCHEMA}")
    done = body.get("status") == "done"
    if done and schema == _WITHOUT_CHECKSUMS:
        body["files"] = {}
    try:
        record = typed(FinishedRecord if done else Record, body)
        _check(record)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return record


def read_in_place(folder: Path) -> Record | None:
    """`read`, for a folder that is where a run writes it: `<task>/<plm>/<method>/<hash>` below any other.

    Raises:
        UserError: see `read`; or the run is a copy, or was moved, and would count as another one.
    """
    record = read(folder)
    if record is not None:
        place = (record.task, record.plm, record.method, record.config_hash)
        if folder.parts[-4:] != place:
            raise UserError(f"{folder / FILE}: a copy, or moved; the place of this run is '{'/'.join(place)}'")
    return record


def find(root: Path) -> tuple[list[tuple[Path, Record]], list[str]]:
    """The runs below `root`, each in `<task>/<plm>/<method>/<hash>`, sorted; and one line for each that is left out.

    Runs of another folder of runs, above or below `root`, have a line together.

    Raises:
        UserError: `root` is not a folder that can be read.
    """
    found: list[tuple[Path, Record]] = []
    left_out: list[str] = []
    for folder in checksummed.folders(root, _LEVELS, left_out):
        try:
            record = read_in_place(folder)
        except UserError as error:
            left_out.append(str(error))
        else:
            found += [] if record is None else [(folder, record)]
    for own, count in sorted(Counter(_elsewhere(root)).items()):
        told = f"{own}: another folder of runs, {count:,} in number; to read them: --runs {shlex.quote(str(own))}"
        left_out.append(str(UserError(told)))
    return found, left_out


def _elsewhere(root: Path) -> Iterator[Path]:
    """For each run at another depth below `root`, down to twice that of its runs, the folder that it is a run of."""
    for folder, below, files in os.walk(root):
        level = len(Path(folder).relative_to(root).parts)
        if FILE in files or level == 2 * _LEVELS:
            below.clear()
        if FILE in files and level != _LEVELS:
            run = Path(folder).resolve()
            with suppress(UserError):  # a copy, or of another program
                if read_in_place(run) is not None:
                    own = run.parents[3]
                    yield own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own


# -- checks ------------------------------------------------------------------------------------------------------------


def _check(record: Record) -> None:
    """Check that the parts of a record agree.

    Raises:
        UserError: they do not, or one that reports need is not there.
    """
    for section in ("task", "plm", "method", "trainer", "protocol"):
        if not isinstance(record.config.get(section), dict):
            raise UserError(f"config.{section}: missing, or without keys")
    if not isinstance(record.config["task"].get("metric"), str):
        raise UserError("config.task.metric: missing, or not a name")
    for key, recorded, configured in _named_twice(record):
        if recorded != configured:
            raise UserError(f"{key}: found {shown(recorded)}; its configuration says {shown(configured)}")
    expected = recorded_hash(record.config, record.code.algorithm, record.data.fingerprint, record.plm_fingerprint)
    if expected not in (None, record.config_hash):
        raise UserError(f"config_hash: found {shown(record.config_hash)}; its configuration and data have {expected}")
    if isinstance(record, FinishedRecord):
        _check_results(record)


def _named_twice(record: Record) -> Iterator[tuple[str, object, object]]:
    """Each field that the configuration has as well: its name, its value, and that of the configuration."""
    for section in ("task", "plm", "method", "protocol"):
        yield section, getattr(record, section), record.config[section].get("name")
    for key in ("suite", "seed"):
        yield key, getattr(record, key), record.config.get(key)


def _check_results(record: FinishedRecord) -> None:
    # A kind of the user's may name its scores as it likes; a trial has those that select its epoch.
    unknown = "." in str(record.config["task"].get("kind")) or record.is_trial
    for key, needed in (
        ("scores", () if unknown else (record.metric,)),
        ("examples", ("train", "selection")),
        ("versions", ("torch",)),
    ):
        for name in needed:
            if name not in getattr(record, key):
                raise UserError(f"{key}.{name}: missing")
    classes = len(record.labels or [])
    for split, matrix in record.confusion.items():
        if len(matrix) != classes or any(len(row) != classes for row in matrix):
            raise UserError(f"confusion.{split}: allowed: a row and a column for each of the {classes} labels")
    epochs = [entry.get("epoch") for entry in record.evaluations]
    if epochs != [*range(1, len(epochs) + 1)]:
        raise UserError("evaluations: allowed: one for each epoch, from 1 on, in their order")
    if not min(1, len(epochs)) <= record.best_epoch <= len(epochs):
        raise UserError(f"best_epoch: found {record.best_epoch}; the run has {len(epochs)} epochs")
