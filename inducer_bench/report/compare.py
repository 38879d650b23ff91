"""Two finished runs side by side: differences in configuration, scores and costs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from inducer_bench.errors import UserError, printable
from inducer_bench.metrics.confusion import by_class
from inducer_bench.metrics.metric import Metric
from inducer_bench.metrics.table import written
from inducer_bench.report.examples import Rows, read_predictions, same_examples
from inducer_bench.report.statistics import paired_test, written_p_value
from inducer_bench.runs.finished import FinishedRun
from inducer_bench.runs.identity import flat
from inducer_bench.runs.record import FinishedRecord

_NONE = "-"
_ROUNDING = 0.005  # percent points
_REMARK = (
    "The tests compare these two tuned models, one score at a time. To compare the methods, run several seeds of each: "
    "inducer-bench tables."
)


@dataclass(frozen=True)
class Table:
    """Text in rows and columns, safe to print."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def __str__(self) -> str:
        """Aligned columns under the title."""
        if not self.rows:
            return f"{self.title}: no difference"
        lines = [self.columns, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([self.title, *(f"  {line.rstrip()}" for line in text)])


@dataclass(frozen=True, repr=False)
class Comparison:
    """The warnings, tables and remarks of a comparison, in this order; all of them are safe to print."""

    warnings: list[str]  # differences that make the two hard to compare, one line each
    tables: list[Table]
    remarks: list[str]

    def __repr__(self) -> str:
        parts = ["\n".join(self.warnings), *map(str, self.tables), *self.remarks]
        return "\n\n".join(filter(None, parts))


def compare(left: FinishedRun, right: FinishedRun) -> Comparison:
    """The comparison of two runs of one task, with a paired test of each score where both predicted the same examples.

    Raises:
        UserError: they are of different tasks, or their predictions are missing or damaged.
    """
    one, two = left.record, right.record
    if one.task != two.task:
        raise UserError(f"RUN: found runs of {one.task} and {two.task}; allowed: two runs of the same task")
    warnings = [*_warnings(one, two)]
    predictions = None
    if one.data.fingerprint == two.data.fingerprint:
        predictions = read_predictions(left.folder, one), read_predictions(right.folder, two)
        if not same_examples(predictions):
            predictions = None
            warnings.append("examples: the runs predicted different ones; no paired test")
    tables = [
        Table("configuration", ("key", "left", "right"), [*_settings(one.config, two.config)]),
        Table(
            "scores",
            ("score", "left", "right", "difference", "95 % interval", "p", "test"),
            [
                _score(name, left.config.task.metric_of(name), one, two, predictions)
                for name in {**one.scores, **two.scores}
            ],
        ),
        Table("costs", ("cost", "left", "right", "right / left"), [*_costs(one, two)]),
    ]
    tables += [*_by_class(one, two)]
    tables = [replace(table, rows=[tuple(map(printable, row)) for row in table.rows]) for table in tables]
    return Comparison([*map(printable, warnings)], tables, [_REMARK] if predictions else [])


def _warnings(one: FinishedRecord, two: FinishedRecord) -> Iterator[str]:
    aspects: dict[str, tuple[Callable[[FinishedRecord], str], str]] = {
        "suite": (lambda record: record.suite, "their scores say nothing about each other"),
        "data": (lambda record: record.data.fingerprint, "no paired test"),
        "PLM files": (lambda record: record.plm_fingerprint, "they did not start from the same weights"),
        "protocol": (lambda record: record.protocol, "their epochs were selected differently"),
        "algorithm": (lambda record: f"version {record.code.algorithm}", "equal configurations give other numbers"),
        "code": (lambda record: str(record.code), "a difference may come from it"),
        "machine": (_machine, "times and memory cannot be compared, and a difference may come from it"),
    }
    for aspect, (read, consequence) in aspects.items():
        if read(one) != read(two):
            yield f"{aspect}: {read(one)} -> {read(two)}; {consequence}"
    for name, score in one.scores.items():
        other = two.scores.get(name, score).signature
        if other != score.signature:
            yield f"{name}: {score.signature} -> {other}; computed differently"


def _machine(record: FinishedRecord) -> str:
    return f"{record.device}, {record.dtype}, torch {record.versions['torch']}"


# -- configuration -----------------------------------------------------------------------------------------------------


def _settings(one: dict[str, Any], two: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    left, right = flat(one), flat(two)
    for key in {**left, **right}:
        if left.get(key) != right.get(key):
            yield key, left.get(key, _NONE), right.get(key, _NONE)


# -- scores ------------------------------------------------------------------------------------------------------------


def _score(
    name: str,
    metric: Metric | None,
    one: FinishedRecord,
    two: FinishedRecord,
    predictions: tuple[Rows, Rows] | None,
) -> tuple[str, ...]:
    left, right = (record.scores[name].value if name in record.scores else None for record in (one, two))
    shown = [_NONE if value is None else written(name, value, finer=1) for value in (left, right)]
    if left is None or right is None:
        return name, *shown, *[_NONE] * 4
    shown.append(written(name, right - left, finer=1, sign="+"))
    if predictions is None:
        return name, *shown, _NONE, _NONE, "none"
    test = paired_test(name, metric, [predictions[0]], [predictions[1]]) if metric else None
    if test is None:
        return name, *shown, _NONE, _NONE, "none for this metric"
    if abs(test.difference - (right - left)) > _ROUNDING:
        return name, *shown, _NONE, _NONE, "none: the predictions give other scores"
    low, high = test.interval
    interval = " to ".join(written(name, end, finer=1, sign="+") for end in (low, high))
    return name, *shown, interval, written_p_value(test.p_value), test.name


def _by_class(one: FinishedRecord, two: FinishedRecord) -> Iterator[Table]:
    """The F1 of each class, of each split of which both records have the predictions of each label."""
    labels = one.labels or []
    both = [split for split in one.confusion if split in two.confusion and one.labels == two.labels]
    for split in both:
        sides = by_class(one.confusion[split]), by_class(two.confusion[split])
        rows = []
        for label, left, right in zip(labels, *sides, strict=True):
            difference = f"{right.f1 - left.f1:+.2f}" if left.f1 is not None and right.f1 is not None else _NONE
            values = [_NONE if value is None else f"{value:.2f}" for value in (left.f1, right.f1)]
            rows.append((label, f"{left.labelled:,}", *values, difference))
        yield Table(f"F1 by class, {split}", ("label", "examples", "left", "right", "difference"), rows)


# -- costs -------------------------------------------------------------------------------------------------------------


def _costs(one: FinishedRecord, two: FinishedRecord) -> Iterator[tuple[str, ...]]:
    costs: dict[str, tuple[Callable[[FinishedRecord], float], str]] = {
        "parameters of the method": (lambda record: record.parameters.method, ",.0f"),
        "of the head": (lambda record: record.parameters.head, ",.0f"),
        "of special-token rows": (lambda record: record.parameters.tokens, ",.0f"),
        "of the PLM": (lambda record: record.parameters.plm, ",.0f"),
        "method / PLM, %": (lambda record: record.parameters.percent, ".4f"),
        "training, s": (lambda record: record.train_seconds, ",.1f"),
        "evaluation, s": (lambda record: record.eval_seconds, ",.1f"),
    }
    if one.own_memory and two.own_memory and one.peak_memory_of == two.peak_memory_of:
        costs["peak memory, MiB"] = (lambda record: (record.own_memory or 0) / 2**20, ",.0f")
    for name, (read, form) in costs.items():
        left, right = read(one), read(two)
        yield name, format(left, form), format(right, form), f"{right / left:.2f}" if left else _NONE
