"""The facts of every run that the HTML page shows when a cell is opened, as plain values for JSON.

Scores, settings, learning curve, files and command of a run; nothing here is computed from more than one run.
"""

import dataclasses
import os
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from json import JSONDecodeError
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import quote

from inducer_bench import strict_json
from inducer_bench.config.choices import choices
from inducer_bench.config.overrides import literal
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.files import read_bytes
from inducer_bench.methods.options import method_title
from inducer_bench.report.asked import composed
from inducer_bench.report.layout import Scope
from inducer_bench.report.naming import PLAIN, method_file, shipped
from inducer_bench.report.store import Run, Store
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import canonical, flat, setting
from inducer_bench.runs.record import FinishedRecord

METRICS = "metrics.jsonl"
_FILES = (records.FILE, "log.txt", METRICS, "config.yaml", "predictions.jsonl.gz")
_MOST_POINTS = 200  # of a curve
_DIGITS = 6  # significant, of numbers that a reader hovers over; files have all of them
_GIVEN = ("seed", "method.name")  # said by the command anyway
Point = tuple[float, float]


@dataclass(frozen=True)
class Facts:
    """What is known of all runs.

    Args:
        runs: one for each, in the order of `number`.
        number: hash -> place in `runs`.
        usual: dotted key -> its most frequent value, of keys that all runs have; a run's own says where it differs.
    """

    runs: list[dict[str, Any]]
    number: dict[str, int]
    usual: dict[str, str]

    def numbers(self, runs: Iterable[Run]) -> list[int]:
        """The places of runs in `runs`."""
        return [self.number[run.record.config_hash] for run in runs if run.record.config_hash in self.number]


def facts(store: Store, root: str, out: Path, config_dir: Path | None) -> Facts:
    """The facts of every run of a store.

    Args:
        store: the runs.
        root: their folder, as a command names it.
        out: the folder of the page, to which links to files are relative.
        config_dir: the user's folder of configuration files.
    """
    members = sorted(store.runs.values(), key=lambda member: _order(member[1]))
    settings = [{**flat(canonical(config)), "seed": str(config.seed)} for config, _ in members]
    usual = _usual(settings)
    runs = [
        {
            **_facts(config, run, out),
            "config": {key: value for key, value in values.items() if usual.get(key) != value},
            **_against_shipped(config, run, root, config_dir),
        }
        for (config, run), values in zip(members, settings, strict=True)
    ]
    return Facts(runs, {run.record.config_hash: n for n, (_, run) in enumerate(members)}, usual)


def _order(run: Run) -> tuple[object, ...]:
    record = run.record
    return record.suite, record.task, record.plm, record.method, record.is_trial, record.seed, record.config_hash


def _usual(settings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    keys = sorted(set.intersection(*({*values} for values in settings))) if settings else []
    counts = {key: Counter(values[key] for values in settings) for key in keys}
    return {key: min(found.items(), key=lambda item: (-item[1], item[0]))[0] for key, found in counts.items()}


# -- one run -----------------------------------------------------------------------------------------------------------


def _facts(config: ExperimentConfig, run: Run, out: Path) -> dict[str, Any]:
    record = run.record
    there = _names(run.folder)
    score, epochs, losses = _curves(run, METRICS in there)
    found = {
        "hash": record.config_hash, "task": record.task, "plm": record.plm, "method": record.method,
        "title": method_title(record.method), "suite": record.suite, "protocol": record.protocol,
        "seed": record.seed, "status": record.status, "trial": record.is_trial,
        "date": _date(run.folder / records.FILE), "code": str(record.code), "error": record.error,
        "folder": str(run.folder), "link": quote(Path(os.path.relpath(run.folder, out)).as_posix()),
        "files": [name for name in _FILES if name in there],
        "curve": {"score": score, "epochs": epochs, "losses": losses},
    }  # fmt: skip
    if isinstance(record, FinishedRecord):
        metric = config.task.metric if config.task.metric in record.scores else next(iter(record.scores))
        values = {name: score.value for name, score in record.scores.items()}
        found |= {
            "metric": metric, "score": _short(values[metric]),
            "scores": {name: _short(value) for name, value in values.items()},
            "parameters": record.parameters.method, "train_seconds": _short(record.train_seconds),
            "epoch": record.best_epoch, "device": f"{record.device}, {record.dtype}",
        }  # fmt: skip
    return found


def _names(folder: Path) -> set[str]:
    try:
        return {*os.listdir(folder)}
    except OSError:
        return set()


def _date(file: Path) -> str | None:
    """When a record was written, to the minute; a copy may have the date of copying."""
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M")
    except OSError:
        return None


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.{_DIGITS}g}")


