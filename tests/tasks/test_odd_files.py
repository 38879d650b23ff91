"""Files and folders that cannot be read, columns and options that cannot be meant: one line, before anything runs."""

import dataclasses
import os

import pytest
from helpers.reading import refusal

from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.tasks import source
from inducer_bench.tasks.classification_rows import find_labels
from inducer_bench.tasks.text_to_text import TextToTextTask
from inducer_bench.tasks.webnlg import WebNlgTask


@pytest.fixture
def task(tmp_path):
    for split in ("train", "dev"):
        (tmp_path / f"{split}.csv").write_text("text,label\nfine,good\npoor,bad\n")
    return compose(["task=classification", f"task.data_dir={tmp_path}"]).task


def told(act):
    with pytest.raises(UserError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def deny(monkeypatch, path, *functions):
    """Let the system refuse a file or folder, as it does without permission; the tests may run as root."""
    for name in functions:
        true = getattr(os, name)

        def denied(wanted, *args, true=true, **options):
            if str(wanted) == str(path):
                raise PermissionError(13, "Permission denied", str(path))
            return true(wanted, *args, **options)

        monkeypatch.setattr(os, name, denied)


@pytest.mark.parametrize("act", [source.fingerprint, find_labels])
def test_file_that_must_not_be_read_is_told(task, tmp_path, monkeypatch, act):
    path = tmp_path / "train.csv"
    deny(monkeypatch, path, "open")
    assert told(lambda: act(task)) == f"{path}: cannot be read (Permission denied)"


@pytest.mark.parametrize("act", [source.fingerprint, find_labels])
def test_folder_that_must_not_be_read_is_told(task, tmp_path, monkeypatch, act):
    deny(monkeypatch, tmp_path / "train.tsv", "stat")  # what is in the folder is not known
    assert told(lambda: act(task)) == f"{tmp_path / 'train.tsv'}: cannot be read (Permission denied)"


def test_folder_in_a_tree_that_must_not_be_read_is_told_and_not_left_out(tmp_path, monkeypatch):
    for part in ("1triples", "2triples"):
        (tmp_path / "train" / part).mkdir(parents=True)
        (tmp_path / "train" / part / "a.xml").write_text("<a/>")
    config = compose(["task=webnlg", f"task.data_dir={tmp_path}"]).task
    deny(monkeypatch, tmp_path / "train" / "2triples", "scandir")
    message = refusal(WebNlgTask(config, None, {"vocab_size": 100, "model_type": "gpt2"}))
    assert message == f"{tmp_path / 'train' / '2triples'}: cannot be read (Permission denied)"


def test_name_that_no_folder_can_have_is_told(task):
    long = dataclasses.replace(task, data_dir="x" * 300)
    assert told(lambda: source.fingerprint(long)).endswith("(File name too long)")


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), os.mkfifo, lambda path: path.symlink_to(path)])
def test_what_is_no_file_is_not_found(task, tmp_path, make):
    (tmp_path / "train.csv").unlink()
    make(tmp_path / "train.csv")
    assert told(lambda: find_labels(task)).startswith(
        f"task.data_dir: no train.(tsv|csv|jsonl|json|parquet)[.gz] in '{tmp_path}'"
    )


# -- columns and options -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task=classification", "task.text=[a,a]"],
         "task.text: found a, a with task.label=label; allowed: different columns"),
        (["task=classification", "task.text=[a,label]"],
         "task.text: found a, label with task.label=label; allowed: different columns"),
        (["task=classification", "task.labels=[no,'no ']"],
         "task.labels: found ['no', 'no ']; allowed: auto, number, or a list of two or more different names"),
        (["task=text_to_text", "task.text=a", "task.target=a"],
         "task.target: found 'a', which is task.text as well; allowed: another column"),
        (["task=webnlg", "task.decoding.temperature=0.7"],
         "task.decoding.temperature: found 0.7; allowed: 1.0 unless task.decoding.sample=true"),
        (["task=webnlg", "task.decoding.top_p=0.9", "task.decoding.beams=3"],
         "task.decoding.top_p: found 0.9; allowed: 1.0 unless task.decoding.sample=true"),
        (["task=webnlg", "task.decoding.length_penalty=0.8"],
         "task.decoding.length_penalty: found 0.8; allowed: 1.0 unless task.decoding.beams > 1"),
    ],
)  # fmt: skip
def test_options_that_contradict_or_have_no_effect_are_refused(overrides, message):
    assert told(lambda: compose(overrides)) == message


def test_columns_named_by_numbers_are_read(tmp_path):
    (tmp_path / "train.csv").write_text("0,1\nfine,good\npoor,bad\n")
    task = compose(["task=text_to_text", f"task.data_dir={tmp_path}", "task.text='0'", "task.target='1'"]).task
    samples = TextToTextTask(task, None, {"vocab_size": 100, "model_type": "gpt2"}).read("train")
    assert [sample.targets for sample in samples] == [("good",), ("bad",)]


def test_empty_source_is_a_source(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"source": "", "target": "a"}\n{"source": " ", "target": "b"}\n')
    task = compose(["task=text_to_text", f"task.data_dir={tmp_path}"]).task
    made = TextToTextTask(task, None, {"vocab_size": 100, "model_type": "gpt2"})
    assert [sample.source for sample in made.read("train")] == [(("<source_sm>", ""),), (("<source_sm>", " "),)]
