"""The files of the mini suite."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from inducer_bench.errors import UserError
from inducer_bench.mini import suite
from inducer_bench.mini.prose import documents

SHA256 = {
    "train.tsv": "680e06c0d6fd0be61fcf5cbce16416dcd1b35b6889af94368c6ba3091f3d4a68",
    "dev.tsv": "82bce6ff05794b2f818936ff8ea954459411c2094f7abd8a7783b970e890adc7",
}
BAG_OF_WORDS_CEILING = 0.70


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INDUCER_BENCH_CACHE", str(tmp_path))
    return tmp_path


def read(split: str) -> list[tuple[str, str]]:
    header, *lines = (suite.data_dir("sst2") / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
    assert header == "sentence\tlabel"
    return [(sentence, label) for sentence, label in (line.split("\t") for line in lines)]


def test_the_files_are_the_same_everywhere(cache: Path):
    folder = suite.data_dir("sst2")
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()} == SHA256


def test_the_splits_have_the_format_of_glue_and_are_balanced(cache: Path):
    for split, count in (("train", suite.SST2_TRAIN), ("dev", suite.SST2_DEV)):
        assert Counter(label for _, label in read(split)) == {"0": count // 2, "1": count // 2}


def test_no_sentence_occurs_twice(cache: Path):
    sentences = [sentence.lower() for split in ("train", "dev") for sentence, _ in read(split)]
    assert len(set(sentences)) == len(sentences)


def test_unlabelled_text_holds_no_labelled_sentence(cache: Path):
    labelled = {sentence for split in ("train", "dev") for sentence, _ in read(split)}
    unlabelled = {
        sentence
        for text in documents(1, 20_000, reviews=0.8, excluded=labelled)
        for sentence in re.findall(r"[^.?]+[.?]", text)
    }
    assert len(unlabelled) > 20_000
    assert labelled.isdisjoint(sentence.strip() for sentence in unlabelled)


def test_labelled_sentences_hold_no_verdict(cache: Path):
    text = " ".join(sentence for split in ("train", "dev") for sentence, _ in read(split))
    assert not [
        word for word in ("recommend", "verdict", "my rating", "thumbs", "ticket", "stars out of") if word in text
    ]


def test_a_bag_of_words_cannot_solve_the_task(cache: Path):
    (train, train_labels), (dev, dev_labels) = (zip(*read(split), strict=True) for split in ("train", "dev"))
    for n in (1, 2):
        model = make_pipeline(CountVectorizer(ngram_range=(1, n)), LogisticRegression(max_iter=1_000))
        assert 0.55 < model.fit(train, train_labels).score(dev, dev_labels) < BAG_OF_WORDS_CEILING


def test_the_folder_is_made_once_and_named_by_the_sources(cache: Path):
    folder = suite.data_dir("sst2")
    before = (folder / "train.tsv").stat().st_mtime_ns
    assert suite.data_dir("sst2") == folder
    assert (folder / "train.tsv").stat().st_mtime_ns == before
    assert folder.parent.name.startswith(f"mini-{suite.WORLD_VERSION}-")
    assert [path.name for path in folder.parent.iterdir()] == ["sst2"]


DAMAGE = {
    "edited": lambda folder: _change(folder / "train.tsv", lambda content: content.replace(b"\t1", b"\t0", 1)),
    "cut": lambda folder: _change(folder / "dev.tsv", lambda content: content[:-100]),
    "deleted": lambda folder: (folder / "dev.tsv").unlink(),
    "one more": lambda folder: (folder / "train.jsonl").write_text("{}"),
    "pipe": lambda folder: ((folder / "dev.tsv").unlink(), os.mkfifo(folder / "dev.tsv")),
    "empty": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
    "loop": lambda folder: (shutil.rmtree(folder), folder.symlink_to(folder.name)),
    "file": lambda folder: (shutil.rmtree(folder), folder.write_text("x")),
}  # fmt: skip


def _change(path, change):
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize("damage", DAMAGE)
def test_files_that_were_changed_are_made_again(cache: Path, damage: str, capsys: pytest.CaptureFixture[str]):
    folder = suite.data_dir("sst2")
    DAMAGE[damage](folder)
    assert suite.data_dir("sst2") == folder
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()} == SHA256
    told = f"inducer-bench: the files in '{folder}' are not those of the mini suite; they are made again\n"
    assert capsys.readouterr().err == told


WITHOUT_CACHE = """
import sys
from inducer_bench.errors import UserError
from inducer_bench.mini import suite
folder = suite.data_dir("sst2")
assert suite.data_dir("sst2") == folder and suite._is_whole(folder)
print(folder)
"""


@pytest.mark.parametrize("place", ["/proc/x", "/dev/null", "~nobody-here"])
def test_without_a_cache_the_files_are_in_a_folder_that_goes_with_the_process(tmp_path: Path, place: str):
    env = {**os.environ, "INDUCER_BENCH_CACHE": place, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", WITHOUT_CACHE], capture_output=True, text=True, env=env, check=True)
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (told,) = done.stderr.splitlines()
    assert told.startswith("inducer-bench: the data of 'sst2' are in a temporary folder: the cache cannot be used (")
    assert "INDUCER_BENCH_CACHE=FOLDER" in told


def test_without_any_place_for_the_files_one_line_says_so(monkeypatch: pytest.MonkeyPatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(suite, "write_folder", full)
    monkeypatch.setenv("INDUCER_BENCH_CACHE", "/proc/x")
    with pytest.raises(
        UserError, match=r"preset: the data of 'mnli' cannot be written \(.*No space left.*; .*'/proc/x'\)"
    ):
        suite.data_dir("mnli")


def test_changed_generator_does_not_pass_for_the_published_one(cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(suite, "SST2_DEV", 10)
    with pytest.raises(RuntimeError, match="raise WORLD_VERSION"):
        suite.data_dir("sst2")
    assert list(cache.rglob("*.tsv")) == []


def test_processes_that_ask_at_once_get_the_same_complete_folder(cache: Path):
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        folders = list(pool.map(suite.data_dir, ["sst2"] * 8))
    assert set(folders) == {suite.data_dir("sst2")}
    assert len(read("train")) == suite.SST2_TRAIN
    assert [path.name for path in folders[0].parent.iterdir()] == ["sst2"]


def test_unknown_names_are_answered_with_what_there_is():
    with pytest.raises(KeyError, match="no mini task 'sst3'; there are: sst2, mnli, webnlg, coqa"):
        suite.data_dir("sst3")
    with pytest.raises(KeyError, match="no bundled PLM 'bert'; there are: mini_gpt2, mini_roberta"):
        suite.plm_dir("bert")


def test_the_suite_needs_no_heavy_library(cache: Path):
    program = (
        "import sys; from inducer_bench.mini import suite; suite.data_dir('sst2'); "
        "print(sorted({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"
