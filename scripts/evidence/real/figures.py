"""The figures of `results/real`: differences with intervals, gates by layer, scores by learning rate and by budget."""

from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

import altair as alt

from inducer_bench.report.looks import CROSS, looks, of_settings
from inducer_bench.report.plots import (
    BAND,
    FAINT,
    INK,
    WIDTH,
    Picture,
    by_name,
    interval,
    limits,
    of,
    painted,
    picture,
    points,
    span_of,
    ticks,
)
from scripts.evidence.real.budget import Point
from scripts.evidence.real.differences import Difference
from scripts.evidence.real.gate import Measured
from scripts.evidence.real.initialisation import Form, Sweep

_HEADING = "\u2063"  # an invisible separator, which ends the name of a group
_IS_HEADING = f"indexof(datum.value, '{_HEADING}') == length(datum.value) - 1"
_MUCH_WIDER = 4  # times the median width of an interval
_PANEL = (190, 150)  # pixels
_COLUMNS = 3
_WHEN = {"before": "before training", "after": "after training"}


def differences(name: str, title: str, found: Sequence[Difference]) -> Picture:
    """A row for each difference, with its interval, and a line at zero, in groups.

    A group has the comparisons with one other side, if one side is the same in all of them, or else those of one place.
    An interval that is much wider than the others is cut at the edge.
    """
    if len({one.one for one in found}) == 1:  # the axis names what all of them have in common
        placed = [(f"against {one.other}", one.place, one) for one in found]
        axis = f"points; right of zero, {found[0].one} is better"
    else:
        placed = [(one.place, one.one, one) for one in found]
        axis = f"points; left of zero, {found[0].other} is better"
    groups: dict[str, list[tuple[str, Difference]]] = {}
    for group, label, one in placed:
        groups.setdefault(f"{group}{_HEADING}", []).append((label, one))
    rows: list[dict[str, Any]] = []
    order: list[str] = []
    for heading, members in groups.items():
        order.append(heading)
        for label, one in members:
            order.append(f"{heading}{label}")
            low, high = one.found.interval()
            colour = INK if one.verdict == "cannot be told apart" else "#d55e00"
            rows.append({"row": order[-1], "value": one.found.difference, "low": low, "high": high, "colour": colour})
    low, high = _near(rows)
    cut = any(row["low"] < low or row["high"] > high for row in rows)
    axis += f"; orange: significant{'; lines that reach the edge go on' if cut else ''}"
    scale = span_of(low, high)
    labels = alt.Axis(
        domain=False, ticks=False, labelFontWeight=alt.condition(_IS_HEADING, alt.value("bold"), alt.value("normal")),
        labelExpr=f"split(datum.value, '{_HEADING}')[{_IS_HEADING} ? 0 : 1]",
    )  # fmt: skip
    base = of(rows).encode(y=alt.Y("row:N", title=None, scale=alt.Scale(domain=order), axis=labels))
    colours = alt.Color("colour:N", scale=None)
    zero = of([{"at": 0}]).mark_rule(color=FAINT, strokeDash=[3, 3]).encode(x=alt.X("at:Q", scale=scale))
    lines = base.mark_rule(strokeWidth=2, opacity=0.7, clip=True)
    dots = base.mark_point(size=60, filled=True, opacity=1)
    chart = alt.layer(
        zero,
        lines.encode(x=alt.X("low:Q", scale=scale), x2="high:Q", color=colours),
        dots.encode(x=alt.X("value:Q", title=axis, scale=scale), color=colours),
        width=WIDTH, height=BAND * len(order),
    )  # fmt: skip
    return picture(name, title, chart)


