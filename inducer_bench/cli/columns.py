"""Rows as a person reads them: a table that wraps in a terminal, and elsewhere one unbroken, aligned line for each."""

from collections.abc import Collection, Sequence
from typing import TextIO

from inducer_bench.errors import printable


def print_rows(
    heads: Sequence[str], rows: Sequence[Sequence[str]], file: TextIO, numbers: Collection[str] = (), indent: int = 2
) -> None:
    """Print rows under their heads; a column that is empty in every row is left out.

    Args:
        heads: of the columns; shown in a terminal alone, if there are any.
        rows: each with a cell for every column.
        file: where to.
        numbers: the heads of columns whose cells stand to the right.
        indent: of every line, in characters.
    """
    kept = [n for n in range(len(heads)) if any(row[n] for row in rows)]
    cells = [[printable(row[n]) for n in kept] for row in rows]
    right = [heads[n] in numbers for n in kept]
    if not file.isatty():
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            padded = [
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(row, widths, right, strict=True)
            ]
            print((" " * indent + "  ".join(padded)).rstrip(), file=file)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for n, to_right in zip(kept, right, strict=True):
        table.add_column(heads[n], justify="right" if to_right else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    Console(file=file).print(table, highlight=False, markup=False)
