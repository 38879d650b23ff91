"""`inducer-bench ls runs`: the recorded runs, with what differs between them."""

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from inducer_bench import strict_json
from inducer_bench.cli.columns import print_rows
from inducer_bench.cli.parser import runs_folder
from inducer_bench.errors import ExitCode, UserError, unknown
from inducer_bench.metrics.table import written
from inducer_bench.report.store import distinguishing_keys
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import flat, without_neutral
from inducer_bench.runs.record import FinishedRecord, Record

_FACTS = ("status", "suite", "task", "plm", "method", "protocol", "seed", "hash")
_SORTED_BY = ("date", "score", "seconds", "parameters")
_HEADS = ("status", "task", "model", "method", "seed", "differs in", "score", "others", "date", "folder")


@dataclass(frozen=True)
class _Run:
    """A record, when it was written, and every value that it can be chosen by."""

    folder: Path
    record: Record
    date: datetime
    values: dict[str, str]

    @property
    def cell(self) -> tuple[str, ...]:
        """What it shares with the runs that it is compared with."""
        record = self.record
        return record.suite, record.task, record.plm, record.method

    @property
    def score(self) -> float | None:
        """The headline score."""
        return self.record.score if isinstance(self.record, FinishedRecord) else None


def list_runs(args: argparse.Namespace) -> int:
    """Print one line for each record; those left out come first and make the exit code 1.

    Raises:
        UserError: the folder was named and is none, or a key or a value to choose by is not one.
    """
    root = Path("runs") if args.runs is None else runs_folder(args.runs)
    found, left_out = records.find(root) if root.is_dir() else ([], [])
    for reason in left_out:
        print(f"  left out     {reason}", file=sys.stderr if args.json else sys.stdout)
    runs = [_run(folder, record) for folder, record in found]
    chosen = [run for run in runs if all(_fits(run, word, runs) for word in args.filter)]
    chosen.sort(key=lambda run: (*run.cell, run.record.seed, run.folder))
    order = _order(args.sort, runs) if args.sort else lambda run: (0,)
    if args.sort:
        chosen.sort(key=order)
    if args.reverse:
        chosen.reverse()
        chosen.sort(key=lambda run: order(run)[0] == _LACKS_IT)
    differing = _differing(chosen)
    if args.json:
        print(strict_json.dumps([_plain(run, differing[run.folder]) for run in chosen], indent=2))
    elif chosen:
        rows = [_row(run, differing[run.folder]) for run in chosen]
        print_rows(_HEADS, rows, sys.stdout)
    elif runs:
        print(f"none of the {len(runs)} runs in {root} fits --filter {' '.join(args.filter)}")
    elif not left_out:
        print(f"no runs in {root}; start one with: inducer-bench preset=mini task=sst2 method=inducer")
    return ExitCode.FAILED if left_out else ExitCode.DONE


def _run(folder: Path, record: Record) -> _Run:
    facts = dict(zip(_FACTS, (record.status, record.suite, record.task, record.plm, record.method, record.protocol,
                              str(record.seed), record.config_hash), strict=True))  # fmt: skip
    date = datetime.fromtimestamp((folder / records.FILE).stat().st_mtime, UTC)
    return _Run(folder, record, date, {**flat(record.config), **facts})


# -- which, and in which order -----------------------------------------------------------------------------------------


def _fits(run: _Run, word: str, runs: Sequence[_Run]) -> bool:
    key, equals, wanted = word.partition("=")
    if not equals:
        raise UserError(f"--filter: found '{word}'; allowed: KEY=VALUE, such as method=lora or trainer.lr=1e-3")
    _check_key("--filter", key, runs, ())
    value = run.values.get(key, "null")
    return any(fnmatchcase(value, each) or _same_number(value, each) for each in wanted.split(","))


def _same_number(value: str, wanted: str) -> bool:
    try:
        return float(value) == float(wanted)
    except ValueError:
        return False


