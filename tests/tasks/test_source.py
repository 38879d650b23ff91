"""Rows from local files and from the hub, and what is said about files that are damaged."""

import dataclasses
import re

import datasets
import pytest

from inducer_bench.config.compose import compose
from inducer_bench.config.schema import HubData
from inducer_bench.errors import UserError
from inducer_bench.tasks.source import Row, fingerprint, read_rows

HEADER = "sentence\tlabel\n"


@pytest.fixture(scope="module")
def sst2():
    return compose([]).task


@pytest.fixture
def write(sst2, tmp_path):
    """A function that writes a split and gives the task that reads it."""

    def write(content, split="train", **changes):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / f"{split}.tsv").write_bytes(data)
        return dataclasses.replace(sst2, data_dir=str(tmp_path), **changes)

    return write


def refusal(task, split="train"):
    with pytest.raises(UserError) as caught:
        read_rows(task, split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_rows_are_read_in_order_from_both_splits(sst2, sst2_folder):
    task = dataclasses.replace(sst2, data_dir=str(sst2_folder))
    train, dev = read_rows(task, "train"), read_rows(task, "dev")
    assert (len(train), len(dev)) == (64, 32)
    lines = (sst2_folder / "dev.tsv").read_text().splitlines()[1:]
    assert [f"{row.texts[0]}\t{row.label}" for row in dev] == lines


@pytest.mark.parametrize(
    "text",
    ['a "quoted word', '"', "it 's", "back\\slash", " leading and trailing ", "naïve – ok", "a\u2028b", "a,b;c", ""],
)
def test_text_is_taken_as_it_stands(write, text):
    assert read_rows(write(f"{HEADER}{text}\t1\nnext\t0\n"), "train") == [Row((text,), 1), Row(("next",), 0)]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_ends_of_every_system_are_understood(write, ending):
    task = write(f"sentence\tlabel{ending}fine\t1{ending}poor\t0")
    assert read_rows(task, "train") == [Row(("fine",), 1), Row(("poor",), 0)]


def test_byte_order_mark_is_no_part_of_the_first_column(write):
    assert read_rows(write("\ufeff" + HEADER + "fine\t1\n"), "train") == [Row(("fine",), 1)]


def test_label_is_given_by_name_or_by_code(write):
    rows = read_rows(write(HEADER + "a\tnegative\nb\t0\nc\tpositive\nd\t1\n"), "train")
    assert [row.label for row in rows] == [0, 0, 1, 1]


def test_columns_are_found_by_name_in_any_order_among_others(write):
    task = write("id\tgold\tb\ta\n7\t1\tsecond\tfirst\n", columns=["a", "b"], label="gold")
    assert read_rows(task, "train") == [Row(("first", "second"), 1)]


def test_limits_cut_their_own_split(sst2, sst2_folder):
    task = dataclasses.replace(sst2, data_dir=str(sst2_folder), max_train=5, max_eval=3)
    assert read_rows(task, "train") == read_rows(dataclasses.replace(task, max_train=None), "train")[:5]
    assert len(read_rows(task, "dev")) == 3


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (HEADER + "a\t1\nno label\n", "line 3: found 1 fields; expected 2"),
        (HEADER + "a\tb\t1\n", "line 2: found 3 fields; expected 2"),
        (HEADER + "a\t1\n\nb\t0\n", "line 3: found 0 fields; expected 2"),
        (HEADER + "a\t1\nb\t2\n", "line 3: found label '2'; allowed: negative, positive, 0, 1"),
        (HEADER + "a\t\n", "line 2: found label ''; allowed: negative, positive, 0, 1"),
        ("sentense\tlabel\na\t1\n", "line 1: no column 'sentence'; did you mean 'sentense'? found: sentense, label"),
        ("", "line 1: no column 'sentence'; found: "),
        ((HEADER + "a\t1\n").encode() + b"caf\xe9\t1\n", "not UTF-8"),
        (HEADER + "a" * 200_000 + "\t1\n", "line 2: field larger than field limit"),
    ],
    ids=["few fields", "many fields", "blank line", "label", "no label", "column", "empty", "latin 1", "endless line"],
)
def test_corrupt_file_is_told_with_its_name_and_line(write, tmp_path, content, complaint):
    message = refusal(write(content))
    assert message.startswith(str(tmp_path / "train.tsv"))
    assert complaint in message


