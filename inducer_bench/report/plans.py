"""Which runs are the rows of which table, before their numbers are known."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inducer_bench.errors import UserError, listed, nearest, shown
from inducer_bench.metrics.table import METRICS, metric_of
from inducer_bench.report import asked
from inducer_bench.report.asked import Asked
from inducer_bench.report.layout import SEVERAL, ColumnLayout, LayoutFile, Scope, Where
from inducer_bench.report.measures import COSTS
from inducer_bench.report.naming import NamedRow, as_shipped, is_own_file, named_rows
from inducer_bench.report.store import Group
from inducer_bench.runs.identity import flat
from inducer_bench.tasks.options import TaskOptions

ANY, EACH = "any", "each"  # values of `ColumnLayout.task`
Searched = Callable[[Group], tuple[str, ...] | None]  # the keys that a search chose for a setting; see `named_rows`
_NAMES = ("task", "plm", "method", "protocol")  # keys of `where` that stand for a name


@dataclass(frozen=True)
class Row:
    """One row."""

    label: str
    method: str
    groups: dict[str, Group]  # by task
    differs: tuple[tuple[str, str], ...] = ()
    asked: Asked | None = None  # by the layout; None for what was found


@dataclass(frozen=True)
class Plan:
    """A table with the groups of its cells."""

    file: LayoutFile
    scope: Scope
    task: str | None  # that it is about
    rows: list[Row]
    columns: list[ColumnLayout]  # each with its task
    known: list[Group]  # of that scope
    shared: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()  # about its rows, in sentences

    @property
    def name(self) -> str:
        """The layout's name."""
        return self.file.name

    def tasks(self) -> list[str]:
        """The tasks of its columns."""
        return list(dict.fromkeys(column.task for column in self.columns if column.task and column.task != ANY))

    def options_of(self, task: str) -> TaskOptions | None:
        """The options of a task; None without a record of it."""
        return next((group.config.task for group in self.known if group.config.task.name == task), None)

    def impossible(self, row: Row, task: str) -> bool:
        """Whether a method has no such setting: a budget below its smallest."""
        wanted = row.asked
        return (
            wanted is not None
            and wanted.budget is not None
            and wanted.key(self.scope, task, _plm_parameters(self.known)) is None
        )

    def missing(self) -> list[tuple[str, Asked, tuple[int, ...]]]:
        """Task, row, and the seeds without a result; running out of memory counts as a result."""
        found = []
        for row in self.rows if self.file.layout.show_missing else ():
            for task in self.tasks() if row.asked else ():
                runs = row.groups[task].runs if task in row.groups else ()
                there = {run.seed for run in runs if run.record.status in ("done", "oom")}
                wanted = self.file.layout.seeds.get(self.scope.suite, 0)
                seeds = tuple(seed for seed in range(wanted) if seed not in there)
                if seeds and row.asked and not self.impossible(row, task):
                    found.append((task, row.asked, seeds))
        return found


def plans(
    file: LayoutFile, groups: Sequence[Group], config_dir: Path | None = None, searched: Searched = lambda group: None
) -> Iterator[Plan]:
    """The tables of a layout that have runs; of a shipped layout only where there is something to compare.

    Raises:
        UserError: the layout names a key or a score that does not exist.
    """
    layout = file.layout
    _check(file, groups)
    members = [group for group in groups if matches(group, layout.where)]
    for inside in _apart(members, file):
        present = sorted({group.config.task.name for group in inside})
        about = [task for task in layout.tasks or present if task in present] if layout.about_one_task else [None]
        for task in about:
            known = [group for group in inside if task in (None, group.config.task.name)]
            scope = _scope(known, file, config_dir)
            plan = Plan(file, scope, task, [], _columns(file, task, known), inside)
            if layout.methods is None:
                plan = _found(plan, known, searched)
            elif scope.composable():
                plan.rows.extend(_asked(plan, config_dir))
            if plan.rows and (file.own or _worthwhile(plan)):
                yield plan


def matches(group: Group, where: Where) -> bool:
    """Whether a setting has one of the values of each key."""
    values = _filterable(group)
    return all(any(_equal(values.get(key), one) for one in allowed) for key, allowed in where.items())


