"""The development split of CoQA: so many dialogues of each source, no passage on both sides, in the official layout."""

import json

from inducer_bench.config.compose import compose
from inducer_bench.tasks.coqa import read_dialogues
from scripts.evidence.real_data import COQA, official, parts


def dialogue(name, source="cnn", story=None):
    story = f"{name} sat on a mat." if story is None else story
    answers = {"input_text": ["a cat", "unknown"], "answer_start": [0, -1], "answer_end": [5, -1]}
    return {"id": name, "source": source, "story": story, "questions": ["Who sat?", "Why?"], "answers": answers}


def test_twenty_dialogues_of_each_source_are_scored_and_no_passage_is_on_both_sides():
    same = [dialogue(f"same{n}", "race", story="An equal story.") for n in range(9)]
    given = [*[dialogue(f"{source}{n}", source) for n in range(40) for source in ("cnn", "race")], *same]
    train, scored = parts(given)
    assert [sum(one["source"] == source for one in scored) for source in ("cnn", "race")] == [20, 20]
    assert not {one["story"] for one in train} & {one["story"] for one in scored}
    assert sorted(map(given.index, [*train, *scored])) == [*range(len(given))]
    assert scored == sorted(scored, key=given.index)
    assert parts(given[::-1])[1] == scored[::-1], "the order of the file decides nothing"
    assert [given.index(one) for one in scored] != [*range(40)]


def test_what_is_written_is_read_as_coqa_under_another_name(tmp_path):
    for split in ("train", "dev"):
        (tmp_path / f"{split}.json").write_bytes(official([dialogue("a"), dialogue("b")]))
    task = compose([*(word.replace("'", "") for word in COQA), f"task.data_dir={tmp_path}"]).task
    first, _ = read_dialogues(task, "dev")
    assert (first.name, first.source, first.references) == ("a", "cnn", (("a cat",), ("unknown",)))
    assert task.name == "coqa_dev_split"
    answers = json.loads((tmp_path / "dev.json").read_text())["data"][0]["answers"]
    assert [answer["span_text"] for answer in answers] == ["a sat", "unknown"]
