"""Tables from records: rows are settings of methods, columns are scores and costs.

Each suite, PLM and protocol that has records gets its own tables, so that mini and real figures never mix.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from inducer_bench.errors import UserError
from inducer_bench.report import layout as layouts
from inducer_bench.report import statistics
from inducer_bench.report.cells import IMPOSSIBLE, MISSING, Cell, Measured, Notes, Published, cell_of, marks_of, mixes
from inducer_bench.report.examples import Rows, read_predictions
from inducer_bench.report.layout import ColumnLayout, FigureKind, RowLayout, Scope, TableLayout
from inducer_bench.report.measures import Measure, measure
from inducer_bench.report.reference import Source
from inducer_bench.report.store import DoneRun, Group, Store, labels
from inducer_bench.report.studies import Study, searches_of_runs
from inducer_bench.search.record import Search
from inducer_bench.tasks.options import TaskOptions

LEVEL = 0.05  # significance level
Tuned = Mapping[str, tuple[Study, Search]]  # by hash of run


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        value: the score's or cost's name.
        better: 1 if higher is better, -1 if lower is.
        source: the publication that the figures are from; None: our runs.
        p_value: of the best row against the runner-up, Holm-adjusted over the table; None if not tested.
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

    def measured(self, column: int = 0) -> list[tuple[Row, Measured]]:
        """The rows that have numbers of our runs in a column, with that cell."""
        return [(row, cell) for row in self.rows if isinstance(cell := row.cells[column], Measured)]


@dataclass(frozen=True)
class _Plan:
    """A table with the groups of its cells, before their numbers are known."""

    name: str
    layout: TableLayout
    scope: Scope
    task: str | None
    rows: list[tuple[str, RowLayout, dict[str, Group]]]  # label, what it asks for, task -> group
    known: list[Group]  # of that scope

    def task_of(self, column: ColumnLayout) -> str:
        found = column.task or self.task
        assert found is not None
        return found

    def tasks(self) -> list[str]:
        return list(dict.fromkeys(self.task_of(column) for column in self.layout.columns))


def build(
    store: Store,
    sources: Sequence[Source],
    output_dir: str,
    config_dir: Path | None = None,
    studies: Sequence[Study] = (),
) -> list[Table]:
    """The tables that have a record, in the order of `conf/table/`; those of the mini suite come last."""
    tuned = searches_of_runs(studies)
    plans = [
        plan
        for name, layout in layouts.layouts(config_dir).items()
        for plan in _plans(name, layout, store.groups, config_dir)
    ]
    plans.sort(key=lambda plan: plan.scope.suite == "mini")
    return [_table(plan, sources, output_dir, tuned) for plan in plans]


# -- which groups are the rows of which table --------------------------------------------------------------------------


def _plans(name: str, layout: TableLayout, groups: Sequence[Group], config_dir: Path | None) -> list[_Plan]:
    plans = []
    for scope, members in _by_scope(groups, layout.methods is not None, config_dir).items():
        present = sorted({group.config.task.name for group in members})
        tasks = [task for task in layout.tasks or present if task in present] if _about_one_task(layout) else [None]
        for task in tasks:
            if layout.methods is None:
                about = [group for group in members if group.config.task.name == task]
                rows = [
                    (
                        label,
                        RowLayout(label, group.config.method.name, group.config.method.name),
                        {group.config.task.name: group},
                    )
                    for label, group in sorted(
                        zip(labels(about), about, strict=True), key=lambda pair: _natural(pair[0])
                    )
                ]
                plans.append(_Plan(name, layout, scope, task, rows, members))
            elif scope.composable():
                plan = _Plan(name, layout, scope, task, [], members)
                plan.rows.extend((row.label, row, _matching(row, plan)) for row in layouts.rows(layout, config_dir))
                special = layout.variants or layout.budgets  # the plain setting alone is no ablation
                if any(found and (row.command() or not special) for _, row, found in plan.rows):
                    plans.append(plan)
    return plans


def _natural(label: str) -> list[tuple[str, int, str]]:
    """A sort key that orders the numbers within labels by size."""
    return [(text, len(number), number) for text, number in re.findall(r"(\D+)0*(\d*)", label)]


def _about_one_task(layout: TableLayout) -> bool:
    return any(column.task is None for column in layout.columns)


def _by_scope(groups: Sequence[Group], by_protocol: bool, config_dir: Path | None) -> dict[Scope, list[Group]]:
    found: dict[Scope, list[Group]] = {}
    for group in groups:
        config = group.config
        scope = Scope(config.suite, config.plm.name, config.protocol.name if by_protocol else "any", config_dir)
        found.setdefault(scope, []).append(group)
    return dict(sorted(found.items(), key=lambda item: (item[0].suite, item[0].plm, item[0].protocol)))


def _matching(row: RowLayout, plan: _Plan) -> dict[str, Group]:
    """Task -> the group of a row's setting; of several with different files, the one with most finished runs."""
    found = {}
    for task in plan.tasks():
        candidates = [g for g in plan.known if (g.config.task.name, g.config.method.name) == (task, row.method)]
        if candidates:  # composing takes time
            key = row.key(plan.scope, task, _plm_parameters(plan.known))
            equal = [group for group in candidates if group.key == key]
            if equal:
                found[task] = max(equal, key=lambda group: (len(group.done), group.data, group.weights))
    return found


