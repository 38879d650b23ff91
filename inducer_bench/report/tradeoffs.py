"""Quality against costs: parameters, training time, memory.

A cost is drawn only where its numbers can be compared: times of one machine, and memory that is the run's own and not
that of the whole process.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import altair as alt

from inducer_bench.report.cells import Measured
from inducer_bench.report.drawn import Setting, columns_of, headline, score_hints, score_label, settings
from inducer_bench.report.looks import Looks
from inducer_bench.report.plots import (
    FAINT,
    HEIGHT,
    INK,
    LINE,
    WIDTH,
    Picture,
    by_name,
    floor,
    hints,
    interval_words,
    limits,
    of,
    picture,
    points,
    span_of,
    spread,
    ticks,
    zoomable,
)  # fmt: skip
from inducer_bench.report.tables import Table

_OWN_MEMORY = {"cuda_allocated": "allocated on the GPU", "tensors_allocated": "of tensors"}
_LETTER = 6.5  # mean width of a letter, in pixels
_MOST_LABELS = 12  # beyond them, a legend has the names


@dataclass(frozen=True)
class _Point:
    setting: Setting
    cost: Measured
    place: float  # on the cost axis: the cost, or where 0 is drawn

    @property
    def score(self) -> float:
        return self.setting.cell.mean


def tradeoffs(table: Table, known: Looks) -> list[Picture]:
    """Score against each cost of the table that can be compared."""
    found = [
        _against(table, known, "parameters", "method parameters"),
        _against(table, known, "train_seconds", "training time, s"),
        _against(table, known, "peak_memory", "peak memory, MiB"),
    ]
    return [picture for picture in found if picture]


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (cost, quality) points that no other point dominates, by cost."""
    front: list[tuple[float, float]] = []
    for cost, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or quality > front[-1][1]:
            front.append((cost, quality))
    return front


def _against(table: Table, known: Looks, value: str, label: str) -> Picture | None:
    columns = columns_of(table, value)
    pairs = [(one, cost) for one in settings(table, known) for number in columns[:1]
             if isinstance(cost := one.row.cells[number], Measured)]  # fmt: skip
    compared = _comparable(pairs, value)
    if len(pairs) < 2 or compared is None:
        return None
    costs = [cost.mean for _, cost in pairs]
    labelled = len(pairs) <= _MOST_LABELS
    room = max(_room(one.name) for one, _ in pairs) if labelled else 0
    axis = _CostAxis.of(costs, value == "parameters", WIDTH + room, room)
    found = [_Point(one, cost, axis.place(cost.mean)) for one, cost in pairs]
    found.sort(key=lambda point: -table.better * point.score)
    height = max(HEIGHT, 18 * len(found))
    low, high = _heights(found, table.better)
    beyond = [f"{point.setting.name} has {point.setting.cell.shown()[0]}" for point in found
              if not low <= point.score <= high]  # fmt: skip
    rows = _rows(found, axis, (low, high), height)
    parts = _parts(rows, axis, (low, high), (label, score_label(table)), [p.setting for p in found], labelled)
    below = []
    front = pareto_front([(point.place, table.better * point.score) for point in found])
    of_many = all(len(point.setting.cell.values) > 1 for point in found)  # one seed supports no front
    if of_many:
        steps = [{"x": x, "y": table.better * y, "what": "Pareto front"} for x, y in front]
        line = of(steps).mark_line(clip=True, interpolate="step-after", color=FAINT, strokeDash=[5, 4], strokeWidth=1.2)
        below.append(line.encode(x=alt.X("x:Q"), y=alt.Y("y:Q"), tooltip=hints(what="dashed")))
    if axis.split:
        split = of([{"x": axis.split, "what": "0"}]).mark_rule(color=FAINT, strokeDash=[1, 3])
        below.append(split.encode(x=alt.X("x:Q"), tooltip=hints(what="left of this line")))
    said = [
        f"{headline(table)}: {score_label(table)} against {label}{compared}.",
        interval_words(
            [len(point.setting.cell.values) for point in found],
            cut=any(end in row and not low <= row[end] <= high for row in rows for end in ("low", "high")),
        ),
        *(["Dashed: Pareto front of the means."] if of_many else []),
        *(["Left of the dotted line: 0."] if axis.split else []),
        *([f"Drawn at the edge: {'; '.join(beyond)}."] if beyond else []),
    ]
    return picture(f"tradeoff_{value}", " ".join(said), alt.layer(*below, *parts, width=axis.width, height=height))


