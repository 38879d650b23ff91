"""Figures of a table: quality against costs, learning curves, spread over seeds, differences, budgets, tasks."""

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt

from inducer_bench.methods.options import method_title
from inducer_bench.report.cells import Measured
from inducer_bench.report.drawn import Setting, columns_of, headline, score_hints, score_label, settings, unlike
from inducer_bench.report.layout import FigureKind
from inducer_bench.report.looks import Looks, looks
from inducer_bench.report.plots import (
    BAND,
    FAINT,
    HEIGHT,
    INK,
    LINE,
    WIDTH,
    by_name,
    floor,
    hints,
    interval,
    interval_words,
    limits,
    of,
    painted,
    picture,
    points,
    reach,
    rounded,
    rows_axis,
    span_of,
    ticks,
    zoomable,
)  # fmt: skip
from inducer_bench.report.plots import Picture as Picture
from inducer_bench.report.store import DoneRun
from inducer_bench.report.tables import Table
from inducer_bench.report.tradeoffs import tradeoffs

_PANEL, _COLUMNS = 190, 3  # of the tasks: width of a panel in pixels, panels in a row
_Curve = Mapping[int, Sequence[float]]  # epoch -> the value of each seed


def draw(table: Table, known: Looks | None = None) -> list[Picture]:
    """The figures that the table's layout asks for and its numbers allow.

    Args:
        table: the table.
        known: the look of every method of the report; by default of the table.
    """
    known = known or looks(row.method for row in table.rows)
    return [picture for kind in table.figures for picture in _KINDS[kind](table, known)]


# -- over epochs -------------------------------------------------------------------------------------------------------


