"""Charts of a device's benchmark results.

    python -m scripts.bench.charts results/bench/amd-epyc charts/amd-epyc

Reads the JSON files of the first folder and draws each as a PNG file of the same name in the second, but for those that
only say what a machine is or whether a check passed.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import altair as alt

from inducer_bench.methods.options import METHODS, method_title
from inducer_bench.report import looks, plots
from scripts.bench.harness import Row, has_spread


@dataclass(frozen=True)
class Chart:
    """A dot plot: one panel for each group of rows, one dot for each row.

    Args:
        value: the column that is drawn.
        row: the column that names a dot.
        panel: columns that group the rows.
        one: the value that rows are compared with, drawn as a line.
        logarithmic: the scale of the value: for ratios, so that half and twice are equally far from one.
        only: columns of the rows that are shown.
    """

    value: str
    row: str
    panel: tuple[str, ...] = ()
    one: float | None = None
    logarithmic: bool = False
    only: dict[str, list[Any]] = field(default_factory=dict)


CHARTS = {  # start of a result's name -> its chart; the first that fits
    "attention_forms": Chart("ratio to SDPA", "candidate", ("dropout", "T"), 1, True),
    "attention": Chart("ratio to SDPA", "candidate", ("purpose", "T"), 1, True, {"mask": ["padded"]}),
    "step": Chart("ratio to lora", "candidate", ("T",), 1, True),
    "profile_step": Chart("launches", "method", ("family",)),
    "profile": Chart("ms", "operator", ("T", "form")),
    "loss": Chart("seconds a step", "form", only={"form": ["labelled", "everywhere"]}),
    "padding": Chart("padded / real", "form", ("task",), 1, True, {"batch": [16]}),
    "epoch": Chart("times ours", "form", (), 1, True),
    "encoding": Chart("peak MiB", "task"),
    "graphs": Chart("ratio", "method", ("task", "T"), 1, True),
    "startup": Chart("seconds", "command"),
    "parts": Chart("ratio to ours", "candidate", ("part",), 1, True),
    "seeds": Chart("seconds a seed and step", "form", ("seeds",)),
    "compile": Chart("ratio", "method", (), 1, True),
    "decoding": Chart("ratio to batched with a cache", "form", ("method",), 1, True),
}
NOT_DRAWN = {"environment", "attention_check", "graphs_check", "runs_memory", "runs_resume"}
COLUMNS, WIDTH = 3, 230  # panels in a row, and pixels of one


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw a chart of each result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    for path in sorted(args.results.glob("*.json")):
        if path.stem in NOT_DRAWN:
            continue
        result, kind = json.loads(path.read_text()), kind_of(path.stem)
        drawn = lines(result["rows"]) if kind == "scaling" else dots(result["rows"], CHARTS[kind])
        (args.out / f"{path.stem}.png").write_bytes(plots.picture(path.stem, result["note"], drawn).png())


def kind_of(name: str) -> str:
    """The start of a result's name that decides how it is drawn."""
    return next(kind for kind in (*CHARTS, "scaling") if name.startswith(kind))


def dots(rows: Sequence[Row], chart: Chart) -> Any:
    """Dots, with lines from the 10th to the 90th percentile where the result has them."""
    shown = [row for row in rows if chart.value in row and all(row[k] in v for k, v in chart.only.items())]
    shown.sort(key=lambda row: [row[column] for column in chart.panel])
    grouped = [(key, list(group)) for key, group in groupby(shown, key=lambda row: [row[c] for c in chart.panel])]
    ends = [row[end] for row in shown for end in ("p10", "p90") if has_spread(row, chart.value)]
    scale = _scale([*(row[chart.value] for row in shown), *ends, *([chart.one] if chart.one else [])], chart)
    panels = [_panel(group, chart, scale, key) for key, group in grouped]
    columns = len({key[-1] for key, _ in grouped}) if len(chart.panel) > 1 else COLUMNS
    return alt.concat(*panels, columns=columns, spacing=20) if len(panels) > 1 else panels[0]


