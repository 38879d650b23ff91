"""An odd record is left out in one line by every command, with its place and the reason, and hides no other one."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from helpers import handmade
from helpers.handmade import MINI, with_hash

from inducer_bench.cli import main
from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.report import store, tables
from inducer_bench.runs import record as records
from inducer_bench.runs.finished import open_run
from inducer_bench.runs.identity import recorded_hash
from inducer_bench.runs.run import run


def replaced(path, make):
    path.unlink()
    make(path)


def linked_to_itself(path):
    replaced(path, lambda path: path.symlink_to(path.name))


def linked_to_nothing(path):
    replaced(path, lambda path: path.symlink_to("gone"))


def without_headline(body):
    body["scores"]["f1"] = body["scores"].pop("accuracy")


def forged(change):
    """Change the values of a record and give it the checksum of the changed ones."""

    def forge(path):
        body = json.loads(path.read_text())
        del body["checksum"]
        change(body)
        checksum = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        path.write_text(json.dumps({**body, "checksum": checksum}))

    return forge


def without(*keys):
    def change(body):
        for key in keys[:-1]:
            body = body[key]
        del body[keys[-1]]

    return forged(change)


def having(value, *keys):
    def change(body):
        for key in keys[:-1]:
            body = body[key]
        body[keys[-1]] = value

    return forged(change)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


ODD = {
    "folder": (lambda path: replaced(path, lambda path: path.mkdir()), "cannot be read (not a regular file)"),
    "pipe": (lambda path: replaced(path, os.mkfifo), "cannot be read (not a regular file)"),
    "link to itself": (linked_to_itself, "cannot be read (Too many levels of symbolic links)"),
    "link to nothing": (linked_to_nothing, "a link to what is not there"),
    "empty": (lambda path: path.write_bytes(b""), "not a whole record"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-40]), "not a whole record"),
    "edited": (lambda path: path.write_bytes(path.read_bytes().replace(b"80.0", b"99.0")), "was edited"),
    "not UTF-8": (lambda path: path.write_bytes(b"\xff\xfe"), "not a whole record"),
    "deep": (lambda path: path.write_text("[" * 100_000), "not a whole record"),
    "list": (lambda path: path.write_text("[]"), "not a whole record"),
    "endless integer": (lambda path: path.write_text('{"seed": ' + "9" * 5000 + "}"), "not a whole record"),
    "NaN": (having(float("nan"), "scores", "accuracy", "value"), "not a whole record"),
    "schema 1": (having(1, "schema"), "found schema 1; allowed: 3, 4"),
    "schema 2": (having(2, "schema"), "found schema 2, of version 0.1.0"),
    "no schema": (without("schema"), "found schema None"),
    "no status": (without("status"), "status: missing"),
    "unknown status": (having("great", "status"), "status: found 'great'"),
    "failed with scores": (having("failed", "status"), "there is no such key"),
    "no configuration": (without("config"), "config: missing"),
    "configuration of text": (having("text", "config"), "config: found 'text'"),
    "section missing": (without("config", "trainer"), "config.trainer: missing"),
    "section of text": (having("text", "config", "task"), "config.task: missing, or without keys"),
    "metric of a number": (having(3, "config", "task", "metric"), "config.task.metric"),
    "nested configuration": (having(nested(300), "config", "task", "labels"), "recursion limit exceeded"),
    "other configuration": (having(0.5, "config", "trainer", "lr"), "config_hash: found"),
    "other data": (having("sha256:other", "data", "fingerprint"), "config_hash: found"),
    "other hash": (having("0" * 16, "config_hash"), "config_hash: found 0000000000000000"),
    "other seed": (having(7, "seed"), "seed: found 7; its configuration says 0"),
    "other suite": (having("full", "suite"), "suite: found full; its configuration says mini"),
    "other task": (having("../../evil", "task"), "task: found ../../evil; its configuration says sst2"),
    "other protocol": (having("clean", "protocol"), "protocol: found clean"),
    "no scores": (having({}, "scores"), "scores: found {}"),
    "score of text": (having("high", "scores", "accuracy", "value"), "scores.accuracy.value: found 'high'"),
    "headline missing": (forged(without_headline), "scores.accuracy: missing"),
    "time of text": (having("30", "train_seconds"), "train_seconds: found '30'"),
    "negative time": (having(-1.0, "train_seconds"), "train_seconds: found -1.0"),
    "negative steps": (having(-1, "steps"), "steps: found -1"),
    "endless steps": (having(10**400, "steps"), "steps"),
    "half a parameter": (having(0.5, "parameters", "method"), "parameters.method: found 0.5"),
    "best epoch beyond the last": (having(9, "best_epoch"), "best_epoch: found 9; the run has 3 epochs"),
    "no best epoch": (having(0, "best_epoch"), "best_epoch: found 0"),
    "epochs in disorder": (forged(lambda body: body["evaluations"].reverse()), "evaluations: allowed"),
    "evaluation without its epoch": (without("evaluations", 0, "epoch"), "evaluations: allowed"),
    "examples of train missing": (without("examples", "train"), "examples.train: missing"),
    "torch's version missing": (without("versions", "torch"), "versions.torch: missing"),
    "endless version": (having("1" * 5000, "code", "version"), "code.version"),
    "no checksums": (without("files"), "files: missing"),
    "checksum of a number": (having(3, "files", "predictions.jsonl.gz"), "files.predictions.jsonl.gz: found 3"),
    "unknown key": (having(1, "more"), "more: there is no such key"),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Two runs that differ in the seed."""
    root = tmp_path_factory.mktemp("whole")
    return root, [handmade.write_run(root, *MINI, "method=lora", seed=seed) for seed in (0, 1)]


