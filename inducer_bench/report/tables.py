"""Tables from records: rows are settings of methods, columns are scores and costs.

Every layout of `conf/table` and of the user's makes its tables (`plans.py` chooses their rows). Mini and real figures
never mix.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Literal

from inducer_bench.report import layout as layouts
from inducer_bench.report.asked import commands
from inducer_bench.report.cells import (
    IMPOSSIBLE,
    MISSING,
    Cell,
    Fact,
    Measured,
    Notes,
    Published,
    cell_of,
    marks_of,
    mixes,
)
from inducer_bench.report.layout import ColumnLayout, FigureKind, Scope
from inducer_bench.report.marks import MOST, Tester
from inducer_bench.report.measures import TIMES, Measure, measure, memory
from inducer_bench.report.naming import task_title
from inducer_bench.report.plans import ANY, Plan, plans
from inducer_bench.report.plans import Row as PlannedRow
from inducer_bench.report.reference import Source
from inducer_bench.report.store import Group, Store
from inducer_bench.report.studies import Study, searches_of_runs, short_hash
from inducer_bench.runs.identity import flat, setting
from inducer_bench.search.record import Search

Tuned = Mapping[str, tuple[Study, Search]]  # by hash of run


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        value: the score's or cost's name.
        better: 1 if higher is better, -1 if lower is.
        source: the publication that the figures are from; None: our runs.
        p_value: of the best row against the runner-up, Holm-adjusted over all pairs of rows; None if not tested.
        one_seed: whether it was not tested because one of the two has one seed.
        task_title: the task's name for people.
    """

    task: str
    group: str
    label: str
    value: str
    better: int
    source: str | None = None
    p_value: float | None = None
    one_seed: bool = False
    marks: tuple[str, ...] = ()
    task_title: str = ""

    @property
    def heading(self) -> str:
        """Group and label in one line."""
        return " ".join(part for part in (self.group, self.label) if part)


@dataclass(frozen=True)
class Row:
    """One setting.

    Args:
        label: for people: the method's title and what sets the row apart.
        method: its name in records.
        groups: the settings whose runs are in its cells, one for each task.
        differs: dotted key -> value of what sets it apart, in full.
    """

    label: str
    method: str
    cells: tuple[Cell, ...]
    groups: tuple[Group, ...] = ()
    differs: tuple[tuple[str, str], ...] = ()


# task: every setting on one task; across: every setting on all tasks; layout: of a file; study: of a search with equal
# effort, or of several.
TableKind = Literal["task", "across", "layout", "study"]


@dataclass(frozen=True)
class Table:
    """The content of a table, for every format."""

    name: str  # of its files
    title: str
    scope: Scope
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    made_with: str
    notes: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]  # that would fill what is missing
    figures: tuple[FigureKind, ...]
    equal_effort: bool  # all settings were tuned, with the same effort
    text: tuple[str, ...] = ()  # below the table, before its legend
    kind: TableKind = "layout"
    layout: str = ""  # the name of its file in `conf/table`
    shared: tuple[tuple[str, str], ...] = ()  # dotted key -> value: what all rows share and no method ships with

    @property
    def path(self) -> str:
        """The path of its files below the output folder, without a suffix; each suite has a folder of its own."""
        return f"{self.scope.suite}/{self.name}"

    @property
    def better(self) -> int:
        """The direction of the first column, which figures show: 1 if higher is better, -1 if lower is."""
        return self.columns[0].better

    def told_apart(self, column: int) -> bool:
        """Whether a test tells any row of a column apart from its best one."""
        return any(row.cells[column].tied is False for row in self.rows)

    def emphasis(self, row: Row, column: int) -> Literal["bold", "italic", ""]:
        """How a cell is printed: bold for a best one that stands alone, italic for those tied with the best."""
        cell = row.cells[column]
        return "bold" if cell.best else "italic" if cell.tied and self.told_apart(column) else ""

    def measured(self, column: int = 0) -> list[tuple[Row, Measured]]:
        """The rows that have numbers of our runs in a column, with that cell."""
        return [(row, cell) for row in self.rows if isinstance(cell := row.cells[column], Measured)]


