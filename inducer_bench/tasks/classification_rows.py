"""Rows of classification tasks: one text or a pair of texts, and the code of their label, or a number."""

import math
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import repeat
from typing import Any

from inducer_bench.errors import UserError, listed, nearest, shown
from inducer_bench.tasks import source
from inducer_bench.tasks.options import ClassificationOptions
from inducer_bench.tasks.table_files import InputColumn, checked_text

# What data sets write where there is no label: SNLI a hyphen, GLUE -1, tables of pandas nothing or nan.
_NO_LABEL = {"", "-", "-1", "-1.0", "nan"}
_LARGEST = 1e18  # of numbers: in float32 the sum of their squares over a batch is finite


@dataclass(frozen=True)
class LabelledTexts:
    """One example."""

    texts: tuple[str, ...]
    label: float  # the integer code of a label, or the number to predict


def read_rows(task: ClassificationOptions, split: str, labels: Sequence[str] | None) -> Iterator[LabelledTexts]:
    """The rows of a split, cut to its limit, read when they are asked for.

    Args:
        task: where and what to read.
        split: its name.
        labels: in the order of their codes; None to read numbers.

    Raises:
        UserError: a file or column is missing, a line is malformed, a label is unknown, or the split is empty.
    """
    columns = [*text_columns(task), _column(task, "label", task.label)]
    codes = None if labels is None else _codes(labels, and_codes=isinstance(task.labels, list))
    target = _number if codes is None else partial(_code, codes)
    rows = (
        LabelledTexts(tuple(map(checked_text, texts, repeat(where), task.text)), target(label, where))
        for where, [*texts, label] in source.rows(task, split, columns, task.header)
    )
    return source.used(task, split, rows)


def find_labels(task: ClassificationOptions) -> list[str] | None:
    """The labels that the options list, or those found in train, sorted; None for numbers.

    Raises:
        UserError: train cannot be read, has fewer than two labels, or too many for a metric; or a row has no label.
    """
    if task.labels == "number":
        return None
    if task.labels != "auto":
        return task.labels
    column = _column(task, "label", task.label)
    found: dict[str, str] = {}  # and where it is first
    for where, [value] in source.rows(task, "train", [column], task.header):
        found.setdefault(_label(value, where), where)
    if not found:
        raise UserError(f"{source.where(task, 'train')}: no rows")
    _check_found(found)
    # Equal numbers, such as 1 and 01, are different labels, whose order must not be that of a set.
    numbers = all(label.isdecimal() for label in found)
    labels = sorted(found, key=lambda label: (Decimal(label), label)) if numbers else sorted(found)
    if len(labels) < 2:
        raise UserError(f"{source.where(task, 'train')}: found labels [{listed(labels)}]; expected two or more")
    task.check_labels(labels)
    return labels


def _check_found(labels: Mapping[str, str]) -> None:
    """Refuse labels that mark a row without one, and those that differ by blanks alone.

    Args:
        labels: and where each is first.
    """
    known: dict[str, str] = {}
    for label, where in labels.items():
        name = label.strip()
        if name.lower() in _NO_LABEL:
            problem = f"the label '{shown(label)}' marks a row without one" if name else "the label is empty"
            raise UserError(f"{where}: {problem}; allowed: a label in each row, or task.labels=[...] with this one")
        if (other := known.setdefault(name, label)) != label:
            raise UserError(
                f"{where}: found label '{shown(label)}', and '{shown(other)}' before; allowed: one of them, for they "
                "differ by blanks alone"
            )


def text_columns(task: ClassificationOptions) -> list[InputColumn]:
    """The columns of `task.text`."""
    return [_column(task, "text", name) for name in task.text]


def _column(task: ClassificationOptions, key: str, name: str) -> InputColumn:
    published = task.published.get(name)
    return InputColumn(f"task.{key}", (name, published) if published else (name,))


def _label(value: Any, where: str) -> str:
    """A label as text; a whole number may be one, even if the table's writer made it a float."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int):
        raise UserError(
            f"{where}: found label {reprlib.repr(value)} ({type(value).__name__}); expected text or a whole number"
        )
    return str(value)


def _codes(labels: Sequence[str], and_codes: bool) -> dict[str, int]:
    """Code by name; if `and_codes`, a code also stands for itself, unless a name is a number."""
    codes = {name: code for code, name in enumerate(labels)}
    if not and_codes or any(map(_is_number, labels)):
        return codes
    return codes | {str(code): code for code in codes.values()}


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _code(codes: dict[str, int], value: Any, where: str) -> int:
    label = _label(value, where)
    if label not in codes and re.fullmatch(r"\d+\.0+", label):  # tables write whole numbers so in a column with gaps
        label = label.partition(".")[0]
    if label not in codes:
        near = "" if _is_number(label) and label.strip() not in codes else nearest(label.strip(), codes)
        raise UserError(f"{where}: found label '{shown(label)}'; {near}allowed: {listed(codes)}")
    return codes[label]


def _number(value: Any, where: str) -> float:
    try:
        number = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not abs(number) < _LARGEST:
        below = f" below {_LARGEST:g}" if math.isfinite(number) else ""
        raise UserError(f"{where}: found {reprlib.repr(value)}; expected a number{below}")
    return number