@pytest.fixture
def two(whole, tmp_path):
    """The folder of two runs, that of the first, which is to be made odd, and that of the other."""
    root, folders = whole
    shutil.copytree(root, tmp_path / "runs")
    return tmp_path / "runs", *(tmp_path / "runs" / folder.relative_to(root) for folder in folders)


def assert_left_out(capsys, root, odd, other, part):
    found = store.load(root)
    assert [run.folder for group in found.groups for run in group.runs] == [other]
    assert len(found.left_out) == 1
    assert found.left_out[0].startswith(f"{odd / records.FILE}: ")
    assert part in found.left_out[0]
    assert main.main(["ls", "runs", "--runs", str(root)]) == 1
    left_out, listed = capsys.readouterr().out.splitlines()
    assert left_out == f"  left out     {found.left_out[0]}"
    assert str(other) in listed


@pytest.mark.parametrize("case", ODD)
def test_odd_record_is_left_out_in_one_line_and_hides_no_other(two, capsys, case):
    root, odd, other = two
    change, part = ODD[case]
    change(odd / records.FILE)
    assert_left_out(capsys, root, odd, other, part)
    with pytest.raises(UserError) as caught:  # as do predict, export and compare
        open_run(odd)
    assert part in str(caught.value)


def test_infinite_score_is_left_out(two, capsys):
    root, odd, other = two
    path = odd / records.FILE
    body = json.loads(path.read_text())
    del body["checksum"]
    body["scores"]["accuracy"]["value"] = float("inf")  # as json.loads reads 1e999
    checksum = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({**body, "checksum": checksum}).replace("Infinity", "1e999"))
    assert_left_out(capsys, root, odd, other, "not a whole record")


def test_copy_or_renamed_run_does_not_count_as_another(two, capsys):
    root, whole, _ = two
    copy = whole.with_name("copy")
    shutil.copytree(whole, copy)
    (root / "link").symlink_to(root / "sst2")
    found, left_out = records.find(root)
    assert [folder for folder, _ in found] == sorted(two[1:])
    assert len(left_out) == 4  # the copy, and all three once more through the link
    place = "/".join(whole.parts[-4:-1])
    assert all(f"a copy, or moved; the place of this run is '{place}" in line for line in left_out)
    assert open_run(copy).record == open_run(whole).record  # one that is named is wanted


def test_run_of_a_users_code_has_a_hash_that_nobody_can_check():
    config = {"task": {"name": "sst2", "kind": "classification", "metrics": ["my.metric"]}, "method": {"name": "lora"}}
    assert recorded_hash(config, 1, "data", "plm") is None


