"""The tables of `conf/table/*.yaml`, the settings that their rows ask for, and the commands that fill missing cells."""

import dataclasses
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError
from yaml import YAMLError

from inducer_bench.config.compose import choices, compose, composed_with_hydra, files
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError, first_line, shown
from inducer_bench.methods import budget
from inducer_bench.methods.architectures import sizes
from inducer_bench.methods.options import METHODS, PeftOptions, options_class
from inducer_bench.options import PositiveInt, options, typed
from inducer_bench.plm.location import architecture
from inducer_bench.report.store import Group
from inducer_bench.runs.identity import setting_key

FigureKind = Literal["tradeoff", "learning_curves", "seed_spread", "differences", "budget_curve", "across"]
Percentage = Annotated[str, Field(pattern=r"^\d+(\.\d+)?%$")]


def _methods(found: Any) -> Any:
    if found in ("all", "with_ranks", None) or (isinstance(found, list) and all(isinstance(m, str) for m in found)):
        return found
    raise PydanticCustomError("methods", "all, with_ranks, or a list of methods")


@options
class ColumnLayout:
    """One column."""

    value: str  # a score's name, `headline`, or a cost (report/measures.py)
    task: str | None = None  # by default the task that the table is about
    group: str | None = None  # a heading over several columns
    label: str | None = None  # by default the label of the value


@options
class TableLayout:
    """One file of `conf/table/`. Each suite, PLM and protocol that has records gets its own table."""

    title: str
    order: int
    columns: Annotated[list[ColumnLayout], Field(min_length=1)]
    tasks: list[str] | None = None  # one table for each of them; by default columns name their tasks
    # Rows; all: every method but `peft`; with_ranks: those that `method.budget` can size; by default one for each
    # setting that has records.
    methods: Annotated[list[str] | Literal["all", "with_ranks"] | None, PlainValidator(_methods)] = None
    variants: dict[str, list[str]] = dataclasses.field(default_factory=dict)  # further rows: label -> overrides
    budgets: list[Percentage] = dataclasses.field(default_factory=list)  # further rows: one for each method and budget
    seeds: dict[Literal["full", "mini"], PositiveInt] = dataclasses.field(
        default_factory=dict
    )  # required for a cell; by default none is missing
    figures: list[FigureKind] = dataclasses.field(default_factory=list)


@dataclass(frozen=True)
class Scope:
    """What all rows of a table share."""

    suite: Literal["full", "mini"]
    plm: str
    protocol: str  # `any` if rows of several protocols are in the table
    config_dir: Path | None = None  # the user's folder of configuration files

    def overrides(self) -> list[str]:
        """The overrides that choose it."""
        preset = ["preset=mini"] if self.suite == "mini" else []
        plm = [] if self.suite == "mini" and self.plm in ("mini_roberta", "mini_gpt2") else [f"plm={self.plm}"]
        protocol = [] if self.protocol == "paper" else [f"protocol={self.protocol}"]
        return [*preset, *plm, *protocol]

    def composable(self) -> bool:
        """Whether there is a configuration file of the PLM; of others only the records know."""
        return self.plm in choices("plm", self.config_dir)


@dataclass(frozen=True)
class RowLayout:
    """A setting that a table asks for."""

    label: str
    method: str  # its name in records
    choice: str  # its file in `conf/method`; a method from outside may be called otherwise than its file
    overrides: tuple[str, ...] = ()
    budget: str | None = None

    def command(self) -> tuple[str, ...]:
        """The overrides that choose it, apart from the method."""
        return (*self.overrides, *([f"method.budget={self.budget}"] if self.budget else []))

    def key(self, scope: Scope, task: str, plm_parameters: int) -> str | None:
        """The setting's key on a task; None if the method has no such setting there (a budget below its smallest)."""
        words = (*scope.overrides(), f"task={task}", f"method={self.choice}", *self.overrides)
        config = _composed(words, scope.config_dir)
        if self.budget is not None:
            allowed = int(float(self.budget.rstrip("%")) / 100 * plm_parameters)
            try:
                method = budget.solve(config.method, allowed, sizes(architecture(config.plm), config.plm.layout))
            except UserError:
                return None
            config = dataclasses.replace(config, method=method)
        return setting_key(config)


def layouts(config_dir: Path | None = None) -> dict[str, TableLayout]:
    """The tables by name, in their order: the shipped ones, and those of the user's folder.

    Raises:
        UserError: a file has a key or value that is not allowed.
    """
    paths = {path.stem: path for path in reversed(files("table", config_dir))}  # the shipped one counts
    found = {name: _layout(path) for name, path in sorted(paths.items())}
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def _layout(path: Path) -> TableLayout:
    name = f"table/{path.stem}"
    try:
        values = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (OSError, ValueError, RecursionError, YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"{name}: '{path}' cannot be read ({first_line(error)})") from None
    if not isinstance(values, dict):
        raise UserError(f"{name}: '{path}' has no keys")
    found = typed(TableLayout, {str(key): value for key, value in values.items()}, name)
    try:
        found.title.format(task="")
    except (KeyError, IndexError, ValueError, AttributeError):
        title = shown(found.title)
        raise UserError(f"{name}.title: found '{title}'; allowed in braces: {{task}}") from None
    return found


def rows(table: TableLayout, config_dir: Path | None = None) -> list[RowLayout]:
    """The settings that a table asks for, one for each row."""
    methods = _chosen(table, config_dir)

    def label(method: str, variant: str) -> str:
        return f"{method}, {variant}" if len(methods) > 1 else variant

    found = []
    for choice, method in methods.items():
        if table.budgets:
            found += [RowLayout(label(choice, size), method, choice, budget=size) for size in table.budgets]
        elif table.variants:
            variants = table.variants.items()
            found += [RowLayout(label(choice, name), method, choice, tuple(more)) for name, more in variants]
        else:
            found.append(RowLayout(choice, method, choice))
    return found


def _chosen(table: TableLayout, config_dir: Path | None) -> dict[str, str]:
    """The methods of a table's rows: choice -> name in records. Shipped ones come in the order of their options."""
    names = {name: name for name, kind in METHODS.items() if kind is not PeftOptions}
    for choice in sorted(set(choices("method", config_dir)) - set(choices("method"))):
        names[choice] = str(composed_with_hydra([f"method={choice}"], config_dir).method.name)
    if table.methods == "all":
        return names
    if table.methods == "with_ranks":
        return {choice: name for choice, name in names.items() if options_class(name).ranks}
    return {choice: names.get(choice, choice) for choice in table.methods or []}


def commands(scope: Scope, missing: Sequence[tuple[str, RowLayout, tuple[int, ...]]], known: Sequence[Group],
             output_dir: str) -> list[str]:  # fmt: skip
    """The fewest commands that run what is missing: (task, row, seeds) each.

    A task gets the `task.data_dir` of its records, and the PLM its `plm.path`, if all of them agree.
    """
    methods: dict[tuple[str, tuple[str, ...], tuple[int, ...]], list[str]] = {}
    for task, row, seeds in missing:
        methods.setdefault((task, row.command(), seeds), []).append(row.choice)
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
        own = ["--config-dir", str(scope.config_dir)] if scope.config_dir else []
        found.append(shlex.join(["inducer-bench", *own, *sweep, *words]))
    return found


def _paths(task: str, known: Sequence[Group]) -> list[str]:
    """The folders that the records of a task took data and PLM from, if all of them agree."""
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
def _composed(overrides: tuple[str, ...], config_dir: Path | None) -> ExperimentConfig:
    return compose(list(overrides), config_dir)
