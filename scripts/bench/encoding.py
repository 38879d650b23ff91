"""Memory and CPU seconds of reading and tokenising train: from the file to the table in the cache, and its lengths.

    python -m scripts.bench.encoding [--tasks mnli sst2 webnlg coqa] [--data FOLDER]

Real data. 8,999 pairs of MNLI and the dev dialogues of CoQA are there; they are repeated up to the published size of
train. Each run has a process of its own and an empty cache. `peak MiB` is the highest resident memory beyond that of
the process before it reads, which has imported torch and loaded the tokenizer. CPU seconds are those of all threads.
"""

import json
import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from time import process_time

from inducer_bench.tasks.files import read_text
from scripts.bench import harness, process_memory
from scripts.bench.setup import DATA, real_task

REPEATED = {"mnli": ("train_part1.jsonl", 392_702), "coqa": ("dev.jsonl", 7_199)}  # task -> file, rows as published
TASKS = ["mnli", "sst2", "webnlg", "coqa"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish one row for each task."""
    parser = harness.parser(__doc__, rounds=1)
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    args = parser.parse_args(arguments)
    rows = [measured(task, args) for task in args.tasks]
    note = "Reading and tokenising train into an empty cache; medians."
    harness.publish("encoding", rows, note=note, out=args.out)


def measured(task: str, args: Namespace) -> harness.Row:
    """The medians over processes."""
    with tempfile.TemporaryDirectory() as temporary:
        data = args.data if args.mini else published_size(task, args.data, Path(temporary) / "data")
        call = [sys.executable, "-m", "scripts.bench.encoding", "--process", task, str(data), str(int(args.mini))]
        found = []
        for number in range(args.rounds):
            environment = os.environ | {"INDUCER_BENCH_CACHE": f"{temporary}/{number}"}
            output = subprocess.run(
                call, env=environment, cwd=harness.ROOT, check=True, stdout=subprocess.PIPE, text=True
            )
            found.append(json.loads(output.stdout))
    medians = {name: harness.median([row[name] for row in found]) for name in ("peak MiB", "CPU seconds")}
    return {"task": task, "rows": found[0]["rows"], "tokens": found[0]["tokens"], **medians, "rounds": args.rounds}


def published_size(task: str, data: Path, folder: Path) -> Path:
    """The data in the layout of `real_task`, with train as large as published."""
    folder.mkdir()
    (folder / "tokenizers").symlink_to(data.resolve() / "tokenizers")
    name = DATA[task][0]
    if task not in REPEATED:
        (folder / name).symlink_to(data.resolve() / name)
        return folder
    file, size = REPEATED[task]
    (folder / name).mkdir()
    lines = read_text(data / name / f"{file}.gz").splitlines()
    with open(folder / name / file, "w") as out:
        out.writelines(islice(repeated(lines), size))
    return folder


def repeated(lines: Sequence[str]) -> Iterator[str]:
    """JSON lines over and over; ids differ."""
    for turn in count():
        for line in lines:
            row = json.loads(line)
            yield json.dumps(row | {"id": f"{row['id']}/{turn}"} if "id" in row else row) + "\n"


def process(task: str, data: str, mini: str) -> None:
    """Encode once and print what it took."""
    _, made = real_task(task, Path(data), mini=mini == "1")
    process_memory.reset_peak()
    before, started = process_memory.peak(), process_time()
    examples = made.examples("train")
    seconds = process_time() - started
    peak = (process_memory.peak() - before) / 2**20
    print(
        json.dumps({"rows": len(examples), "tokens": sum(examples.lengths), "peak MiB": peak, "CPU seconds": seconds})
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--process"]:
        process(*sys.argv[2:])
    else:
        main()
