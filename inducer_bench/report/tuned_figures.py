"""Figures of a study, one small panel for each method: tuning curves with their bands, and scores by learning rate.

All panels share their axes, so that methods can be compared by eye.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import altair as alt
import numpy as np

from inducer_bench.methods.options import method_title
from inducer_bench.metrics.generation import PERPLEXITY
from inducer_bench.report.curves import Curve, tuning_curve
from inducer_bench.report.looks import CROSS, Look, Looks, of_settings
from inducer_bench.report.naming import task_title
from inducer_bench.report.plots import (
    FAINT,
    INK,
    Picture,
    floor,
    hints,
    limits,
    of,
    painted,
    picture,
    points,
    rounded,
    span_of,
    ticks,
    zoomable,
)  # fmt: skip
from inducer_bench.report.robustness import robustness
from inducer_bench.report.statistics import Array
from inducer_bench.report.studies import Searched, Study
from inducer_bench.report.tuned import LEARNING_RATE, rates_of

_COLUMNS, _WIDTH, _HEIGHT = 4, 150, 120  # panels in a row, and the size of one in pixels
_Drawn = tuple[Searched, Look]


def draw(study: Study, known: Looks) -> list[Picture]:
    """The figures that the trials of a study allow.

    Args:
        study: the study.
        known: the look of every method of the report.
    """
    methods = [method for method in study.methods if not method.failed()]
    pairs = list(zip(methods, of_settings([one.search.method for one in methods], known), strict=True))
    return [*_curves(study, pairs), *_rates(study, pairs)] if methods else []


# -- tuning curves -----------------------------------------------------------------------------------------------------


def _curves(study: Study, methods: Sequence[_Drawn]) -> list[Picture]:
    found: list[tuple[Searched, Look, Curve]] = []
    for method, look in methods:
        scores = [trial.score for trial in method.ended]
        if len(scores) > 1 and (curve := tuning_curve(scores, method.search.better)):
            found.append((method, look, curve))
    if not found:
        return []
    low, high = limits(near([curve.centre for *_, curve in found], study.first.better))
    most = max(int(curve.trials[-1]) for *_, curve in found)
    x = alt.X(
        "trials:Q", title=None, scale=span_of(0.5, most + 0.5), axis=alt.Axis(tickCount=4, tickMinStep=1, format="d")
    )
    y = alt.Y("best:Q", title=None, scale=span_of(low, high), axis=alt.Axis(tickCount=4))
    lines = {method.label: _curve_rows(method, look, curve, low, high) for method, look, curve in found}

    def panel(at: int) -> tuple[str, list[Any]]:
        method, look, curve = found[at]
        others = of([row for label, rows in lines.items() if label != method.label for row in rows])
        base = of(lines[method.label]).encode(x=x, tooltip=_CURVE_HINTS)
        line = base.mark_line(clip=True, color=look.colour, strokeDash=list(look.dash), strokeWidth=2)
        beyond = [] if low <= curve.centre[-1] <= high else [_beyond(curve.centre[-1])]
        return method.label, [
            others.mark_line(clip=True, color=FAINT, strokeWidth=0.8, opacity=0.4).encode(
                x=x, y=y, detail="row:N", tooltip=_CURVE_HINTS),
            base.mark_area(color=look.colour, opacity=0.22).encode(y=_bare(alt.Y, "low"), y2=_bare(alt.Y2, "high")),
            zoomable(line.encode(y=y), name=f"curve_{at}"),
            *beyond,
        ]  # fmt: skip

    title = (
        f"{_about(study)}: the median best score after so many trials (half of such searches "
        "do better); bands: 95 %, for the whole curve at once, cut where the trials set no limit; grey: the other "
        "methods."
    )
    return [picture("tuning_curves", title, _panels(panel, len(found), "trials", _score_label(study, "best ")))]


_CURVE_HINTS = hints(row="setting", method="method", trials="trials", shown="best score", band="95 % band")


def _curve_rows(method: Searched, look: Look, curve: Curve, low: float, high: float) -> list[dict[str, Any]]:
    names = {"row": method.label, "method": method_title(method.search.method), **painted(look)}
    ends = np.clip([curve.low, curve.high], low, high)
    return [
        {**names, "trials": int(trials), "best": float(best), "shown": rounded(float(best)), "low": float(least),
         "high": float(most), "band": f"{rounded(float(below))} to {rounded(float(above))}"}
        for trials, best, below, above, least, most in zip(curve.trials, curve.centre, curve.low, curve.high, *ends,
                                                           strict=True)
        if math.isfinite(best)
    ]  # fmt: skip


def _beyond(end: float) -> Any:
    text = of([{"text": f"{rounded(end)}, beyond this range"}]).mark_text(fontSize=11, color=INK)
    return text.encode(text="text:N", x=alt.value(_WIDTH / 2), y=alt.value(_HEIGHT / 2), tooltip=hints(text="ends at"))


def near(curves: Sequence[Array], better: int) -> list[float]:
    """The values from two trials on, without the curves that end far below all others."""
    least = floor([float(curve[-1]) for curve in curves], better)
    kept = [curve for curve in curves if better * curve[-1] >= better * least]
    return [float(value) for curve in kept for value in curve[1:] if np.isfinite(value)]


# -- scores by learning rate -------------------------------------------------------------------------------------------


def _rates(study: Study, methods: Sequence[_Drawn]) -> list[Picture]:
    methods = [(method, look) for method, look in methods if len(rates_of(method)) > 1]
    if not methods:
        return []
    scores = [trial.score for method, _ in methods for trial in method.search.trials if trial.score is not None]
    failed_at = _range(study, scores, 0.05)[0 if study.first.better > 0 else 1]
    rates = [rate for method, _ in methods for rate, _ in rates_of(method)]
    left, right = min(rates) / 1.5, max(rates) * 1.5
    label = _score_label(study)
    axis = alt.Axis(values=ticks(left, right), format=".0e")
    x = alt.X("rate:Q", title=None, scale=alt.Scale(type="log", domain=[left, right], nice=False), axis=axis)
    y = _score_axis(study, *_range(study, scores, 0.1))

    def panel(at: int) -> tuple[str, list[Any]]:
        method, look = methods[at]
        return method.label, _trials(method, look, x, y, failed_at, f"rates_{at}")

    title = (
        f"{_about(study)}: score of every trial by its learning rate. Ring: the winner; "
        "crosses: trials without a score; dotted: the method's own; bar: within 1 point of the best."
    )
    return [picture("learning_rates", title, _panels(panel, len(methods), "learning rate", label))]


def _trials(method: Searched, look: Look, x: Any, y: Any, failed_at: float, name: str) -> list[Any]:
    winner = method.winner
    rows = []
    for trial in method.ended:
        rate = trial.settings.get(LEARNING_RATE)
        if isinstance(rate, float) and rate > 0:
            rows.append({
                "row": method.label, "method": method_title(method.search.method), "trial": trial.number, "rate": rate,
                "score": failed_at if trial.score is None else trial.score, **painted(look),
                "shown": trial.status if trial.score is None else rounded(trial.score),
                "settings": ", ".join(f"{key}={rounded(value) if isinstance(value, float) else value}"
                                      for key, value in trial.settings.items()),
                "what": "winner" if trial is winner else "scored" if trial.score is not None else "failed",
            })  # fmt: skip
    told = hints(row="setting", method="method", trial="trial", settings="settings", shown="score", what="what")
    base = of(rows).encode(x=x, y=y, tooltip=told)
    scored = base.transform_filter("datum.what != 'failed'")
    alone = len(method.search.space) == 1  # with further settings, neighbours differ in those as well
    parts = [scored.mark_line(color=look.colour, strokeWidth=0.9, opacity=0.85)] if alone else []
    parts += [
        points(scored, 32),
        zoomable(base.transform_filter("datum.what == 'failed'").mark_point(
            shape=CROSS, size=36, filled=True, color="#d55e00", opacity=1), name=name),
        base.transform_filter("datum.what == 'winner'").mark_point(size=130, color=INK, strokeWidth=1.4, opacity=1),
    ]  # fmt: skip
    own = next((one.centre for one in method.search.space if one.key == LEARNING_RATE), None)
    if isinstance(own, float):
        line = of([{"rate": own, "shown": rounded(own)}]).mark_rule(color=FAINT, strokeDash=[1, 3])
        parts.append(line.encode(x=_bare(alt.X, "rate"), tooltip=hints(shown="own learning rate")))
    width = robustness(rates_of(method), method.search.better, dimensions=len(method.search.space))
    if width is not None:
        best = max((row["score"] for row in rows if row["what"] != "failed"), key=lambda s: method.search.better * s)
        bar = of([{"rate": width.low, "end": width.high, "score": best - method.search.better,
                   "shown": f"{rounded(width.low)} to {rounded(width.high)}"}])  # fmt: skip
        bar = bar.mark_rule(clip=True, color=INK, strokeWidth=1.8, opacity=0.7)
        parts.append(
            bar.encode(
                x=_bare(alt.X, "rate"),
                x2=_bare(alt.X2, "end"),
                y=_bare(alt.Y, "score"),
                tooltip=told,
            )
        )
    return parts


# -- parts -------------------------------------------------------------------------------------------------------------


def _panels(panel: Callable[[int], tuple[str, list[Any]]], count: int, x_label: str, y_label: str) -> Any:
    """A titled panel for each method, with the axis labels of the whole above and below."""
    charts = []
    for at in range(count):
        label, layers = panel(at)
        charts.append(alt.layer(*layers, width=_WIDTH, height=_HEIGHT, title=label))
    axes = alt.TitleParams(
        text=f"Vertical: {y_label}. Horizontal: {x_label}.", fontWeight="normal", color=FAINT, offset=12
    )
    return alt.concat(*charts, columns=_COLUMNS, title=axes, spacing=18)


def _bare(channel: Any, field: str) -> Any:
    """A channel that adds nothing to the title of its axis."""
    return channel(f"{field}:Q", title=None)


def _is_ratio(study: Study) -> bool:
    """Whether scores are compared by their ratios: perplexities, of which a failed trial has one of thousands."""
    return study.first.metric == PERPLEXITY.name


def _range(study: Study, scores: Sequence[float], margin: float) -> tuple[float, float]:
    """The range of an axis of scores."""
    if not _is_ratio(study):
        return limits(scores, margin)
    low, high = limits([math.log(score) for score in scores], margin)
    return math.exp(low), math.exp(high)


def _score_axis(study: Study, low: float, high: float) -> Any:
    """Of this range, logarithmic where scores are compared by their ratios."""
    if not _is_ratio(study):
        return alt.Y("score:Q", title=None, scale=span_of(low, high), axis=alt.Axis(tickCount=4))
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    return alt.Y("score:Q", title=None, scale=scale, axis=alt.Axis(values=ticks(low, high), format="~g"))


def _about(study: Study) -> str:
    return f"{task_title(study.methods[0].config.task)} on {study.first.plm}"


def _score_label(study: Study, prefix: str = "") -> str:
    lower = " (lower is better)" if study.first.better < 0 else ""
    return f"{prefix}{study.first.metric}, held out{lower}"