def build(
    store: Store,
    sources: Sequence[Source],
    output_dir: str,
    config_dir: Path | None = None,
    studies: Sequence[Study] = (),
    given: Sequence[Path] = (),
    missing: bool = False,
) -> list[Table]:
    """The tables that have a record, in the order of their layouts; those of the mini suite come last.

    Args:
        store: the runs.
        sources: published figures.
        output_dir: of the runs, for commands.
        config_dir: the user's folder of configuration files, which may have layouts.
        studies: searches, whose winners are reported.
        given: further files with layouts.
        missing: show what nobody ran in every layout that asks for methods.

    Raises:
        UserError: a layout has a key or value that is not allowed.
    """
    tuned = searches_of_runs(studies)
    known = {method.search.id for study in studies for method in study.methods}

    def searched(group: Group) -> tuple[str, ...] | None:
        found = [tuned[run.record.config_hash][1] for run in group.runs if run.record.config_hash in tuned]
        return tuple(dimension.key for dimension in found[0].space) if found else None

    files = [*layouts.layouts(config_dir, given).values()]
    if missing:
        files = [replace(f, layout=replace(f.layout, show_missing=True)) if f.layout.methods else f for f in files]
    planned = [plan for file in files for plan in plans(file, store.groups, config_dir, searched)]
    planned.sort(key=lambda plan: plan.scope.suite == "mini")
    tester = Tester()
    made = [_table(plan, sources, output_dir, tuned, known, tester) for plan in planned]
    same = Counter(table.path.casefold() for table in made)
    return [
        table if same[table.path.casefold()] == 1 else replace(table, name=f"{table.name}_{_distinction(plan)}")
        for table, plan in zip(made, planned, strict=True)
    ]


def file_name(*parts: str) -> str:
    """The name of a table's files."""
    return re.sub(r"[^\w.-]+", "_", "_".join(parts))


# -- one table ---------------------------------------------------------------------------------------------------------


def _table(
    plan: Plan, sources: Sequence[Source], output_dir: str, tuned: Tuned, searches: Collection[str], tester: Tester
) -> Table:
    notes, layout = Notes(), plan.file.layout
    columns: list[Column] = []
    by_column: list[list[Cell]] = []
    for column in plan.columns:
        if not (plan.file.own or layout.show_missing or _says_something(_cells(column, plan, Notes())[1])):
            continue
        own, cells = _cells(column, plan, notes)
        columns.append(replace(own, marks=_times(own, cells, notes)))
        by_column.append([cell.marked(_search_of(cell, tuned, searches, notes)) for cell in cells])
        for source in sources:
            published = _published(source, plan, own)
            if published:
                mark = notes.add(_citation(source, plan.scope.plm))
                label = f"{own.label}, {source.name}"
                columns.append(replace(own, label=label, source=source.name, marks=(mark,)))
                by_column.append(published)
    made_with, marks = mixes([cell for cells in by_column for cell in cells], notes)
    by_column = [[cell.marked(marks_of(cell, marks)) for cell in cells] for cells in by_column]
    text = [*plan.remarks]
    if layout.bold:
        columns, by_column, left_out = _tested(columns, by_column, tester, notes)
        text += [f"Tests are of the {MOST} best rows of a column that have several seeds."] if left_out else []
    rows = [
        Row(row.label, row.method, cells, groups=tuple(row.groups.values()), differs=row.differs)
        for row, cells in zip(plan.rows, zip(*by_column, strict=True), strict=True)
    ]
    if layout.sort == "best" and columns:
        rows.sort(key=lambda row: -columns[0].better * cell.mean if isinstance(cell := row.cells[0], Measured) else inf)
    return Table(
        name=_name(plan),
        title=(layout.title or plan.name).format(task=_title(plan.task, plan) if plan.task else ""),
        scope=plan.scope,
        columns=tuple(columns),
        rows=tuple(rows),
        made_with=made_with,
        notes=notes.listed(),
        commands=tuple(commands(plan.scope, plan.missing(), plan.known, output_dir)),
        figures=tuple(layout.figures),
        equal_effort=_equal_effort(by_column, tuned),
        text=tuple(text),
        kind=_kind(plan),
        layout=plan.name,
        shared=plan.shared,
    )


