"""What stands in one cell of a table, and the footnotes that belong to it."""

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from string import ascii_lowercase

from inducer_bench.report.measures import Measure
from inducer_bench.report.reference import Figure
from inducer_bench.report.store import Group, Run
from inducer_bench.runs import record as records

MISSING, IMPOSSIBLE, NOT_COMPUTED = "missing", "n/a", "not computed"


@dataclass(frozen=True)
class Cell:
    """A mean over seeds, a published figure, or the reason why there is no number.

    Args:
        text: in place of a number.
        values: seed -> value.
        marks: letters of its footnotes.
        best: best of its column, supported by a test.
    """

    text: str = ""
    values: tuple[tuple[int, float], ...] = ()
    measure: Measure | None = None
    group: Group | None = None
    published: Figure | None = None
    marks: tuple[str, ...] = ()
    best: bool = False

    @property
    def numbers(self) -> list[float]:
        """One value for each seed."""
        return [value for _, value in self.values]

    @property
    def mean(self) -> float | None:
        """Over seeds, or the published figure."""
        if self.published:
            return self.published.value
        return statistics.fmean(self.numbers) if self.values else None

    @property
    def std(self) -> float | None:
        """The sample standard deviation over seeds, or the deviation that the source prints."""
        if self.published:
            return self.published.pm
        return statistics.stdev(self.numbers) if len(self.values) > 1 else None

    def shown(self) -> tuple[str, str, str]:
        """Number, deviation and number of seeds as tables show them; empty where there is none."""
        if self.published:
            pm = self.published.pm
            return f"{self.published.value:g}", "" if pm is None else f"{pm:g}", ""
        if self.mean is None or self.measure is None:
            return self.text, "", ""
        spread = "" if self.std is None else self.measure.format(self.std)
        return self.measure.format(self.mean), *((spread, str(len(self.values))) if self.measure.spread else ("", ""))

    def marked(self, marks: Iterable[str]) -> "Cell":
        """With further footnotes."""
        return replace(self, marks=tuple(dict.fromkeys([*self.marks, *marks])))


class Notes:
    """The footnotes of a table, lettered in the order in which they came."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def add(self, text: str) -> str:
        """The letter of a footnote; the same text has one letter."""
        return self._letters.setdefault(text, _letter(len(self._letters)))

    def listed(self) -> tuple[tuple[str, str], ...]:
        """(letter, text)"""
        return tuple((letter, text) for text, letter in self._letters.items())


def cell_of(group: Group, measure: Measure, notes: Notes) -> Cell:
    """The mean over the finished runs of a group; what went wrong with the others is a footnote."""
    values = tuple((run.seed, value) for run in group.done if (value := measure.read(run)) is not None)
    marks = [notes.add(text) for text in _remarks(group, measure)]
    if values:
        return Cell(values=values, measure=measure, group=group, marks=tuple(marks))
    ended = {str(run.record["status"]) for run in group.runs}
    computed = NOT_COMPUTED if measure.score else MISSING  # a cost is known when a run ends; only its files can go
    text = computed if group.done else "oom" if "oom" in ended else ", ".join(sorted(ended))
    return Cell(text, measure=measure, group=group, marks=tuple(marks))


def mixes(cells: Iterable[Cell], notes: Notes) -> tuple[str, dict[str, tuple[str, ...]]]:
    """What most runs of a table were made with, in one line; and the footnotes of groups made otherwise.

    Marks are kept under the group's first folder, which no other group has.
    """
    groups = {_name(cell.group): cell.group for cell in cells if cell.group and cell.values}
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
    line = "; ".join(f"{aspect}: {value}" for aspect, value in usual.items() if not aspect.startswith("data"))
    return line, marks


def marks_of(cell: Cell, marks: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The footnotes that `mixes` found for a cell."""
    return marks.get(_name(cell.group), ()) if cell.group and cell.values else ()


def _name(group: Group) -> str:
    return str(group.runs[0].folder)


def _remarks(group: Group, measure: Measure) -> list[str]:
    found: list[str] = []
    by_status: dict[str, list[int]] = {}
    for run in group.runs if measure.score else ():  # once in a row is enough
        if not run.done:
            by_status.setdefault(str(run.record["status"]), []).append(run.seed)
    for status, seeds in sorted(by_status.items()):
        ended = "out of memory" if status == "oom" else status
        found.append(f"{ended}: seed {', '.join(map(str, seeds))}; not in the mean")
    if group.superseded and measure.score:
        found.append("there are further records of the same setting and seed, by other code; the latest version counts")
    found += sorted({reason for run in group.done if (reason := measure.reason(run))})
    return found


def _aspects(run: Run) -> dict[str, str]:
    """What a table's runs should have in common."""
    record = run.record
    return {
        "code": records.code_of(record),
        "device": records.device_of(record),
        "precision": records.precision_of(record),
        "torch": record["versions"]["torch"],
        "protocol": record["protocol"],
        "PLM weights": record["plm_fingerprint"],
        f"data of {record['task']}": record["data"]["fingerprint"],
    }


def _letter(number: int) -> str:
    """a to z, then aa, ab, ..."""
    first, last = divmod(number, 26)
    return (_letter(first - 1) if first else "") + ascii_lowercase[last]
