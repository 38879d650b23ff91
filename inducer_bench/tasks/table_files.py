"""Tables in files: rows of chosen columns from tsv, csv, jsonl, json and parquet, each with its position for messages.

tsv as GLUE publishes it, without quoting; csv quoted as in RFC 4180; jsonl with one object per line; json with a list
of objects (or lines, as in jsonl).
"""

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from inducer_bench.errors import UserError, first_line, nearest
from inducer_bench.tasks.files import ending, read_bytes, read_json, read_text


class InputColumn(NamedTuple):
    """A column to read: the names that it may have, and the configuration key that names it."""

    key: str
    names: tuple[str, ...]


Cells = tuple[str, list[Any]]  # file and line of a row, and its values in the chosen columns
Located = tuple[str, dict[str, Any]]  # file and line of a row, and all its values by column


def read_table(path: Path, columns: list[InputColumn], header: list[str] | None = None) -> Iterator[Cells]:
    """The rows of a file.

    Args:
        path: its extension decides how it is read.
        columns: the columns to read.
        header: all columns of a tsv or csv file without a header line.

    Raises:
        UserError: the file is damaged, or a column is missing; the message names the line.
    """
    kind = ending(path)
    if kind in ("tsv", "csv"):
        return _cells(path, _tab_separated(path) if kind == "tsv" else _comma_separated(path), columns, header)
    read: dict[str, Callable[[Path], Iterable[Located]]] = {"jsonl": _lines, "json": _json, "parquet": _parquet}
    return pick(read[kind](path), columns)


def pick(records: Iterable[Located], columns: list[InputColumn]) -> Iterator[Cells]:
    """The chosen values of records that are dicts.

    Raises:
        UserError: a record lacks a column.
    """
    keys: Collection[str] = ()
    names: list[str] = []
    for where, record in records:
        if record.keys() != keys:
            keys, names = record.keys(), _names(record, columns, where)
        yield where, [record[name] for name in names]


def checked_text(value: Any, where: str) -> str:
    """The text in a cell.

    Raises:
        UserError: the cell holds something else.
    """
    if not isinstance(value, str):
        raise UserError(f"{where}: found {value!r} ({type(value).__name__}); expected text")
    return value


def text_of(record: dict[str, Any], name: str, where: str) -> str:
    """The text of one column of a record.

    Raises:
        UserError: there is no such column, or it does not hold text.
    """
    return checked_text(record[_name(record, InputColumn("input", (name,)), where)], where)


def _names(found: Collection[str], columns: list[InputColumn], where: str) -> list[str]:
    """The name of each chosen column in this file."""
    return [_name(found, column, where) for column in columns]


def _name(found: Collection[str], column: InputColumn, where: str) -> str:
    for name in column.names:
        if name in found:
            return name
    wanted = "' or '".join(column.names)
    near = nearest(column.names[0], found)
    raise UserError(f"{where}: no column '{wanted}' ({column.key}); {near}found: {', '.join(map(str, found))}")


def _cells(
    path: Path, lines: Iterator[tuple[int, list[str]]], columns: list[InputColumn], header: list[str] | None
) -> Iterator[Cells]:
    """The chosen cells of lines, the first of which may be a header."""
    number, first = next(lines)
    try:
        found = first
        names = _names(first, columns, f"{path}, line {number}")
    except UserError:
        if header is None or len(header) != len(first):
            raise
        found, names = header, _names(header, columns, "task.header")
        lines = _chain((number, first), lines)
    indices = [found.index(name) for name in names]
    for number, cells in lines:
        where = f"{path}, line {number}"
        if len(cells) != len(found):
            raise UserError(f"{where}: found {len(cells)} fields; expected {len(found)}")
        yield where, [cells[index] for index in indices]


def _chain(first: tuple[int, list[str]], rest: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rest


def _text_lines(path: Path) -> list[str]:
    """Lines, split at line feeds only; blank ones at the end are dropped."""
    return [line.removesuffix("\r") for line in read_text(path).rstrip("\r\n").split("\n")]


def _tab_separated(path: Path) -> Iterator[tuple[int, list[str]]]:
    return ((number, line.split("\t")) for number, line in enumerate(_text_lines(path), start=1))


def _comma_separated(path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(read_text(path).rstrip("\r\n"), newline=""), strict=True)
    number = 1
    try:
        for cells in reader:
            yield number, cells
            number = reader.line_num + 1  # a quoted field may span lines
    except csv.Error as error:
        reason = "a quote that opens here is never closed" if "end of data" in str(error) else str(error)
        raise UserError(f"{path}, line {number}: {reason}") from None


def _lines(path: Path) -> Iterator[Located]:
    for number, line in enumerate(_text_lines(path), start=1):
        where = f"{path}, line {number}"
        try:
            yield where, _object(json.loads(line), where)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: not whole JSON ({error.msg})") from None


def _json(path: Path) -> Iterator[Located]:
    if not read_text(path).lstrip().startswith("["):
        return _lines(path)
    located = ((f"{path}, entry {number}", entry) for number, entry in enumerate(read_json(path), start=1))
    return ((where, _object(entry, where)) for where, entry in located)


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: found {type(value).__name__}; expected an object with columns as keys")
    return value


def _parquet(path: Path) -> Iterator[Located]:
    import pyarrow as pa  # only here: loading it takes longer than recognising a finished run
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(pa.BufferReader(read_bytes(path)))
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a whole parquet file ({first_line(error)})") from None
    return ((f"{path}, row {number}", row) for number, row in enumerate(table.to_pylist(), start=1))
