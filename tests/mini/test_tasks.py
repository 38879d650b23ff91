"""The files of the pairs, the triples and the dialogues: their layout, their splits, and that they take reading."""

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from inducer_bench.mini import suite
from inducer_bench.mini.claims import loosened
from inducer_bench.mini.entries import SEEN, UNSEEN
from inducer_bench.mini.facts import KINDS, PROPERTIES, random_record
from inducer_bench.mini.pairs import MATCHED, MISMATCHED
from inducer_bench.mini.prose import documents
from inducer_bench.mini.world import names

DATA = Path(__file__).parents[2].parent / "shared" / "data"
HYPOTHESIS_CEILING, PAIR_CEILING = 0.52, 0.8  # accuracy; one in three by chance
Entry = dict[str, Any]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INDUCER_BENCH_CACHE", str(folder))
        for task in ("mnli", "webnlg", "coqa"):
            suite.data_dir(task)
    return next(folder.iterdir())


def pairs(cache: Path, split: str) -> list[dict[str, str]]:
    header, *lines = (cache / "mnli" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


def entries(cache: Path, split: str) -> list[Entry]:
    content = json.loads((cache / "webnlg" / f"{split}.json").read_text(encoding="utf-8"))
    return [entry for wrapped in content["entries"] for entry in wrapped.values()]


def dialogues(cache: Path, split: str) -> list[Entry]:
    return json.loads((cache / "coqa" / f"coqa-{split}-v1.0.json").read_text(encoding="utf-8"))["data"]


def test_the_files_are_the_same_in_every_process(cache: Path, tmp_path: Path):
    program = "from inducer_bench.mini import suite; [suite.data_dir(task) for task in ('mnli', 'webnlg', 'coqa')]"
    env = {**os.environ, "INDUCER_BENCH_CACHE": str(tmp_path), "PYTHONHASHSEED": "5"}
    subprocess.run([sys.executable, "-c", program], check=True, env=env)

    def digests(root: Path) -> dict[str, str]:
        return {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in root.rglob("*.*") if file.is_file()
        }

    assert len(digests(cache)) == 8
    assert digests(next(tmp_path.iterdir())) == digests(cache)


# ---- pairs ----


def test_pairs_are_balanced_in_three_splits(cache: Path):
    for split, count, genres in (
        ("train", suite.MNLI_TRAIN, MATCHED),
        ("dev_matched", suite.MNLI_DEV, MATCHED),
        ("dev_mismatched", suite.MNLI_DEV, MISMATCHED),
    ):
        rows = pairs(cache, split)
        assert {row["genre"] for row in rows} == set(genres)
        labels = Counter(row["gold_label"] for row in rows)
        assert labels.keys() == {"entailment", "neutral", "contradiction"}
        assert labels.total() == count
        assert max(labels.values()) - min(labels.values()) <= 1


def test_no_premise_occurs_twice(cache: Path):
    premises = [row["sentence1"] for split in ("train", "dev_matched", "dev_mismatched") for row in pairs(cache, split)]
    assert len(set(premises)) == len(premises)


def test_neither_the_hypothesis_nor_shared_words_tell_the_label(cache: Path):
    train, dev = pairs(cache, "train"), pairs(cache, "dev_matched")
    labels, wanted = ([row["gold_label"] for row in rows] for rows in (train, dev))
    for n in (1, 2):
        model = make_pipeline(CountVectorizer(ngram_range=(1, n)), LogisticRegression(max_iter=2_000))
        model.fit([row["sentence2"] for row in train], labels)
        assert model.score([row["sentence2"] for row in dev], wanted) < HYPOTHESIS_CEILING
    model = make_pipeline(CountVectorizer(token_pattern=r"\S+"), LogisticRegression(C=0.1, max_iter=2_000))
    model.fit([overlap(row) for row in train], labels)
    assert 0.5 < model.score([overlap(row) for row in dev], wanted) < PAIR_CEILING


def overlap(row: dict[str, str]) -> str:
    """The words of a pair, marked by where they occur."""
    premise, hypothesis = (re.findall(r"\w+", row[side].lower()) for side in ("sentence1", "sentence2"))
    marks = [f"premise_{word}" for word in premise]
    marks += [f"{'both' if word in premise else 'new'}_{word}" for word in hypothesis]
    marks += ["all_shared"] * set(hypothesis).issubset(premise)
    return " ".join(marks)


def test_pairs_have_the_columns_that_readers_of_glue_look_for(cache: Path):
    assert list(pairs(cache, "train")[0]) == ["index", "genre", "sentence1", "sentence2", "gold_label"]


def test_a_year_loosens_to_its_decade_and_a_person_to_a_woman_or_a_man():
    assert loosened("1984", "{s} came out in {o}") == "the 1980s"
    assert loosened("1984", "{p} year of birth is {o}") is None
    assert {loosened(name, "{o} wrote {m}") for name in names("person", labelled=True)} == {"a woman", "a man"}
    assert loosened("Oakbridge", "{s} is set in {o}") is None


# ---- triples ----


def test_entries_have_the_published_layout(cache: Path):
    path = DATA / "webnlg2017" / "test.json.gz"
    if not path.exists():
        pytest.skip(f"needs {path}")
    real = next(iter(json.loads(gzip.decompress(path.read_bytes()))["entries"][0].values()))
    for split in ("train", "dev", "test"):
        for entry in entries(cache, split):
            assert same_shape(entry, real)


def same_shape(ours: Any, real: Any) -> bool:
    """Whether two JSON values have the same types, and the same keys at every level."""
    if isinstance(real, dict):
        return ours.keys() == real.keys() and all(same_shape(ours[key], real[key]) for key in real)
    if isinstance(real, list):
        return isinstance(ours, list) and all(same_shape(item, real[0]) for item in ours if real)
    return type(ours) is type(real)


def test_entries_are_as_many_as_planned_and_half_of_test_is_of_unseen_categories(cache: Path):
    seen, unseen = {kind.capitalize() for kind in SEEN}, {kind.capitalize() for kind in UNSEEN}
    for split, (of_seen, of_unseen) in suite.WEBNLG_SIZES.items():
        categories = Counter(entry["category"] for entry in entries(cache, split))
        assert sum(categories[name] for name in seen) == of_seen
        assert sum(categories[name] for name in unseen) == of_unseen
        assert categories.total() == of_seen + of_unseen


def test_entries_have_one_to_four_triples_and_one_to_three_texts(cache: Path):
    for split in ("train", "dev", "test"):
        rows = entries(cache, split)
        assert {len(entry["modifiedtripleset"]) for entry in rows} == {1, 2, 3, 4}
        assert {len(entry["lexicalisations"]) for entry in rows} == {1, 2, 3}
        assert all(entry["lexicalisations"][0]["comment"] == "good" for entry in rows)
        comments = Counter(text["comment"] for entry in rows for text in entry["lexicalisations"])
        assert 0 < comments["toFix"] < 0.1 * comments["good"]


def test_no_subject_and_object_of_train_come_together_again(cache: Path):
    held = {
        split: {(t["subject"], t["object"]) for entry in entries(cache, split) for t in entry["modifiedtripleset"]}
        for split in ("train", "dev", "test")
    }
    assert held["train"].isdisjoint(held["dev"] | held["test"])
    assert held["dev"].isdisjoint(held["test"])


def test_every_good_text_names_every_subject_and_object(cache: Path):
    for entry in entries(cache, "train"):
        names = {t[side].replace("_", " ") for t in entry["modifiedtripleset"] for side in ("subject", "object")}
        for text in entry["lexicalisations"]:
            if text["comment"] == "good":
                assert all(name in text["lex"] for name in names), text["lex"]


# ---- dialogues ----


def test_dialogues_have_the_published_layout(cache: Path):
    for split in ("train", "dev"):
        path = DATA / "coqa" / "official_format_sample" / f"coqa-{split}-v1.0.json"
        if not path.exists():
            pytest.skip(f"needs {path}")
        real = json.loads(path.read_text(encoding="utf-8"))["data"][0]
        assert all(same_shape(dialogue, real) for dialogue in dialogues(cache, split))


def test_dialogues_have_four_to_eight_numbered_turns(cache: Path):
    for split, count in suite.COQA_SIZES.items():
        rows = dialogues(cache, split)
        assert len(rows) == len({row["id"] for row in rows}) == count
        for row in rows:
            turns = [turn["turn_id"] for turn in row["questions"]]
            assert turns == list(range(1, len(turns) + 1))
            assert 4 <= len(turns) <= 8
            for answers in (row["answers"], *row.get("additional_answers", {}).values()):
                assert [answer["turn_id"] for answer in answers] == turns


def test_rationales_stand_where_they_say(cache: Path):
    for row in dialogues(cache, "dev"):
        for answer in row["answers"]:
            span = row["story"][answer["span_start"] : answer["span_end"]]
            known = answer["input_text"] != "unknown"
            assert (span == answer["span_text"]) if known else (answer["span_start"] == answer["span_end"] == -1)


def test_answers_are_of_all_sorts_and_annotators_differ(cache: Path):
    rows = dialogues(cache, "dev")
    given = Counter(answer["input_text"] for row in rows for answer in row["answers"])
    for short in ("yes", "no", "unknown"):
        assert 0.03 < given[short] / given.total() < 0.25
    assert any(row["answers"] != row["additional_answers"]["0"] for row in rows)


def test_an_answer_cannot_be_remembered(cache: Path):
    """The same question about a thing of the same name has different answers in train and dev."""
    known = {
        turns[0]["input_text"]: row["answers"][0]["input_text"]
        for row in dialogues(cache, "train") for turns in [row["questions"]]
    }  # fmt: skip
    asked = [(row["questions"][0]["input_text"], row["answers"][0]["input_text"]) for row in dialogues(cache, "dev")]
    again = [(question, answer) for question, answer in asked if question in known]
    assert sum(known[question] == answer for question, answer in again) <= 0.3 * max(len(again), 10)


# ---- facts ----


def test_things_outside_the_labelled_sets_bear_other_names(cache: Path):
    labelled = {t["subject"].replace("_", " ") for entry in entries(cache, "test") for t in entry["modifiedtripleset"]}
    text = "\n".join(documents(1, 3_000, reviews=0.1))
    assert len(labelled) > 50
    assert not [name for name in labelled if re.search(rf"\b{name}( (is|was|has|lies|plays|stars)|'s) ", text)]


def test_no_labelled_pair_text_or_passage_is_in_the_unlabelled_text(cache: Path):
    unlabelled = set(documents(1, 10_000, reviews=0.1))
    sentences = {sentence for text in unlabelled for sentence in re.findall(r"[^.?]+[.?]", text)}
    premises = {row["sentence1"] for split in ("train", "dev_matched") for row in pairs(cache, split)}
    references = {text["lex"] for entry in entries(cache, "test") for text in entry["lexicalisations"]}
    stories = {row["story"] for row in dialogues(cache, "dev")}
    assert sentences.isdisjoint(premises | references)
    assert not [story for story in stories if story in unlabelled]


def test_a_record_has_a_fact_for_every_property_of_its_kind():
    for kind, properties in KINDS.items():
        record = random_record(Random(1), kind, labelled=True)
        assert [fact.property.name for fact in record.facts] == list(properties)
        assert len({fact.object for fact in record.facts} | {record.name}) == len(properties) + 1


def test_every_property_can_be_joined_to_another():
    for prop in PROPERTIES.values():
        assert any(template.startswith("{s} ") for template in prop.says), prop.name
