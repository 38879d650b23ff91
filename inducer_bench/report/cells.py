"""The cells of a table, and the footnotes that belong to them."""

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Self

from inducer_bench.report.measures import Measure
from inducer_bench.report.reference import Figure
from inducer_bench.report.store import DoneRun, Group

MISSING, IMPOSSIBLE, NOT_COMPUTED = "missing", "n/a", "not computed"


@dataclass(frozen=True)
class Cell:
    """A cell without a number: the reason why there is none.

    Args:
        text: the reason; empty in a cell that has a number.
        marks: letters of its footnotes.
        best: best of its column, supported by a test.
        tied: whether a test cannot tell it apart from the best of its column, which is tied with itself; None if it was
            not tested.
    """

    text: str = ""
    marks: tuple[str, ...] = ()
    best: bool = False
    tied: bool | None = None

    def shown(self) -> tuple[str, str, str]:
        """Number, deviation and number of seeds as tables show them; empty where there is none."""
        return self.text, "", ""

    def marked(self, marks: Iterable[str]) -> Self:
        """The cell with further footnotes."""
        return replace(self, marks=tuple(dict.fromkeys([*self.marks, *marks])))


@dataclass(frozen=True, kw_only=True)
class Published(Cell):
    """A published number."""

    figure: Figure

    @property
    def mean(self) -> float:
        """The number."""
        return self.figure.value

    @property
    def std(self) -> float | None:
        """The deviation that the source states."""
        return self.figure.pm

    def shown(self) -> tuple[str, str, str]:
        """Number and deviation as the source has them."""
        return f"{self.mean:g}", "" if self.std is None else f"{self.std:g}", ""


@dataclass(frozen=True, kw_only=True)
class Measured(Cell):
    """A mean over seeds.

    Args:
        values: seed and value of each run; at least one.
    """

    values: tuple[tuple[int, float], ...]
    measure: Measure
    group: Group

    @property
    def numbers(self) -> list[float]:
        """One value for each seed."""
        return [value for _, value in self.values]

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return statistics.fmean(self.numbers)

    @property
    def std(self) -> float | None:
        """The sample standard deviation over seeds; None for one seed."""
        return statistics.stdev(self.numbers) if len(self.values) > 1 else None

    def shown(self) -> tuple[str, str, str]:
        """Mean, standard deviation and number of seeds, rounded; only the mean of a cost that does not vary."""
        if not self.measure.spread:
            return self.measure.format(self.mean), "", ""
        spread = "" if self.std is None else self.measure.format(self.std)
        return self.measure.format(self.mean), spread, str(len(self.values))


@dataclass(frozen=True, kw_only=True)
class Fact(Cell):
    """A number that is no mean over seeds, or a few words: a difference, a learning rate, a verdict.

    Args:
        written: as tables show it.
        value: in full; None for words.
        values: further numbers by name, such as the ends of an interval.
    """

    written: str
    value: float | None = None
    values: tuple[tuple[str, float], ...] = ()

    def shown(self) -> tuple[str, str, str]:
        """The number or the words alone."""
        return self.written, "", ""


class Notes:
    """The footnotes of a table, lettered in the order in which they were added."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def add(self, text: str) -> str:
        """The letter of a footnote; equal texts share one."""
        return self._letters.setdefault(text, _letter(len(self._letters)))

    def listed(self) -> tuple[tuple[str, str], ...]:
        """The letter and text of each footnote."""
        return tuple((letter, text) for text, letter in self._letters.items())


def cell_of(group: Group, measure: Measure, notes: Notes) -> Cell:
    """The mean over the finished runs of a group; the fate of its other runs is a footnote."""
    values = tuple((run.seed, value) for run in group.done if (value := measure.read(run)) is not None)
    marks = tuple(notes.add(text) for text in _remarks(group, measure))
    if values:
        return Measured(values=values, measure=measure, group=group, marks=marks)
    ended = {run.record.status for run in group.runs}
    without = NOT_COMPUTED if measure.score else ""
    return Cell(without if group.done else "oom" if "oom" in ended else ", ".join(sorted(ended)), marks)


def mixes(cells: Iterable[Cell], notes: Notes) -> tuple[str, dict[str, tuple[str, ...]]]:
    """How most runs of a table were made, in one line; and the footnotes of groups that were made otherwise.

    Footnotes are by the folder of the group's first run, which no other group has.
    """
    groups = {_name(cell): cell.group for cell in cells if isinstance(cell, Measured)}
    counts: dict[str, Counter[str]] = {}
    for group in groups.values():
        for run in group.done:
            for aspect, value in _aspects(run).items():
                counts.setdefault(aspect, Counter())[value] += 1
    usual = {aspect: min(found.items(), key=lambda item: (-item[1], item[0]))[0] for aspect, found in counts.items()}
    marks: dict[str, tuple[str, ...]] = {}
    for name, group in groups.items():
        unusual = {
            f"{aspect}: {value}; most of this table: {usual[aspect]}": None
            for run in group.done
            for aspect, value in _aspects(run).items()
            if value != usual[aspect]
        }
        marks[name] = tuple(notes.add(text) for text in unusual)
    unsaid = ("algorithm", "data")  # footnotes only
    line = "; ".join(f"{aspect}: {value}" for aspect, value in usual.items() if not aspect.startswith(unsaid))
    return line, marks


def marks_of(cell: Cell, marks: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The footnotes that `mixes` has for a cell."""
    return marks[_name(cell)] if isinstance(cell, Measured) else ()


def _name(cell: Measured) -> str:
    return str(cell.group.runs[0].folder)


def _remarks(group: Group, measure: Measure) -> list[str]:
    found: list[str] = []
    by_status: dict[str, list[int]] = {}
    for run in group.runs if measure.score else ():  # once in a row is enough
        if not isinstance(run, DoneRun):
            by_status.setdefault(run.record.status, []).append(run.seed)
    for status, seeds in sorted(by_status.items()):
        ended = "out of memory" if status == "oom" else status
        found.append(f"{ended}: seed {', '.join(map(str, seeds))}; not in the mean")
    if group.superseded and measure.score:
        found.append(
            f"there are further records of the same setting and seed, which differ in {', '.join(group.superseded)}; a "
            "finished one counts, of several the latest version's, and of these the last by its hash"
        )
    found += sorted({reason for run in group.done if (reason := measure.reason(run))})
    return found


def _aspects(run: DoneRun) -> dict[str, str]:
    """The aspects that the runs of a table should share."""
    record = run.record
    return {
        "code": str(record.code),
        "algorithm": f"version {record.code.algorithm}",
        "device": str(record.device),
        "precision": record.dtype,
        "torch": record.versions["torch"],
        "protocol": record.protocol,
        "PLM weights": record.plm_fingerprint,
        f"data of {record.task}": record.data.fingerprint,
    }


def _letter(number: int) -> str:
    """a to z, then aa, ab, ..."""
    first, last = divmod(number, 26)
    return (_letter(first - 1) if first else "") + ascii_lowercase[last]
