"""Tables in files: rows of chosen columns from tsv, csv, jsonl, json and parquet, each with its position for messages.

tsv as GLUE publishes it, without quoting; csv quoted as in RFC 4180; jsonl with one object per line; json with a list
of objects (or lines, as in jsonl). Rows are read when they are asked for; only json is read whole.
"""

import csv
import io
import reprlib
import sys
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, count
from json import JSONDecodeError
from pathlib import Path
from typing import Any, NamedTuple

from inducer_bench import strict_json
from inducer_bench.errors import UserError, first_line, listed, nearest, shown
from inducer_bench.tasks.files import ending, read_bytes, read_json, read_lines, read_text


class InputColumn(NamedTuple):
    """A column to read: the names that it may have, and the configuration key that names it."""

    key: str
    names: tuple[str, ...]


_ROWS = 1_000  # of a parquet file, read at a time
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
    if kind == "parquet":
        return _parquet(path, columns)
    if kind == "tsv":
        return _cells(str(path), _tab_separated(read_lines(path), str(path)), columns, header)
    if kind == "csv":
        return _cells(str(path), _comma_separated(read_lines(path), str(path)), columns, header)
    return pick(json_lines(read_lines(path), str(path)) if kind == "jsonl" else _json(path), columns)


def separated_records(
    lines: Iterable[str], name: str, kind: str, columns: list[InputColumn], header: list[str] | None = None
) -> Iterator[Located]:
    """The rows of a tsv or csv text, each with all of its columns; none if the text is empty.

    Args:
        lines: as `files.text_lines` gives them.
        name: of the text, for messages.
        kind: tsv or csv.
        columns: those that it must have.
        header: all columns of a text without a header line.

    Raises:
        UserError: a line is malformed, or a column is missing or there twice.
    """
    cells = _tab_separated(lines, name) if kind == "tsv" else _comma_separated(lines, name)
    first = next(cells, None)
    if first is None:
        return
    found, _, rows = _headed(name, first, cells, columns, header)
    if len(set(found)) < len(found):
        twice = next(column for column in found if found.count(column) > 1)
        raise UserError(f"{name}, line {first[0]}: several columns are named '{shown(twice)}'; allowed: one")
    yield from ((where, dict(zip(found, row, strict=True))) for where, row in rows)


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


def checked_text(value: Any, where: str, name: str) -> str:
    """The text in a cell of the column of this name.

    Raises:
        UserError: the cell holds something else.
    """
    if not isinstance(value, str):
        raise UserError(f"{where}, '{name}': found {reprlib.repr(value)} ({type(value).__name__}); expected text")
    return value


def text_of(record: dict[str, Any], column: InputColumn, where: str) -> str:
    """The text of one column of a record.

    Raises:
        UserError: there is no such column, or it does not hold text.
    """
    name = _name(record, column, where)
    return checked_text(record[name], where, name)


def _names(found: Collection[str], columns: list[InputColumn], where: str) -> list[str]:
    """The name of each chosen column in this file."""
    return [_name(found, column, where) for column in columns]


def _name(found: Collection[str], column: InputColumn, where: str) -> str:
    name = next((name for name in column.names if name in found), None)
    if name is None:
        wanted = "' or '".join(column.names)
        if len(found) == 1 and (separator := next((mark for mark in ";\t|," if mark in next(iter(found))), None)):
            raise UserError(
                f"{where}: no column '{wanted}' ({column.key}); found one column, {listed(found)}, with {separator!r} "
                "in it; allowed: commas between the columns of .csv files, tabs in .tsv files"
            )
        near = nearest(column.names[0], found)
        raise UserError(f"{where}: no column '{wanted}' ({column.key}); {near}found: {listed(found)}")
    if list(found).count(name) > 1:
        raise UserError(f"{where}: several columns are named '{name}' ({column.key}); allowed: one")
    return name


def _cells(
    name: str, lines: Iterator[tuple[int, list[str]]], columns: list[InputColumn], header: list[str] | None
) -> Iterator[Cells]:
    """The chosen cells of lines, the first of which may be a header."""
    found, names, rows = _headed(name, next(lines), lines, columns, header)
    indices = [found.index(column) for column in names]
    return ((where, [cells[index] for index in indices]) for where, cells in rows)


