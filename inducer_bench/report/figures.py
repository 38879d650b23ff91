"""Figures of a table: quality against costs, learning curves, spread over seeds, ablations, parameter budgets.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind readers can distinguish;
markers, line styles and hatches carry the same information in greyscale. Equal tables give equal bytes.
"""

import io
import math
import statistics
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from inducer_bench.report.cells import Measured
from inducer_bench.report.layout import FigureKind
from inducer_bench.report.store import DoneRun
from inducer_bench.report.tables import Row, Table

BLACK, _ORANGE, _SKY, _GREEN, _YELLOW, _BLUE, _VERMILION, _PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
Look = tuple[str, str, Any]  # colour, marker, line

_LOOKS: dict[str, Look] = {  # by method
    "fine_tune": (BLACK, "*", "-"),
    "head_only": (BLACK, "x", ":"),
    "bitfit": (_ORANGE, "P", "--"),
    "prefix": (_ORANGE, "v", "-"),
    "adapter": (_SKY, "s", "-"),
    "lora": (_GREEN, "D", "-"),
    "mam": (_SKY, "<", "--"),
    "kernel_mix": (_PURPLE, "p", "-."),
    "inducer": (_VERMILION, "o", "-"),
    "inducer_lora": (_VERMILION, "^", "--"),
    "inducer_ffn": (_BLUE, "h", "-."),
    "peft": (_YELLOW, "X", ":"),
}
_SPARE: list[Look] = [  # for methods from outside; no shipped method has one of these markers
    (colour, marker, line)
    for marker in "d>H81234"
    for colour, line in ((_BLUE, "-"), (_PURPLE, "--"), (_GREEN, "-."), (_ORANGE, ":"), (BLACK, "--"), (_SKY, "-"))
]
FAINT = "#6b6f76"
_NUMBER = FuncFormatter(lambda number, _: f"{number:,.10g}")
_SIZE = (5.2, 4.4)  # inches
SETTINGS: dict[Any, Any] = {  # of matplotlib
    "svg.hashsalt": "inducer-bench", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e3e5e9",
    "axes.axisbelow": True, "legend.frameon": False, "hatch.linewidth": 0.8, "figure.dpi": 100,
    "text.parse_math": False,
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A figure in both file formats."""

    name: str
    title: str
    svg: bytes
    png: bytes


def draw(table: Table) -> list[Picture]:
    """The figures that the table's layout asks for and its numbers allow."""
    return [picture for kind in table.figures for picture in _KINDS[kind](table)]


def picture(name: str, title: str, figure: Figure) -> Picture:
    """The figure as SVG and PNG, without dates and names of programs."""
    FigureCanvasAgg(figure)
    svg, png = io.BytesIO(), io.BytesIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
        figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
    return Picture(name, title, svg.getvalue(), png.getvalue())


@contextmanager
def canvas(width: float = _SIZE[0], height: float = _SIZE[1]) -> Iterator[tuple[Figure, Axes]]:
    """A figure with one pair of axes in this project's style; width and height in inches."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """The look of each method in one figure, no two alike.

    A shipped method has the same look in every figure. A method from outside has one that follows from its name, unless
    another one in the figure has taken it.
    """
    names = sorted(set(methods))
    found = {name: _LOOKS[name] for name in names if name in _LOOKS}
    for name in names:
        if name not in found:
            start = zlib.crc32(name.encode()) % len(_SPARE)
            own = [*_SPARE[start:], *_SPARE[:start]]
            found[name] = next((look for look in own if look not in found.values()), own[0])
    return found


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (cost, quality) points that no other point dominates, by cost."""
    front: list[tuple[float, float]] = []
    for cost, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or quality > front[-1][1]:
            front.append((cost, quality))
    return front


# -- quality against costs ---------------------------------------------------------------------------------------------

_Point = tuple[Row, Measured, Measured]  # with its score and its cost


def _tradeoff(table: Table) -> list[Picture]:
    costs = [("parameters", "method parameters"), ("train_seconds", "training time, s"),
             ("peak_memory", "peak memory, MiB")]  # fmt: skip
    found = [_against(table, value, label) for value, label in costs if value in _values(table)]
    return [picture for picture in found if picture]


def _against(table: Table, value: str, label: str) -> Picture | None:
    column, better = _values(table).index(value), table.better
    pairs = [(row, score, cost) for row, score in table.measured() if isinstance(cost := row.cells[column], Measured)]
    if len(pairs) < 2:
        return None
    pairs.sort(key=lambda pair: -better * pair[1].mean)  # the legend's order
    with canvas() as (figure, axes):
        points = [(cost.mean, better * score.mean) for _, score, cost in pairs]
        front = pareto_front(points)
        axes.step([x for x, _ in front], [better * y for _, y in front], where="post", color=FAINT, lw=1, ls="--",
                  zorder=1, label="Pareto front")  # fmt: skip
        _points(axes, pairs)
        _cost_axis(axes, [x for x, _ in points], value)
        axes.set_xlabel(label)
        axes.set_ylabel(_score_label(table))
        _legend_below(figure, axes)
        if value == "parameters" and len(matched := _matched(pairs)) > 3:
            _zoom(axes, matched)
        return picture(f"tradeoff_{value}", f"{_headline(table)} against {label}. Bars: standard deviation.", figure)


def _points(axes: Axes, pairs: Sequence[_Point]) -> None:
    """Draw score against cost of each row, with standard deviations."""
    styles = looks(row.method for row, *_ in pairs)
    for row, score, cost in pairs:
        colour, marker, _ = styles[row.method]
        axes.errorbar(cost.mean, score.mean, yerr=score.std or 0, xerr=cost.std or 0, color=colour, fmt="none",
                      elinewidth=1, capsize=2)  # fmt: skip
        edge, width = (colour, 2) if marker == "x" else ("white", 0.6)
        axes.plot(cost.mean, score.mean, color=colour, marker=marker, ms=13 if marker == "*" else 8, ls="none",
                  label=row.label, mec=edge, mew=width)  # fmt: skip


def _matched(pairs: Sequence[_Point]) -> list[_Point]:
    """The rows whose cost is within 10 % of the median: those at the same budget, where there is one."""
    middle = statistics.median(cost.mean for _, _, cost in pairs)
    return [pair for pair in pairs if abs(pair[2].mean - middle) < 0.1 * middle]


def _zoom(axes: Axes, pairs: Sequence[_Point]) -> None:
    """Draw the rows of a matched budget again, larger, in the corner of high cost and low quality, which is empty."""
    inset = axes.inset_axes((0.5, 0.1, 0.48, 0.48))
    _points(inset, pairs)
    inset.margins(x=0.15)
    inset.tick_params(labelsize=7)
    inset.xaxis.set_major_locator(MaxNLocator(3))
    inset.xaxis.set_major_formatter(_NUMBER)
    axes.indicate_inset_zoom(inset, edgecolor=FAINT)


def _cost_axis(axes: Axes, costs: Sequence[float], value: str) -> None:
    """Scale the cost axis: logarithmic for parameters of different orders of magnitude, with 0 for a method without."""
    positive = [cost for cost in costs if cost > 0]
    if value == "parameters" and positive and max(positive) > 20 * min(positive):
        if len(positive) < len(costs):
            axes.set_xscale("symlog", linthresh=min(positive) / 2, linscale=0.3)
        else:
            axes.set_xscale("log")
        decades = range(math.ceil(math.log10(min(positive))), math.floor(math.log10(max(positive))) + 1)
        axes.set_xticks([*([0] if len(positive) < len(costs) else []), *(10**power for power in decades)])
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(_NUMBER)


# -- over epochs and seeds ---------------------------------------------------------------------------------------------


def _learning_curves(table: Table) -> list[Picture]:
    with canvas() as (figure, axes):
        names = set()
        styles = looks(row.method for row, _ in table.measured())
        for row, cell in table.measured():
            name, curves = _curves(cell.group.done)
            epochs = sorted({epoch for curve in curves for epoch in curve})
            if len(epochs) < 2:
                continue
            names.add(name)
            at = [[curve[epoch] for curve in curves if epoch in curve] for epoch in epochs]
            colour, marker, line = styles[row.method]
            means = [sum(values) / len(values) for values in at]
            axes.plot(epochs, means, color=colour, marker=marker, ms=5, ls=line, lw=1.3, label=row.label)
            axes.fill_between(epochs, [min(v) for v in at], [max(v) for v in at], color=colour, alpha=0.08, lw=0)
        if not names:
            return []
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{', '.join(sorted(names))} on the selection set")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _legend_below(figure, axes)
        return [picture("learning_curves", "Learning curves. Lines: mean over seeds; bands: their range.", figure)]


def _curves(runs: Sequence[DoneRun]) -> tuple[str, list[dict[int, float]]]:
    """The score that selected the epoch, and for each run epoch -> its value."""
    evaluations = [run.record.evaluations for run in runs]
    scores = [name for name in evaluations[0][0] if name not in ("epoch", "step", "loss")] if evaluations[0] else []
    name = next((name for name in (runs[0].record.metric, "perplexity") if name in scores), "loss")
    return name, [
        {int(entry["epoch"] or 0): value for entry in curve if (value := entry.get(name)) is not None}
        for curve in evaluations
    ]


def _seed_spread(table: Table) -> list[Picture]:
    rows = sorted(table.measured(), key=lambda pair: table.better * pair[1].mean)
    if not any(len(cell.values) > 1 for _, cell in rows):
        return []
    styles = looks(row.method for row, _ in rows)
    with canvas() as (figure, axes):
        for height, (row, cell) in enumerate(rows):
            colour, marker, _ = styles[row.method]
            numbers = cell.numbers
            axes.plot([min(numbers), max(numbers)], [height, height], color=colour, lw=1, alpha=0.6)
            axes.plot(numbers, [height] * len(numbers), color=colour, marker=marker, ms=7, ls="none", alpha=0.8)
            axes.plot([cell.mean] * 2, [height - 0.32, height + 0.32], color=BLACK, lw=1.6)
        axes.set_yticks(range(len(rows)), [row.label for row, _ in rows])
        axes.set_xlabel(_score_label(table))
        axes.grid(axis="y", visible=False)
        return [picture("seed_spread", f"{_headline(table)} of every seed; vertical line: their mean.", figure)]


# -- ablations and budgets ---------------------------------------------------------------------------------------------


def _bars(table: Table) -> list[Picture]:
    """Differences from the first row, seed by seed."""
    measured = table.measured()
    if not measured or measured[0][0] is not table.rows[0]:
        return []
    (whole, full), *others = measured
    reference = dict(full.values)
    bars = {
        row.label: differences
        for row, cell in others[::-1]
        if (differences := [value - reference[seed] for seed, value in cell.values if seed in reference])
    }
    if not bars:
        return []
    with canvas(height=1.0 + 0.42 * len(bars)) as (figure, axes):
        for height, differences in enumerate(bars.values()):
            mean = statistics.fmean(differences)
            spread = statistics.stdev(differences) if len(differences) > 1 else 0
            worse = mean * table.better < 0
            axes.barh(height, mean, height=0.66, edgecolor=BLACK, lw=0.8, color=_ORANGE if worse else _SKY,
                      hatch="///" if worse else "")  # fmt: skip
            axes.errorbar(mean, height, xerr=spread, color=BLACK, capsize=3, lw=1.2)
            axes.plot(differences, [height] * len(differences), ls="none", marker="o", ms=4, mfc="white", mec=BLACK,
                      mew=0.8, zorder=3)  # fmt: skip
        axes.axvline(0, color=BLACK, lw=1)
        axes.set_yticks(range(len(bars)), list(bars))
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"{_score_label(table)}: difference from {whole.label}")
        title = (
            f"{_headline(table)}: one part of the method changed at a time, against the whole "
            f"({full.shown()[0]}). Hatched: worse; bars: standard deviation; dots: seeds."
        )
        return [picture("ablation", title, figure)]


