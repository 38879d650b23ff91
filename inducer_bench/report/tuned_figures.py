"""Figures of a study, one small panel for each method: tuning curves with their bands, and scores by learning rate.

All panels share their axes, so that methods can be compared by eye.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from inducer_bench.report.curves import Curve, tuning_curve
from inducer_bench.report.figures import BLACK, FAINT, SETTINGS, Look, Picture, looks, picture
from inducer_bench.report.robustness import robustness
from inducer_bench.report.statistics import Array
from inducer_bench.report.studies import Searched, Study
from inducer_bench.report.tuned import LEARNING_RATE, rates_of

_MOST_COLUMNS = 4
_PANEL = (2.1, 1.75)  # inches
_FAILED = "#D55E00"


def draw(study: Study) -> list[Picture]:
    """The figures that the trials of a study allow."""
    methods = [method for method in study.methods if not method.failed()]
    return [*_curves(study, methods), *_rates(study, methods)] if methods else []


# -- tuning curves -----------------------------------------------------------------------------------------------------


def _curves(study: Study, methods: Sequence[Searched]) -> list[Picture]:
    found: list[tuple[Searched, Curve]] = []
    for method in methods:
        scores = [trial.score for trial in method.ended]
        if len(scores) > 1 and (curve := tuning_curve(scores, method.search.better)):
            found.append((method, curve))
    if not found:
        return []
    low, high = _limits(near([curve.centre for _, curve in found]))
    with _panels([method for method, _ in found]) as (figure, panels):
        for (method, look, axes), (_, curve) in zip(panels, found, strict=True):
            colour, _, line = look
            for other, theirs in found:
                if other is not method:
                    axes.plot(theirs.trials, theirs.centre, color=FAINT, lw=0.6, alpha=0.4)
            band = np.clip([curve.low, curve.high], low, high)
            axes.fill_between(curve.trials, band[0], band[1], color=colour, alpha=0.22, lw=0)
            axes.plot(curve.trials, curve.centre, color=colour, ls=line, lw=1.8)
            axes.set_ylim(low, high)
            if not low <= (end := curve.centre[-1]) <= high:
                axes.text(0.5, 0.5, f"{end:.1f}, beyond this range", transform=axes.transAxes, ha="center", fontsize=7)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        figure.supxlabel("trials", fontsize=9)
        figure.supylabel(_score_label(study, "best "), fontsize=9)
        title = (
            f"{study.first.task} on {study.first.plm}: the best score of so many trials, half of the searches find a "
            "better one; bands: 95 %, for the whole curve at once, cut where the trials set no limit; grey: the other "
            "methods."
        )
        return [picture("tuning_curves", title, figure)]


def near(curves: Sequence[Array]) -> list[float]:
    """The values from two trials on, without the curves that end far from all others (Tukey's outer fences)."""
    ends = np.array([curve[-1] for curve in curves])
    first, third = np.quantile(ends, (0.25, 0.75))
    reach = 3 * (third - first)
    kept = [curve for curve, end in zip(curves, ends, strict=True) if first - reach <= end <= third + reach]
    return [float(value) for curve in kept for value in curve[1:] if np.isfinite(value)]


# -- scores by learning rate -------------------------------------------------------------------------------------------


def _rates(study: Study, methods: Sequence[Searched]) -> list[Picture]:
    methods = [method for method in methods if len(rates_of(method)) > 1]
    if not methods:
        return []
    low, high = _limits([score for method in methods for score in _scores(method)])
    bottom = low - 0.09 * (high - low)
    if study.first.better < 0:
        low, bottom = bottom, high + 0.09 * (high - low)
    with _panels(methods) as (figure, panels):
        for method, look, axes in panels:
            _trials(axes, method, look, bottom)
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(numticks=4))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:.0e}".replace("e-0", "e-")))
            axes.set_ylim(min(low, bottom) - 0.03 * (high - low), max(high, bottom) + 0.03 * (high - low))
            axes.minorticks_off()
        figure.supxlabel("learning rate", fontsize=9)
        figure.supylabel(_score_label(study), fontsize=9)
        title = (
            f"{study.first.task} on {study.first.plm}: score of every trial by its learning rate. Ring: the winner; "
            "crosses: trials without a score; dotted: the method's own; bar: within 1 point of the best."
        )
        return [picture("learning_rates", title, figure)]


def _trials(axes: Axes, method: Searched, look: Look, bottom: float) -> None:
    colour, marker, _ = look
    pairs = sorted(rates_of(method))
    scored = [(rate, score) for rate, score in pairs if score is not None]
    failed = [rate for rate, score in pairs if score is None]
    alone = len(method.search.space) == 1  # with further settings, neighbours differ in those as well
    axes.plot(*zip(*scored, strict=True), color=colour, marker=marker, ms=4, lw=0.8 if alone else 0, alpha=0.85)
    axes.plot(failed, [bottom] * len(failed), color=_FAILED, marker="x", ms=5, mew=1.4, ls="none")
    own = next((one.centre for one in method.search.space if one.key == LEARNING_RATE), None)
    if isinstance(own, float):
        axes.axvline(own, color=FAINT, ls=":", lw=1)
    winner = method.winner
    rate = winner.settings.get(LEARNING_RATE) if winner else None
    if winner and winner.score is not None and isinstance(rate, float):
        axes.plot([rate], [winner.score], color=BLACK, marker="o", ms=9, mfc="none", mew=1.2, ls="none")
    width = robustness(pairs, method.search.better, dimensions=len(method.search.space))
    if width is not None:
        best = max((score for _, score in scored), key=lambda score: method.search.better * score)
        height = best - method.search.better
        axes.plot([width.low, width.high], [height] * 2, color=BLACK, lw=1.4, marker="|", ms=5, alpha=0.7)


# -- parts -------------------------------------------------------------------------------------------------------------


@contextmanager
def _panels(methods: Sequence[Searched]) -> Iterator[tuple[Figure, list[tuple[Searched, Look, Axes]]]]:
    """A figure with a titled panel for each method; panels share their axes, and only outer ones have numbers."""
    styles = looks(method.search.method for method in methods)
    across = min(_MOST_COLUMNS, len(methods))
    down = -(-len(methods) // across)
    with matplotlib.rc_context({**SETTINGS, "font.size": 8}):
        figure = Figure(figsize=(_PANEL[0] * across + 0.5, _PANEL[1] * down + 0.4), layout="constrained")
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
        for axes in grid[len(methods) :]:
            axes.set_visible(False)
        for axes in grid[max(0, len(methods) - across) : len(methods)]:
            axes.tick_params(labelbottom=True)
        for method, axes in zip(methods, grid, strict=False):
            axes.set_title(method.label, fontsize=8)
        yield (
            figure,
            [(method, styles[method.search.method], axes) for method, axes in zip(methods, grid, strict=False)],
        )


def _scores(method: Searched) -> list[float]:
    return [trial.score for trial in method.search.trials if trial.score is not None]


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _score_label(study: Study, prefix: str = "") -> str:
    lower = " (lower is better)" if study.first.better < 0 else ""
    return f"{prefix}{study.first.metric}, held out{lower}"
