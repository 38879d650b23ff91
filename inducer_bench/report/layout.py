"""Layouts of tables: files in `conf/table/`, in the user's `--config-dir`, or given by `tables --layout`."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError

from inducer_bench.config import yaml_files
from inducer_bench.config.choices import choices, files
from inducer_bench.errors import UserError, listed, nearest, shown
from inducer_bench.options import PositiveInt, options, typed

FigureKind = Literal["tradeoff", "learning_curves", "seed_spread", "differences", "budget_curve", "across"]
Percentage = Annotated[str, Field(pattern=r"^\d+(\.\d+)?%$")]
SEVERAL = "several models"  # `Scope.plm` of a table that has several


def _methods(found: Any) -> Any:
    if found in ("all", "with_ranks", None) or (isinstance(found, list) and all(isinstance(m, str) for m in found)):
        return found
    raise PydanticCustomError("methods", "all, with_ranks, or a list of methods")


def _where(found: Any) -> Any:
    if isinstance(found, dict):
        values = {key: value if isinstance(value, list) else [value] for key, value in found.items()}
        if all(isinstance(one, str | int | float | None) for value in values.values() for one in value):
            return values
    raise PydanticCustomError("where", "keys of a configuration, each with a value or a list of values")


# Dotted key of a configuration -> the values that a run may have; task, plm, method and protocol stand for their names.
Where = Annotated[dict[str, list[Any]], PlainValidator(_where)]


@options
class ColumnLayout:
    """One column, or several of a kind."""

    # A score's name, `headline` for the task's main score, `scores` for all of them, a cost (report/measures.py), or a
    # key of the configuration such as trainer.lr.
    value: str
    task: str | None = None  # each: one column for every task; any: all of a row's; null: what the table is about
    group: str | None = None  # a heading over several columns; by default the task's title, where there are several
    label: str | None = None  # by default the label of the value
    decimals: Annotated[int, Field(ge=0, le=10)] | None = None  # by default those of the value


@options
class RowChoice:
    """One row: the runs that it is made of. It becomes several rows where their settings differ."""

    where: Where
    label: str | None = None  # by default the method's title and what sets the row apart


def _automatic() -> list[ColumnLayout]:
    costs = ("parameters", "percent", "train_seconds", "peak_memory")
    return [ColumnLayout(value="scores"), *(ColumnLayout(value=cost) for cost in costs)]


@options
class TableLayout:
    """One file: which runs, which rows, which columns. The mini suite and real data have tables of their own.

    Rows are the settings that have records, or what `rows` or `methods` ask for.
    """

    title: str | None = None  # may contain {task}; by default the file's name
    order: int = 0  # among all tables; the shipped ones have 1 to 9
    where: Where = dataclasses.field(default_factory=dict)  # only these runs
    tasks: list[str] | None = None  # one table for each of them; by default columns name their tasks
    models: Literal["apart", "together"] = "apart"  # one table for each model, or one for all of them
    columns: Annotated[list[ColumnLayout], Field(min_length=1)] = dataclasses.field(default_factory=_automatic)
    rows: Annotated[list[RowChoice], Field(min_length=1)] | None = None
    # all, with_ranks: see config/methods.py. These rows are settings as shipped.
    methods: Annotated[list[str] | Literal["all", "with_ranks"] | None, PlainValidator(_methods)] = None
    variants: dict[str, list[str]] = dataclasses.field(default_factory=dict)  # rows of each method: label -> overrides
    budgets: list[Percentage] = dataclasses.field(default_factory=list)  # rows of each method, by `method.budget`
    seeds: dict[Literal["full", "mini"], PositiveInt] = dataclasses.field(default_factory=dict)  # of a full cell
    show_missing: bool = False  # rows and cells that nobody ran, and the commands that run them
    sort: Literal["method", "best", "given"] = "method"  # best: by the first column; given: as `rows` lists them
    names: dict[str, str] = dataclasses.field(default_factory=dict)  # method or task -> its name in this table
    bold: bool = True  # mark what a test supports
    figures: list[FigureKind] = dataclasses.field(default_factory=list)

    @property
    def about_one_task(self) -> bool:
        """Whether each task has a table of its own."""
        return any(column.task is None for column in self.columns)


@dataclass(frozen=True)
class LayoutFile:
    """A layout, with its name and where it is from."""

    name: str
    layout: TableLayout
    own: bool  # the user's: made wherever a run fits, and not only where there is enough to compare


@dataclass(frozen=True)
class Scope:
    """What all rows of a table share."""

    suite: Literal["full", "mini"]
    plm: str  # or `SEVERAL`
    protocol: str  # `any` if rows of several protocols are in the table
    config_dir: Path | None = None  # the user's folder of configuration files

    def overrides(self) -> list[str]:
        """The overrides that choose it."""
        preset = ["preset=mini"] if self.suite == "mini" else []
        plm = [] if self.suite == "mini" and self.plm in ("mini_roberta", "mini_gpt2") else [f"plm={self.plm}"]
        protocol = [] if self.protocol == "paper" else [f"protocol={self.protocol}"]
        return [*preset, *plm, *protocol]

    def composable(self) -> bool:
        """Whether there is a configuration file of the model; of others only the records know."""
        return self.plm in choices("plm", self.config_dir)


def layouts(config_dir: Path | None = None, given: Sequence[Path] = ()) -> dict[str, LayoutFile]:
    """The layouts by name, in their order: the user's come before the shipped ones, and replace those of their name.

    Args:
        config_dir: the user's folder of configuration files.
        given: further files.

    Raises:
        UserError: a file has a key or value that is not allowed, or two of the given ones have one name.
    """
    shipped = files("table")
    own = [path for path in files("table", config_dir) if path not in shipped]
    for path in given:
        if [other.stem for other in given].count(path.stem) > 1:
            raise UserError(f"--layout: found '{path.stem}' twice; allowed: files of different names")
    found = {path.stem: LayoutFile(path.stem, read(path), own=False) for path in shipped}
    found |= {path.stem: LayoutFile(path.stem, read(path), own=True) for path in [*own, *given]}
    return dict(sorted(found.items(), key=lambda item: (item[1].layout.order, item[0])))


def read(path: Path) -> TableLayout:
    """The layout in a file.

    Raises:
        UserError: it cannot be read, or has a key or value that is not allowed.
    """
    name = f"table/{path.stem}"
    try:
        named = yaml_files.read(path, resolve=True)
    except UserError as error:
        raise UserError(f"{name}: '{path}': {error}") from None
    _check_keys(TableLayout, named, name)
    for key, kind in (("columns", ColumnLayout), ("rows", RowChoice)):
        entries = named.get(key)
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            _check_keys(kind, entry if isinstance(entry, dict) else (), f"{name}.{key}.{number}")
    found = typed(TableLayout, named, name)
    _check(found, name)
    return found if found.title is not None else dataclasses.replace(found, title=path.stem)


def _check_keys(kind: type, keys: Iterable[Any], name: str) -> None:
    allowed = [field.name for field in dataclasses.fields(kind)]
    for key in keys:
        if key not in allowed:
            hint = nearest(str(key), allowed)
            raise UserError(f"{name}.{shown(key)}: there is no such key; {hint}allowed: {listed(allowed)}")


def _check(found: TableLayout, name: str) -> None:
    """Check what must hold between the keys.

    Raises:
        UserError: names the first key that does not fit the others.
    """
    try:
        (found.title or "").format(task="")
    except (KeyError, IndexError, ValueError, AttributeError):
        raise UserError(f"{name}.title: found '{shown(found.title)}'; allowed in braces: {{task}}") from None
    if found.rows is not None and found.methods is not None:
        raise UserError(f"{name}.rows: found together with methods; allowed: one of them")
    if found.methods is None and (found.variants or found.budgets):
        key = "variants" if found.variants else "budgets"
        raise UserError(f"{name}.{key}: found without methods; allowed: with methods, whose rows they are")
    if found.methods is not None and found.models == "together":
        raise UserError(f"{name}.models: found 'together' with methods; allowed: apart")
    if found.show_missing and found.methods is None and found.rows is None:
        raise UserError(f"{name}.show_missing: found without methods or rows; allowed: with one of them")
    if found.sort == "given" and found.rows is None:
        raise UserError(f"{name}.sort: found 'given' without rows; allowed: method, best")
    if found.tasks is not None and not found.about_one_task:
        raise UserError(f"{name}.tasks: found with columns that all name their task; allowed: leave one of the two out")
