"""A record has the checksums of what its run left; a file that is gone or damaged is told, and never used."""

import hashlib
import json
import shutil

import pytest

from inducer_bench.cli import main
from inducer_bench.config.compose import compose
from inducer_bench.report import store
from inducer_bench.runs import record as records
from inducer_bench.runs.run import run

FILES = {"metrics.jsonl", "predictions.jsonl.gz", "adapter/adapter.json", "adapter/adapter.safetensors"}


@pytest.fixture(scope="module")
def finished(tiny_run, tmp_path_factory):
    """A finished run of seconds: its overrides and its folder."""
    root = tmp_path_factory.mktemp("finished")
    overrides = [*tiny_run, "task.max_eval=8", "trainer.epochs=1", "trainer.device=cpu", "method.r_k=4"]
    return overrides, run(compose([*overrides, f"output_dir={root}"])).folder


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the run in an output folder of its own, and its configuration there."""
    overrides, original = finished
    folder = tmp_path / "runs" / original.relative_to(original.parents[3])
    shutil.copytree(original, folder)
    return folder, compose([*overrides, f"output_dir={tmp_path / 'runs'}"])


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def line_of(capsys, code, *arguments):
    assert main.main([*map(str, arguments)]) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    return captured.err


def test_record_has_the_checksum_of_every_file_that_the_run_left(finished):
    folder = finished[1]
    found = records.read(folder).files
    assert found == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    others = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - FILES
    assert others <= {"record.json", "config.yaml", "log.txt", ".lock"}


def test_finished_run_that_is_whole_is_skipped_without_a_word(copy):
    outcome = run(copy[1])
    assert (outcome.status, outcome.code) == ("skipped", 0)
    assert outcome.message == f"already done: {outcome.record.headline()}"


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.unlink(), "missing"),
        (damage, "damaged, its sha256 is not that of the record"),
        (lambda path: path.write_bytes(b""), "damaged, its sha256 is not that of the record"),
        (lambda path: (path.unlink(), path.mkdir()), "not a file"),
    ],
    ids=["gone", "damaged", "empty", "folder"],
)
def test_finished_run_whose_files_are_not_whole_says_so_and_its_scores_stand(copy, name, change, told):
    folder, config = copy
    change(folder / name)
    outcome = run(config)
    assert (outcome.status, outcome.code) == ("skipped", 0)
    scores = outcome.record.headline()
    assert outcome.message == f"already done: {scores}; {told}: {name}; to make them again, move the folder away"


def test_finished_run_without_its_adapter_is_listed_as_any_other(copy, capsys):
    folder, config = copy
    shutil.rmtree(folder / "adapter")
    assert "missing: adapter/adapter.json, adapter/adapter.safetensors" in run(config).message
    assert main.main(["ls", "runs", "--runs", str(folder.parents[3])]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert store.load(folder.parents[3]).left_out == []


@pytest.mark.parametrize("name", ["adapter/adapter.json", "adapter/adapter.safetensors"])
def test_model_is_not_made_of_a_damaged_adapter(copy, name, tmp_path, capsys):
    folder, _ = copy
    (tmp_path / "new.jsonl").write_text('{"sentence": "a delight"}\n')
    damage(folder / name)
    for command in (["predict", folder, "--input", tmp_path / "new.jsonl"], ["export", folder, tmp_path / "out"]):
        assert f"{folder / name}: damaged" in line_of(capsys, 2, *command)
    (folder / name).unlink()
    for command in (["predict", folder, "--input", tmp_path / "new.jsonl"], ["export", folder, tmp_path / "out"]):
        assert f"{folder / name}: missing" in line_of(capsys, 2, *command)
    assert not (tmp_path / "out").exists()


def test_damaged_predictions_are_not_compared(copy, finished, capsys):
    folder, _ = copy
    damage(folder / "predictions.jsonl.gz")
    assert f"{folder / 'predictions.jsonl.gz'}: damaged" in line_of(capsys, 2, "compare", folder, finished[1])


def test_record_of_schema_3_has_no_checksums_and_is_read_without_loss(copy):
    folder, config = copy
    record = records.read(folder)
    body = json.loads((folder / "record.json").read_text())
    for key in ("checksum", "files"):
        del body[key]
    body["schema"] = 3
    checksum = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    (folder / "record.json").write_text(json.dumps({**body, "checksum": checksum}))
    found = records.read(folder)
    assert found.files == {}
    assert {**vars(found), "files": record.files} == vars(record)
    assert run(config).message == f"already done: {record.headline()}"
    shutil.rmtree(folder / "adapter")
    assert "missing: adapter/adapter.safetensors, adapter/adapter.json" in run(config).message
