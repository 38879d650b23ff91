"""A record is complete, typed and checksummed, or not there; bad ones are named in one line."""

import dataclasses
import errno
import hashlib
import json
import os
import subprocess
import sys

import pytest
from helpers.handmade import configuration, record_of, with_hash, write_run

from inducer_bench.errors import UserError
from inducer_bench.metrics.score import Score
from inducer_bench.runs import record as records
from inducer_bench.runs.record import FinishedRecord, Record

SCORES = {"accuracy": Score(value=93.75, signature="accuracy|percent")}


def record(status="done", **changes):
    own = {"command": "naïve – ok"}
    if status == "done":
        own |= {"scores": SCORES, "losses": {"dev": 0.1 + 0.2}, "evaluations": [{"epoch": 1, "loss": 1e-300}]}
        own |= {"best_epoch": 1, "files": {"predictions.jsonl.gz": 64 * "0"}}
    handmade = record_of(configuration(("preset=mini", "task=sst2")), status=status)
    return with_hash(dataclasses.replace(handmade, **{**own, **changes}))


def damage(folder, change):
    path = folder / records.FILE
    path.write_bytes(change(path.read_bytes()))


def rewrite(folder, change):
    """Change the values of a record and give it a valid checksum."""
    body = json.loads((folder / records.FILE).read_text())
    del body["checksum"]
    change(body)
    checksum = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    (folder / records.FILE).write_text(json.dumps({**body, "checksum": checksum}))


def refusal(folder):
    with pytest.raises(UserError) as caught:
        records.read(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_record_is_read_as_it_was_written(tmp_path):
    records.write(tmp_path, record())
    found = records.read(tmp_path)
    assert isinstance(found, FinishedRecord)
    assert found == record()


@pytest.mark.parametrize("status", ["failed", "interrupted", "oom"])
def test_record_of_a_run_that_is_not_done_has_no_scores(status, tmp_path):
    records.write(tmp_path, record(status))
    found = records.read(tmp_path)
    assert type(found) is Record
    assert found == record(status)
    assert not hasattr(found, "scores")


def test_file_is_flat_and_has_the_fields_as_keys(tmp_path):
    records.write(tmp_path, record())
    keys = json.loads((tmp_path / records.FILE).read_text()).keys()
    assert keys - {"schema", "checksum"} == {field.name for field in dataclasses.fields(FinishedRecord)}


def test_keys_that_json_turns_into_strings_do_not_spoil_the_checksum(tmp_path):
    records.write(tmp_path, record(config={**record().config, "by_epoch": {10: 0.5, 9: 0.25}, "pair": (1, 2)}))
    assert records.read(tmp_path).config["by_epoch"] == {"10": 0.5, "9": 0.25}


def test_folder_without_a_record_has_none(tmp_path):
    assert records.read(tmp_path) is None
    assert records.read(tmp_path / "nowhere") is None


def test_record_cut_anywhere_is_refused(tmp_path):
    records.write(tmp_path, record())
    whole = (tmp_path / records.FILE).read_bytes()
    for size in range(len(whole) - 2):  # its last two bytes are the closing brace and a line end
        (tmp_path / records.FILE).write_bytes(whole[:size])
        assert "not a whole record" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"93.75", b"94.75"), (b'"done"', b'"failed"'), (b"0.30000000000000004", b"0.3"), (b'"error": null,', b"")],
)
def test_edited_record_is_refused(tmp_path, old, new):
    records.write(tmp_path, record())
    damage(tmp_path, lambda content: content.replace(old, new))
    assert "was edited" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"null", b'"text"', b"{}", b"\xff\xfe", b'{"status": "done"}'])
def test_file_that_is_no_record_is_refused(tmp_path, content):
    (tmp_path / records.FILE).write_bytes(content)
    assert refusal(tmp_path).startswith(f"{tmp_path / records.FILE}: not a whole record")


