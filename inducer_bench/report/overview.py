"""What a reader of a report wants to know first: what ran, what is best on each task, what failed, where it ran."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inducer_bench.methods.options import method_title
from inducer_bench.report.cells import Measured
from inducer_bench.report.store import Run, Store
from inducer_bench.report.tables import Column, Row, Table
from inducer_bench.runs.record import FinishedRecord, Status

_ENDS: dict[Status, str] = {
    "done": "finished",
    "failed": "failed",
    "oom": "out of memory",
    "interrupted": "interrupted",
}


@dataclass(frozen=True)
class Best:
    """The best of a table's column.

    Args:
        table: that says so.
        score: the heading of the column.
        rows: the best row by its mean, then those that a test cannot tell apart from it.
        number: of the best row.
        tested: whether there was a test.
    """

    table: Table
    task: str
    score: str
    rows: tuple[Row, ...]
    number: str
    tested: bool


@dataclass(frozen=True)
class Overview:
    """The facts on top of a report.

    Args:
        counts: a name for each number.
        best: one for each task, PLM and protocol, and for each study.
        unfinished: the runs without scores, by how they ended.
        left_out: a line for each record or search that is not in the report, and why.
        code, devices: each with its number of runs.
    """

    counts: list[tuple[str, int]]
    best: list[Best]
    unfinished: list[tuple[str, list[Run]]]
    left_out: list[str]
    code: list[tuple[str, int]]
    devices: list[tuple[str, int]]
    tasks: list[str]
    plms: list[str]
    methods: list[tuple[str, str]]  # name and title


def overview(store: Store, tables: Sequence[Table], left_out: Sequence[str]) -> Overview:
    """The overview of a report.

    Args:
        store: all runs.
        tables: of the report.
        left_out: a line for each record or search that is not in it.
    """
    runs = [run for _, run in store.runs.values()]
    of = [run.record for run in runs]
    statuses = Counter(record.status for record in of)
    tasks, plms, methods = (sorted({getattr(record, key) for record in of}) for key in ("task", "plm", "method"))
    trials = sum(record.is_trial for record in of)
    counts = [
        *((f"run{_s(n)} {_ENDS[status]}", n) for status in _ENDS if (n := statuses[status]) or status == "done"),
        *([(f"of them trial{_s(trials)} of searches", trials)] if trials else []),
        (f"setting{_s(len(store.groups))}", len(store.groups)),
        (f"task{_s(len(tasks))}", len(tasks)),
        (f"model{_s(len(plms))}", len(plms)),
        (f"method{_s(len(methods))}", len(methods)),
    ]
    unfinished = [
        (_ENDS[status], sorted((run for run in runs if run.record.status == status), key=lambda run: str(run.folder)))
        for status in _ENDS
        if status != "done" and statuses[status]
    ]
    random = sum(record.plm_weights == "random" for record in of)
    without = [f"{random} run{_s(random)} of a model with random weights: no table shows them"] if random else []
    devices = (f"{record.device}, {record.dtype}" for record in of if isinstance(record, FinishedRecord))
    return Overview(
        counts=counts,
        best=_best(tables),
        unfinished=unfinished,
        left_out=[*left_out, *without],
        code=_counted(str(record.code) for record in of),
        devices=_counted(devices),
        tasks=tasks,
        plms=plms,
        methods=sorted(((name, method_title(name)) for name in methods), key=lambda method: method[1].casefold()),
    )


def _s(number: int) -> str:
    return "" if number == 1 else "s"


def _counted(texts: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(texts).items(), key=lambda item: (-item[1], item[0]))


def _best(tables: Sequence[Table]) -> list[Best]:
    """The verdict of every study, and the best of each other task by the first table that has it."""
    found: dict[tuple[str, ...], Best] = {}
    kinds = ("study", "task", "across", "layout")
    for table in sorted(tables, key=lambda table: kinds.index(table.kind)):
        scope = table.scope
        for at, column in enumerate(table.columns):
            place = (scope.suite, scope.plm, column.task)
            key = (*place, table.name) if table.kind == "study" else place
            known = any(other[:3] == place for other in found if table.kind != "study" or other == key)
            if not known and (best := _best_of(table, at, column)):
                found[key] = best
    return sorted(found.values(), key=lambda best: (best.table.scope.suite == "mini", best.task, best.table.scope.plm))


def _best_of(table: Table, at: int, column: Column) -> Best | None:
    scored = [(row, cell) for row, cell in table.measured(at) if cell.measure.score]
    if len(scored) < 2:
        return None
    scored.sort(key=lambda pair: -column.better * pair[1].mean)
    verdicts = [other.value for other in table.columns]
    word = verdicts.index("verdict") if "verdict" in verdicts else None  # of a study

    def tied(row: Row, cell: Measured) -> bool:
        return bool(cell.tied) if word is None else row.cells[word].shown()[0] in ("best", "tied")

    first, number = scored[0][0], scored[0][1].shown()[0]
    others = [row for row, cell in scored[1:] if tied(row, cell)]
    return Best(
        table=table,
        task=column.task_title or column.task,
        score=column.label,
        rows=(first, *others),
        number=number,
        tested=tied(*scored[0]),
    )
