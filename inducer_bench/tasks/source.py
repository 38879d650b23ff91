"""Read a task's rows from the hub, from local files, or from the mini suite; and fingerprint them.

Everything but the hub is read without importing torch or datasets, so that a finished run is recognised at once.
"""

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inducer_bench.config.schema import Split, TaskConfig
from inducer_bench.errors import UserError, nearest
from inducer_bench.mini import suite

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Row:
    """One labelled example: one text, or the two of a pair, and the integer code of its label."""

    texts: tuple[str, ...]
    label: int


def read_rows(task: TaskConfig, split: Split) -> list[Row]:
    """The rows of `train` or `dev`, cut to `task.max_train` or `task.max_eval`.

    Raises:
        UserError: a file or column is missing, a line is malformed, a label is unknown, or the split is empty.
    """
    folder = data_folder(task)
    rows = _read_hub(task, split) if folder is None else _read_tsv(task, folder / f"{split}.tsv")
    if not rows:
        raise UserError(f"task: split '{split}' of '{task.name}' holds no examples")
    limit = task.max_train if split == "train" else task.max_eval
    return rows[:limit]


def fingerprint(task: TaskConfig) -> str:
    """What identifies a task's data: sha256 of the local files, or the hub's path, name and revision.

    Raises:
        UserError: a local file is missing.
    """
    folder = data_folder(task)
    if folder is None:
        return f"hub:{task.hub.path}/{task.hub.name}@{task.hub.revision}"
    digest = hashlib.sha256()
    for split in task.splits:
        digest.update(hashlib.sha256(_existing(folder / f"{split}.tsv").read_bytes()).digest())
    return f"sha256:{digest.hexdigest()[:16]}"


def data_folder(task: TaskConfig) -> Path | None:
    """The local folder that holds the task's files; None if they come from the hub.

    Raises:
        UserError: `task.data_dir` is not a folder, or the mini suite has no such task.
    """
    if task.data_dir is not None:
        folder = Path(task.data_dir)
        if not folder.is_dir():
            raise UserError(
                f"task.data_dir: found '{folder}', which is not a folder; allowed: one with train.tsv, dev.tsv"
            )
        return folder
    if task.source == "hub":
        return None
    try:
        return suite.data_dir(task.name)
    except KeyError as error:
        raise UserError(f"preset: {error.args[0]}") from None


def _read_tsv(task: TaskConfig, path: Path) -> list[Row]:
    """A tab-separated file with a header and no quoting, as GLUE publishes it."""
    code = _label_reader(task)
    line = 1
    rows = []
    try:
        with open(_existing(path), encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            header = next(reader, [])
            columns = [_column(header, name, path) for name in [*task.columns, task.label]]
            for line, fields in enumerate(reader, start=2):
                if len(fields) != len(header):
                    raise UserError(f"{path}, line {line}: found {len(fields)} fields; expected {len(header)}")
                *texts, label = (fields[column] for column in columns)
                rows.append(Row(tuple(texts), code(label, f"{path}, line {line}")))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}, after line {line}: not UTF-8 ({error.reason} at byte {error.start})") from None
    except csv.Error as error:
        raise UserError(f"{path}, line {line + 1}: {error}") from None
    return rows


def load_from_hub(task: TaskConfig, split: Split) -> "Dataset":
    """The split as `datasets` loads it, from its cache or the hub.

    Raises:
        OSError, ValueError: it is in neither.
    """
    from datasets import load_dataset

    source = task.hub
    return load_dataset(source.path, source.name, split=task.splits[split], revision=source.revision)


def _read_hub(task: TaskConfig, split: Split) -> list[Row]:
    data = load_from_hub(task, split)
    missing = [name for name in [*task.columns, task.label] if name not in data.column_names]
    if missing:
        raise UserError(f"task.columns: no column '{missing[0]}'; allowed: {', '.join(data.column_names)}")
    code = _label_reader(task)
    return [
        Row(tuple(row[name] for name in task.columns), code(str(row[task.label]), f"{split} row {index}"))
        for index, row in enumerate(data)
    ]


def _label_reader(task: TaskConfig) -> Callable[[str, str], int]:
    """A function from a label as written, by name or by code, and its place, to the code."""
    codes = {name: code for code, name in enumerate(task.labels)}
    codes |= {str(code): code for code in range(len(task.labels))}

    def read(found: str, place: str) -> int:
        if found not in codes:
            raise UserError(f"{place}: found label '{found}'; allowed: {', '.join(codes)}")
        return codes[found]

    return read


def _column(header: list[str], name: str, path: Path) -> int:
    if name not in header:
        raise UserError(f"{path}, line 1: no column '{name}'; {nearest(name, header)}found: {', '.join(header)}")
    return header.index(name)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"task.data_dir: '{path}' is missing")
    return path