def _comparable(pairs: Sequence[tuple[Setting, Measured]], value: str) -> str | None:
    """What a caption says of a cost's numbers; None if they cannot be compared."""
    records = [run.record for _, cost in pairs for run in cost.group.done]
    if value == "parameters":
        return ""
    machines = {(str(record.device), record.processes, record.side_by_side) for record in records}
    if len(machines) != 1:
        return None
    device, processes, together = machines.pop()
    where = f" on {device}" + (f", {processes} processes" if processes > 1 else "")
    if value == "train_seconds":
        shared = f", {together} seeds side by side" if together > 1 else ""
        return f" by the clock{where}{shared}; other programs there may have slowed some of the runs"
    kinds = {record.peak_memory_of for record in records}
    if len(kinds) != 1 or together > 1 or (kind := kinds.pop()) not in _OWN_MEMORY:
        return None
    return f" {_OWN_MEMORY[kind]}{where}"


@dataclass(frozen=True)
class _CostAxis:
    """A cost axis whose right end is left to labels.

    Args:
        low, high: of its domain.
        logarithmic: its scale.
        zero: where 0 is drawn on a logarithmic axis, if a cost is 0.
        split: where a line separates 0 from the rest.
        values: of its ticks.
    """

    low: float
    high: float
    logarithmic: bool
    zero: float | None
    split: float | None
    values: tuple[float, ...]
    width: int

    @classmethod
    def of(cls, costs: Sequence[float], logarithmic: bool, width: int, room: int) -> "_CostAxis":
        """The axis of costs, of a width in pixels with room for labels in it."""
        whole = width / (width - room)
        positive = [cost for cost in costs if cost > 0]
        if not (logarithmic and positive and max(positive) > 20 * min(positive)):
            low, high = limits(costs)
            return cls(low, low + (high - low) * whole, False, None, None, (), width)
        least, most = min(positive), max(positive)
        has_zero = least < most and len(positive) < len(costs)
        low = least / (10 if has_zero else 1.4)
        high = low * (1.4 * most / low) ** whole
        zero, split = (least / 6, least / 3) if has_zero else (None, None)
        return cls(low, high, True, zero, split, tuple(ticks(least / 1.4, 1.4 * most)), width)

    def place(self, cost: float) -> float:
        """Where a cost is drawn."""
        return self.zero if cost == 0 and self.zero is not None else cost

    def pixel(self, place: float) -> float:
        """From the left."""
        low, high, at = (math.log(x) if self.logarithmic else x for x in (self.low, self.high, place))
        return self.width * (at - low) / (high - low)

    def at(self, pixel: float) -> float:
        """The inverse of `pixel`."""
        low, high = (math.log(x) if self.logarithmic else x for x in (self.low, self.high))
        found = low + pixel / self.width * (high - low)
        return math.exp(found) if self.logarithmic else found

    def encoding(self, label: str) -> Any:
        """The channel x of the field `x`."""
        scale = alt.Scale(
            type="log" if self.logarithmic else "linear",
            domain=[self.low, self.high],
            nice=False,
            zero=alt.Undefined if self.logarithmic else False,
        )
        if not self.logarithmic:
            return alt.X("x:Q", title=label, scale=scale, axis=alt.Axis(tickCount=5, grid=False))
        zero = [] if self.zero is None else [self.zero]
        text = f"datum.value < {self.split} ? '0' : format(datum.value, '~s')" if zero else "format(datum.value, '~s')"
        axis = alt.Axis(values=[*zero, *self.values], labelExpr=text, grid=False)
        return alt.X("x:Q", title=label, scale=scale, axis=axis)


def _heights(found: Sequence[_Point], better: int) -> tuple[float, float]:
    """The range of the scores without those that are far worse than all others."""
    least = floor([point.score for point in found], better)
    kept = [point for point in found if better * point.score >= better * least]
    return limits([value for point in kept for value in point.setting.cell.numbers])


def _rows(found: Sequence[_Point], axis: _CostAxis, reach: tuple[float, float], height: int) -> list[dict[str, Any]]:
    """What is drawn of each point, and where its label stands."""
    low, high = reach
    unit = (high - low) / height  # of the score, a pixel
    rows = []
    for point in found:
        place = min(max(point.score, low + 8 * unit), high - 8 * unit)
        arrow = "" if low <= point.score <= high else " ↓" if point.score < low else " ↑"
        rows.append({**point.setting.fields(), **({} if arrow else point.setting.reach()), "x": point.place, "y": place,
                     "cost": point.cost.shown()[0], "label": point.setting.name + arrow})  # fmt: skip
    _place_labels(rows, axis, (low, high), height)
    return rows


