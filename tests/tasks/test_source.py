"""Where data are found, what identifies them, and what the hub gives."""

import dataclasses
import re
from pathlib import Path

import datasets
import pytest

from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.tasks import classification_rows, source
from inducer_bench.tasks.classification_rows import LabelledTexts, find_labels
from inducer_bench.tasks.source import fingerprint, load_from_hub, split_fingerprint
from inducer_bench.tasks.subset import sample
from inducer_bench.tasks.table_files import InputColumn

TABLE = "sentence\tlabel\na\t1\n"


@pytest.fixture(scope="module")
def sst2():
    return compose([]).task


@pytest.fixture
def local(sst2, tmp_path):
    """The task on local files of these names."""

    def write(*names, **files):
        for name in names:
            (tmp_path / name).write_text(TABLE)
        return dataclasses.replace(sst2, data_dir=str(tmp_path), files={**sst2.files, **files})

    return write


def read_rows(task, split):
    return list(classification_rows.read_rows(task, split, find_labels(task)))


def refusal(task, split="train"):
    with pytest.raises(UserError) as caught:
        read_rows(task, split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_rows_are_read_in_order_from_both_splits_and_cut_to_their_limits(sst2, sst2_folder):
    task = dataclasses.replace(sst2, data_dir=str(sst2_folder))
    train, dev = read_rows(task, "train"), read_rows(task, "dev")
    assert (len(train), len(dev)) == (64, 32)
    lines = (sst2_folder / "dev.tsv").read_text().splitlines()[1:]
    assert [f"{row.texts[0]}\t{row.label}" for row in dev] == lines
    limited = dataclasses.replace(task, max_train=5, max_eval=3)
    assert read_rows(limited, "train") == sample(train, 5) != train[:5]
    assert read_rows(limited, "dev") == sample(dev, 3) != dev[:3]
    first = dataclasses.replace(limited, sample="first")
    assert read_rows(first, "train") == train[:5]
    assert read_rows(first, "dev") == dev[:3]


def test_file_may_be_named_with_its_ending_or_without(local):
    task = local("part1.tsv", "dev.tsv", "dev.csv", train="part1", dev="dev.tsv")
    assert read_rows(task, "train") == read_rows(task, "dev") == [LabelledTexts(("a",), 1)]


def test_several_files_of_a_split_are_refused(local, tmp_path):
    message = refusal(local("train.tsv", "train.csv"))
    assert (
        message == f"task.files.train: found train.tsv, train.csv in '{tmp_path}'; name one: task.files.train=train.tsv"
    )


def test_missing_file_is_named_with_what_there_is(local, tmp_path):
    endings = r"\(tsv\|csv\|jsonl\|json\|parquet\)\[\.gz\]"
    message = refusal(local("trian.tsv"))
    assert re.match(
        rf"task\.data_dir: no train\.{endings} in '{tmp_path}'; did you mean 'trian\.tsv'\? found:", message
    )
    assert message.endswith("; for another name give task.files.train")
    assert "no part1.csv in" in refusal(local(train="part1.csv"))


def test_missing_folder_is_named(sst2, tmp_path):
    nowhere = dataclasses.replace(sst2, data_dir=str(tmp_path / "nowhere"))
    assert refusal(nowhere).endswith(
        "nowhere', which is not a folder; allowed: one with train, dev as tsv, csv, jsonl, json, parquet"
    )


def test_task_on_own_files_asks_for_their_folder():
    message = refusal(compose(["task=classification"]).task)
    assert message.startswith(
        "task.data_dir: missing; task 'classification' reads local files: give a folder with train, dev"
    )


def test_task_without_mini_data_is_refused(sst2):
    task = dataclasses.replace(sst2, source="mini", name="squad")
    assert re.match(r"preset: no mini task 'squad'; there are: .*sst2", refusal(task))


def test_fingerprint_of_local_files_follows_their_bytes_alone(local, tmp_path):
    task = local("train.tsv", "dev.tsv")
    before = fingerprint(task)
    assert re.fullmatch("sha256:[0-9a-f]{16}", before)
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    moved_task = dataclasses.replace(task, data_dir=str(moved), max_train=1, max_length=3)
    assert fingerprint(moved_task) == before
    (moved / "dev.tsv").write_text(TABLE.replace("1", "0"))
    assert fingerprint(moved_task) != before


COMMIT, OTHER = "a" * 40, "b" * 40


@pytest.fixture
def main_branch(tmp_path, monkeypatch):
    """The file of the hub's cache that says where the main branch of GLUE was."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    reference = tmp_path / "hub" / "datasets--nyu-mll--glue" / "refs" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text(COMMIT)
    return reference


def test_fingerprint_of_hub_data_names_the_commit_and_needs_no_network(sst2, main_branch):
    assert fingerprint(sst2) == f"hub:nyu-mll/glue/sst2@{COMMIT}:train,validation"
    main_branch.unlink()
    assert fingerprint(sst2) == "hub:nyu-mll/glue/sst2@main:train,validation"


@pytest.fixture
def hub_data(main_branch, tmp_path, monkeypatch):
    """Writes the cache that `datasets` leaves of GLUE's SST-2 at a commit: both splits with these columns."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "datasets"))

    def put(commit=COMMIT, **columns):
        source = tmp_path / commit / "glue"
        source.mkdir(parents=True)
        for name in ("train", "validation"):
            datasets.Dataset.from_dict(columns).to_csv(source / f"{name}.csv")
        files = ", ".join(f"{{split: {name}, path: {name}.csv}}" for name in ("train", "validation"))
        card = f"---\nconfigs: [{{config_name: sst2, data_files: [{files}]}}]\n---\n"
        (source / "README.md").write_text(card)
        builder = datasets.load_dataset_builder(str(source), "sst2", cache_dir=str(tmp_path / "draft"))
        builder.download_and_prepare()
        there = tmp_path / "datasets" / "nyu-mll___glue" / "sst2" / "0.0.0" / commit
        there.parent.mkdir(parents=True, exist_ok=True)
        Path(builder.cache_dir).rename(there)

    return put


def test_hub_rows_are_those_of_the_named_split(sst2, hub_data):
    hub_data(idx=[0, 1, 2], sentence=['a "b', "c", "d"], label=[1, 0, 1])
    task = dataclasses.replace(sst2, max_eval=2, sample="first")
    assert read_rows(task, "dev") == [LabelledTexts(('a "b',), 1), LabelledTexts(("c",), 0)]
    task = dataclasses.replace(sst2, hub=dataclasses.replace(sst2.hub, revision=COMMIT))
    assert len(read_rows(task, "train")) == 3


def test_cached_hub_data_of_another_commit_are_not_taken(sst2, hub_data, main_branch):
    hub_data(COMMIT, sentence=["a"], label=[1])
    main_branch.write_text(OTHER)
    with pytest.raises(OSError, match=f"found commit {COMMIT} of revision 'main'; expected {OTHER}"):
        load_from_hub(sst2.hub, "train")
    main_branch.unlink()
    with pytest.raises(OSError, match=f"found commit {COMMIT} of revision 'main'; expected None"):
        load_from_hub(sst2.hub, "train")


def test_hub_label_outside_the_task_is_told_with_its_row(sst2, hub_data):
    hub_data(sentence=["a", "b"], label=[1, -1])
    assert refusal(sst2) == "nyu-mll/glue/sst2, train, row 2: found label '-1'; allowed: negative, positive, 0, 1"


def test_hub_column_that_is_missing_is_named(sst2, hub_data):
    hub_data(text=["a"], label=[1])
    assert refusal(sst2) == "nyu-mll/glue/sst2, train, row 1: no column 'sentence' (task.text); found: text, label"


def test_fingerprint_of_a_hub_split_follows_the_split_and_the_commit(sst2, hub_data, main_branch):
    hub_data(COMMIT, sentence=["a"], label=[1])
    found = split_fingerprint(sst2, "dev")
    assert found == split_fingerprint(sst2, "dev") != split_fingerprint(sst2, "train")
    hub_data(OTHER, sentence=["a"], label=[1])
    main_branch.write_text(OTHER)
    assert split_fingerprint(sst2, "dev") != found


def test_datasets_gives_its_data_a_private_fingerprint_of_their_content():
    """`source.split_fingerprint` relies on `_fingerprint`, which is not part of the interface of `datasets`."""
    data = datasets.Dataset.from_dict({"sentence": ["a", "b"]})
    same, other = (datasets.Dataset.from_dict({"sentence": ["a", text]}) for text in "bc")
    assert isinstance(data._fingerprint, str)
    assert data._fingerprint == same._fingerprint != other._fingerprint


def test_rows_of_the_hub_are_read_in_order_with_their_numbers(sst2, monkeypatch):
    """1,000 at a time."""
    data = datasets.Dataset.from_dict({"label": [0, 1] * 1_050, "sentence": [f"a {n}" for n in range(2_100)]})
    monkeypatch.setattr(source, "load_from_hub", lambda hub, split: data)
    columns = [InputColumn("task.text", ("sentence",)), InputColumn("task.label", ("label",))]
    rows = list(source.rows(dataclasses.replace(sst2, source="hub", data_dir=None), "train", columns))
    assert [cells for _, cells in rows] == [[f"a {n}", n % 2] for n in range(2_100)]
    assert [where.rpartition(", ")[2] for where, _ in rows] == [f"row {n}" for n in range(1, 2_101)]
