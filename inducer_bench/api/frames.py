"""Runs and methods as pandas tables."""

import dataclasses
import json
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inducer_bench.errors import UserError
from inducer_bench.methods.options import METHODS, options_class
from inducer_bench.methods.published import defaults, header
from inducer_bench.options import typed
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import flat
from inducer_bench.runs.record import FinishedRecord, Record

if TYPE_CHECKING:
    import pandas as pd

_FIRST = ("task", "plm", "method", "seed", "status")
_LAST = (
    "best_epoch", "steps", "parameters", "percent", "head_parameters", "train_seconds", "eval_seconds", "suite",
    "protocol", "date", "folder", "error",
)  # fmt: skip
# Sections and keys of a configuration that have a column of their own, or that tell nothing about a result.
_NO_COLUMNS = re.compile(
    r"(task|plm|method|protocol)\.name|seed|seeds|suite|recipe|output_dir|dry_run|optimized_metric|tracker\..*"
)
_OF_A_CHOICE = ("task", "plm")  # whose keys differ between choices anyway


def runs(folder: str | Path = "runs") -> "pd.DataFrame":
    """One row for each recorded run below a folder, also for those that failed or were interrupted.

        ib.runs().groupby(["task", "method"]).accuracy.agg(["mean", "std", "count"])

    Args:
        folder: the `output_dir` of the runs.

    Returns:
        The columns `task`, `plm`, `method`, `seed`, `status`; one for each score, by its name; the keys of the
        configuration in which the runs differ, such as `trainer.lr`, of a task or model only where they differ within
        it; then `best_epoch`, `steps`, `parameters` (of the method), `percent` (of the model), `head_parameters`,
        `train_seconds`, `eval_seconds`, `suite`, `protocol`, `date` (when the record was written), `folder` and
        `error`. What a run does not have is missing (NaN).

    Warns:
        UserWarning: for each record that is damaged, and left out.

    Raises:
        UserError: there is no such folder.
    """
    import pandas as pd

    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"folder: found '{folder}', which is not a folder; allowed: the output_dir of runs")
    found, left_out = records.find(root)
    for line in left_out:
        warnings.warn(line, stacklevel=2)
    rows = [_row(where, record) for where, record in found]
    settings = [_setting(record) for _, record in found]
    differing = _differing([record for _, record in found], settings)
    scores = list(dict.fromkeys(name for _, names in rows for name in names))
    columns = [*_FIRST, *scores, *differing, *_LAST]
    values = [
        {**{key: setting.get(key) for key in differing}, **row}
        for (row, _), setting in zip(rows, settings, strict=True)
    ]
    return pd.DataFrame(values, columns=columns)


def methods() -> "pd.DataFrame":
    """The methods of this package, one row each, by the name that `ib.attach` takes.

        ib.methods().options["lora"]

    Returns:
        The columns `title`, `summary`, `options` (name -> the value that `ib.attach` takes if none is given, which is
        the one published for classification tasks) and `sources` (addresses of papers).
    """
    import pandas as pd

    rows = []
    for name in METHODS:
        kind = options_class(name)
        published = typed(kind, defaults(name))
        options = _without_names(dataclasses.asdict(published))
        text = header(name)
        sources = list(dict.fromkeys(re.findall(r"https?://[^\s:;,]+[^\s:;,.)]", "\n".join(text))))
        rows.append({"title": kind.title, "summary": text[0], "options": options, "sources": sources})
    return pd.DataFrame(rows, index=pd.Index(METHODS, name="method"))


def _without_names(options: dict[str, Any]) -> dict[str, Any]:
    """Options without the names of the methods, also of those within."""
    return {
        key: _without_names(value) if isinstance(value, dict) else value
        for key, value in options.items()
        if key != "name"
    }


def _row(folder: Path, record: Record) -> tuple[dict[str, Any], list[str]]:
    """The columns of a run that do not depend on the others, and which of them are scores."""
    import pandas as pd

    row: dict[str, Any] = {
        **{name: getattr(record, name) for name in (*_FIRST, "suite", "protocol", "error")},
        "date": pd.Timestamp((folder / records.FILE).stat().st_mtime, unit="s").round("s"),
        "folder": str(folder),
    }
    if not isinstance(record, FinishedRecord):
        return row, []
    scores = {
        f"{name} (score)" if name in row or name in _LAST else name: score.value
        for name, score in record.scores.items()
    }
    row |= {name: getattr(record, name) for name in ("best_epoch", "steps", "train_seconds", "eval_seconds")}
    counts = record.parameters
    row |= {"parameters": counts.method, "percent": counts.percent, "head_parameters": counts.head}
    return row | scores, list(scores)


def _setting(record: Record) -> dict[str, Any]:
    """Every value of a run's configuration by its dotted key; lists as text."""
    found = {}
    for key, text in flat(record.config).items():
        if not _NO_COLUMNS.fullmatch(key):
            try:
                value = json.loads(text)
            except ValueError:
                value = text
            found[key] = text if isinstance(value, list) else value
    return found


def _differing(found: Sequence[Record], settings: Sequence[dict[str, Any]]) -> list[str]:
    """The keys in which runs differ; those of a task or a model only where runs of one task or model do."""
    kept = []
    for key in dict.fromkeys(key for setting in settings for key in setting):
        section = key.partition(".")[0]
        values: dict[str, set[Any]] = {}
        for record, setting in zip(found, settings, strict=True):
            choice = getattr(record, section) if section in _OF_A_CHOICE else ""
            values.setdefault(choice, set()).add(setting.get(key))
        if any(len(each) > 1 for each in values.values()):
            kept.append(key)
    return kept
