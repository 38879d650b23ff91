"""Large splits are read and encoded in pieces: the same examples as in one piece, and little memory."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from inducer_bench.config.compose import compose
from inducer_bench.plm.load import load_tokenizer
from inducer_bench.plm.location import architecture
from inducer_bench.tasks import base
from inducer_bench.tasks.registry import make_task

ROOT = Path(__file__).resolve().parents[2]


def in_one_piece(task, split):
    """As `datasets` makes a table from all examples at once."""
    return datasets.Dataset.from_list(task.encode(list(task.read(split))))


def task_of(*overrides):
    config = compose(overrides)
    return make_task(config.task, load_tokenizer(config.plm), architecture(config.plm))


@pytest.fixture
def numbers(tmp_path):
    """A regression task with ten rows."""
    for split in ("train", "dev"):
        rows = [{"sentence1": f"a {i}", "sentence2": "b " * i, "label": i / 3} for i in range(10)]
        (tmp_path / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return [
        "preset=mini", "task=classification", f"task.data_dir={tmp_path}", "task.labels=number",
        "task.text=[sentence1,sentence2]", "task.metrics=[pearson]", "task.metric=pearson", "task.report=[dev]",
    ]  # fmt: skip


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("name", ["sst2", "mnli", "webnlg", "coqa", "numbers"])
def test_pieces_are_equal_to_one_piece_in_values_and_types(request, name, cached, monkeypatch, tmp_path):
    overrides = request.getfixturevalue("numbers") if name == "numbers" else ["preset=mini", f"task={name}"]
    task = task_of(*overrides, "task.max_train=10")
    expected = in_one_piece(task, "train")
    for piece in (1, 2, 3, 5, 9, 10, 11):  # ten rows: a multiple, one more, one less, all
        monkeypatch.setattr(base, "PIECE", piece)
        monkeypatch.setenv("INDUCER_BENCH_CACHE", str(tmp_path / str(piece)) if cached else "/proc/x")
        examples = task.examples("train")
        assert list(examples) == expected.to_list()
        assert examples._data.features == expected.features
        assert examples.lengths == expected["length"][:]


PROCESS = """
import sys
import pyarrow.parquet
import torch
from pathlib import Path
from inducer_bench.config.compose import compose
from inducer_bench.plm.load import load_tokenizer
from inducer_bench.tasks.classification import ClassificationTask
from inducer_bench.tasks.table_files import InputColumn, read_table
from scripts.bench import process_memory

def peak(call):
    process_memory.reset_peak()
    before = process_memory.peak()
    rows = call()
    return rows, (process_memory.peak() - before) / 2**20

folder, *overrides = sys.argv[1:]
columns = [InputColumn("task.text", ("sentence",)), InputColumn("task.label", ("label",))]
config = compose(overrides)
task = ClassificationTask(config.task, load_tokenizer(config.plm), {})
task.encode(list(task.read("dev")))  # what is imported or built once
for kind in ("tsv", "csv", "jsonl", "jsonl.gz", "parquet"):
    print(kind, *peak(lambda: sum(1 for _ in read_table(Path(folder, f"train.{kind}"), columns))))
print("encoded", *peak(lambda: len(task.examples("train"))))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux resets the peak of a process")
def test_memory_does_not_grow_with_the_rows(tiny_roberta_folder, tmp_path):
    """60,000 rows: 13 MiB of text, and more than 150 MiB once they are Python lists of token ids."""
    rows = {"sentence": ["one of the better films, " * 8 + str(i) for i in range(60_000)], "label": [0, 1] * 30_000}
    table = datasets.Dataset.from_dict(rows)
    table.to_csv(tmp_path / "train.csv", index=False)
    table.to_csv(tmp_path / "train.tsv", index=False, sep="\t")
    table.to_json(tmp_path / "train.jsonl")
    table.to_parquet(tmp_path / "train.parquet")
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress((tmp_path / "train.jsonl").read_bytes(), 1))
    (tmp_path / "dev.tsv").write_text("sentence\tlabel\na\t0\nb\t1\n")
    call = [sys.executable, "-c", PROCESS, str(tmp_path), f"plm.path={tiny_roberta_folder}"]
    call += [f"task.data_dir={tmp_path}", "task.files.train=train.tsv", "task.max_length=32"]
    output = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True, timeout=300, cwd=ROOT).stdout
    found = {kind: (int(rows), float(peak)) for kind, rows, peak in map(str.split, output.splitlines())}
    assert {rows for rows, _ in found.values()} == {60_000}
    most = dict.fromkeys(found, 20) | {"parquet": 40, "encoded": 60}  # parquet has one dictionary for all rows
    assert {kind: peak for kind, (_, peak) in found.items() if peak > most[kind]} == {}
