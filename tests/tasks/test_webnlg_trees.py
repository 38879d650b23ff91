"""WebNLG as the challenge published it: trees of XML files."""

import re

import pytest
from helpers.reading import refusal
from helpers.webnlg_files import TEST, TRAIN, as_json, as_xml, task_on

from inducer_bench.tasks.source import split_fingerprint


@pytest.fixture
def tree(tmp_path):
    """The task on a folder as the challenge published it: train in three files, test beside files that repeat it."""
    files = {
        "train/1triples/1triples_Airport_train.xml": TRAIN[:1],
        "train/2triples/2triples_City_train.xml": TRAIN[1:2],
        "train/1triples/1triples_Food_train.xml": TRAIN[2:],
        "dev/1triples/1triples_City_dev.xml": TEST[:1],
        "test/testdata_with_lex.xml": TEST,
        "test/testdata_unseen_with_lex.xml": TEST[1:2],
    }
    for name, entries in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_xml(entries), encoding="utf-8")
    (tmp_path / "train" / "README.md").write_text("no data")
    return task_on(tmp_path)


def test_tree_is_read_in_sorted_order_as_one_file_of_all_its_entries_would_be(tree, tmp_path):
    for split, entries in {"train": [TRAIN[0], TRAIN[2], TRAIN[1]], "dev": TEST[:1], "test": TEST}.items():
        (tmp_path / f"whole_{split}.xml").write_text(as_xml(entries), encoding="utf-8")
    whole = task_on(tmp_path, train="whole_train", dev="whole_dev", test="whole_test")
    for split in ("train", "dev", "test"):
        found, expected = tree.read(split), whole.read(split)
        assert [(s.source, s.references, s.group) for s in found] == [
            (s.source, s.references, s.group) for s in expected
        ]
    assert [sample.group for sample in tree.read("test")] == ["seen", "unseen", "seen"]


def test_entries_of_a_tree_are_named_by_file_and_number(tree):
    assert [sample.name for sample in tree.read("train")] == [
        "1triples/1triples_Airport_train.xml/1",
        "2triples/2triples_City_train.xml/1",
    ]
    assert [sample.name for sample in tree.read("test")] == ["1", "2", "3"]


def test_test_set_may_lie_beside_the_trees_or_be_a_tree_itself(tree, tmp_path):
    before = tree.read("test")
    (tmp_path / "test" / "testdata_with_lex.xml").rename(tmp_path / "testdata_with_lex.xml")
    (tmp_path / "test" / "testdata_unseen_with_lex.xml").unlink()
    (tmp_path / "test").rmdir()
    assert tree.read("test") == before
    (tmp_path / "test" / "1triples").mkdir(parents=True)
    (tmp_path / "testdata_with_lex.xml").rename(tmp_path / "test" / "1triples" / "some.xml")
    assert [sample.source for sample in tree.read("test")] == [sample.source for sample in before]


def test_fingerprint_of_a_tree_follows_its_xml_files_and_their_names(tree, tmp_path):
    before = split_fingerprint(tree.config, "train")
    (tmp_path / "train" / "README.md").write_text("other")
    assert split_fingerprint(tree.config, "train") == before
    path = tmp_path / "train" / "1triples" / "1triples_Food_train.xml"
    path.rename(path.with_name("2.xml"))
    renamed = split_fingerprint(tree.config, "train")
    path.with_name("2.xml").write_text(as_xml(TRAIN[:1]), encoding="utf-8")
    assert len({before, renamed, split_fingerprint(tree.config, "train")}) == 3


def test_damaged_file_in_the_middle_of_a_tree_is_named_with_its_line_or_entry(tree, tmp_path):
    path = tmp_path / "train" / "1triples" / "1triples_Food_train.xml"
    text = as_xml(TRAIN[2:])
    path.write_text(text[: text.rindex("</benchmark>")], encoding="utf-8")
    assert refusal(tree).startswith(f"{path}, line {text.count(chr(10)) + 1}: not whole XML (")
    path.write_text(text.replace(' category="Food"', ""), encoding="utf-8")
    assert refusal(tree) == f"{path}, entry 1: no 'category'"
    path.write_text("")
    assert refusal(tree) == f"{path}: an empty file"


def test_tree_without_xml_files_or_without_a_good_text_is_refused(tree, tmp_path):
    for path in (tmp_path / "dev").rglob("*.xml"):
        path.write_text(as_xml(TRAIN[2:]), encoding="utf-8")
    assert re.match(
        rf"{tmp_path / 'dev'}, entry \dtriples/.+/1: no text \(en\) with comment=good", refusal(tree, "dev")
    )
    for path in (tmp_path / "dev").rglob("*.xml"):
        path.unlink()
    assert refusal(tree, "dev") == f"{tmp_path / 'dev'}: a folder without XML files"


def test_tree_and_file_of_the_same_split_are_refused_and_either_can_be_named(tree, tmp_path):
    (tmp_path / "train.json").write_text(as_json(TRAIN[:1]), encoding="utf-8")
    assert refusal(tree) == (
        f"task.files.train: found train.json, train in '{tmp_path}'; name one: task.files.train=train.json"
    )
    assert len(task_on(tmp_path, train="train.json").read("train")) == 1
    assert len(task_on(tmp_path, train="train/").read("train")) == 2


def test_folder_above_the_trees_is_told_what_it_holds(tree, tmp_path):
    (tmp_path / "dev").rename(tmp_path / "train" / "webnlg")
    message = refusal(task_on(tmp_path / "train"))
    assert f"and no folder of XML files in '{tmp_path / 'train'}'; " in message
    assert "webnlg" in message