def _scale(values: Sequence[float], chart: Chart) -> Any:
    """The axis that all panels share; a linear one starts at zero, as its numbers are times and sizes."""
    if not chart.logarithmic:
        scale = alt.Scale(domain=[0, 1.06 * max(values)], nice=False)
        return alt.X("value:Q", title=chart.value, scale=scale, axis=alt.Axis(tickCount=5))
    low, high = min(values) / 1.15, max(values) * 1.15
    axis = alt.Axis(values=plots.ticks(low, high), format="~g")
    return alt.X("value:Q", title=chart.value, scale=alt.Scale(type="log", domain=[low, high], nice=False), axis=axis)


def _panel(rows: Sequence[Row], chart: Chart, x: Any, key: Sequence[Any]) -> Any:
    names = [method_title(row[chart.row]) if row[chart.row] in METHODS else row[chart.row] for row in rows]
    data = [{"row": name, "value": row[chart.value], "shown": plots.rounded(row[chart.value]),
             **_spread(row, chart.value)}
            for name, row in zip(names, rows, strict=True)]  # fmt: skip
    titles = zip(chart.panel, key, strict=True)
    title = ", ".join(value if isinstance(value, str) else f"{column} = {value}" for column, value in titles)
    told = plots.hints(row="of", shown=chart.value, spread="10th to 90th percentile")
    base = plots.of(data).encode(y=plots.rows_axis(names), tooltip=told)
    one = plots.of([{"value": chart.one, "shown": f"{chart.one:g}"}] if chart.one else [])
    return alt.layer(
        one.mark_rule(color=plots.FAINT, strokeDash=[4, 3]).encode(x=x, tooltip=plots.hints(shown="compared with")),
        plots.reach(base, alt.value(plots.INK)),
        base.mark_point(size=60, filled=True, opacity=1, color="#0072b2").encode(x=x),
        width=WIDTH, height=20 * len(names), title=title,
    )  # fmt: skip


def _spread(row: Row, value: str) -> Row:
    if not has_spread(row, value):
        return {"spread": "-"}
    return {"low": row["p10"], "high": row["p90"], "spread": f"{row['p10']:.3g} to {row['p90']:.3g}"}


def lines(rows: Sequence[Row]) -> Any:
    """Scaling: time above, memory below; a column for each of length, batch, layers and runs that was varied."""
    steps = [row for row in rows if "layers" in row]
    fixed = {axis: steps[0][axis] for axis in ("length", "batch", "layers")}  # the point on all three axes
    methods = list(dict.fromkeys(row["method"] for row in rows))
    panels = []
    for value in ("seconds", "peak MiB"):
        for axis in (*fixed, "runs"):
            others = {k: v for k, v in fixed.items() if k != axis}
            shown = [row for row in rows if axis in row and row.get(value) is not None]
            shown = [row for row in shown if axis == "runs" or all(row[k] == v for k, v in others.items())]
            if len({row[axis] for row in shown}) > 1:
                panels.append(_line_panel(shown, axis, value, methods))
    return alt.concat(*panels, columns=COLUMNS, spacing=20)


def _line_panel(rows: Sequence[Row], axis: str, value: str, methods: Sequence[str]) -> Any:
    look = looks.looks(methods)
    data = [{"row": method_title(row["method"]), "at": row[axis], "value": row[value],
             "shown": plots.rounded(row[value]), **plots.painted(look[row["method"]])} for row in rows]  # fmt: skip
    places = sorted({row["at"] for row in data})
    paint = plots.by_name([method_title(method) for method in methods], [look[method] for method in methods])
    base = plots.of(data).encode(
        x=alt.X("at:Q", title=axis, scale=plots.span_of(*plots.limits(places)),
                axis=alt.Axis(values=places, grid=False)),
        y=alt.Y("value:Q", title=value, scale=alt.Scale(zero=True)),
        tooltip=plots.hints(row="method", at=axis, shown=value),
    )  # fmt: skip
    marks = base.mark_point(size=50, opacity=1).encode(stroke=paint["stroke"], fill=paint["fill"], shape=paint["shape"])
    line = base.mark_line(strokeWidth=1.6).encode(stroke=paint["stroke"], strokeDash=paint["strokeDash"])
    return alt.layer(line, marks, width=WIDTH, height=150)


if __name__ == "__main__":
    main()