def _check_key(option: str, key: str, runs: Sequence[_Run], others: Sequence[str]) -> None:
    known = {*_FACTS, *others}.union(*(run.values for run in runs))
    if key not in known:
        sections = {name.partition(".")[0] for name in known if "." in name}
        short = [*_FACTS, *others, *(f"{section}.KEY" for section in sections)]
        raise unknown(option, key, [name for name in known if name.endswith(f".{key}")] or short)


_LACKS_IT = 2


def _order(key: str, runs: Sequence[_Run]) -> Callable[[_Run], Any]:
    """What to sort by; runs without such a value come last."""
    scores = {name for run in runs if isinstance(run.record, FinishedRecord) for name in run.record.scores}
    _check_key("--sort", key, runs, (*_SORTED_BY, *sorted(scores)))

    def order(run: _Run) -> Any:
        record = run.record if isinstance(run.record, FinishedRecord) else None
        number: float | None = None
        match key:
            case "date":
                number = run.date.timestamp()
            case "score":
                number = run.score
            case "seconds":
                number = None if record is None else record.train_seconds
            case "parameters":
                number = None if record is None else record.parameters.method
            case _ if key in scores:
                number = record.scores[key].value if record and key in record.scores else None
            case _:
                text = run.values.get(key, "")
                try:
                    number = float(text)
                except ValueError:
                    return 1, 0.0, text
        return (_LACKS_IT, 0.0, "") if number is None else (0, number, "")

    return order


# -- how they are shown ------------------------------------------------------------------------------------------------


def _differing(runs: Sequence[_Run]) -> dict[Path, dict[str, str]]:
    """Of each run the values that tell it from others of the same task, model and method, the seed aside."""
    cells: dict[tuple[str, ...], list[_Run]] = defaultdict(list)
    for run in runs:
        cells[run.cell].append(run)
    found: dict[Path, dict[str, str]] = {}
    for members in cells.values():
        settings = [_setting(run.record) for run in members]
        keys = distinguishing_keys(settings)
        for run, setting in zip(members, settings, strict=True):
            found[run.folder] = {key: setting.get(key, "null") for key in keys}
    return found


def _setting(record: Record) -> dict[str, str]:
    sections = ("method", "trainer", "task", "protocol", "plm")
    kept = without_neutral(record.config)
    config = flat({section: kept[section] for section in sections})
    return {**config, "data": record.data.fingerprint[:8]}


def _row(run: _Run, differing: dict[str, str]) -> tuple[str, ...]:
    record, metric = run.record, run.record.metric
    others = []
    if isinstance(record, FinishedRecord):
        others = [f"{name} {written(name, score.value)}" for name, score in record.scores.items() if name != metric]
    score = f"{metric} {written(metric, run.score)}" if isinstance(record, FinishedRecord) else record.error or ""
    differs = " ".join(f"{key}={value}" for key, value in differing.items())
    date = run.date.astimezone().strftime("%Y-%m-%d %H:%M")
    return (record.status, f"{record.suite}/{record.task}", record.plm, record.method, f"seed {record.seed}", differs,
            score, "  ".join(others[:3]), date, str(run.folder))  # fmt: skip


def _plain(run: _Run, differing: dict[str, str]) -> dict[str, Any]:
    record = run.record
    values: dict[str, Any] = {
        "folder": str(run.folder), **{key: run.values[key] for key in _FACTS}, "seed": record.seed,
        "date": run.date.isoformat(timespec="seconds"), "differs": differing, "metric": record.metric,
        "score": run.score, "error": record.error,
    }  # fmt: skip
    if isinstance(record, FinishedRecord):
        values |= {
            "scores": {name: score.value for name, score in record.scores.items()},
            "parameters": record.parameters.method,
            "train_seconds": record.train_seconds,
            "best_epoch": record.best_epoch,
        }
    return {**values, "config": record.config}