def _plm_parameters(groups: Sequence[Group]) -> int:
    return next((run.record.parameters.plm for group in groups for run in group.done), 0)


# -- numbers, tests, footnotes -----------------------------------------------------------------------------------------


def _table(plan: _Plan, sources: Sequence[Source], output_dir: str, tuned: Tuned) -> Table:
    notes = Notes()
    columns, by_column = [], []
    for column in plan.layout.columns:
        task = plan.task_of(column)
        shown = _measure(column, task, plan.known)
        label = column.label or (shown.label if shown else column.value)
        value = shown.name if shown else column.value
        own = Column(task, column.group or "", label, value, better=shown.better if shown else 1)
        columns.append(own)
        cells = [_cell(row, found, task, shown, plan, notes) for _, row, found in plan.rows]
        by_column.append([cell.marked(_search_of(cell, tuned, notes)) for cell in cells])
        for source in sources:
            published = _published(source, plan, task, value, notes)
            if published:
                mark = notes.add(_citation(source, plan.scope.plm))
                columns.append(replace(own, label=f"{label}, {source.name}", source=source.name, marks=(mark,)))
                by_column.append(published)
    made_with, marks = mixes([cell for cells in by_column for cell in cells], notes)
    by_column = [[cell.marked(marks_of(cell, marks)) for cell in cells] for cells in by_column]
    columns, by_column = _tested(columns, by_column, notes)
    rows = tuple(
        Row(label, row.method, cells, groups=tuple(found.values()))
        for (label, row, found), cells in zip(plan.rows, zip(*by_column, strict=True), strict=True)
    )
    scope = plan.scope
    parts = [plan.name, *([plan.task] if plan.task else []), scope.plm,
             *([] if scope.protocol in ("paper", "any") else [scope.protocol])]  # fmt: skip
    return Table(
        name=file_name(*parts),
        title=plan.layout.title.format(task=plan.task),
        scope=scope,
        columns=tuple(columns),
        rows=rows,
        made_with=made_with,
        notes=notes.listed(),
        commands=tuple(layouts.commands(scope, _missing(plan), plan.known, output_dir)),
        figures=tuple(plan.layout.figures),
        equal_effort=_equal_effort(by_column, tuned),
        layout=plan.name,
    )


def file_name(*parts: str) -> str:
    """The name of a table's files."""
    return re.sub(r"[^\w.-]+", "_", "_".join(parts))


def _measure(column: ColumnLayout, task: str, known: Sequence[Group]) -> Measure | None:
    """The measure of a column; None without a record of its task, which says what its headline is."""
    config: TaskOptions | None = next((g.config.task for g in known if g.config.task.name == task), None)
    return measure(column.value, config) if config else None


def _cell(row: RowLayout, found: dict[str, Group], task: str, shown: Measure | None, plan: _Plan, notes: Notes) -> Cell:
    if task in found and shown:
        cell = cell_of(found[task], shown, notes)
        others = [g for g in plan.known if g.key == found[task].key and g is not found[task]]
        left_out = "runs of this setting with other files of data or PLM are left out; see the table of all settings"
        return cell.marked([notes.add(left_out)] if others and plan.layout.methods else [])
    return Cell(IMPOSSIBLE if _impossible(row, task, plan) else MISSING)


def _search_of(cell: Cell, tuned: Tuned, notes: Notes) -> list[str]:
    """A footnote for the score of a setting that a search has found."""
    if not isinstance(cell, Measured) or not cell.measure.score:
        return []
    found = [tuned[run.record.config_hash][1] for run in cell.group.runs if run.record.config_hash in tuned]
    if found:
        return [notes.add(f"tuned: {len(found[0].trials)} trials")]
    named = [run.record.config["search"] for run in cell.group.runs if run.record.config.get("search")]
    return [notes.add(f"tuned by search {named[0]}, which is not there")] if named else []