# -- rows --------------------------------------------------------------------------------------------------------------


def _found(plan: Plan, known: Sequence[Group], searched: Searched) -> Plan:
    """The plan with a row for each setting there is, or for those that the layout chooses."""
    layout, scope = plan.file.layout, plan.scope
    hidden = [column.value for column in plan.columns]

    def named(groups: Sequence[Group]) -> tuple[list[NamedRow], tuple[tuple[str, str], ...]]:
        return named_rows(groups, scope.config_dir, hidden, layout.names, searched)

    if layout.rows is None:
        found, shared = named(known)
        rows = [Row(one.label, one.method, one.groups, one.differs) for one in found]
        return dataclasses.replace(plan, rows=rows, shared=shared)
    rows, unmatched = [], []
    for number, choice in enumerate(layout.rows):
        found, said = named([group for group in known if matches(group, choice.where)])
        if not found:
            unmatched.append(choice.label or f"rows.{number}")
            rows += [Row(unmatched[-1], "", {})] if layout.show_missing else []
        for one in found:
            several = f"{choice.label}, {one.label}" if choice.label and len(found) > 1 else choice.label
            rows.append(Row(several or one.label, one.method, one.groups, (*said, *one.differs)))
    each = [{*row.differs} for row in rows if row.groups]
    shared = tuple(pair for pair in (rows[0].differs if rows else ()) if all(pair in found for found in each))
    rows = [dataclasses.replace(row, differs=tuple(p for p in row.differs if p not in shared)) for row in rows]
    remarks = [f"No run fits: {', '.join(unmatched)}."] if unmatched else []
    values = {row.label: ", ".join(f"{key}={value}" for key, value in row.differs) for row in rows if row.differs}
    if values:
        remarks.append(f"Not as shipped: {'; '.join(f'{label}: {value}' for label, value in values.items())}.")
    return dataclasses.replace(plan, rows=rows, shared=shared, remarks=tuple(remarks))


def _asked(plan: Plan, config_dir: Path | None) -> list[Row]:
    """The rows that the layout asks for; those that nobody ran only if it wants them."""
    found = [Row(one.label, one.method, _matching(one, plan), asked=one) for one in asked.rows(plan.file, config_dir)]
    return found if plan.file.layout.show_missing and _any(found) else [row for row in found if row.groups]


def _any(rows: Sequence[Row]) -> bool:
    return any(row.groups for row in rows)


def _worthwhile(plan: Plan) -> bool:
    """Whether a shipped layout shows more than the tables of all settings do."""
    layout = plan.file.layout
    filled = [row for row in plan.rows if row.groups]
    if layout.methods is None:
        return layout.about_one_task or len({task for row in plan.rows for task in row.groups}) > 1
    special = layout.variants or layout.budgets  # the plain setting alone is no ablation
    several = layout.about_one_task or len({task for row in filled for task in row.groups}) > 1
    one_of_many = len({column.task for column in layout.columns}) == 1
    return (
        len(filled) > 1
        and (several or one_of_many)
        and (not special or any(row.asked and row.asked.command() for row in filled))
    )


def _matching(row: Asked, plan: Plan) -> dict[str, Group]:
    """Task -> the group of a row's setting; of several with different files, the one with most finished runs."""
    found = {}
    for task in plan.tasks():
        candidates = [g for g in plan.known if (g.config.task.name, g.config.method.name) == (task, row.method)]
        if equal := _equal_to(row, task, candidates, plan):
            found[task] = max(equal, key=lambda group: (len(group.done), group.data, group.weights))
    return found


def _equal_to(row: Asked, task: str, candidates: Sequence[Group], plan: Plan) -> list[Group]:
    """Those of the settings that are a row's; composing it takes time."""
    config_dir = plan.scope.config_dir
    shipped = [group for group in candidates if as_shipped(group, config_dir)]
    if not row.command() and is_own_file(row.method, row.choice, config_dir):
        return shipped
    if len(shipped) == len(candidates):  # nothing else is there to be found
        return []
    key = row.key(plan.scope, task, _plm_parameters(plan.known))
    return [group for group in candidates if group.key == key]


def _plm_parameters(groups: Sequence[Group]) -> int:
    return next((run.record.parameters.plm for group in groups for run in group.done), 0)


