"""The rows of a table as figures draw them: a name that no other row has, a look, and the numbers of the hover text."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inducer_bench.methods.options import method_title
from inducer_bench.report.cells import Measured
from inducer_bench.report.looks import Look, Looks, of_settings
from inducer_bench.report.plots import hints, interval, painted
from inducer_bench.report.tables import Row, Table


@dataclass(frozen=True)
class Setting:
    """A row of a table that has a score.

    Args:
        name: its label in the table; a number follows where another row has the same.
        cell: its score.
    """

    name: str
    row: Row
    cell: Measured
    look: Look

    def fields(self) -> dict[str, Any]:
        """What its marks show under the pointer, and how they are painted."""
        measure, seeds = self.cell.measure, self.cell.values
        reach = interval(self.cell.numbers)
        return {
            "row": self.name,
            "method": method_title(self.row.method),
            "score": measure.format(self.cell.mean),
            "interval": " to ".join(map(measure.format, reach)) if reach else "none: fewer than three seeds",
            "seeds": "; ".join(f"{seed}: {measure.format(value)}" for seed, value in seeds),
            **painted(self.look),
        }

    def reach(self) -> dict[str, float]:
        """The ends of its interval, if it has one."""
        found = interval(self.cell.numbers)
        return {"low": found[0], "high": found[1]} if found else {}


def settings(table: Table, known: Looks, column: int = 0) -> list[Setting]:
    """The rows that have numbers of our runs in a column; a row has the same name and look in every figure."""
    looks = of_settings([row.method for row in table.rows], known)
    names = unlike([row.label for row in table.rows])
    return [
        Setting(name, row, cell, look)
        for name, row, look in zip(names, table.rows, looks, strict=True)
        if isinstance(cell := row.cells[column], Measured)
    ]


def unlike(labels: Sequence[str]) -> list[str]:
    """The labels, those that were there before with a number."""
    seen: Counter[str] = Counter()
    found = []
    for label in labels:
        seen[label] += 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return found


def score_hints(label: str, **more: str) -> list[Any]:
    """The hover text of a setting's marks: the fields of `Setting.fields`, then further ones."""
    return hints(row="setting", method="method", score=label, interval="95 % interval", seeds="seeds", **more)


def headline(table: Table) -> str:
    """The task and the PLM of a table."""
    return f"{table.columns[0].task_title or table.columns[0].task} on {table.scope.plm}"


def score_label(table: Table, column: int = 0) -> str:
    """The score of a column, and its direction if less of it is better."""
    cells = table.measured(column)
    label = cells[0][1].measure.label if cells else table.columns[column].label
    return f"{label}{'' if table.columns[column].better > 0 else ' (lower is better)'}"


def columns_of(table: Table, value: str) -> list[int]:
    """The columns that show a number."""
    return [number for number, column in enumerate(table.columns) if column.value == value]