def _kind(plan: Plan) -> TableKind:
    shipped: dict[str, TableKind] = {"task": "task", "across": "across"}
    return "layout" if plan.file.own else shipped.get(plan.name, "layout")


def _name(plan: Plan) -> str:
    """The name of its files: of the layout, the task, and what else it has tables for."""
    scope, layout = plan.scope, plan.file.layout
    parts = [] if _kind(plan) == "task" else [plan.name]
    parts += [plan.task] if plan.task else []
    parts += [scope.plm] if layout.models == "apart" else []
    parts += [scope.protocol] if layout.methods is not None and scope.protocol != "paper" else []
    return file_name(*parts)


def _distinction(plan: Plan) -> str:
    """What tells its files from those of another table whose name comes out the same."""
    return short_hash((plan.name, plan.task, plan.scope.plm, plan.scope.protocol))


def _title(task: str, plan: Plan) -> str:
    if task in plan.file.layout.names:
        return plan.file.layout.names[task]
    options = plan.options_of(task)
    return task_title(options, plan.scope.config_dir) if options else task


# -- columns and cells -------------------------------------------------------------------------------------------------


def _cells(column: ColumnLayout, plan: Plan, notes: Notes) -> tuple[Column, list[Cell]]:
    """A column, and its cell in each row."""
    task = column.task or ANY
    every = [[group] if (group := row.groups.get(task)) else [] for row in plan.rows]
    if task == ANY:
        every = [[*row.groups.values()] for row in plan.rows]
    groups = [group for found in every for group in found]
    title = "" if task == ANY else _title(task, plan)
    heading = column.group or (title if len(plan.tasks()) > 1 and column.label is None else "")
    if any(column.value in _values(one) for one in groups):
        label = column.label or column.value.rpartition(".")[2]
        own = Column("" if task == ANY else task, heading, label, column.value, better=1, task_title=title)
        return own, [_setting(column.value, found) for found in every]
    shown = _measure(column, task, groups, plan)
    label = column.label or (shown.label if shown else column.value)
    value, better = (shown.name, shown.better) if shown else (column.value, 1)
    own = Column("" if task == ANY else task, heading, label, value, better, task_title=title)
    cells = [_cell(row, found, task, shown, plan, notes) for row, found in zip(plan.rows, every, strict=True)]
    return own, cells


def _measure(column: ColumnLayout, task: str, groups: Sequence[Group], plan: Plan) -> Measure | None:
    """The measure of a column; None without a record of its task, which says what its headline is."""
    options = groups[0].config.task if groups else plan.options_of(task)
    if options is None:
        return None
    found = measure(column.value, options)
    if found.name == "peak_memory":
        found = memory(run for group in groups for run in group.done)
    return found if column.decimals is None else replace(found, decimals=column.decimals)


def _cell(row: PlannedRow, found: Sequence[Group], task: str, shown: Measure | None, plan: Plan, notes: Notes) -> Cell:
    if not found or shown is None:
        if not plan.file.layout.show_missing:
            return Cell()
        return Cell(IMPOSSIBLE if task != ANY and plan.impossible(row, task) else MISSING)
    cells = [cell_of(group, shown, notes) for group in found]
    if len({cell.shown()[0] for cell in cells}) > 1:
        values = [cell.mean for cell in cells if isinstance(cell, Measured)]
        return Fact(written=f"{shown.format(min(values))} to {shown.format(max(values))}") if values else cells[0]
    others = [g for g in plan.known if g.key == found[0].key and g is not found[0]] if row.asked else []
    left_out = "runs of this setting with other files of data or model are left out; see the table of all settings"
    return cells[0].marked([notes.add(left_out)] if others else [])


