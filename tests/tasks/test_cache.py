"""Encoded examples are made once, shared by all who need the same, and made again where an entry is damaged."""

import dataclasses
import io
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from datasets.arrow_writer import ArrowWriter
from helpers.commands import command

from inducer_bench import locks
from inducer_bench.config.compose import compose
from inducer_bench.locks import Lock
from inducer_bench.plm.load import load_tokenizer
from inducer_bench.tasks import cache
from inducer_bench.tasks.cache import cached, tokenizer_fingerprint
from inducer_bench.tasks.classification import ClassificationTask

ENCODED = [{"input_ids": [i, i + 1][: 1 + i % 2], "labels": i % 3, "length": 1 + i % 2} for i in range(50)]


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("INDUCER_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def encode():
    """A function that encodes, and counts how often in its `calls`."""

    def encode():
        encode.calls += 1
        yield ENCODED[:20]
        yield ENCODED[20:]

    encode.calls = 0
    return encode


@pytest.fixture
def make(tiny_roberta_folder, sst2_folder):
    """A function that gives the task, with changes to its configuration."""

    def make(plm=tiny_roberta_folder, **changes):
        config = compose([f"plm.path={plm}", f"task.data_dir={sst2_folder}", "task.max_length=32"])
        return ClassificationTask(dataclasses.replace(config.task, **changes), load_tokenizer(config.plm), {})

    return make


def entries(root):
    return sorted(path for path in (root / "tokens").iterdir() if path.is_dir())


def test_examples_are_those_that_were_encoded_however_they_are_read(encode):
    for _ in range(2):
        examples = cached({"a": 1}, encode)
        assert list(examples) == ENCODED
        assert [examples[i] for i in range(len(examples))] == ENCODED
        assert examples[-1] == ENCODED[-1]
        assert examples.take([7, 3, 3]) == [ENCODED[7], ENCODED[3], ENCODED[3]]
        assert list(examples[5:20:3]) == ENCODED[5:20:3]
        assert list(examples[:None]) == ENCODED
        assert examples.lengths == [row["length"] for row in ENCODED]
        some = examples.select([9, 2, 30])
        assert (list(some), some.lengths) == ([ENCODED[9], ENCODED[2], ENCODED[30]], [2, 1, 1])
        assert some.take([2, 0]) == [ENCODED[30], ENCODED[9]]
    assert encode.calls == 1


def test_other_key_is_another_entry(encode, root):
    for key in ({"a": 1}, {"a": 2}, {"a": 1, "b": None}, {"a": 1}):
        cached(key, encode)
    assert encode.calls == 3
    assert len(entries(root)) == 3


def test_other_code_of_the_tasks_is_another_entry(encode, monkeypatch):
    cached({}, encode)
    monkeypatch.setattr(cache, "_code_hash", lambda: "changed")
    cached({}, encode)
    assert encode.calls == 2


DAMAGE = {
    "truncated": lambda entry: _change(next(entry.glob("*.arrow")), lambda content: content[:-100]),
    "a byte": lambda entry: _change(next(entry.glob("*.arrow")), lambda content: content[:600] + b"?" + content[601:]),
    "empty table": lambda entry: _change(next(entry.glob("*.arrow")), lambda content: b""),
    "no table": lambda entry: next(entry.glob("*.arrow")).unlink(),
    "no checksum": lambda entry: (entry / "sha256").unlink(),
    "pipe": lambda entry: _pipe(next(entry.glob("*.arrow"))),
    "checksum is a pipe": lambda entry: _pipe(entry / "sha256"),
    "folder inside": lambda entry: (entry / "more").mkdir(),
    "loop": lambda entry: (shutil.rmtree(entry), entry.symlink_to(entry.name)),
    "entry is a file": lambda entry: (shutil.rmtree(entry), entry.write_text("x")),
    "entry is a pipe": lambda entry: (shutil.rmtree(entry), os.mkfifo(entry)),
    "empty folder": lambda entry: [path.unlink() for path in entry.iterdir()],
}  # fmt: skip


def _change(path, change):
    path.write_bytes(change(path.read_bytes()))


def _pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_entry_is_made_again(encode, root, damage):
    cached({}, encode)
    (entry,) = entries(root)
    DAMAGE[damage](entry)
    assert list(cached({}, encode)) == ENCODED
    assert list(cached({}, encode)) == ENCODED
    assert encode.calls == 2
    assert entries(root) == [entry]


def test_failed_encoding_leaves_no_entry(encode, root):
    def fail():
        raise ValueError("bad row")

    with pytest.raises(ValueError, match="bad row"):
        cached({}, fail)
    assert entries(root) == []
    assert list(cached({}, encode)) == ENCODED


PLACES = {
    "file": lambda monkeypatch, folder: monkeypatch.setenv("INDUCER_BENCH_CACHE", str(folder / "file")),
    "nowhere": lambda monkeypatch, folder: monkeypatch.setenv("INDUCER_BENCH_CACHE", "/proc/x"),
    "no such user": lambda monkeypatch, folder: monkeypatch.setenv("INDUCER_BENCH_CACHE", "~nobody-here/cache"),
    "loop": lambda monkeypatch, folder: monkeypatch.setenv("INDUCER_BENCH_CACHE", str(folder / "loop")),
    "long": lambda monkeypatch, folder: monkeypatch.setenv("INDUCER_BENCH_CACHE", str(folder / ("x" * 300))),
    "home is a file": lambda monkeypatch, folder: _home(monkeypatch, str(folder / "file")),
    "no home": lambda monkeypatch, folder: _homeless(monkeypatch),
}


def _home(monkeypatch, place):
    monkeypatch.delenv("INDUCER_BENCH_CACHE")
    monkeypatch.setenv("HOME", place)


def _homeless(monkeypatch):
    """As for a user without an entry in passwd."""
    monkeypatch.delenv("INDUCER_BENCH_CACHE")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)