def test_bytes_that_are_not_utf8_are_placed(write):
    rows = "".join(f"row {i}\t1\n" for i in range(5))
    message = refusal(write((HEADER + rows).encode() + b"caf\xe9\t1\n"))
    assert re.search(r"after line \d+: not UTF-8 \(.*\)", message)


def test_empty_split_is_refused(write):
    assert refusal(write(HEADER, split="dev"), "dev") == "task: split 'dev' of 'sst2' holds no examples"


def test_missing_file_and_missing_folder_are_named(write, sst2, tmp_path):
    task = write(HEADER + "a\t1\n")
    assert refusal(task, "dev") == f"task.data_dir: '{tmp_path / 'dev.tsv'}' is missing"
    nowhere = dataclasses.replace(sst2, data_dir=str(tmp_path / "nowhere"))
    assert "which is not a folder" in refusal(nowhere)


def test_task_without_mini_data_is_refused(sst2):
    task = dataclasses.replace(sst2, source="mini", name="squad")
    assert re.match(r"preset: no mini task 'squad'; there are: .*sst2", refusal(task))


def test_fingerprint_of_local_files_follows_their_bytes_alone(write, tmp_path):
    write(HEADER + "a\t1\n", split="dev")
    task = write(HEADER + "a\t1\n")
    before = fingerprint(task)
    assert re.fullmatch("sha256:[0-9a-f]{16}", before)
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    moved_task = dataclasses.replace(task, data_dir=str(moved), max_train=1, max_length=3)
    assert fingerprint(moved_task) == before
    (moved / "dev.tsv").write_text(HEADER + "a\t0\n")
    assert fingerprint(moved_task) != before


def test_fingerprint_of_hub_data_needs_no_network(sst2):
    assert fingerprint(sst2) == "hub:nyu-mll/glue/sst2@main"


@pytest.fixture
def hub_data(monkeypatch):
    """Stands in for `load_dataset`; remembers what it was asked for."""
    asked = []

    def put(**columns):
        def load(path, name, *, split, revision):
            asked.append((path, name, split, revision))
            return datasets.Dataset.from_dict(columns)

        monkeypatch.setattr(datasets, "load_dataset", load)
        return asked

    return put


def test_hub_rows_are_those_of_the_named_split_and_revision(sst2, hub_data):
    asked = hub_data(idx=[0, 1, 2], sentence=['a "b', "c", "d"], label=[1, 0, 1])
    task = dataclasses.replace(sst2, max_eval=2)
    assert read_rows(task, "dev") == [Row(('a "b',), 1), Row(("c",), 0)]
    assert asked == [("nyu-mll/glue", "sst2", "validation", "main")]


def test_hub_label_outside_the_task_is_told_with_its_row(sst2, hub_data):
    hub_data(sentence=["a", "b"], label=[1, -1])
    assert refusal(sst2) == "train row 1: found label '-1'; allowed: negative, positive, 0, 1"


def test_hub_column_that_is_missing_is_named(sst2, hub_data):
    hub_data(text=["a"], label=[1])
    assert refusal(sst2) == "task.columns: no column 'sentence'; allowed: text, label"


def test_hub_path_may_be_a_local_data_set(sst2, sst2_folder, tmp_path, monkeypatch):
    for split, name in sst2.splits.items():
        table = (sst2_folder / f"{split}.tsv").read_text().replace("\t", ",")
        (tmp_path / f"{name}.csv").write_text(table)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    task = dataclasses.replace(sst2, hub=HubData(path=str(tmp_path), name=None, revision="main"))
    local = dataclasses.replace(sst2, data_dir=str(sst2_folder))
    assert read_rows(task, "dev") == read_rows(local, "dev")