def test_numbers_beyond_all_measure_are_in_no_table(tmp_path):
    odd = handmade.write_run(tmp_path, *MINI, "method=lora", scores={"accuracy": 1.7e308})
    found = store.load(tmp_path)
    assert found.groups == []
    assert found.left_out == [f"{odd / records.FILE}: accuracy: found 1.7e+308; allowed in tables: up to 1e+100"]


@pytest.mark.parametrize("key", ["not a name", "class", "ranks"])
def test_options_that_cannot_be_those_of_a_method_from_outside_are_left_out(tmp_path, key):
    record = handmade.record_of(handmade.configuration((*MINI, "method=lora")))
    config = {**record.config, "method": {"name": "gone.away", key: 1}}
    handmade.write_run(tmp_path, *MINI, "method=lora", config=config, method="gone.away")
    (line,) = store.load(tmp_path).left_out
    assert f"(method.{key}: not the name of an option)" in line


def test_metric_from_outside_that_is_gone_leaves_out_its_runs_only(tmp_path):
    record = handmade.record_of(handmade.configuration((*MINI, "method=lora")))
    task = {**record.config["task"], "metrics": ["gone.away"], "metric": "gone.away"}
    handmade.write_run(tmp_path, *MINI, "method=lora", seed=1)
    handmade.write_run(
        tmp_path, *MINI, "method=lora", config={**record.config, "task": task}, scores={"gone.away": 1.0}
    )
    found = store.load(tmp_path)
    assert [len(group.runs) for group in found.groups] == [1]
    assert found.left_out[0].endswith("record.json: task.metrics: 'gone' cannot be imported (ModuleNotFoundError: No "
                                      "module named 'gone')")  # fmt: skip


def test_further_metric_from_outside_that_is_gone_is_shown_by_its_name(tmp_path):
    record = handmade.record_of(handmade.configuration((*MINI, "method=lora")))
    task = {**record.config["task"], "metrics": ["accuracy", "gone.away"]}
    scores = {"accuracy": 70.0, "gone.away": 12.5}
    handmade.write_run(tmp_path, *MINI, "method=lora", config={**record.config, "task": task}, scores=scores)
    found = store.load(tmp_path)
    assert found.left_out == []
    (table,) = tables.build(found, [], "runs")
    cells = {column.label: cell.shown()[0] for column, cell in zip(table.columns, table.rows[0].cells, strict=True)}
    assert (cells["accuracy"], cells["gone.away"]) == ("70.0", "12.5")


@pytest.mark.parametrize(
    ("words", "metrics", "left"),
    [
        (MINI, ["accuracy", "gone.away"], "accuracy"),
        (MINI, ["gone.away"], "accuracy"),
        (("preset=mini", "task=stsb", "suite=full", "plm=roberta-base"), ["gone.away"], "pearson"),
        (("preset=mini", "task=webnlg"), ["gone.away"], "bleu"),
        (("preset=mini", "task=coqa"), ["gone.away"], "f1"),
    ],
)
def test_run_whose_metric_from_outside_is_gone_is_opened_without_it(tmp_path, words, metrics, left):
    words = (*words, "method=lora")
    record = handmade.record_of(handmade.configuration(words))
    task = {**record.config["task"], "metrics": metrics, "metric": "gone.away"}
    scores = {left: 70.0, "gone.away": 12.5}
    folder = handmade.write_run(tmp_path, *words, config={**record.config, "task": task}, scores=scores)
    opened = open_run(folder)
    assert (opened.config.task.metrics, opened.config.task.metric) == ([left], left)
    assert opened.record.config["task"]["metric"] == "gone.away"