def _values(group: Group) -> dict[str, str]:
    return flat(setting(group.config))


def _setting(key: str, groups: Sequence[Group]) -> Cell:
    """A value of the configuration, if the settings of a row agree."""
    values = {_values(group).get(key) for group in groups}
    value = values.pop() if len(values) == 1 else None
    if value is None:
        return Cell()
    try:
        return Fact(written=value, value=float(value))
    except ValueError:
        return Fact(written={"true": "yes", "false": "no", "null": ""}.get(value, value))


def _says_something(cells: Sequence[Cell]) -> bool:
    return any(isinstance(cell, Measured | Fact) or cell.text not in ("", MISSING) for cell in cells)


def _times(column: Column, cells: Sequence[Cell], notes: Notes) -> tuple[str, ...]:
    """A footnote for times from different machines."""
    groups = [cell.group for cell in cells if isinstance(cell, Measured)] if column.value in TIMES else []
    devices = Counter(str(run.record.device) for group in groups for run in group.done)
    if len(devices) < 2:
        return column.marks
    machines = "; ".join(sorted(devices))
    return (*column.marks, notes.add(f"measured on different machines, so the times are not comparable: {machines}"))


def _search_of(cell: Cell, tuned: Tuned, searches: Collection[str], notes: Notes) -> list[str]:
    """A footnote for the score of a setting that a search has found."""
    if not isinstance(cell, Measured) or not cell.measure.score:
        return []
    found = [tuned[run.record.config_hash][1] for run in cell.group.runs if run.record.config_hash in tuned]
    if found:
        return [notes.add(f"tuned: {len(found[0].trials)} trials")]
    named = {search for run in cell.group.runs if (search := run.record.config.get("search"))}
    state = "has not ended" if named.issubset(searches) else "is not in this folder"
    return [notes.add(f"tuned by a search that {state}")] if named else []


def _equal_effort(by_column: Sequence[Sequence[Cell]], tuned: Tuned) -> bool:
    """Whether all settings with a score are winners of one study."""
    runs = [run for cells in by_column for cell in cells if isinstance(cell, Measured) for run in cell.group.done]
    studies = {tuned[run.record.config_hash][0].id if run.record.config_hash in tuned else None for run in runs}
    return len(studies) == 1 and None not in studies


def _published(source: Source, plan: Plan, column: Column) -> list[Cell] | None:
    """The cells of a source for a column; None if it has none, or the table is of the mini suite."""
    if plan.scope.suite == "mini" or plan.file.layout.methods is None:
        return None
    figures = [
        None
        if row.asked is None or row.asked.command()
        else source.find(plan.scope.plm, column.task, column.value, row.method)
        for row in plan.rows
    ]
    return [Published(figure=figure) if figure else Cell() for figure in figures] if any(figures) else None


def _citation(source: Source, plm: str) -> str:
    return f"{source.name}: {source.source}, read on {source.read_on}. {source.conditions(plm)}"


def _tested(
    columns: Sequence[Column], by_column: Sequence[list[Cell]], tester: Tester, notes: Notes
) -> tuple[list[Column], list[list[Cell]], bool]:
    """Mark what cannot be told apart from the best of each column, and say whether rows are left out of tests."""
    marked, cells = [], []
    outcome = tester.mark(by_column)
    for column, found in zip(columns, outcome, strict=True):
        marks = (*column.marks, *([notes.add(f"no test here: {found.reason}")] if found.reason else []))
        marked.append(replace(column, p_value=found.p_value, one_seed=found.one_seed, marks=marks))
        cells.append(found.cells)
    return marked, cells, any(found.left_out for found in outcome)