@pytest.mark.parametrize("place", PLACES)
def test_cache_that_cannot_be_written_is_done_without(encode, tmp_path, monkeypatch, capsys, place):
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "loop").symlink_to("loop")
    PLACES[place](monkeypatch, tmp_path)
    assert list(cached({}, encode)) == ENCODED
    assert list(cached({}, encode)) == ENCODED
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("inducer-bench: the token cache is not used (")
    assert encode.calls == 2


def test_full_disk_is_done_without(encode, root, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "write_folder", full)
    assert list(cached({}, encode)) == ENCODED
    assert "No space left on device" in capsys.readouterr().err
    assert encode.calls == 1
    assert entries(root) == []


def test_disk_that_fills_up_on_the_way_is_done_without_and_leaves_nothing(encode, root, monkeypatch, capsys):
    save, full = ArrowWriter.write_table, OSError(28, "No space left on device")

    def write(writer, table):
        if isinstance(writer.stream, io.BufferedWriter) and len(writer):  # a file, and its second piece
            raise full
        save(writer, table)

    monkeypatch.setattr(ArrowWriter, "write_table", write)
    assert list(cached({}, encode)) == ENCODED
    assert "No space left on device" in capsys.readouterr().err
    assert encode.calls == 2
    assert entries(root) == []
    assert list(root.rglob(".draft*")) == []


def test_lock_that_is_held_for_long_is_told_and_worked_around(encode, root, monkeypatch, capsys):
    cached({}, encode)
    (entry,) = entries(root)
    shutil.rmtree(entry)
    capsys.readouterr()
    monkeypatch.setattr(locks, "QUIET", 0.05)
    monkeypatch.setattr(cache, "PATIENCE", 0.1)
    with Lock(entry.with_name(f"{entry.name}.lock"), "x").held():
        assert list(cached({}, encode)) == ENCODED
    waiting, without = capsys.readouterr().err.splitlines()
    assert waiting.startswith("inducer-bench: waiting for an entry of the token cache '")
    assert f"in use by process {os.getpid()} on host " in waiting
    assert without.startswith("inducer-bench: the token cache is not used (in use by process ")


def test_error_of_the_data_is_not_taken_for_one_of_the_cache(root, capsys):
    def fail():
        raise PermissionError(13, "Permission denied", "train.tsv")

    with pytest.raises(PermissionError, match=r"train\.tsv"):
        cached({}, fail)
    assert capsys.readouterr().err == ""


def test_second_run_does_not_tokenise(make, monkeypatch):
    first = make().examples("train")
    monkeypatch.setattr(ClassificationTask, "encode", lambda *_: pytest.fail("tokenised again"))
    monkeypatch.setattr(ClassificationTask, "read", lambda *_: pytest.fail("read again"))
    assert list(make().examples("train")) == list(first)
    assert list(make(metrics=["f1"], metric="f1", report=["train"], name="other").examples("train")) == list(first)


def test_what_changes_the_tokens_is_tokenised_anew(make, sst2_folder, tiny_gpt2_folder, tmp_path, root):
    same = [{}, {"max_eval": 3}, {"sample": "first"}]
    (tmp_path / "train.tsv").write_text((sst2_folder / "train.tsv").read_text() + "one more\t1\n")
    (tmp_path / "dev.tsv").write_bytes((sst2_folder / "dev.tsv").read_bytes())
    other = [
        {"max_length": 5},
        {"max_train": 9},
        {"max_train": 9, "sample": "first"},
        {"labels": ["positive", "negative"]},
        {"data_dir": str(tmp_path)},
    ]
    for changes in same + other:
        make(**changes).examples("train")
    assert len(entries(root)) == 1 + len(other)
    make(plm=tiny_gpt2_folder, max_length=32).examples("train")
    assert len(entries(root)) == 2 + len(other)
    make(data_dir=str(tmp_path)).examples("dev")
    make().examples("dev")
    assert len(entries(root)) == 3 + len(other), "a split that is the same elsewhere is shared"


def test_fingerprint_of_a_tokenizer_stays_while_it_is_used_and_follows_its_vocabulary(make):
    task = make()
    before = tokenizer_fingerprint(task.tokenizer)
    task.tokenizer(["a", "a film"], truncation=True, max_length=3, padding=True)
    assert tokenizer_fingerprint(task.tokenizer) == before == tokenizer_fingerprint(make().tokenizer)
    task.tokenizer.add_tokens(["inducer"])
    assert tokenizer_fingerprint(task.tokenizer) != before


PROCESS = """
import time
from pathlib import Path
from inducer_bench.tasks import cache
Path("ready").touch()
while len(list(Path("..").glob("*/ready"))) < 3:
    time.sleep(0.01)
def encode():
    time.sleep(0.5)
    print("encoded", flush=True)
    for start in range(0, 3000, 1000):
        yield [{"input_ids": [i] * 20, "length": 20} for i in range(start, start + 1000)]
print(sum(row["input_ids"][0] for row in cache.cached({"shared": 1}, encode)))
"""


def test_processes_that_need_the_same_at_once_encode_it_once(root, tmp_path):
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda folder: command([], folder, program=PROCESS), folders))
    outputs = [one.out.splitlines() for one in ended]
    assert [lines[-1] for lines in outputs] == [str(sum(range(3000)))] * 3
    assert sorted(len(lines) for lines in outputs) == [1, 1, 2]
    assert len(entries(root)) == 1
    assert list(root.rglob(".draft*")) == []