def _parts(
    rows: Sequence[dict[str, Any]], axis: _CostAxis, reach: tuple[float, float], titles: tuple[str, str],
    order: Sequence[Setting], labelled: bool,
) -> list[Any]:  # fmt: skip
    """Intervals and markers; with labels at the points, or a legend."""
    label, score = titles
    base = of(rows).encode(x=axis.encoding(label), tooltip=score_hints(score, cost=label))
    y = alt.Y("y:Q", title=score, scale=span_of(*reach))
    lines = base.transform_filter("isValid(datum.low)").mark_rule(strokeOpacity=0.45, clip=True)
    intervals = lines.encode(y=alt.Y("low:Q"), y2="high:Q", stroke=alt.Stroke("colour:N", scale=None))
    if not labelled:
        paint = by_name([one.name for one in order], [one.look for one in order])
        marks = base.mark_point(size=70, strokeWidth=1.8, opacity=1)
        return [intervals, zoomable(marks.encode(y=y, **{c: paint[c] for c in ("stroke", "fill", "shape")}))]
    leaders = base.mark_rule(color=FAINT, strokeWidth=0.6, opacity=0.8)
    texts = base.mark_text(align="left", dx=3, fontSize=12, color=INK)
    return [
        intervals,
        leaders.encode(y=y, x2="label_x:Q", y2="label_y:Q"),
        texts.encode(x=alt.X("label_x:Q"), y=alt.Y("label_y:Q"), text="label:N"),
        zoomable(points(base, 70).encode(y=y)),
    ]


def _room(name: str) -> int:
    """The pixels to the right of a point that its label takes, with an arrow."""
    return 26 + round(_LETTER * (len(name) + 2))


def _place_labels(rows: list[dict[str, Any]], axis: _CostAxis, reach: tuple[float, float], height: int) -> None:
    """Add `label_x` and `label_y`: to the right of each point; in a column beside several whose labels would meet."""
    unit = (reach[1] - reach[0]) / height  # of the score, a pixel
    clusters = [_Cluster.of([row], axis, reach, unit) for row in rows]
    while pair := next((pair for pair in combinations(clusters, 2) if pair[0].meets(pair[1])), None):
        clusters = [cluster for cluster in clusters if cluster not in pair]
        clusters.append(_Cluster.of([*pair[0].rows, *pair[1].rows], axis, reach, unit))
    for cluster in clusters:
        for row, (_, place) in zip(cluster.rows, cluster.labels, strict=True):
            row |= {"label_x": axis.at(cluster.left), "label_y": place * unit}


@dataclass(frozen=True)
class _Cluster:
    """Points whose labels stand in one column; all in pixels.

    Args:
        rows: by height.
        points: their places.
        left: the column's left end.
        labels: the right end and the height of each label.
    """

    rows: list[dict[str, Any]]
    points: list[tuple[float, float]]
    left: float
    labels: list[tuple[float, float]]

    @classmethod
    def of(cls, rows: list[dict[str, Any]], axis: _CostAxis, reach: tuple[float, float], unit: float) -> "_Cluster":
        rows = sorted(rows, key=lambda row: (row["y"], row["x"]))
        points = [(axis.pixel(row["x"]), row["y"] / unit) for row in rows]
        left = max(x for x, _ in points) + 16
        places = spread([y for _, y in points], LINE, reach[0] / unit + 8, reach[1] / unit - 8)
        labels = [(left + _room(row["label"]), place) for row, place in zip(rows, places, strict=True)]
        return cls(rows, points, left, labels)

    def meets(self, other: "_Cluster") -> bool:
        """Whether a label of one would touch a label or a point of the other."""
        return self._touches(other) or other._touches(self)

    def _touches(self, other: "_Cluster") -> bool:
        boxes = [(other.left, right, y) for right, y in other.labels] + [(x - 8, x + 8, y) for x, y in other.points]
        return any(
            self.left < right and left < end and abs(y - height) < LINE
            for end, y in self.labels for left, right, height in boxes
        )  # fmt: skip
