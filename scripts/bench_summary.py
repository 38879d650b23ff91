"""A device's benchmarks on one page: the targets and whether they were met, and a figure of every result.

    python scripts/bench_summary.py results/bench/amd-epyc

Reads the JSON of the benchmarks in that folder; writes README.md and the figures there.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import benchmark
import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from inducer_bench.files import write_atomic
from inducer_bench.report import figures


@dataclass(frozen=True)
class Target:
    """A number of one row that is to be small (`most`) or great (`least`)."""

    what: str
    result: str  # beginning of a result's name
    where: dict[str, Any]  # columns that choose the row
    column: str
    most: float | None = None
    least: float | None = None
    of: dict[str, Any] = field(default_factory=dict)  # the number is divided by that of the row that these choose


@dataclass(frozen=True)
class Chart:
    """A figure of bars: one panel for each group of rows, one bar for each row."""

    value: str
    bar: tuple[str, ...]  # columns that name a row
    panel: tuple[str, ...] = ()  # columns that group the rows
    target: float | None = None
    logarithmic: bool = False
    only: dict[str, list[Any]] = field(default_factory=dict)  # columns of the rows that are shown


def _steps(task: str, lengths: Sequence[int]) -> list[Target]:
    """Targets of training steps."""
    found = []
    for length in lengths:
        for method, bound in (("inducer", 1.03), ("inducer_lora", 1.05)):
            what, name = f"{method}, step of {task} at T = {length}", f"step_{task}"
            row, of_lora = {"T": length, "candidate": method}, {"T": length, "candidate": "lora"}
            found += [
                Target(f"{what}, of LoRA's time", name, row, "ratio to lora", most=bound),
                Target(f"{what}, of full fine-tuning's time", name, row, "ratio to fine_tune", most=0.70),
                Target(f"{what}, of LoRA's peak memory", name, row, "peak MiB", most=1.10, of=of_lora),
            ]
    return found


TARGETS = [
    *_steps("sst2", (32, 128, 512)),
    *_steps("webnlg", (32, 128, 512)),
    *(Target(f"attention to train, T = {length}, {mask}, {purpose}, of SDPA's time", "attention",
             {"T": length, "mask": mask, "purpose": purpose, "candidate": form}, "ratio to SDPA", most=1.3)
      for length in (256, 512)
      for mask in ("padded", "causal")
      for purpose, form in (("training", "fused"), ("training with dropout", "explicit by rows"))),
    Target("labelled logits: time saved, %", "loss_inducer", {"form": "saved, %"}, "seconds a step", least=15),
    Target("labelled logits: memory of logits saved, %", "loss_inducer", {"form": "saved, %"}, "logits MiB a step",
           least=55),
    *(Target(f"padding of {task}, batch 16", "padding", {"task": task, "batch": 16, "form": "like length"},
             "padded / real", most=1.10) for task in ("sst2", "mnli", "webnlg")),
    Target("padding to the maximum, SST-2 with LoRA, times ours", "epoch_sst2_lora", {"form": "to the maximum"},
           "times ours", least=10),
    *(Target(f"peft and Trainer, {task} with {method}, times ours", f"epoch_{task}_{method}", {"form": "Trainer"},
             "times ours", least=1.0) for task in ("sst2", "webnlg") for method in ("lora", "prefix", "fine_tune")),
    *(Target(f"decoding one by one without a cache, {method}, times ours", "decoding",
             {"method": method, "form": "one by one without"}, "ratio to batched with a cache", least=20)
      for method in ("inducer", "lora")),
    *(Target(f"start-up: {command}, seconds", "startup", {"command": command}, "seconds", most=most)
      for command, most in (("help", 1.5), ("ls", 1.5), ("a finished run", 1.5), ("first step", 8.0))),
]  # fmt: skip

CHARTS = {  # beginning of a result's name -> its figure
    "attention": Chart("ratio to SDPA", ("candidate",), ("T", "mask", "purpose"), target=1.3, logarithmic=True),
    "step": Chart("ratio to lora", ("candidate",), ("T",)),
    "profile": Chart("ms", ("operator",), ("T", "form")),
    "loss": Chart("seconds a step", ("form",), only={"form": ["labelled", "everywhere"]}),
    "padding": Chart("padded / real", ("form",), ("task",), target=1.1, logarithmic=True, only={"batch": [16]}),
    "epoch": Chart("times ours", ("form",), logarithmic=True),
    "startup": Chart("seconds", ("command",)),
    "parts": Chart("ratio to ours", ("candidate",), ("part",), logarithmic=True),
    "seeds": Chart("seconds a seed and step", ("form",), ("seeds",)),
    "compile": Chart("ratio", ("method",), target=1.0),
    "decoding": Chart("ratio to batched with a cache", ("form",), ("method",), target=20, logarithmic=True),
}
COLUMNS = 3  # panels side by side
SPREAD = ("ratio to SDPA", "ratio to lora", "ratio to ours", "ratio to batched with a cache", "times ours", "ratio")
OURS = ("inducer", "inducer_lora", "explicit by rows", "fused", "like length", "labelled", "ours",
        "batched with a cache")  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    for folder in parser.parse_args(arguments).folders:
        write_page(folder)


def write_page(folder: Path) -> None:
    """The page of one device."""
    results = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    devices = sorted({f"{r['device']['name']}, {r['device']['threads']} threads" for r in results.values()})
    parts = [f"# Benchmarks on {'; '.join(devices)}\n", "`python scripts/bench_summary.py` wrote this page.\n"]
    for precision in ("fp32", "bf16"):
        rows = [row for target in TARGETS if (row := checked(target, results, precision))]
        if rows:
            parts += [f"## Targets, {precision}\n", benchmark.table(rows)]
    parts.append("## Results\n")
    for name, result in results.items():
        parts.append(
            f"### [{name}]({name}.md)\n\n{result['note']} {result['date']}.\n\n```\n{result['command']}\n```\n"
        )
        kind = next((kind for kind in CHARTS if name.startswith(kind)), None)
        if kind:
            drawn = figures.picture(name, name, draw(result["rows"], CHARTS[kind]))
            write_atomic(folder / f"{name}.svg", drawn.svg)
            write_atomic(folder / f"{name}.png", drawn.png)
        parts.append(f"![{name}]({name}.png)\n")
    write_atomic(folder / "README.md", "\n".join(parts).encode())


def checked(target: Target, results: dict[str, Any], precision: str) -> benchmark.Row | None:
    """What was measured beside what was wanted; None if it was not measured."""
    of_it = [result["rows"] for name, result in results.items() if name.startswith(target.result)
             and (name.endswith(precision) or (name == target.result and precision == "fp32"))]  # fmt: skip
    found = [(row, rows) for rows in of_it for row in chosen(rows, target.where) if target.column in row]
    if not found:
        return None
    row, beside = max(found, key=lambda pair: pair[0].get("rounds", 0))
    value = row[target.column]
    if target.of:
        [base] = chosen(beside, target.of)
        value /= base[target.column]
    met = value <= target.most if target.most is not None else value >= (target.least or 0)
    return {
        "what": target.what, "measured": value,
        "p10 to p90": f"{row['p10']:.3g} to {row['p90']:.3g}" if _has_spread(row, target.column) else None,
        "wanted": f"<= {target.most}" if target.most is not None else f">= {target.least}",
        "met": "yes" if met else "no",
    }  # fmt: skip


def chosen(rows: Sequence[benchmark.Row], where: dict[str, Any]) -> list[benchmark.Row]:
    """The rows that have these entries."""
    return [row for row in rows if where.items() <= row.items()]


def draw(rows: Sequence[benchmark.Row], chart: Chart) -> Figure:
    """Horizontal bars, with whiskers from the 10th to the 90th percentile where these are of the same number."""
    shown = [row for row in rows if chart.value in row and all(row[k] in v for k, v in chart.only.items())]
    panels = [(key, list(group)) for key, group in groupby(shown, key=lambda row: [row[c] for c in chart.panel])]
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    height = 0.8 + 0.22 * max(len(group) for _, group in panels)
    with matplotlib.rc_context(figures.SETTINGS):
        figure = Figure(figsize=(max(4.5, 3.6 * columns), height * lines), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes, (key, group) in zip(grid.flat, panels, strict=False):
            bars(axes, group, chart)
            named = zip(chart.panel, key, strict=True)
            axes.set_title(", ".join(v if isinstance(v, str) else f"{c} = {v}" for c, v in named), fontsize=9)
        for axes in grid[-1]:
            axes.set_xlabel(chart.value)
    return figure


def bars(axes: Axes, rows: Sequence[benchmark.Row], chart: Chart) -> None:
    """One panel."""
    names = [" ".join(str(row[column]) for column in chart.bar) for row in rows]
    values = [row[chart.value] for row in rows]
    places = range(len(rows))
    axes.barh(places, values, color=["#0072B2" if name in OURS else "#b9bdc4" for name in names])
    for place, row in enumerate(rows):
        if _has_spread(row, chart.value):
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


def _has_spread(row: benchmark.Row, column: str) -> bool:
    """Whether p10 and p90 of the row are those of this column."""
    of_it = column in SPREAD or (column == "seconds" and "command" in row)
    return of_it and "p10" in row


if __name__ == "__main__":
    main()
