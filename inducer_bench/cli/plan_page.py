"""A plan as a person reads it, and as JSON."""

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from inducer_bench import strict_json
from inducer_bench.cli.plan_summary import Plan, Row
from inducer_bench.errors import LONGEST_MESSAGE, printable, shown
from inducer_bench.report.pilots import Power
from inducer_bench.training.units import duration, size

_COLUMNS = ("task", "plm", "method", "kind", "runs", "done", "each", "left", "from")
_NUMBERS = ("runs", "done", "each", "left")


def print_json(plan: Plan) -> None:
    """Print a plan as JSON.

    Keys: jobs; rows: each with task, plm, method, kind, runs, states (name -> runs), done, left, costed (of those
    left), seconds, low and high (of all those costed), memory_bytes, sources; totals: runs, done, left, costed,
    seconds, low, high, elapsed (null: not known), left_bytes, peak_bytes, free_bytes; workers; refused: overrides and
    reason; power: see `report.pilots.Power`; notes.
    """
    rows = [
        {
            **{
                name: getattr(row, name) for name in ("task", "plm", "method", "kind", "runs", "done", "left", "costed")
            },
            **{name: getattr(row, name) for name in ("seconds", "low", "high")},
            "states": dict(row.states),
            "memory_bytes": row.memory,
            "sources": [*row.sources],
        }
        for row in plan.rows
    ]
    totals = {name: _sum(plan, name) for name in ("runs", "done", "left", "costed", "seconds", "low", "high")}
    sizes = {name: getattr(plan, name) for name in ("elapsed", "left_bytes", "peak_bytes", "free_bytes")}
    values = {
        "jobs": plan.jobs,
        "rows": rows,
        "totals": {**totals, **sizes},
        "workers": plan.workers,
        "refused": [{"overrides": overrides, "reason": reason} for overrides, reason in plan.refused],
        "power": [dataclasses.asdict(power) for power in plan.powers],
        "notes": plan.notes,
    }
    print(strict_json.dumps(values, indent=2))


def print_page(plan: Plan, command: str) -> None:
    """Print a plan: a table in a terminal, and elsewhere one unbroken line for each row; then lines about all of it."""
    if plan.rows:
        _print_rows([_cells(row) for row in plan.rows])
    for line in _totals(plan):
        print(line)
    for reason, jobs in _by_reason(plan.refused).items():
        others = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
        print(f"refused: {shown(jobs[0], 200)}{others}: {shown(reason, LONGEST_MESSAGE)}")
    for power in plan.powers:
        print(_power(power))
    for note in plan.notes:
        print(f"note: {shown(note, LONGEST_MESSAGE)}")
    print(f"start it: {printable(command)}")


def command(words: Sequence[str], study: bool, jobs: int, config_dir: Path | None) -> str:
    """The command line that does what was planned."""
    options = ["--config-dir", str(config_dir)] if config_dir else []
    sweep = ["tune"] if study else ["-m"] if jobs > 1 else []
    return shlex.join(["inducer-bench", *sweep, *options, *words])


def _cells(row: Row) -> dict[str, str]:
    known = row.costed > 0
    return {
        "task": row.task,
        "plm": row.plm,
        "method": row.method,
        "kind": row.kind,
        "runs": str(row.runs),
        "done": "?" if row.states["unknown"] else str(row.done),
        "each": _range(*(value / row.costed for value in (row.seconds, row.low, row.high))) if known else "-",
        "left": duration(row.seconds) if known else "?" if row.left else "-",
        "from": "; ".join(row.sources),
    }


def _range(middle: float, low: float, high: float) -> str:
    text = duration(middle)
    ends = duration(low), duration(high)
    return text if ends[0] == ends[1] else f"{text} ({ends[0]} to {ends[1]})"


def _by_reason(refused: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Reason -> the overrides of the jobs that are refused for it."""
    found: dict[str, list[str]] = {}
    for overrides, reason in refused:
        found.setdefault(reason, []).append(overrides)
    return found


def _totals(plan: Plan) -> list[str]:
    runs, done, left, costed = (int(_sum(plan, name)) for name in ("runs", "done", "left", "costed"))
    unknown = any(row.states["unknown"] for row in plan.rows)
    jobs = f"{plan.jobs} job{'s' if plan.jobs != 1 else ''}" + (f", {runs} runs" if runs > plan.jobs else "")
    refused = f", {len(plan.refused)} refused" if plan.refused else ""
    lines = [f"{jobs}: {'?' if unknown else done} done, {'at most ' if unknown else ''}{left} to run{refused}"]
    if costed:
        hours = _range(*(_sum(plan, name) for name in ("seconds", "low", "high")))
        if plan.elapsed is not None and plan.workers != 1:
            hours += f"; {min(plan.workers or 1, plan.jobs)} at a time: {duration(plan.elapsed)}, if none slows another"
        lines.append(f"time: about {hours}; without the start of each run")
        free = f"{size(plan.free_bytes)} are free at '{printable(str(plan.output_dir))}'"
        lines.append(f"disk: {size(plan.left_bytes)} stay, {size(plan.peak_bytes)} more while they run; {free}")
    if memory := max((row.memory for row in plan.rows), default=0):
        lines.append(f"memory: up to {size(memory)} a run")
    return lines


def _power(power: Power) -> str:
    by = f"by runs of {', '.join(power.methods)}" + (f"; {power.pairs} pairs are compared" if power.pairs > 1 else "")
    where = f"seeds: {power.task} on {power.plm}:"
    parts = []
    if power.difference is not None:
        found = "no number of seeds shows" if power.needed is None else f"{power.needed} of each method show"
        parts.append(f"{found} a difference of {power.difference:g} in {power.metric}")
        if power.needed is None:
            parts[-1] += ", for which there are too few examples"
    if power.shown is not None:
        parts.append(f"the {power.seeds} that are planned show {power.shown:.2g}")
    elif power.difference is None:
        parts.append("one seed of each method shows nothing about methods")
    return f"{where} {'; '.join(parts)} (80 % power, {by})"


def _sum(plan: Plan, name: str) -> float:
    values: list[float] = [getattr(row, name) for row in plan.rows]
    return sum(values)


def _print_rows(rows: list[dict[str, str]]) -> None:
    columns = [column for column in _COLUMNS if any(row[column] for row in rows)]
    if not sys.stdout.isatty():
        widths = {column: max([len(column), *(len(row[column]) for row in rows)]) for column in columns}
        for row in [{column: column for column in columns}, *rows]:
            cells = [
                row[column].rjust(widths[column]) if column in _NUMBERS else row[column].ljust(widths[column])
                for column in columns
            ]
            print(printable("  ".join(cells).rstrip()))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for column in columns:
        table.add_column(column, justify="right" if column in _NUMBERS else "left")
    for row in rows:
        table.add_row(*(printable(row[column]) for column in columns))
    Console().print(table, highlight=False, markup=False)
