"""Which tables there are (`conf/table/*.yaml`), which settings their rows are, and the commands that fill them."""

import dataclasses
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

from omegaconf import OmegaConf
from pydantic import Field

from inducer_bench.config.compose import CONF_DIR, choices, compose
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.methods import budget
from inducer_bench.methods.architectures import sizes
from inducer_bench.options import PositiveInt, options, typed
from inducer_bench.plm.location import architecture
from inducer_bench.report.store import Group
from inducer_bench.runs.identity import setting_key

FigureKind = Literal["tradeoff", "learning_curves", "seed_spread", "bars", "budget_curve"]
Percentage = Annotated[str, Field(pattern=r"^\d+(\.\d+)?%$")]


@options
class ColumnLayout:
    """One column."""

    value: str  # a score's name, `headline`, or a cost (report/measures.py)
    task: str | None = None  # by default the task that the table is about
    group: str | None = None  # a heading over several columns
    label: str | None = None  # by default what the value is called


@options
class TableLayout:
    """One file of `conf/table/`. Each suite, PLM and protocol that has records gets a table of its own."""

    title: str
    order: int
    columns: Annotated[list[ColumnLayout], Field(min_length=1)]
    tasks: list[str] | None = None  # one table for each of them; by default columns name their tasks
    methods: list[str] | None = None  # rows; by default one for each setting that has records
    variants: dict[str, list[str]] = dataclasses.field(default_factory=dict)  # further rows: label -> overrides
    budgets: list[Percentage] = dataclasses.field(default_factory=list)  # further rows: one for each method and budget
    seeds: dict[Literal["full", "mini"], PositiveInt] = dataclasses.field(default_factory=dict)  # how many a cell needs
    figures: list[FigureKind] = dataclasses.field(default_factory=list)


@dataclass(frozen=True)
class Scope:
    """What all rows of a table share."""

    suite: Literal["full", "mini"]
    plm: str
    protocol: str  # `any` where a table tells them apart by its rows

    def overrides(self) -> list[str]:
        """What chooses it on the command line."""
        preset = ["preset=mini"] if self.suite == "mini" else []
        plm = [] if self.suite == "mini" and self.plm in ("mini_roberta", "mini_gpt2") else [f"plm={self.plm}"]
        protocol = [] if self.protocol == "paper" else [f"protocol={self.protocol}"]
        return [*preset, *plm, *protocol]

    def composable(self) -> bool:
        """Whether the PLM is one that ships; of others only the records know."""
        return self.plm in choices("plm")


@dataclass(frozen=True)
class RowLayout:
    """A setting that a table asks for."""

    label: str
    method: str
    overrides: tuple[str, ...] = ()
    budget: str | None = None

    def command(self) -> tuple[str, ...]:
        """The overrides that choose it, but for the method."""
        return (*self.overrides, *([f"method.budget={self.budget}"] if self.budget else []))

    def key(self, scope: Scope, task: str, plm_parameters: int) -> str | None:
        """The setting's key on a task; None if the method has no such setting there (a budget below its smallest)."""
        config = _composed((*scope.overrides(), f"task={task}", f"method={self.method}", *self.overrides))
        if self.budget is not None:
            allowed = int(float(self.budget.rstrip("%")) / 100 * plm_parameters)
            try:
                method = budget.solve(config.method, allowed, sizes(architecture(config.plm), config.plm.layout))
            except UserError:
                return None
            config = dataclasses.replace(config, method=method)
        return setting_key(config)


def layouts() -> dict[str, TableLayout]:
    """The shipped tables by name, in their order."""
    found = {name: layout(name) for name in choices("table")}
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def layout(name: str) -> TableLayout:
    """One table.

    Raises:
        UserError: its file has a key or value that is not allowed.
    """
    values = OmegaConf.to_container(OmegaConf.load(CONF_DIR / "table" / f"{name}.yaml"))
    assert isinstance(values, dict)
    return typed(TableLayout, {str(key): value for key, value in values.items()}, f"table/{name}")


def rows(table: TableLayout) -> list[RowLayout]:
    """The settings that a table asks for, one for each row."""
    several = len(table.methods or []) > 1

    def label(method: str, variant: str) -> str:
        return f"{method}, {variant}" if several else variant

    found = []
    for method in table.methods or []:
        if table.budgets:
            found += [RowLayout(label(method, size), method, budget=size) for size in table.budgets]
        elif table.variants:
            found += [RowLayout(label(method, name), method, tuple(more)) for name, more in table.variants.items()]
        else:
            found.append(RowLayout(method, method))
    return found


def commands(scope: Scope, missing: Sequence[tuple[str, RowLayout, tuple[int, ...]]], known: Sequence[Group],
             output_dir: str) -> list[str]:  # fmt: skip
    """The fewest commands that run what is missing: (task, row, seeds) each.

    Tasks whose records were made from local files get the same `task.data_dir`; so does the PLM.
    """
    methods: dict[tuple[str, tuple[str, ...], tuple[int, ...]], list[str]] = {}
    for task, row, seeds in missing:
        methods.setdefault((task, row.command(), seeds), []).append(row.method)
    tasks: dict[tuple[str, ...], list[str]] = {}
    for (task, overrides, seeds), names in methods.items():
        seed = f"seed={','.join(map(str, seeds))}"
        rest = (f"method={','.join(names)}", *overrides, seed, *_paths(task, known))
        tasks.setdefault(rest, []).append(task)
    found = []
    for rest, names in tasks.items():
        words = [*scope.overrides(), f"task={','.join(names)}", *rest]
        words += [] if output_dir == "runs" else [f"output_dir={output_dir}"]
        sweep = ["-m"] if any("," in word for word in words) else []
        found.append(shlex.join(["inducer-bench", *sweep, *words]))
    return found


def _paths(task: str, known: Sequence[Group]) -> list[str]:
    """Where the records of a task found its data and its PLM, if all of them agree."""
    configs = [group.config for group in known if group.config.task.name == task]
    found = []
    for key, values in (
        ("task.data_dir", {config.task.data_dir for config in configs}),
        ("plm.path", {group.config.plm.path for group in known}),
    ):
        value = values.pop() if len(values) == 1 else None
        found += [f"{key}={value}"] if value else []
    return found


@lru_cache(maxsize=1024)  # tables ask for the same settings again
def _composed(overrides: tuple[str, ...]) -> ExperimentConfig:
    return compose(list(overrides))
