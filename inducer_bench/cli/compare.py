"""`inducer-bench compare RUN RUN`: two finished runs side by side, with paired tests."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from inducer_bench.cli.parser import Parser
from inducer_bench.errors import ExitCode, printable
from inducer_bench.report.compare import Comparison, compare
from inducer_bench.runs.finished import open_run


def main(arguments: list[str]) -> int:
    """Print the comparison: ruled tables in a terminal, aligned text otherwise; returns the exit code."""
    parser = Parser(
        prog="inducer-bench compare",
        description="Compare two runs of one task: configurations, scores with paired tests, and costs.",
    )
    parser.add_argument("left", type=Path, metavar="RUN", help="the folder of a finished run")
    parser.add_argument("right", type=Path, metavar="RUN", help="the folder of another one")
    args = parser.parse_args(arguments)
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


def _draw(console: Console, names: list[str], comparison: Comparison) -> None:
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
