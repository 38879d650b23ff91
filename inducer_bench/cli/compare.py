"""`inducer-bench compare RUN RUN`: two finished runs side by side, with paired tests."""

import argparse
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from inducer_bench.cli.parser import Parser
from inducer_bench.errors import ExitCode, printable

if TYPE_CHECKING:
    from inducer_bench.report.compare import Comparison

HELP = "two runs of a task: configurations, scores with paired tests, costs"


def arguments(parser: Parser) -> None:
    """The two runs."""
    parser.add_run("left")
    parser.add_run("right", "another one")


def main(args: argparse.Namespace) -> int:
    """Print the comparison: ruled tables in a terminal, aligned text otherwise; returns the exit code."""
    from inducer_bench.report.compare import compare
    from inducer_bench.runs.finished import open_run

    runs = [open_run(args.left), open_run(args.right)]
    comparison = compare(*runs)
    names = [f"{side:<6} {printable(str(run.folder))}" for side, run in zip(("left", "right"), runs, strict=True)]
    console = Console(highlight=False)
    if console.is_terminal:
        _draw(console, names, comparison)
    else:
        print("\n".join([*names, *comparison.warnings]))
        for text in [*comparison.tables, *comparison.remarks]:
            print(f"\n{text}")
    return ExitCode.DONE


def _draw(console: Console, names: list[str], comparison: "Comparison") -> None:
    for line in names:
        console.print(escape(line))
    for line in comparison.warnings:
        console.print(f"[yellow]{escape(line)}[/]")
    for table in comparison.tables:
        if not table.rows:
            console.print(f"{table.title}: no difference")
            continue
        drawn = RichTable(title=table.title, title_justify="left")
        for column in table.columns:
            drawn.add_column(column, overflow="fold")
        for row in table.rows:
            drawn.add_row(*map(escape, row))
        console.print(drawn)
    for line in comparison.remarks:
        console.print(f"[dim]{escape(line)}[/]")