def _budget_curve(table: Table) -> list[Picture]:
    if "parameters" not in _values(table):
        return []
    parameters = _values(table).index("parameters")
    lines: dict[str, list[tuple[float, Measured]]] = {}
    for row, cell in table.measured():
        if isinstance(size := row.cells[parameters], Measured):
            lines.setdefault(row.method, []).append((size.mean, cell))
    if not any(len(points) > 1 for points in lines.values()):
        return []
    styles = looks(lines)
    with canvas() as (figure, axes):
        for method, points in lines.items():
            colour, marker, line = styles[method]
            points.sort(key=lambda point: point[0])
            sizes, scores = [x for x, _ in points], [cell.mean for _, cell in points]
            axes.errorbar(sizes, scores, [cell.std or 0 for _, cell in points], color=colour, fmt="none", elinewidth=1,
                          capsize=2)  # fmt: skip
            axes.plot(sizes, scores, color=colour, marker=marker, ls=line, ms=6, lw=1.3, label=method)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(_NUMBER)
        axes.minorticks_off()
        axes.set_xlabel("method parameters")
        axes.set_ylabel(_score_label(table))
        _legend_below(figure, axes)
        return [picture("budget_curve", f"{_headline(table)} by parameter budget. Bars: standard deviation.", figure)]


# -- parts -------------------------------------------------------------------------------------------------------------


def _values(table: Table) -> list[str]:
    return [column.value for column in table.columns]


def _headline(table: Table) -> str:
    return f"{table.columns[0].task} on {table.scope.plm}"


def _score_label(table: Table) -> str:
    return f"{table.columns[0].label}{'' if table.better > 0 else ' (lower is better)'}"


def _legend_below(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=8, handlelength=2.6)


_KINDS: dict[FigureKind, Callable[[Table], list[Picture]]] = {
    "tradeoff": _tradeoff,
    "learning_curves": _learning_curves,
    "seed_spread": _seed_spread,
    "bars": _bars,
    "budget_curve": _budget_curve,
}
