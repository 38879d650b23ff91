"""All tables and figures as one HTML page that needs no other file and no network.

Tables are plain HTML; scripts of this package sort, filter and open them, and Vega, which vl-convert brings along,
draws the figures. What records say is text: it is escaped in HTML and in the embedded JSON, and a content security
policy runs no script but those of this page and lets it load nothing.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from inducer_bench import strict_json
from inducer_bench.errors import printable
from inducer_bench.methods.options import method_title
from inducer_bench.report import render
from inducer_bench.report.cells import Cell, Fact, Measured, Published
from inducer_bench.report.figures import Picture
from inducer_bench.report.overview import overview
from inducer_bench.report.page_data import Facts, facts
from inducer_bench.report.store import Run, Store
from inducer_bench.report.studies import Study, searches_of_runs
from inducer_bench.report.tables import Column, Row, Table

Pictures = Mapping[str, Sequence[Picture]]  # by table path

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_SCRIPTS = ("report.js", "report_panel.js", "report_figures.js")
_OF_TRIALS = ("trials", "settings", "width", "search_hours")  # columns of a study that say what its trials were


@dataclass(frozen=True)
class ShownCell:
    """A cell with the number that sorts its column, and the places of its runs in the embedded facts."""

    cell: Cell
    value: str
    runs: str


@dataclass(frozen=True)
class ShownRow:
    """A row with the text that a search looks through."""

    row: Row
    text: str
    runs: str
    cells: list[ShownCell]


def html(
    tables: Sequence[Table],
    pictures: Pictures,
    store: Store,
    *,
    vega: str,
    studies: Sequence[Study] = (),
    left_out: Sequence[str] = (),
    root: str = "runs",
    out: Path = Path("tables"),
    config_dir: Path | None = None,
) -> str:
    """The page.

    Args:
        tables: in their order.
        pictures: the figures of a table, by its path.
        store: the runs behind the tables.
        vega: the script that draws figures (report/images.py); empty for a page without.
        studies: whose trials are behind the tables.
        left_out: a line for each record or search that is not in the tables.
        root: the folder of the runs, as a command names it.
        out: the folder of the page.
        config_dir: the user's folder of configuration files.
    """
    known = facts(store, root, out, config_dir)
    trials = {
        run: [trial.run for trial in (*search.trials, *search.confirmations)]
        for run, (_, search) in searches_of_runs(studies).items()
    }
    scripts = [(_TEMPLATES / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    scripts = [Markup(text) for text in (*scripts, vega)]
    figures = {
        f"{path}.{drawn.name}": {"title": drawn.title, "spec": drawn.spec}
        for path, found in pictures.items()
        for drawn in found
    }
    texts = {
        table.path: {"csv": render.csv_text([table]), "md": render.markdown(table), "tex": render.latex(table)}
        for table in tables
    }
    data = {"runs": known.runs, "usual": known.usual, "figures": figures, "texts": texts}
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=lambda value: printable(value) if type(value) is str else value,
    )  # fmt: skip
    return environment.get_template("report.html.j2").render(
        suites=[(suite, list(members)) for suite, members in groupby(tables, key=lambda table: table.scope.suite)],
        rows={table.path: [_row(table, row, known, trials) for row in table.rows] for table in tables},
        pictures=pictures,
        about=overview(store, tables, left_out),
        runs=known.runs,
        dates=sorted(run["date"] for run in known.runs if run["date"]),
        policy="; ".join([
            "default-src 'none'", "style-src 'unsafe-inline'", "img-src 'self' file: data: blob:",
            f"script-src {' '.join(map(_fingerprint, scripts))}", "base-uri 'none'", "form-action 'none'",
        ]),
        style=Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),
        scripts=scripts,
        data=_json(data),
        caption=render.caption,
        legend=render.legend,
        head=render.head,
        metric=_metric,
        tasks=_tasks,
        models=_models,
        method_title=method_title,
        settings=_settings,
    )  # fmt: skip


# -- rows and cells ----------------------------------------------------------------------------------------------------


def _row(table: Table, row: Row, known: Facts, trials: Mapping[str, Sequence[str]]) -> ShownRow:
    runs = _runs([row])
    tried = [number for run in runs for number in trials.get(run.record.config_hash, ())]
    places = [known.number[name] for name in dict.fromkeys(tried) if name in known.number]
    cells = []
    for column, cell in zip(table.columns, row.cells, strict=True):
        if isinstance(cell, Published) or not cell.shown()[0]:
            found: Iterable[int] = ()
        elif table.kind == "study" and column.value in _OF_TRIALS and places:
            found = places
        elif isinstance(cell, Measured):
            found = known.numbers(cell.group.runs)
        else:
            found = known.numbers(_of_task(runs, column))
        cells.append(ShownCell(cell, _value(cell), _listed(found)))
    settings = (f"{key}={value}" for key, value in row.differs)
    text = " ".join([row.label, row.method, method_title(row.method), *settings])
    return ShownRow(row, text, _listed(known.numbers(runs)), cells)


def _runs(rows: Sequence[Row]) -> list[Run]:
    """The runs of rows, each once."""
    cells = [cell.group for row in rows for cell in row.cells if isinstance(cell, Measured)]
    groups = [*(group for row in rows for group in row.groups), *cells]
    return [*{str(run.folder): run for group in groups for run in group.runs}.values()]


def _of_task(runs: Sequence[Run], column: Column) -> list[Run]:
    """The runs of a column's task, or tasks; a column about any task has none."""
    return [run for run in runs if not column.task or run.record.task in column.task.split()]


def _value(cell: Cell) -> str:
    number = cell.mean if isinstance(cell, Measured | Published) else cell.value if isinstance(cell, Fact) else None
    return "" if number is None else repr(number)


def _listed(numbers: Iterable[int]) -> str:
    return " ".join(map(str, numbers))


def _metric(table: Table, at: int) -> str:
    """The score of a column that is not named by it."""
    column, shown = table.columns[at], next((cell.measure for _, cell in table.measured(at)), None)
    named = shown is None or not shown.score or shown.label.casefold() in column.label.casefold()
    return "" if named or shown is None else shown.metric.label if shown.metric else shown.name


def _tasks(table: Table) -> str:
    named = [name for column in table.columns for name in column.task.split()]
    return " ".join(dict.fromkeys([*named, *(run.record.task for run in _runs(table.rows))]))


def _models(rows: Sequence[Row]) -> str:
    return " ".join(sorted({run.record.plm for run in _runs(rows)}))


def _settings(run: Mapping[str, Any]) -> str:
    """The settings of a run that are not its method's own, short."""
    return ", ".join(
        f"{key.rpartition('.')[2]}={value}"
        for key, value, _ in run["changed"] or ()
        if not (run["trial"] and key.startswith("protocol."))
    )


# -- what is embedded --------------------------------------------------------------------------------------------------


def _fingerprint(script: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _json(value: Any) -> Markup:
    """JSON within a script element, which no text in it can end."""
    text = strict_json.dumps(_printable(value), separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _printable(value: Any) -> Any:
    """The value with its texts fit to be shown; line breaks stay."""
    if isinstance(value, str):
        return value if value.isprintable() else "\n".join(map(printable, value.split("\n")))
    if isinstance(value, Mapping):
        return {_printable(key): _printable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(each) for each in value]
    return value