# -- curves ------------------------------------------------------------------------------------------------------------


def _curves(run: Run, logged: bool) -> tuple[str, list[Point], list[Point]]:
    """The name of the score that selected the epoch, its value by epoch, and the training loss by step."""
    record = run.record
    events = _events(run.folder / METRICS) if logged else []
    evaluations: Sequence[Mapping[str, Any]] = [event for event in events if event.get("event") == "evaluation"]
    if isinstance(record, FinishedRecord):
        evaluations = record.evaluations
    known = {name for entry in evaluations for name in entry}
    name = next((name for name in (record.metric, "perplexity") if name in known), "loss")
    train = [event for event in events if event.get("event") == "train"]
    return name, _points(evaluations, "epoch", name), _points(train, "step", "loss")


def _events(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; none if it is damaged: a page can be made without a curve."""
    try:
        found = [strict_json.loads(line) for line in read_bytes(path).decode().splitlines()]
    except (OSError, UnicodeDecodeError, JSONDecodeError):
        return []
    return [event for event in found if isinstance(event, dict)]


def _points(entries: Iterable[Mapping[str, Any]], x: str, y: str) -> list[Point]:
    pairs = [(entry.get(x), entry.get(y)) for entry in entries]
    points = [(at, float(f"{value:.{_DIGITS}g}")) for at, value in pairs if _number(at) and _number(value)]
    step = (len(points) - 1) / (_MOST_POINTS - 1)
    return points if step <= 1 else [points[round(n * step)] for n in range(_MOST_POINTS)]


def _number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and abs(value) < 1e100


# -- against what is shipped -------------------------------------------------------------------------------------------


def _against_shipped(config: ExperimentConfig, run: Run, root: str, config_dir: Path | None) -> dict[str, Any]:
    """Key, value and shipped value of each setting that is not the method's own, and the command that repeats the run.

    Where no file says what is shipped, the settings are None, and the command is the recorded one.
    """
    recorded = {"changed": None, "command": run.record.command, "recorded": True}
    words, method = _words(config, config_dir)
    plain = _composed((*words, PLAIN), config_dir) if words else None
    theirs = shipped(config, config_dir)
    if plain is None or theirs is None:
        return recorded
    usual = {**_of_machine(plain), **theirs}
    deciding, own = flat(canonical(config)), _leaves(dataclasses.asdict(config))
    keys = [key for key in {**deciding, **usual} if deciding.get(key) != usual.get(key) and key not in _GIVEN]
    if not {*keys} <= {*own}:
        return recorded
    there = {*usual, *_leaves(dataclasses.asdict(plain))}
    paths = [key for key in ("task.data_dir", "plm.path") if own[key]]
    overrides = [f"{'' if key in there else '+'}{key}={_written(own[key])}" for key in [*keys, *paths]]
    overrides += [f"seed={config.seed}", *([] if root == "runs" else [f"output_dir={_written(root)}"])]
    own_files = ["--config-dir", str(config_dir)] if config_dir else []
    return {
        "changed": [[key, _text(own[key]), usual.get(key)] for key in keys],
        "command": shlex.join(["inducer-bench", *own_files, *words, *method, *overrides]),
        "recorded": False,
    }


def _words(config: ExperimentConfig, config_dir: Path | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The overrides that choose a run's files, and those that choose its method; none if a file is not there."""
    own, kind = config.task.name, config.task.kind
    task = own if own in choices("task", config_dir) else kind
    name = config.method.name
    file = method_file(name, config_dir)
    chosen = (("task", task), ("plm", config.plm.name), ("protocol", config.protocol.name))
    if any(choice not in choices(group, config_dir) for group, choice in chosen):
        return (), ()
    scope = Scope(config.suite, config.plm.name, config.protocol.name)
    return (*scope.overrides(), f"task={task}"), (f"method={file}",) if file else ("method=own", f"method.name={name}")


def _composed(words: tuple[str, ...], config_dir: Path | None) -> ExperimentConfig | None:
    try:
        return composed(words, config_dir)
    except UserError:  # a user's file may have changed
        return None


def _of_machine(config: ExperimentConfig) -> dict[str, str]:
    """The values of a run that are no part of its setting."""
    values = flat(canonical(config))
    return {key: values[key] for key in values.keys() - flat(setting(config)).keys()}


def _leaves(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def _written(value: Any) -> str:
    """A value as an override has it."""
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return literal(value) if isinstance(value, str) else strict_json.dumps(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else strict_json.dumps(value)
