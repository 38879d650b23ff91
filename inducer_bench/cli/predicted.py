"""Predictions for new input, as a file: lines of JSON, or a table with one column for each probability."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from inducer_bench import strict_json
from inducer_bench.errors import UserError, listed
from inducer_bench.files import write_atomic

FORMATS = ("jsonl", "csv", "tsv")


def check_target(path: Path) -> None:
    """Check before anything is predicted that a file can be written.

    Raises:
        UserError: its suffix names no format, or there is no such folder.
    """
    if path.suffix.removeprefix(".") not in FORMATS:
        raise UserError(
            f"--output: found '{path}'; allowed: a name that ends in .{listed(FORMATS).replace(', ', ', .')}"
        )
    if path.is_dir() or not path.parent.is_dir():
        raise UserError(f"--output: '{path}' is not a file in a folder that exists; give another name")


def written(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write predictions, whole or not at all.

    Raises:
        UserError: the file cannot be written; an earlier one is as it was.
    """
    kind = path.suffix.removeprefix(".")
    text = "".join(f"{to_json(row)}\n" for row in rows) if kind == "jsonl" else _table(rows, kind)
    try:
        write_atomic(path, text.encode())
    except OSError as error:
        raise UserError(f"--output: '{path}' cannot be written ({error.strerror}); give another name") from None


def to_json(row: Mapping[str, Any]) -> str:
    """One row as a line of JSON; what ends a line for other programs, or steers a terminal, is written as an escape."""
    text = strict_json.dumps(row, ensure_ascii=False)
    return "".join(c if c.isprintable() else strict_json.dumps(c)[1:-1] for c in text)


def _table(rows: Sequence[Mapping[str, Any]], kind: str) -> str:
    """csv as in RFC 4180; tsv has no quotes, so that tabs and line ends become blanks."""
    flat = [dict(_cells(row)) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    lines = [columns, *([row.get(name, "") for name in columns] for row in flat)] if columns else []
    if kind == "tsv":
        return "".join("\t".join(re.sub(r"[\t\r\n]+", " ", cell) for cell in line) + "\n" for line in lines)
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _cells(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in row.items():
        if name == "probabilities":
            yield from ((f"probability of {label}", str(number)) for label, number in value.items())
        else:
            yield name, value if isinstance(value, str) else to_json(value)
