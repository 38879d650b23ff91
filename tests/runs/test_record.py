"""A record is complete and checksummed, or not there; damaged ones are refused."""

import errno
import json
import os

import pytest

from inducer_bench.errors import UserError
from inducer_bench.runs import record as records

DONE = {
    "status": "done",
    "scores": {"accuracy": {"value": 93.75, "signature": "accuracy|percent"}},
    "dev_loss": 0.1 + 0.2,
    "evaluations": [{"epoch": 1, "loss": 1e-300}],
    "best": None,
    "name": "naïve – ok",
}


def damage(folder, change):
    path = folder / records.FILE
    path.write_bytes(change(path.read_bytes()))


def refusal(folder):
    with pytest.raises(UserError) as caught:
        records.read(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_record_is_read_as_it_was_written(tmp_path):
    records.write(tmp_path, DONE)
    assert records.read(tmp_path) == {"schema": records.SCHEMA, **DONE}


def test_keys_that_json_turns_into_strings_do_not_spoil_the_checksum(tmp_path):
    records.write(tmp_path, {"status": "done", "by_epoch": {10: 0.5, 9: 0.25}, "pair": (1, 2)})
    assert records.read(tmp_path)["by_epoch"] == {"10": 0.5, "9": 0.25}


def test_folder_without_a_record_has_none(tmp_path):
    assert records.read(tmp_path) is None
    assert records.read(tmp_path / "nowhere") is None


def test_record_cut_anywhere_is_refused(tmp_path):
    records.write(tmp_path, DONE)
    whole = (tmp_path / records.FILE).read_bytes()
    for size in range(len(whole) - 2):  # its last two bytes are the closing brace and a line end
        (tmp_path / records.FILE).write_bytes(whole[:size])
        assert "not a whole record" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"93.75", b"94.75"), (b'"done"', b'"failed"'), (b"0.30000000000000004", b"0.3"), (b'"best": null,', b"")],
)
def test_edited_record_is_refused(tmp_path, old, new):
    records.write(tmp_path, DONE)
    damage(tmp_path, lambda content: content.replace(old, new))
    assert "was edited" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"null", b'"text"', b"{}", b"\xff\xfe", b'{"status": "done"}'])
def test_file_that_is_no_record_is_refused(tmp_path, content):
    (tmp_path / records.FILE).write_bytes(content)
    assert refusal(tmp_path).startswith(f"{tmp_path / records.FILE}: not a whole record")


def test_layout_of_the_file_is_free(tmp_path):
    records.write(tmp_path, DONE)
    damage(tmp_path, lambda content: json.dumps(json.loads(content)).encode())
    assert records.read(tmp_path)["scores"] == DONE["scores"]


def test_record_of_another_schema_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "SCHEMA", 99)
    records.write(tmp_path, DONE)
    monkeypatch.undo()
    assert refusal(tmp_path).endswith(f"found schema 99; allowed: {records.SCHEMA}")


def test_full_disk_leaves_the_earlier_record(tmp_path, monkeypatch):
    records.write(tmp_path, {**DONE, "status": "interrupted"})

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        records.write(tmp_path, DONE)
    monkeypatch.undo()
    assert records.read(tmp_path)["status"] == "interrupted"


def test_value_that_json_cannot_hold_leaves_the_earlier_record(tmp_path):
    records.write(tmp_path, DONE)
    with pytest.raises(TypeError):
        records.write(tmp_path, {"status": object()})
    assert records.read(tmp_path)["status"] == "done"


def test_find_lists_run_folders_and_nothing_else(tmp_path):
    runs = [tmp_path / "sst2" / "gpt2" / method / "abc" for method in ("lora", "inducer")]
    for folder in [*runs, tmp_path / "too" / "shallow", tmp_path / "sst2" / "gpt2" / "lora" / "abc" / "deeper"]:
        folder.mkdir(parents=True, exist_ok=True)
        records.write(folder, DONE)
    (tmp_path / "sst2" / "gpt2" / "inducer" / "unfinished").mkdir()
    assert records.find(tmp_path) == sorted(runs)
    assert records.find(tmp_path / "nowhere") == []


def test_headline_shows_scores_of_a_finished_run_and_the_status_of_others():
    values = {"accuracy": 93.754, "f1_unseen": None, "f1": 90.0, "em": 1.0, "bleu": 2.0}
    scores = {name: {"value": value} for name, value in values.items()}
    several = {"status": "done", "config": {"task": {"metric": "f1"}}, "scores": scores}
    assert records.headline(several) == "f1 90.00  f1_unseen -  accuracy 93.75  bleu 2.00  and 1 more"
    assert records.headline({"status": "oom"}) == "oom"