# -- scopes and filters ------------------------------------------------------------------------------------------------


def _apart(groups: Sequence[Group], file: LayoutFile) -> list[list[Group]]:
    """The runs that do not share a table: by suite, by model, and where settings are as shipped by protocol."""
    apart, by_protocol = file.layout.models == "apart", file.layout.methods is not None
    found: dict[tuple[str, str, str], list[Group]] = defaultdict(list)
    for group in groups:
        config = group.config
        key = (config.suite, config.plm.name if apart else "", config.protocol.name if by_protocol else "")
        found[key].append(group)
    return [members for _, members in sorted(found.items())]


def _scope(groups: Sequence[Group], file: LayoutFile, config_dir: Path | None) -> Scope:
    """What the runs of a table share."""
    plms = {group.config.plm.name for group in groups}
    protocols = {str(group.config.protocol.name) for group in groups}
    return Scope(
        groups[0].config.suite,
        plms.pop() if len(plms) == 1 else SEVERAL,
        protocols.pop() if len(protocols) == 1 else "any",
        config_dir,
    )


def _filterable(group: Group) -> dict[str, str]:
    config = group.config
    names = {"task": config.task.name, "plm": config.plm.name, "method": config.method.name,
             "protocol": config.protocol.name}  # fmt: skip
    return {**flat(dataclasses.asdict(config)), **names}


def _equal(found: str | None, wanted: Any) -> bool:
    if found is None or isinstance(wanted, bool) or wanted is None:
        return found == {True: "true", False: "false", None: "null"}[wanted] if found is not None else False
    try:
        return float(found) == float(wanted)
    except ValueError:
        return found == str(wanted)


def _check(file: LayoutFile, groups: Sequence[Group]) -> None:
    """Check the keys and scores that a layout of the user's names against the records.

    Raises:
        UserError: there is no such key or score in any of them.
    """
    if not file.own or not groups:
        return
    name, layout = f"table/{file.name}", file.layout
    keys = {*_NAMES, *(key for group in groups for key in _filterable(group))}
    filters = {f"{name}.where": layout.where}
    filters |= {f"{name}.rows.{number}.where": row.where for number, row in enumerate(layout.rows or ())}
    for where, values in filters.items():
        for key in values:
            if key not in keys:
                allowed = "task, plm, method, protocol, or a key of the runs' configuration"
                raise UserError(f"{where}.{shown(key)}: no run has this key; {nearest(key, keys)}allowed: {allowed}")
    scores = {score for group in groups for run in group.done for score in run.record.scores}
    words = ["headline", "scores", *COSTS]
    for number, column in enumerate(layout.columns):
        value = column.value
        if value not in (*words, *scores, *keys) and metric_of(value, METRICS) is None:
            hint = nearest(value, [*words, *scores, *keys])
            allowed = f"{listed([*words, *sorted(scores)])}, or a key of the configuration such as trainer.lr"
            raise UserError(f"{name}.columns.{number}.value: unknown '{shown(value)}'; {hint}allowed: {allowed}")


# -- columns -----------------------------------------------------------------------------------------------------------


def _columns(file: LayoutFile, about: str | None, known: Sequence[Group]) -> list[ColumnLayout]:
    """The columns of a layout, each with one score or cost and its task."""
    present = sorted({group.config.task.name for group in known})
    found = []
    for column in file.layout.columns:
        task = column.task or about
        for one in present if task == EACH else [task]:
            values = _scores(one, known) if column.value == "scores" else [column.value]
            found += [dataclasses.replace(column, value=value, task=one) for value in values]
    return found


def _scores(task: str | None, known: Sequence[Group]) -> list[str]:
    """The scores of a task that its options name, the main one first, with those of further splits."""
    names: dict[str, None] = {}
    recorded: dict[str, None] = {}
    for group in known:
        options = group.config.task
        if options.name == task:
            splits = [split.partition("_")[2] or split for split in options.report[1:]]
            for metric in [options.metric, *options.metrics]:
                names |= dict.fromkeys([metric, *(f"{metric}_{split}" for split in splits)])
            recorded |= dict.fromkeys(score for run in group.done for score in run.record.scores)
    return [name for name in names if name in recorded] or [*names][:1]