def _learning_curves(table: Table, known: Looks) -> list[Picture]:
    read = [(setting, *_curve(setting.cell.group.done)) for setting in settings(table, known)]
    found = [(setting, name, curve) for setting, name, curve in read if len(curve) > 1]
    if not found:
        return []
    better = -1 if all(name == "loss" for _, name, _ in found) else table.better
    found.sort(key=lambda item: -better * _end(item[2]))
    names = ", ".join(sorted({name for _, name, _ in found}))
    order = [setting.name for setting, *_ in found]
    height = max(HEIGHT, 18 * len(order))
    low, high = _near([curve for *_, curve in found], better)
    beyond = [f"{one.name} ends at {rounded(_end(curve))}" for one, _, curve in found if not low <= _end(curve) <= high]
    edge = (high - low) * LINE * len(beyond) / height  # for a line of text each
    low, high = (low - edge, high) if better > 0 else (low, high + edge)
    rows = [
        {**setting.fields(), "epoch": epoch, "mean": statistics.fmean(values), "low": min(values), "high": max(values),
         "value": rounded(statistics.fmean(values)), "range": f"{rounded(min(values))} to {rounded(max(values))}"}
        for setting, _, curve in found for epoch, values in sorted(curve.items())
    ]  # fmt: skip
    paint = by_name(order, [setting.look for setting, *_ in found])
    epochs = sorted({row["epoch"] for row in rows})
    step = -(-len(epochs) // 12)
    base = of(rows).encode(
        x=alt.X("epoch:Q", title="epoch", scale=span_of(*limits(epochs, 0.03)),
                axis=alt.Axis(values=epochs[::step], format="d", grid=False)),
        y=alt.Y("mean:Q", title=f"{names} on the selection set", scale=span_of(low, high)),
        tooltip=hints(row="setting", method="method", epoch="epoch", value=names, range="over seeds"),
    )  # fmt: skip
    over = alt.selection_point(name="over", fields=["row"], on="pointerover", empty=False)
    band = base.mark_area(clip=True).encode(
        y=alt.Y("low:Q"), y2="high:Q", detail="row:N", fill=alt.Fill("colour:N", scale=None),
        fillOpacity=alt.condition(over, alt.value(0.2), alt.value(0)),
    )  # fmt: skip
    line = base.mark_line(clip=True).encode(
        stroke=paint["stroke"], strokeDash=paint["strokeDash"],
        strokeWidth=alt.condition(over, alt.value(3.5), alt.value(1.8)),
    )  # fmt: skip
    marks = base.mark_point(clip=True, size=50, strokeWidth=1.5, opacity=1).encode(
        stroke=paint["stroke"], fill=paint["fill"], shape=paint["shape"]
    )
    arrow, edge = ("↓", height - 8) if better > 0 else ("↑", 10 + LINE * (len(beyond) - 1))
    notes = [_note(f"{arrow} {text}", edge - LINE * at) for at, text in enumerate(reversed(beyond))]
    chart = alt.layer(band, line, zoomable(marks, over), *notes, width=WIDTH, height=height)
    title = f"{headline(table)}: learning curves, means over seeds; the legend has the order of the last epoch."
    title += f" Beyond this range: {'; '.join(beyond)}." if beyond else ""
    return [picture("learning_curves", title, chart)]


def _curve(runs: Sequence[DoneRun]) -> tuple[str, _Curve]:
    """The score that selected the epoch, and for each epoch its values."""
    evaluations = [run.record.evaluations for run in runs]
    scores = [name for name in evaluations[0][0] if name not in ("epoch", "step", "loss")] if evaluations[0] else []
    name = next((name for name in (runs[0].record.metric, "perplexity") if name in scores), "loss")
    found: dict[int, list[float]] = {}
    for entry in (entry for run in evaluations for entry in run):
        if (value := entry.get(name)) is not None:
            found.setdefault(int(entry["epoch"] or 0), []).append(value)
    return name, found


def _end(curve: _Curve) -> float:
    return statistics.fmean(curve[max(curve)])


def _near(curves: Sequence[_Curve], better: int) -> tuple[float, float]:
    """The range of the curves from the second epoch on, without those that end far below all others."""
    least = floor([_end(curve) for curve in curves], better)
    kept = [curve for curve in curves if better * _end(curve) >= better * least]
    means = [statistics.fmean(at) for curve in kept for epoch, at in curve.items() if epoch > 1 or len(curve) < 3]
    least = floor(means, better)
    return limits([*(mean for mean in means if better * mean >= better * least), *map(_end, kept)])


def _note(text: str, y: float) -> Any:
    """A line of text at the lower right of a plot."""
    chart = of([{"text": text}]).mark_text(align="right", fontSize=11, color=FAINT)
    return chart.encode(text="text:N", x=alt.value(WIDTH - 4), y=alt.value(y), tooltip=hints(text="not drawn"))


# -- over seeds --------------------------------------------------------------------------------------------------------


def _seed_spread(table: Table, known: Looks) -> list[Picture]:
    found = sorted(settings(table, known), key=lambda setting: -table.better * setting.cell.mean)
    if not any(len(setting.cell.values) > 1 for setting in found):
        return []
    label = score_label(table)
    rows = [{**setting.fields(), "mean": setting.cell.mean, "low": min(setting.cell.numbers),
             "high": max(setting.cell.numbers)} for setting in found]  # fmt: skip
    each = [{**setting.fields(), "seed": seed, "value": value, "shown": setting.cell.measure.format(value)}
            for setting in found for seed, value in setting.cell.values]  # fmt: skip
    y = rows_axis([setting.name for setting in found])
    base = of(rows).encode(y=y, tooltip=score_hints(label))
    span = reach(base, alt.Stroke("colour:N", scale=None))
    dots = points(of(each)).encode(
        x=alt.X("value:Q", title=label, scale=span_of(*limits(row["value"] for row in each))),
        y=y,
        tooltip=hints(row="setting", method="method", seed="seed", shown=label),
    )
    mean = base.mark_tick(color=INK, thickness=2, size=17, opacity=1).encode(x=alt.X("mean:Q"))
    chart = alt.layer(span, zoomable(dots, along=["x"]), mean, width=WIDTH, height=BAND * len(found))
    return [picture("seed_spread", f"{headline(table)}: {label} of every seed; vertical line: their mean.", chart)]


# -- across tasks ------------------------------------------------------------------------------------------------------


def _across(table: Table, known: Looks) -> list[Picture]:
    """One panel for each task, with its first score; rows in the order of their mean rank over the tasks."""
    columns: dict[str, int] = {}
    for number, column in enumerate(table.columns):
        cells = [cell for _, cell in table.measured(number)]
        if column.source is None and any(cell.measure.score for cell in cells):
            columns.setdefault(column.task, number)
    if len(columns) < 2:
        return []
    by_task = {task: settings(table, known, column) for task, column in columns.items()}
    order = _by_mean_rank({task: [(one.name, table.columns[columns[task]].better * one.cell.mean) for one in found]
                           for task, found in by_task.items()})  # fmt: skip
    titles = {task: table.columns[number].task_title or task for task, number in columns.items()}
    panels = [
        _panel(found, titles[task], score_label(table, columns[task]), order, labelled=at % _COLUMNS == 0)
        for at, (task, found) in enumerate(by_task.items())
    ]
    counts = [len(one.cell.values) for found in by_task.values() for one in found]
    cut = any(not low <= end <= high for found in by_task.values() for low, high in [_seen(found)]
              for one in found for end in one.reach().values())  # fmt: skip
    title = f"{table.scope.plm}: every task; rows have the order of their mean rank over the tasks that they have. "
    chart = alt.concat(*panels, columns=_COLUMNS, spacing=14).resolve_scale(y="shared")
    return [picture("across", f"{title}{interval_words(counts, cut)} Small circles: seeds.", chart)]


def _panel(found: Sequence[Setting], title: str, label: str, order: Sequence[str], labelled: bool) -> Any:
    y = rows_axis(order, labelled=labelled)
    rows = [{**one.fields(), "mean": one.cell.mean, **one.reach()} for one in found]
    each = [{**one.fields(), "seed": seed, "value": value, "shown": one.cell.measure.format(value)}
            for one in found for seed, value in one.cell.values if len(one.cell.values) > 1]  # fmt: skip
    colour = alt.Stroke("colour:N", scale=None)
    base = of(rows).encode(y=y, tooltip=score_hints(label))
    seeds = of(each).mark_point(size=14, opacity=0.8, strokeWidth=1).encode(
        x=alt.X("value:Q"), y=y, stroke=colour, tooltip=hints(row="setting", method="method", seed="seed", shown=label)
    )  # fmt: skip
    scale = span_of(*_seen(found))
    marks = points(base).encode(x=alt.X("mean:Q", title=label, scale=scale, axis=alt.Axis(tickCount=4)))
    parts = [reach(base, colour), zoomable(marks, along=["x"], name=re.sub(r"\W", "_", f"plot_{title}")), seeds]
    return alt.layer(*parts, width=_PANEL, height=BAND * len(order), title=title)


def _seen(found: Sequence[Setting]) -> tuple[float, float]:
    """The range of a panel: that of all seeds. Intervals may be wider, and so leave little to see of the rest."""
    return limits(value for one in found for value in one.cell.numbers)


def _by_mean_rank(scores: Mapping[str, Sequence[tuple[str, float]]]) -> list[str]:
    """Names by their mean rank over tasks; the best score of a task has rank 1."""
    ranks: dict[str, list[int]] = {}
    for pairs in scores.values():
        for name, own in pairs:
            ranks.setdefault(name, []).append(1 + sum(other > own for _, other in pairs))
    return sorted(ranks, key=lambda name: (statistics.fmean(ranks[name]), name))


# -- ablations and budgets ---------------------------------------------------------------------------------------------


def _differences(table: Table, known: Looks) -> list[Picture]:
    """Differences from the first row, seed by seed."""
    found = settings(table, known)
    if not found or found[0].row is not table.rows[0]:
        return []
    whole, *others = found
    reference = dict(whole.cell.values)
    measure = whole.cell.measure
    rows: list[dict[str, Any]] = []
    each: list[dict[str, Any]] = []
    for one in others:
        pairs = [(seed, value - reference[seed]) for seed, value in one.cell.values if seed in reference]
        if not pairs:
            continue
        values = [value for _, value in pairs]
        found95 = interval(values)
        rows.append({
            "row": one.name, "mean": statistics.fmean(values), "shown": measure.format(statistics.fmean(values)),
            "interval": " to ".join(map(measure.format, found95)) if found95 else "none: fewer than three seeds",
            "seeds": len(values), **({"low": found95[0], "high": found95[1]} if found95 else {}),
        })  # fmt: skip
        each += [
            {"row": one.name, "seed": seed, "value": value, "shown": measure.format(value)} for seed, value in pairs
        ]
    if not rows:
        return []
    label = f"{score_label(table)}: difference from {whole.name}"
    y = rows_axis([row["row"] for row in rows])
    ends = [row[end] for row in rows for end in ("low", "high") if end in row]
    scale = span_of(*limits([0.0, *(dot["value"] for dot in each), *ends]))
    told = hints(row="changed", shown="mean difference", interval="95 % interval", seeds="seeds")
    base = of(rows).encode(y=y, tooltip=told)
    zero = of([{"at": 0, "what": whole.name}]).mark_rule(color=INK)
    zero = zero.encode(x=alt.X("at:Q", title=label, scale=scale), tooltip=hints(what="zero"))
    dots = of(each).mark_point(size=36, stroke=FAINT, strokeWidth=1.2, opacity=1)
    dots = dots.encode(x=alt.X("value:Q"), y=y, tooltip=hints(row="changed", seed="seed", shown="difference"))
    marks = base.mark_point(shape="diamond", size=110, filled=True, color=INK, opacity=1).encode(x=alt.X("mean:Q"))
    parts = [zero, reach(base, alt.value(INK)), dots, zoomable(marks, along=["x"])]
    counts = [row["seeds"] for row in rows]
    title = (
        f"{headline(table)}: one change at a time, against {whole.name} ({whole.cell.shown()[0]}), seed by seed. "
        f"Diamonds: means; circles: seeds. {interval_words(counts)}"
    )
    return [picture("ablation", title, alt.layer(*parts, width=WIDTH, height=(BAND + 4) * len(rows)))]


def _budget_curve(table: Table, known: Looks) -> list[Picture]:
    """Score by parameters, one line for each method."""
    sizes = columns_of(table, "parameters")
    lines: dict[str, list[tuple[float, Setting]]] = {}
    for one in settings(table, known):
        if sizes and isinstance(size := one.row.cells[sizes[0]], Measured) and size.mean > 0:
            lines.setdefault(one.row.method, []).append((size.mean, one))
    if not any(len(at) > 1 for at in lines.values()):
        return []
    best = {method: max(table.better * one.cell.mean for _, one in at) for method, at in lines.items()}
    methods = sorted(lines, key=lambda method: -best[method])
    names = dict(zip(methods, unlike([method_title(method) for method in methods]), strict=True))
    rows = [{**one.fields(), **painted(known[method]), "setting": one.name, "row": names[method], "size": size,
             "shown": f"{size:,.0f}", "mean": one.cell.mean, **one.reach()}
            for method in methods for size, one in sorted(lines[method], key=lambda pair: pair[0])]  # fmt: skip
    found = [row["size"] for row in rows]
    low, high = min(found) / 1.3, max(found) * 1.3
    label = score_label(table)
    base = of(rows).encode(
        x=alt.X("size:Q", title="method parameters", scale=alt.Scale(type="log", domain=[low, high], nice=False),
                axis=alt.Axis(values=ticks(low, high), format="~s", grid=False)),
        tooltip=hints(setting="setting", method="method", shown="parameters", score=label, interval="95 % interval",
                      seeds="seeds"),
    )  # fmt: skip
    paint = by_name(list(names.values()), [known[method] for method in methods])
    ends = [row[end] for row in rows for end in ("mean", "low", "high") if end in row]
    y = alt.Y("mean:Q", title=label, scale=span_of(*limits(ends)))
    line = base.mark_line(strokeWidth=1.8).encode(y=y, stroke=paint["stroke"], strokeDash=paint["strokeDash"])
    marks = base.mark_point(size=70, strokeWidth=1.5, opacity=1).encode(
        y=y, stroke=paint["stroke"], fill=paint["fill"], shape=paint["shape"]
    )
    ranges = base.transform_filter("isValid(datum.low)").mark_rule(strokeOpacity=0.45, clip=True).encode(
        y=alt.Y("low:Q"), y2="high:Q", stroke=paint["stroke"]
    )  # fmt: skip
    title = f"{headline(table)}: {label} by parameter budget; the legend has the order of the best scores. "
    chart = alt.layer(ranges, line, zoomable(marks), width=WIDTH, height=HEIGHT)
    return [
        picture(
            "budget_curve",
            title + interval_words([len(one.cell.values) for at in lines.values() for _, one in at]),
            chart,
        )
    ]


# -- parts -------------------------------------------------------------------------------------------------------------


_KINDS: dict[FigureKind, Callable[[Table, Looks], list[Picture]]] = {
    "tradeoff": tradeoffs,
    "learning_curves": _learning_curves,
    "seed_spread": _seed_spread,
    "differences": _differences,
    "budget_curve": _budget_curve,
    "across": _across,
}
