"""Rows of classification tasks: one text or a pair of texts, and the code of their label, or a number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from inducer_bench.errors import UserError
from inducer_bench.tasks import source
from inducer_bench.tasks.options import ClassificationOptions
from inducer_bench.tasks.table_files import InputColumn, checked_text


@dataclass(frozen=True)
class LabelledTexts:
    """One example."""

    texts: tuple[str, ...]
    label: float  # the integer code of a label, or the number to predict


def read_rows(task: ClassificationOptions, split: str, labels: Sequence[str] | None) -> list[LabelledTexts]:
    """The rows of a split, cut to its limit.

    Args:
        task: where and what to read.
        split: its name.
        labels: in the order of their codes; None to read numbers.

    Raises:
        UserError: a file or column is missing, a line is malformed, a label is unknown, or the split is empty.
    """
    columns = [_column(task, "text", name) for name in task.text] + [_column(task, "label", task.label)]
    target = _number if labels is None else partial(_code, _codes(labels))
    rows = [
        LabelledTexts(tuple(checked_text(text, where) for text in texts), target(label, where))
        for where, [*texts, label] in source.rows(task, split, columns, task.header)
    ]
    return source.limited(task, split, rows)


def find_labels(task: ClassificationOptions) -> list[str] | None:
    """The labels that the options list, or those found in train, sorted; None for numbers.

    Raises:
        UserError: train cannot be read, or has fewer than two labels, or too many for a metric.
    """
    if task.labels == "number":
        return None
    if task.labels != "auto":
        return task.labels
    column = _column(task, "label", task.label)
    found = {_label(value, where) for where, [value] in source.rows(task, "train", [column], task.header)}
    labels = sorted(found, key=int) if all(label.isdecimal() for label in found) else sorted(found)
    if len(labels) < 2:
        raise UserError(f"{source.where(task, 'train')}: found labels {labels}; expected two or more")
    task.check_labels(len(labels))
    return labels


def _column(task: ClassificationOptions, key: str, name: str) -> InputColumn:
    published = task.published.get(name)
    return InputColumn(f"task.{key}", (name, published) if published else (name,))


def _label(value: Any, where: str) -> str:
    """A label as text; a whole number may be one, even if the table's writer made it a float."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int):
        raise UserError(f"{where}: found label {value!r} ({type(value).__name__}); expected text or a whole number")
    return str(value)


def _codes(labels: Sequence[str]) -> dict[str, int]:
    """Code by name; a code also stands for itself, unless a name is a number."""
    codes = {name: code for code, name in enumerate(labels)}
    return codes if any(name.isdecimal() for name in labels) else codes | {str(code): code for code in codes.values()}


def _code(codes: dict[str, int], value: Any, where: str) -> int:
    label = _label(value, where)
    if label not in codes:
        raise UserError(f"{where}: found label '{label}'; allowed: {', '.join(codes)}")
    return codes[label]


def _number(value: Any, where: str) -> float:
    try:
        number = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{where}: found {value!r}; expected a number")
    return number
