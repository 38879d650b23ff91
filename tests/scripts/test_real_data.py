"""The development split of CoQA: so many dialogues of each source, no passage on both sides, in the official layout."""

import gzip
import json

import pytest

from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.tasks.coqa import read_dialogues
from scripts.evidence.real_data import COPIED, COQA, main, official, parts


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


def test_a_second_time_gives_the_same_folder_and_what_was_linked_there_is_left_alone(tmp_path, capsys):
    data, out = tmp_path / "data", tmp_path / "out"
    copied = {f"{task}/{file}": source for task, files in COPIED.items() for file, source in files.items()}
    for source in copied.values():
        (data / source).parent.mkdir(parents=True, exist_ok=True)
        (data / source).write_text(source)
    (data / "coqa").mkdir()
    (data / "coqa/dev.jsonl.gz").write_bytes(gzip.compress(json.dumps(dialogue("a")).encode()))
    (out / "sst2").mkdir(parents=True)
    (out / "sst2/dev.tsv").symlink_to(data / "sst2/dev.tsv")
    for _ in range(2):
        main([str(data), str(out)])
        assert {target: (out / target).read_text() for target in copied} == copied
    assert not any(path.is_symlink() for path in out.rglob("*"))
    assert (data / "sst2/dev.tsv").read_text() == "sst2/dev.tsv"
    assert f"task=mrpc task.data_dir={out / 'mrpc'}\n" in capsys.readouterr().out


def test_a_task_that_lacks_a_file_is_left_out_and_one_has_to_be_there(tmp_path, capsys):
    data, out = tmp_path / "data", tmp_path / "out"
    with pytest.raises(UserError, match=r"^DOWNLOADED: '.*' has the files of no task"):
        main([str(data), str(out)])
    (data / "sst2").mkdir(parents=True)
    for split in ("train", "dev"):
        (data / f"sst2/{split}.tsv").write_text(split)
    (data / "glue/mrpc").mkdir(parents=True)
    (data / "glue/mrpc/train.jsonl.gz").touch()
    capsys.readouterr()
    main([str(data), str(out)])
    told = capsys.readouterr()
    assert told.out == f"task=sst2 task.data_dir={out / 'sst2'}\n"
    assert f"mrpc: not made, there is no {data / 'glue/mrpc/dev.jsonl.gz'}\n" in told.err
    assert [path.name for path in out.iterdir()] == ["sst2"]
