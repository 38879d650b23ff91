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
from inducer_bench.notices import tell

FORMATS = ("jsonl", "csv", "tsv")

Row = Mapping[str, Any]


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


def kind_of(path: Path | None) -> str:
    """The format of a file by its suffix; on stdout lines of JSON."""
    return "jsonl" if path is None else path.suffix.removeprefix(".")


def merged(inputs: Sequence[Mapping[str, Any]], predictions: Sequence[Mapping[str, Any]], kind: str) -> list[Row]:
    """The values of each input, then what the model says of it.

    Where the model has a value of the same name, the input's is kept as `input NAME`, which is reported.
    """
    rows: list[Row] = []
    renamed = set()
    for given, found in zip(inputs, predictions, strict=True):
        own = dict(found if kind == "jsonl" else _columns(found))
        names = {}
        for name in given.keys() & own.keys():
            names[name] = f"input {name}"
            while names[name] in own or names[name] in given:
                names[name] = f"input {names[name]}"
            renamed.add(f"'{name}' is '{names[name]}'")
        rows.append({**{names.get(name, name): value for name, value in given.items()}, **own})
    if renamed:
        tell(f"of the input, {listed(sorted(renamed))} in the output, where the model has a value of that name")
    return rows


def written(path: Path, rows: Sequence[Row]) -> None:
    """Write predictions, whole or not at all.

    Raises:
        UserError: the file cannot be written; an earlier one is as it was.
    """
    kind = kind_of(path)
    text = "".join(f"{to_json(row)}\n" for row in rows) if kind == "jsonl" else _table(rows, kind)
    try:
        write_atomic(path, text.encode())
    except OSError as error:
        raise UserError(f"--output: '{path}' cannot be written ({error.strerror}); give another name") from None


def to_json(row: Any) -> str:
    """A row or a value as a line of JSON.

    What ends a line for other programs, or steers a terminal, is written as an escape.
    """
    text = strict_json.dumps(row, ensure_ascii=False)
    return "".join(c if c.isprintable() else strict_json.dumps(c)[1:-1] for c in text)


def _table(rows: Sequence[Row], kind: str) -> str:
    """csv as in RFC 4180; tsv has no quotes, so that tabs and line ends become blanks."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [columns, *([_cell(row.get(name, "")) for name in columns] for row in rows)] if columns else []
    if kind == "tsv":
        return "".join("\t".join(re.sub(r"[\t\r\n]+", " ", cell) for cell in line) + "\n" for line in lines)
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _columns(found: Row) -> Iterator[tuple[str, Any]]:
    for name, value in found.items():
        if name == "probabilities":
            yield from ((f"probability of {label}", number) for label, number in value.items())
        else:
            yield name, value


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value)