def _near(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """The range of an axis: zero, every value, and the intervals but those that are far wider than the usual one."""
    usual = median(row["high"] - row["low"] for row in rows)
    kept = [row for row in rows if row["high"] - row["low"] <= _MUCH_WIDER * usual]
    return limits([0.0, *(row["value"] for row in rows), *(row[key] for row in kept for key in ("low", "high"))])


def gates(found: Sequence[Measured]) -> Picture:
    """Mean gates by layer before and after training, a panel for each setting."""
    colour = alt.Color("when:N", title=None, scale=alt.Scale(domain=list(_WHEN.values()), range=[FAINT, "#0072b2"]),
                       legend=alt.Legend(orient="top", symbolType="stroke"))  # fmt: skip
    dash = alt.StrokeDash("when:N", legend=None, scale=alt.Scale(domain=list(_WHEN.values()), range=[[4, 3], [1, 0]]))
    panels = []
    for one in found:
        rows = [_gates_of(one, key, layer) for key in _WHEN for layer in range(one.layers)]
        x = alt.X(
            "layer:Q", title="layer", axis=alt.Axis(tickMinStep=1, format="d"), scale=span_of(0.5, one.layers + 0.5)
        )
        base = of(rows).encode(x=x, color=colour)
        before, after = (base.transform_filter(alt.datum.when == when) for when in _WHEN.values())
        y = alt.Y("mean:Q", title="mean g", scale=span_of(0, 1))
        panels.append(
            alt.layer(
                base.mark_line(strokeWidth=1.5).encode(y=y, strokeDash=dash),
                base.mark_rule(strokeWidth=2, opacity=0.5).encode(y=alt.Y("low:Q", scale=span_of(0, 1)), y2="high:Q"),
                before.mark_point(size=60, strokeWidth=1.2, opacity=1).encode(y=y),
                after.mark_point(size=24, filled=True, opacity=1).encode(y=y),
                width=_PANEL[0], height=_PANEL[1], title=[one.place, one.score],
            )
        )  # fmt: skip
    title = "Mean gate by layer before and after training; lines are 95 % intervals of means over seeds."
    return picture("gates", title, alt.concat(*panels, columns=_COLUMNS, spacing=24))


def _gates_of(one: Measured, key: str, layer: int) -> dict[str, Any]:
    found = one.over(key, "mean", layer=layer)
    low, high = found.interval or (found.mean, found.mean)
    return {"layer": layer + 1, "when": _WHEN[key], "mean": found.mean, "low": low, "high": high}


def rates(found: Sequence[Sweep]) -> list[Picture]:
    """Scores of every run by learning rate, a panel for each method."""
    pictures = []
    for number, sweep in enumerate(found):
        scores = [score for one in sweep.forms for rate in one.rates for score in rate.all_scores]
        low, high = limits([*scores, sweep.guess])
        span = [rate.rate for one in sweep.forms for rate in one.rates]
        axis = alt.Axis(values=ticks(min(span) / 1.5, max(span) * 1.5), format=".0e")
        x = alt.X("rate:Q", title=None, axis=axis,
                  scale=alt.Scale(type="log", domain=[min(span) / 1.5, max(span) * 1.5], nice=False))  # fmt: skip
        scale = span_of(low, high)
        y = alt.Y("score:Q", title=None, scale=scale, axis=alt.Axis(tickCount=4))
        known = looks(one.method for one in sweep.forms)
        drawn = zip(sweep.forms, of_settings([one.method for one in sweep.forms], known), strict=True)
        panels = [_panel(one, painted(look), (x, y, scale), sweep.guess) for one, look in drawn]
        legend = [
            f"Vertical: {sweep.label}. Horizontal: learning rate. Line: the mean of all runs, bars: its 95 % interval.",
            "Crosses: runs that failed to learn. Dotted: a constant guess.",
        ]
        axes = alt.TitleParams(text=legend, fontWeight="normal", color=FAINT, offset=12)
        title = f"{sweep.place}: each run, and the mean by learning rate; dotted: a constant guess; crosses: failures."
        name = "rates" if len(found) == 1 else f"rates_{number + 1}"
        pictures.append(picture(name, title, alt.concat(*panels, columns=_COLUMNS, title=axes, spacing=18)))
    return pictures


def budgets(found: Sequence[Point]) -> list[Picture]:
    """Mean scores by percent of the PLM, a figure for each task."""
    pictures = []
    for number, place in enumerate(dict.fromkeys(point.place for point in found)):
        own = [point for point in found if point.place == place]
        names = list(dict.fromkeys(point.label for point in own))
        methods = {point.label: point.method for point in own}
        drawn = of_settings([methods[name] for name in names], looks(methods.values()))
        paint = {name: painted(look) for name, look in zip(names, drawn, strict=True)}
        rows = [
            {"row": point.label, "percent": point.percent, "score": point.score, **paint[point.label],
             **dict(zip(("low", "high"), point.interval or (point.score, point.score), strict=True))}
            for point in own
        ]  # fmt: skip
        scale = span_of(*limits([row[key] for row in rows for key in ("low", "high")]))
        across = alt.X("percent:Q", title="% of the PLM", scale=alt.Scale(type="log", nice=False))
        looking = by_name(names, drawn)
        base = of(rows).encode(x=across, stroke=looking["stroke"])
        chart = alt.layer(
            base.mark_line(strokeWidth=1.5).encode(y=alt.Y("score:Q", title="score", scale=scale),
                                                   strokeDash=looking["strokeDash"]),
            base.mark_rule(strokeWidth=2, opacity=0.5).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q"),
            base.mark_point(size=70, strokeWidth=1.8, opacity=1).encode(
                y=alt.Y("score:Q", scale=scale), fill=looking["fill"], shape=looking["shape"]),
            width=WIDTH, height=300,
        )  # fmt: skip
        title = f"{place}: scores by budget; lines are 95 % intervals of means over seeds."
        pictures.append(picture(f"budget_{number + 1}", title, chart))
    return pictures


def _panel(one: Form, paint: dict[str, Any], axes: tuple[Any, Any, Any], guess: float) -> Any:
    x, y, scale = axes
    runs = [
        {"rate": rate.rate, "score": score, **paint, "failed": score not in rate.scores}
        for rate in one.rates
        for score in rate.all_scores
    ]
    means = [{"rate": rate.rate, "score": fmean(rate.all_scores)} for rate in one.rates if rate.all_scores]
    lines = [
        {"rate": rate.rate, "low": found[0], "high": found[1]}
        for rate in one.rates
        if (found := interval(rate.all_scores))
    ]
    base = of(runs).encode(x=x, y=y)
    line = of([{"at": guess}]).mark_rule(color=FAINT, strokeDash=[1, 3]).encode(y=alt.Y("at:Q", scale=scale))
    layers = [
        line,
        of(means).mark_line(color=paint["colour"], strokeWidth=1.5).encode(x=x, y=y),
        points(base.transform_filter("!datum.failed"), 18),
        base.transform_filter("datum.failed").mark_point(shape=CROSS, size=26, filled=True, color=INK, opacity=1),
    ]
    if lines:
        bars = of(lines).mark_rule(color=INK, strokeWidth=1.4, opacity=0.6, clip=True)
        layers.append(bars.encode(x=x, y=alt.Y("low:Q", title=None, scale=scale), y2="high:Q"))
    return alt.layer(*layers, width=_PANEL[0], height=_PANEL[1], title=one.label)