def test_layout_of_the_file_is_free(tmp_path):
    records.write(tmp_path, record())
    damage(tmp_path, lambda content: json.dumps(json.loads(content)).encode())
    assert records.read(tmp_path).scores == SCORES


def test_record_of_another_schema_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "SCHEMA", 99)
    records.write(tmp_path, record())
    monkeypatch.undo()
    assert refusal(tmp_path).endswith("found schema 99; allowed: 3, 4")


def test_record_of_version_0_1_0_says_what_to_do(tmp_path):
    records.write(tmp_path, record())
    rewrite(tmp_path, lambda body: body.update(schema=2))
    assert refusal(tmp_path) == (
        f"{tmp_path / records.FILE}: found schema 2, of version 0.1.0; allowed: 3, 4; run the same command again "
        "with this version, or read the record with version 0.1.0"
    )


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda body: body.pop("seed"), "seed: missing"),
        (lambda body: body["parameters"].pop("plm"), "parameters.plm: missing"),
        (lambda body: body.update(train_seconds="30"), "train_seconds: found '30'; allowed: a number"),
        (lambda body: body["scores"]["accuracy"].update(value="high"), "scores.accuracy.value: found 'high'"),
        (lambda body: body.update(status="finished"), "status: found 'finished'; "),
        (lambda body: body.update(extra=1), "extra: there is no such key"),
        (lambda body: body.update(confusion={"dev": [[1, 2]]}), "confusion.dev: allowed: a row and a column for each"),
        (lambda body: body.update(confusion={"dev": [[-1]]}), "confusion.dev.0.0: found -1; allowed: greater than"),
    ],
)
def test_bad_key_of_a_record_is_named(tmp_path, change, line):
    records.write(tmp_path, record())
    rewrite(tmp_path, change)
    assert refusal(tmp_path).startswith(f"{tmp_path / records.FILE}: {line}")


def test_full_disk_leaves_the_earlier_record(tmp_path, monkeypatch):
    records.write(tmp_path, record("interrupted"))

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        records.write(tmp_path, record())
    monkeypatch.undo()
    assert records.read(tmp_path).status == "interrupted"


@pytest.mark.parametrize(("value", "error"), [(object(), TypeError), (float("nan"), ValueError)])
def test_value_that_json_cannot_hold_leaves_the_earlier_record(tmp_path, value, error):
    records.write(tmp_path, record())
    with pytest.raises(error):
        records.write(tmp_path, dataclasses.replace(record(), config={"value": value}))
    assert records.read(tmp_path) == record()


def test_find_lists_run_folders_and_nothing_else(tmp_path):
    runs = [write_run(tmp_path, "preset=mini", "task=sst2", f"method={method}") for method in ("lora", "inducer")]
    for folder in (tmp_path / "too" / "shallow", runs[0] / "deeper"):
        folder.mkdir(parents=True)
        records.write(folder, record())
    (tmp_path / "sst2" / "mini_roberta" / "inducer" / "unfinished").mkdir()
    assert records.find(tmp_path) == ([(folder, records.read(folder)) for folder in sorted(runs)], [])


def test_headline_shows_scores_of_a_finished_run_and_the_status_of_others():
    values = {"accuracy": 93.754, "f1_unseen": None, "f1": 90.0, "em": 1.0, "bleu": 2.0}
    scores = {name: Score(value=value, signature=name) for name, value in values.items()}
    several = dataclasses.replace(record(), config={"task": {"metric": "f1"}}, scores=scores)
    assert several.headline() == "f1 90.0  f1_unseen -  accuracy 93.8  bleu 2.0  and 1 more"
    assert record("oom").headline() == "oom"


def test_reading_a_record_imports_no_torch(tmp_path):
    records.write(tmp_path, record())
    program = "import sys; from pathlib import Path; from inducer_bench.runs import record;"
    program += "print(record.read(Path(sys.argv[1])).status, 'torch' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert process.stdout == "done False\n"
