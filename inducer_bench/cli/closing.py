"""What a single run tells once it is done: its costs, the task's other runs so far, its result, and what to do next."""

import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from inducer_bench.distributed import on_main_process
from inducer_bench.errors import UserError, shown
from inducer_bench.methods.options import method_title
from inducer_bench.metrics.table import known, written
from inducer_bench.runs import checksummed, header
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import flat
from inducer_bench.runs.record import FinishedRecord
from inducer_bench.runs.words import Rows
from inducer_bench.training.units import clock, size

_BEST = 5  # of the task's runs are listed
_KEYS = 3  # of their settings that differ
_MOST = 1_000  # records that are read
Run = tuple[Path, FinishedRecord]


@on_main_process
def close(message: str, folder: Path, record: FinishedRecord, output_dir: Path) -> None:
    """Tell all of that about a run that has just been done; on stdout its result comes last."""
    header.show(costs(record))
    others = alike(record, output_dir)
    if len(others) > 1:
        header.show([("", ""), *so_far(folder, record, others)])
    print(f"\n{message}", flush=True)
    commands = next_commands(folder, record, others, output_dir)
    print("next", *(f"  {command}" for command in commands), sep="\n", file=sys.stderr)  # unbroken, to be copied


def costs(record: FinishedRecord) -> Rows:
    """What the run took."""
    rows: Rows = []
    if record.evaluations:
        rows.append(("best epoch", f"{record.best_epoch} of {len(record.evaluations)}"))
    rows.append(("time", f"{clock(record.train_seconds)} of training, {clock(record.eval_seconds)} of scoring"))
    if record.own_memory:
        kind = "on the GPU" if record.peak_memory_of == "cuda_allocated" else "of tensors"
        rows.append(("memory", f"{size(record.own_memory)} {kind} at the peak"))
    return rows


def alike(record: FinishedRecord, output_dir: Path) -> list[Run]:
    """The finished runs whose scores can be set beside this one's: of the same examples and protocol, best first."""
    try:
        folders = checksummed.folders(output_dir / record.task, 3, [])
    except UserError:
        return []
    found = [(folder, other) for folder in folders[:_MOST] if (other := _read(folder)) is not None]
    found = [(folder, other) for folder, other in found if _same_examples(record, other)]
    metric = known(record.metric)
    sign = metric.better if metric else 1
    return sorted(found, key=lambda run: math.inf if run[1].score is None else -sign * run[1].score)


def so_far(folder: Path, record: FinishedRecord, runs: Sequence[Run]) -> Rows:
    """A row for each of the best runs and for this one, which is marked."""
    best = [run for number, run in enumerate(runs) if number < _BEST or run[0] == folder]
    settings = [_settings(other) for _, other in best]
    keys = [key for key in settings[0] if len({own.get(key) for own in settings}) > 1][:_KEYS]
    rows = [("so far", f"{record.metric} of {len(runs)} runs of {record.task} in this folder")]
    for (place, other), own in zip(best, settings, strict=True):
        differing = "".join(f", {key.rpartition('.')[2]} {shown(own.get(key, '-'), 30)}" for key in keys)
        mark = "> " if place == folder else "  "
        score = written(record.metric, other.score)
        rows.append((f"{mark}{score}", f"{method_title(other.method)}, seed {other.seed}{differing}"))
    return rows


def next_commands(folder: Path, record: FinishedRecord, runs: Sequence[Run], output_dir: Path) -> list[str]:
    """What is most useful now: a comparison with the best run of another method; without one, to use the model."""
    where = "" if str(output_dir) == "runs" else f" --runs {shlex.quote(str(output_dir))}"
    tables = f"inducer-bench tables{where}"
    others = [place for place, other in runs if place != folder and other.method != record.method]
    if others:
        return [f"inducer-bench compare {shlex.quote(str(others[0]))} {shlex.quote(str(folder))}", tables]
    return [f"inducer-bench predict {shlex.quote(str(folder))} --input FILE", tables]


def _read(folder: Path) -> FinishedRecord | None:
    """The record of a finished run that scored what tables show; `tables` and `ls runs` report damaged ones."""
    try:
        record = records.read_in_place(folder)
    except UserError:
        return None
    return record if isinstance(record, FinishedRecord) and not record.is_trial else None


def _same_examples(one: FinishedRecord, other: FinishedRecord) -> bool:
    same = ("suite", "plm", "protocol", "metric", "data")
    limits = [_amount(record, "max_eval") for record in (one, other)]
    return limits[0] == limits[1] and all(getattr(one, name) == getattr(other, name) for name in same)


def _settings(record: FinishedRecord) -> dict[str, str]:
    """The settings of training, and how much of train is used; each method has options of its own."""
    amount, sample = _amount(record, "max_train")
    return flat({"task": {"max_train": amount, "sample": sample}, "trainer": record.config["trainer"]})


def _amount(record: FinishedRecord, limit: str) -> tuple[int | None, str | None]:
    """A limit of examples and how they were chosen, if there is one."""
    task = record.config["task"]
    return task.get(limit), None if task.get(limit) is None else task.get("sample", "first")
