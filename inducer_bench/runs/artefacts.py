"""The files that a finished run leaves beside its record, which has their checksums."""

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from inducer_bench import files, strict_json
from inducer_bench.errors import UserError, listed, shown
from inducer_bench.runs.record import FinishedRecord

ADAPTER, PREDICTIONS = "adapter", "predictions.jsonl.gz"
WEIGHTS, DESCRIPTION = f"{ADAPTER}/adapter.safetensors", f"{ADAPTER}/adapter.json"


def packed(predictions: Iterable[Mapping[str, Any]]) -> bytes:
    """The content of the file of predictions: a JSON line for each; equal bytes for equal predictions."""
    return gzip.compress("".join(f"{strict_json.dumps(one)}\n" for one in predictions).encode(), mtime=0)


def checksums(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Path below `folder` -> the sha256 of that file, in hexadecimal."""
    return {name: files.sha256(folder / name).hex() for name in names}


def check(folder: Path, record: FinishedRecord, name: str) -> None:
    """Check that a file is the one that the run left.

    Args:
        folder: of the run.
        record: of the run; one of schema 3 has no checksums, and then the file needs only be there.
        name: the path of the file below the folder.

    Raises:
        UserError: it is missing, cannot be read, or is another one.
    """
    problem = _problem(folder, record, name)
    if problem:
        raise UserError(f"{folder / name}: {problem}; move the folder away and run again")


def state(folder: Path, record: FinishedRecord) -> str:
    """What is wrong with the files of a run, in a line; empty if nothing is."""
    names = [*record.files] or [WEIGHTS, DESCRIPTION, PREDICTIONS]
    problems = {name: problem for name in names if (problem := _problem(folder, record, name))}
    by_problem = {found: [name for name in problems if problems[name] == found] for found in problems.values()}
    return "; ".join(f"{found}: {listed(names)}" for found, names in by_problem.items())


def _problem(folder: Path, record: FinishedRecord, name: str) -> str | None:
    path, expected = folder / name, record.files.get(name)
    try:
        if not path.is_file():
            return "not a file" if path.exists() else "missing"
        if expected is not None and files.sha256(path).hex() != expected:
            return "damaged, its sha256 is not that of the record"
    except OSError as error:
        return f"cannot be read ({shown(error.strerror)})"
    return None