def _equal_effort(by_column: Sequence[Sequence[Cell]], tuned: Tuned) -> bool:
    """Whether all settings with a score are winners of one study."""
    runs = [run for cells in by_column for cell in cells if isinstance(cell, Measured) for run in cell.group.done]
    studies = {tuned[run.record.config_hash][0].id if run.record.config_hash in tuned else None for run in runs}
    return len(studies) == 1 and None not in studies


def _impossible(row: RowLayout, task: str, plan: _Plan) -> bool:
    return row.budget is not None and row.key(plan.scope, task, _plm_parameters(plan.known)) is None


def _missing(plan: _Plan) -> list[tuple[str, RowLayout, tuple[int, ...]]]:
    """Task, row, and the seeds without a result; running out of memory counts as a result."""
    if plan.layout.methods is None:
        return []
    found = []
    for _, row, groups in plan.rows:
        for task in plan.tasks():
            runs = groups[task].runs if task in groups else ()
            there = {run.seed for run in runs if run.record.status in ("done", "oom")}
            seeds = tuple(seed for seed in range(plan.layout.seeds.get(plan.scope.suite, 0)) if seed not in there)
            if seeds and not _impossible(row, task, plan):
                found.append((task, row, seeds))
    return found


def _published(source: Source, plan: _Plan, task: str, score: str, notes: Notes) -> list[Cell] | None:
    """The cells of a source for a column; None if it has none, or the table is of the mini suite."""
    if plan.scope.suite == "mini" or plan.layout.methods is None:
        return None
    figures = [
        None if row.command() else source.find(plan.scope.plm, task, score, row.method) for _, row, _ in plan.rows
    ]
    return [Published(figure=figure) if figure else Cell() for figure in figures] if any(figures) else None


def _citation(source: Source, plm: str) -> str:
    return f"{source.name}: {source.source}, read on {source.read_on}. {source.conditions(plm)}"


def _tested(columns: list[Column], by_column: list[list[Cell]], notes: Notes) -> tuple[list[Column], list[list[Cell]]]:
    """Mark the best of each column where a paired test against the runner-up supports it, Holm over the columns.

    One seed supports nothing: there is no test where either mean is of one.
    """
    tests: dict[int, tuple[Cell, float]] = {}
    for number, cells in enumerate(by_column):
        better = columns[number].better
        scored = [cell for cell in cells if isinstance(cell, Measured) and cell.measure.score]
        ranked = sorted(scored, key=lambda cell: -better * cell.mean)
        if len(ranked) > 1 and any(len(cell.values) == 1 for cell in ranked[:2]):
            columns[number] = replace(columns[number], one_seed=True)
            continue
        try:
            p_value = _paired(ranked[0], ranked[1]) if len(ranked) > 1 else None
        except UserError as error:
            marks = (*columns[number].marks, notes.add(f"no paired test here: {error}"))
            columns[number] = replace(columns[number], marks=marks)
            continue
        if p_value is not None:
            tests[number] = ranked[0], p_value
    adjusted = statistics.holm([p_value for _, p_value in tests.values()]) if tests else []
    for (number, (best, _)), p_value in zip(tests.items(), adjusted, strict=True):
        columns[number] = replace(columns[number], p_value=p_value)
        if p_value < LEVEL:
            by_column[number] = [replace(cell, best=cell is best) for cell in by_column[number]]
    return columns, by_column


def _paired(best: Measured, other: Measured) -> float | None:
    """The p-value over all runs of the two means; None if they were scored on different data.

    Examples are paired, seeds are not (`report/statistics.py`): the two may have different seeds.

    Raises:
        UserError: the predictions of a run are missing or damaged.
    """
    if best.measure.metric is None or best.group.data != other.group.data:
        return None
    left, right = ([predictions_of(run) for run in _runs(cell)] for cell in (best, other))
    return statistics.paired_p_value(best.measure.name, best.measure.metric, left, right)


def predictions_of(run: DoneRun) -> Rows:
    """The predictions of a run.

    Raises:
        UserError: they are missing or damaged, in words for a reader of the table.
    """
    try:
        return read_predictions(run.folder, run.record)
    except UserError:  # its path is of no use to a reader of the table
        where = f"{run.record.method}, seed {run.seed} ({run.record.config_hash})"
        raise UserError(f"the predictions of {where} are missing or damaged") from None


def _runs(cell: Measured) -> list[DoneRun]:
    """The runs in a mean."""
    seeds = dict(cell.values)
    return [run for run in cell.group.done if run.seed in seeds]