def test_runs_of_a_folder_above_or_below_are_told_of_in_a_line(tmp_path, monkeypatch):
    for seed in (0, 1):
        folder = handmade.write_run(tmp_path / "runs" / "first", *MINI, "method=lora", seed=seed)
    handmade.write_run(tmp_path / "runs", *MINI, "method=bitfit")
    own = tmp_path / "runs" / "first"

    def left_out(root):
        found, lines = records.find(root)
        return len(found), lines

    told = f"{own}: another folder of runs, 2 in number; to read them: --runs {own}"
    assert left_out(tmp_path / "runs") == (1, [told])
    assert left_out(own) == (2, [])
    (tmp_path / "link").symlink_to(own / "sst2")
    for below in (own / "sst2", own / "sst2" / "mini_roberta" / "lora", tmp_path / "link"):
        assert left_out(below) == (0, [told])
    monkeypatch.chdir(own / "sst2")
    assert left_out(Path()) == (0, [told])
    monkeypatch.chdir(folder)
    assert left_out(Path()) == (0, [told.replace("2 in", "1 in")])
    assert left_out(Path("..")) == (0, [told])
    monkeypatch.chdir(tmp_path)
    assert left_out(Path("runs")) == (1, [told.replace(str(own), "runs/first")])


def test_name_of_another_folder_of_runs_is_safe_to_print_and_to_paste(tmp_path):
    handmade.write_run(tmp_path / "my \x1b[31mruns", *MINI, "method=lora")
    ((line,), found) = records.find(tmp_path)[::-1]
    assert found == []
    assert "\x1b" not in line
    assert "--runs '" in line


def test_what_is_no_run_of_this_package_is_passed_over_and_so_are_folders_that_vanish(tmp_path, monkeypatch):
    handmade.write_run(tmp_path, *MINI, "method=lora")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "record.json").write_text("{}")
    scandir = os.scandir

    def vanished(path):
        if str(path).endswith("other"):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return scandir(path)

    assert records.find(tmp_path)[1] == []
    monkeypatch.setattr(os, "scandir", vanished)
    found, left_out = records.find(tmp_path)
    assert len(found) == 1
    assert all("other: cannot be read" in line for line in left_out)


def test_folder_that_cannot_be_read_is_told_and_hides_no_other(two, monkeypatch):
    root, *_ = two
    (root / "closed").mkdir()
    listed = type(root).iterdir

    def iterdir(folder):
        if folder.name == "closed":  # the tests may run as root, who may read everything
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(type(root), "iterdir", iterdir)
    found, left_out = records.find(root)
    assert [folder for folder, _ in found] == sorted(two[1:])
    assert left_out == [f"{root / 'closed'}: cannot be read (Permission denied)"]


@pytest.mark.parametrize("command", [["ls", "runs"], ["tables"]])
def test_folder_of_runs_that_is_none_is_refused(command, capsys, tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        assert main.main([*command, "--runs", str(path)]) == 2
        line = f"inducer-bench: --runs: found '{path}', which is not a folder; allowed: the output_dir of runs\n"
        assert capsys.readouterr().err == line


def test_escape_sequences_of_a_record_are_shown_and_not_obeyed(tmp_path, capsys):
    scores = {"accuracy": 80.0, "\x1b]0;evil\x07\u202e": 1.0}
    handmade.write_run(tmp_path, *MINI, "method=lora", scores=scores)
    assert main.main(["ls", "runs", "--runs", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert r"\x1b]0;evil\x07\u202e 1.00" in shown
    assert shown.removesuffix("\n").isprintable()


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.write_text("{"), os.mkfifo])
def test_record_that_cannot_be_read_is_never_overwritten(overrides, make):
    config = compose([*overrides, "trainer.epochs=0"])
    with pytest.MonkeyPatch.context() as here:
        here.setattr("inducer_bench.runs.run._guarded", lambda config, identity, folder, show: folder)
        folder = run(config)
    make(folder / records.FILE)
    before = os.lstat(folder / records.FILE)
    with pytest.raises(UserError, match="move the folder away to run again"):
        run(config)
    assert os.lstat(folder / records.FILE) == before


def test_record_of_another_run_does_not_stand_for_this_one(overrides):
    config = compose([*overrides, "trainer.epochs=0"])
    with pytest.MonkeyPatch.context() as here:
        here.setattr("inducer_bench.runs.run._guarded", lambda config, identity, folder, show: folder)
        folder = run(config)
    records.write(folder, with_hash(handmade.record_of(config)))
    with pytest.raises(UserError, match="a copy, or moved"):
        run(config)
