"""New input for the model of a finished run: tables, lines of JSON, or plain text."""

from collections.abc import Iterator, Sequence
from io import BytesIO

from inducer_bench.errors import UserError, listed
from inducer_bench.tasks.classification_rows import text_columns
from inducer_bench.tasks.files import decoded, parsed_json, text_lines
from inducer_bench.tasks.options import ClassificationOptions, TaskOptions, TextToTextOptions
from inducer_bench.tasks.table_files import InputColumn, Located, json_entries, json_lines, separated_records

FORMATS = ("jsonl", "json", "csv", "tsv", "txt")


def columns(task: TaskOptions) -> list[InputColumn]:
    """The text columns that a task reads; none of a task whose input is not a row of texts."""
    if isinstance(task, ClassificationOptions):
        return text_columns(task)
    return [InputColumn("task.text", (task.text,))] if isinstance(task, TextToTextOptions) else []


def of_texts(task: TaskOptions, texts: Sequence[str], where: str) -> dict[str, str]:
    """One row, of the texts of its columns.

    Raises:
        UserError: there are more or fewer texts than columns.
    """
    names = [column.names[0] for column in columns(task)]
    if len(texts) != len(names):
        allowed = f"{len(names)}: {listed(names)}" if names else f"none, as '{task.name}' does not read single texts"
        raise UserError(f"{where}: found {len(texts)} texts; allowed: {allowed}")
    return dict(zip(names, texts, strict=True))


def read(task: TaskOptions, content: bytes, name: str, kind: str) -> Iterator[Located]:
    """The position and the values of each row, as lines of training data are read; none if there is nothing.

    Args:
        task: of the run.
        content: UTF-8.
        name: where it is from, for messages.
        kind: of `FORMATS`.

    Raises:
        UserError: the task's input has no such form, or a line is malformed or lacks a column.
    """
    if kind not in ("json", "jsonl") and not columns(task):
        raise UserError(f"--format: found '{kind}'; allowed for task '{task.name}': jsonl, json")
    if kind == "json" and content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        return json_entries(parsed_json(decoded(content, name), name), name)
    lines = text_lines(BytesIO(content), name)
    if kind in ("csv", "tsv"):
        header = task.header if isinstance(task, ClassificationOptions) else None
        return separated_records(lines, name, kind, columns(task), header)
    if kind == "txt":
        located = ((f"{name}, line {number}", line.rstrip("\r\n")) for number, line in enumerate(lines, start=1))
        return ((where, of_texts(task, [line], where)) for where, line in located)
    return json_lines(lines, name)
