"""Rows of classification tasks: one text or a pair, and the code of its label, or a number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from inducer_bench.errors import UserError
from inducer_bench.tasks import source
from inducer_bench.tasks.options import ClassificationOptions
from inducer_bench.tasks.table_files import Column, checked_text


@dataclass(frozen=True)
class Row:
    """One example."""

    texts: tuple[str, ...]
    label: float  # the integer code of a label, or the number to predict


def read_rows(task: ClassificationOptions, split: str) -> list[Row]:
    """The rows of a split, cut to its limit.

    Raises:
        UserError: a file or column is missing, a line is malformed, a label is unknown, or the split is empty.
    """
    columns = [_column(task, "text", name) for name in task.text] + [_column(task, "label", task.label)]
    target = _number if task.labels == "number" else partial(_code, _codes(task.labels))
    rows = [
        Row(tuple(checked_text(text, place) for text in texts), target(label, place))
        for place, [*texts, label] in source.rows(task, split, columns, task.header)
    ]
    return source.limited(task, split, rows)


def with_labels(task: ClassificationOptions) -> ClassificationOptions:
    """The task with its labels as a list, those found in train if they are not given, or for numbers.

    Raises:
        UserError: train cannot be read, or has fewer than two labels, or too many for a metric.
    """
    if task.labels != "auto":
        return task
    column = _column(task, "label", task.label)
    found = {_label(value, place) for place, [value] in source.rows(task, "train", [column], task.header)}
    labels = sorted(found, key=int) if all(label.isdecimal() for label in found) else sorted(found)
    if len(labels) < 2:
        raise UserError(f"{source.where(task, 'train')}: found labels {labels}; expected two or more")
    if "f1" in task.metrics and len(labels) > 2:
        raise UserError(f"task.metrics: found 'f1'; allowed with {len(labels)} labels: accuracy, matthews")
    return replace(task, labels=labels)


def _column(task: ClassificationOptions, key: str, name: str) -> Column:
    published = task.published.get(name)
    return Column(f"task.{key}", (name, published) if published else (name,))


def _label(value: Any, place: str) -> str:
    """A label as it is written; a whole number may be one, also where a table's writer made a float of it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int):
        raise UserError(f"{place}: found label {value!r} ({type(value).__name__}); expected text or a whole number")
    return str(value)


def _codes(labels: Sequence[str]) -> dict[str, int]:
    """Code by name, and by itself unless a name is a number."""
    codes = {name: code for code, name in enumerate(labels)}
    return codes if any(name.isdecimal() for name in labels) else codes | {str(code): code for code in codes.values()}


def _code(codes: dict[str, int], value: Any, place: str) -> int:
    label = _label(value, place)
    if label not in codes:
        raise UserError(f"{place}: found label '{label}'; allowed: {', '.join(codes)}")
    return codes[label]


def _number(value: Any, place: str) -> float:
    try:
        number = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{place}: found {value!r}; expected a number")
    return number
