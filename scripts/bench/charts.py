"""Charts of a device's benchmark results.

    python -m scripts.bench.charts results/bench/amd-epyc charts/amd-epyc

Reads every JSON file of the first folder and draws it as a PNG file of the same name in the second.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, product
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from inducer_bench.report import figures
from scripts.bench.harness import Row, has_spread


@dataclass(frozen=True)
class Chart:
    """A bar chart: one panel for each group of rows, one bar for each row."""

    value: str
    bar: tuple[str, ...]  # columns that name a row
    panel: tuple[str, ...] = ()  # columns that group the rows
    target: float | None = None
    logarithmic: bool = False
    only: dict[str, list[Any]] = field(default_factory=dict)  # columns of the rows that are shown


CHARTS = {  # first word of a result's name -> its chart
    "attention": Chart("ratio to SDPA", ("candidate",), ("T", "mask", "purpose"), target=1.3, logarithmic=True),
    "step": Chart("ratio to lora", ("candidate",), ("T",)),
    "profile": Chart("ms", ("operator",), ("T", "form")),
    "loss": Chart("seconds a step", ("form",), only={"form": ["labelled", "everywhere"]}),
    "padding": Chart("padded / real", ("form",), ("task",), target=1.1, logarithmic=True, only={"batch": [16]}),
    "epoch": Chart("times ours", ("form",), logarithmic=True),
    "encoding": Chart("peak MiB", ("task",)),
    "startup": Chart("seconds", ("command",)),
    "parts": Chart("ratio to ours", ("candidate",), ("part",), logarithmic=True),
    "seeds": Chart("seconds a seed and step", ("form",), ("seeds",)),
    "compile": Chart("ratio", ("method",), target=1.0),
    "decoding": Chart("ratio to batched with a cache", ("form",), ("method",), target=20, logarithmic=True),
}
COLUMNS = 3  # of panels
OURS = ("inducer", "inducer_lora", "explicit by rows", "fused", "like length", "labelled", "ours",
        "batched with a cache")  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw a chart of each result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    for path in sorted(args.results.glob("*.json")):
        rows, kind = json.loads(path.read_text())["rows"], path.stem.split("_")[0]
        figure = lines(rows) if kind == "scaling" else bars(rows, CHARTS[kind])
        figure.savefig(args.out / f"{path.stem}.png", dpi=160)


def bars(rows: Sequence[Row], chart: Chart) -> Figure:
    """Horizontal bars, with whiskers from the 10th to the 90th percentile where the result has them."""
    shown = [row for row in rows if chart.value in row and all(row[k] in v for k, v in chart.only.items())]
    panels = [(key, list(group)) for key, group in groupby(shown, key=lambda row: [row[c] for c in chart.panel])]
    columns = min(COLUMNS, len(panels))
    across = -(-len(panels) // columns)
    height = 0.8 + 0.22 * max(len(group) for _, group in panels)
    with matplotlib.rc_context(figures.SETTINGS):
        figure = Figure(figsize=(max(4.5, 3.6 * columns), height * across), layout="constrained")
        grid = figure.subplots(across, columns, squeeze=False, sharex=True)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes, (key, group) in zip(grid.flat, panels, strict=False):
            draw_panel(axes, group, chart)
            named = zip(chart.panel, key, strict=True)
            axes.set_title(", ".join(v if isinstance(v, str) else f"{c} = {v}" for c, v in named), fontsize=9)
        for axes in grid[-1]:
            axes.set_xlabel(chart.value)
    return figure


def draw_panel(axes: Axes, rows: Sequence[Row], chart: Chart) -> None:
    """Draw the bars of one panel."""
    names = [" ".join(str(row[column]) for column in chart.bar) for row in rows]
    values = [row[chart.value] for row in rows]
    places = range(len(rows))
    axes.barh(places, values, color=["#0072B2" if name in OURS else "#b9bdc4" for name in names])
    for place, row in enumerate(rows):
        if has_spread(row, chart.value):
            axes.plot([row["p10"], row["p90"]], [place, place], color="black", lw=1)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    if chart.logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if chart.target is not None:
        axes.axvline(chart.target, color="#D55E00", ls="--", lw=1)


def lines(rows: Sequence[Row]) -> Figure:
    """Scaling: time in the upper row, memory in the lower; a column for each of length, batch, layers and runs."""
    steps = [row for row in rows if "layers" in row]
    fixed = {axis: steps[0][axis] for axis in ("length", "batch", "layers")}  # the point on all three axes
    with matplotlib.rc_context(figures.SETTINGS):
        figure = Figure(figsize=(11, 5), layout="constrained")
        grid = figure.subplots(2, 4, sharex="col", squeeze=False)
        for (line, value), (column, axis) in product(enumerate(("seconds", "peak MiB")), enumerate([*fixed, "runs"])):
            axes, others = grid[line, column], {k: v for k, v in fixed.items() if k != axis}
            shown = [r for r in (rows if axis == "runs" else steps) if axis in r and value in r]
            shown = [r for r in shown if axis == "runs" or all(r[k] == v for k, v in others.items())]
            if not shown:
                axes.set_axis_off()
            for method in dict.fromkeys(row["method"] for row in shown):
                pairs = sorted((row[axis], row[value]) for row in shown if row["method"] == method)
                colour, marker, dash = figures.looks([method])[method]
                axes.plot(*zip(*pairs, strict=True), color=colour, marker=marker, ls=dash, label=method)
            axes.set_ylim(bottom=0)
            axes.set_xlabel(axis)
            axes.tick_params(labelbottom=True)  # also above an empty panel
            axes.set_ylabel(value)
        grid[0, 0].legend()
    return figure


if __name__ == "__main__":
    main()