def _headed(
    name: str,
    first: tuple[int, list[str]],
    lines: Iterator[tuple[int, list[str]]],
    columns: list[InputColumn],
    header: list[str] | None,
) -> tuple[list[str], list[str], Iterator[Cells]]:
    """All columns of a table, the chosen ones, and its rows with all of their cells; `first` may be a header."""
    number, cells = first
    try:
        found, names = cells, _names(cells, columns, f"{name}, line {number}")
    except UserError as error:
        if header is None:
            raise
        if len(header) != len(cells):
            raise UserError(f"{error}; task.header has {len(header)} names for {len(cells)} columns") from None
        found, names = header, _names(header, columns, "task.header")
        lines = chain([first], lines)
    return found, names, _whole(name, lines, len(found))


def _whole(name: str, lines: Iterator[tuple[int, list[str]]], fields: int) -> Iterator[Cells]:
    for number, cells in lines:
        where = f"{name}, line {number}"
        if len(cells) != fields:
            found = f"{len(cells)} fields" if any(cells) else "an empty line"
            raise UserError(f"{where}: found {found}; expected {fields} fields")
        yield where, list(cells)


def _without_ends(lines: Iterable[str], name: str) -> Iterator[str]:
    """Lines without the line feed, or the carriage return and line feed, that they end with."""
    for number, line in enumerate(lines, start=1):
        if number == 1 and "\r" in line and not line.endswith("\n"):
            raise UserError(
                f"{name}: its lines end with carriage returns alone; expected line feeds, with or without them"
            )
        yield line.removesuffix("\n").removesuffix("\r")


def _tab_separated(lines: Iterable[str], name: str) -> Iterator[tuple[int, list[str]]]:
    return ((number, line.split("\t")) for number, line in enumerate(_without_ends(lines, name), start=1))


def _comma_separated(lines: Iterable[str], name: str) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(sys.maxsize)  # of the whole process; a field may be as long as in the other formats
    pieces = chain.from_iterable(io.StringIO(line, newline="") for line in lines)  # also at carriage returns
    reader = csv.reader(pieces, strict=True)
    number = 1
    try:
        for cells in reader:
            yield number, cells
            number = reader.line_num + 1  # a quoted field may span lines
    except csv.Error as error:
        reason = "a quote that opens here is never closed" if "end of data" in str(error) else str(error)
        raise UserError(f"{name}, line {number}: {reason}") from None


def json_lines(lines: Iterable[str], name: str) -> Iterator[Located]:
    """The objects of a text that has one in each line.

    Args:
        lines: as `files.text_lines` gives them.
        name: of the text, for messages.

    Raises:
        UserError: a line is not a JSON object; the message names it.
    """
    for number, line in enumerate(_without_ends(lines, name), start=1):
        where = f"{name}, line {number}"
        try:
            yield where, _object(strict_json.loads(line, unique_keys=True), where)
        except JSONDecodeError as error:
            raise UserError(f"{where}: {f'not JSON ({error.msg})' if line.strip() else 'an empty line'}") from None


def _json(path: Path) -> Iterator[Located]:
    text = read_text(path)
    if not text.lstrip().startswith("["):
        _check_lines(text, path)
        return json_lines(read_lines(path), str(path))
    return json_entries(read_json(path), str(path))


def _check_lines(text: str, path: Path) -> None:
    """Check that a text is not a single value of JSON in several lines."""
    try:
        strict_json.loads(text)
    except ValueError:
        return
    if "\n" in text.strip():
        raise UserError(f"{path}: found one object; allowed: a list of objects, or an object in each line")


def json_entries(values: list[Any], name: str) -> Iterator[Located]:
    """The objects of a list in JSON.

    Raises:
        UserError: one is something else; the message names it.
    """
    located = ((f"{name}, entry {number}", entry) for number, entry in enumerate(values, start=1))
    return ((where, _object(entry, where)) for where, entry in located)


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where}: found {type(value).__name__}; expected an object with columns as keys")
    return value


def _parquet(path: Path, columns: list[InputColumn]) -> Iterator[Cells]:
    import pyarrow as pa  # only here: loading it takes longer than recognising a finished run
    import pyarrow.parquet as parquet

    numbers = count(1)
    try:
        file = parquet.ParquetFile(pa.BufferReader(read_bytes(path)))
        names = _names(file.schema_arrow.names, columns, f"{path}, row 1")
        for batch in file.iter_batches(_ROWS, columns=names):
            values = [batch.column(name).to_pylist() for name in names]
            for *row, number in zip(*values, numbers, strict=False):  # the numbers last: they have no end
                yield f"{path}, row {number}", row
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: text that is not UTF-8, for example
        raise UserError(f"{path}: not a whole parquet file ({first_line(error)})") from None
