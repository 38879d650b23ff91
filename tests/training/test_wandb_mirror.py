"""Weights & Biases mirrors a run; whatever it does, no number and no exit code changes."""

import dataclasses
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import handmade

from inducer_bench import hub, notices
from inducer_bench.cli.main import main
from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.options import typed
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import setting_key
from inducer_bench.runs.run import run
from inducer_bench.runs.several import run_all
from inducer_bench.training import wandb_mirror
from inducer_bench.training.mirrors import open_mirrors
from inducer_bench.training.options import TrackerOptions
from inducer_bench.training.sink import Start

ROW = {"event": "train", "step": 2, "loss": 0.5, "lr": 1e-3}
DONE = {"accuracy": 75.0, "parameters": {"method": 12}}
START = {"run_id": "abc", "name": "sst2/lora/0", "group": "full/sst2/plm/lora/0", "config": {"seed": 0}}


def opened(tracker, folder, **changes):
    """The mirrors of a run."""
    return open_mirrors(tracker, Start(folder, **{**START, **changes}))


def told_of(tracker, folder, **changes):
    """The mirrors of a run that has ended, after one row."""
    mirrors = opened(tracker, folder, **changes)
    mirrors.log(ROW)
    mirrors.finish(DONE)


class FakeRun:
    """Notes what it is told; `breaks` names the calls that fail."""

    def __init__(self, *breaks):
        self.breaks = breaks
        self.rows, self.exit_codes, self.attempts = [], [], 0
        self.summary = {}

    def log(self, row, step):
        self.attempts += 1
        if "log" in self.breaks:
            raise ConnectionError("the network is gone")
        self.rows.append((step, row))

    def finish(self, exit_code):
        self.attempts += 1
        if "finish" in self.breaks:
            raise RuntimeError("the network is gone")
        self.exit_codes.append(exit_code)


@pytest.fixture
def fake_wandb(monkeypatch):
    """Stands in for the package; notes the arguments of `init`."""

    def put(run=None, error=None):
        calls = []

        def init(**arguments):
            calls.append(arguments)
            if error is not None:
                raise error
            return run

        monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init, Settings=lambda **settings: settings))
        return calls

    return put


@pytest.fixture
def tracker():
    return compose(["tracker=wandb"]).tracker


def test_rows_are_named_by_their_event_and_keep_their_step(fake_wandb, tracker, tmp_path):
    fake = FakeRun()
    fake_wandb(fake)
    told_of(tracker, tmp_path)
    assert fake.rows == [(2, {"train/loss": 0.5, "train/lr": 1e-3})]
    assert ROW["event"] == "train"


def test_finished_run_leaves_its_scores_and_a_clean_exit_code(fake_wandb, tracker, tmp_path):
    fake = FakeRun()
    fake_wandb(fake)
    told_of(tracker, tmp_path)
    assert fake.summary == {"accuracy": 75.0, "parameters": {"method": 12}}
    assert fake.exit_codes == [0]


def test_run_that_did_not_finish_is_marked_as_failed(fake_wandb, tracker, tmp_path):
    fake = FakeRun()
    fake_wandb(fake)
    opened(tracker, tmp_path).finish(None)
    assert fake.summary == {}
    assert fake.exit_codes == [1]


def test_first_failure_is_told_once_and_the_rest_is_silence(fake_wandb, tracker, tmp_path, capsys, caplog):
    fake = FakeRun("log")
    fake_wandb(fake)
    mirrors = opened(tracker, tmp_path)
    for _ in range(3):
        mirrors.log(ROW)
    mirrors.finish(DONE)
    assert fake.attempts == 1
    told = "Weights & Biases is left out from here on: the network is gone"
    assert capsys.readouterr().err == f"inducer-bench: {told}\n"
    assert [record.message for record in caplog.records] == [told], "and the log of the run has it"


def test_failing_end_is_swallowed(fake_wandb, tracker, tmp_path):
    fake = FakeRun("finish")
    fake_wandb(fake)
    told_of(tracker, tmp_path)
    assert fake.attempts == 2  # the row, and the end


def test_without_a_tracker_wandb_is_never_imported(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    told_of(compose(["tracker=none"]).tracker, tmp_path)
    assert capsys.readouterr().err == ""  # a failed import would be told


LEFT_OUT = "inducer-bench: Weights & Biases is left out, nothing is mirrored: "
ERRORS = {
    "no server": RuntimeError("no server"),
    "too slow": TimeoutError("too slow"),
    "1 error base_url not an address": ValueError(
        "1 error\nbase_url\n  not an address [type=url_parsing, input_value=x]\n"
    ),
    "SystemExit": SystemExit(),
}


@pytest.mark.parametrize("reason", ERRORS)
def test_failing_start_is_told_in_one_line_and_gives_a_silent_mirror(fake_wandb, tracker, tmp_path, capsys, reason):
    fake_wandb(error=ERRORS[reason])
    told_of(tracker, tmp_path)
    assert capsys.readouterr().err == f"{LEFT_OUT}{reason}\n"


def test_missing_package_is_told_and_gives_a_silent_mirror(monkeypatch, tracker, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    told_of(tracker, tmp_path)
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(LEFT_OUT)


@pytest.mark.parametrize(
    "address", ["http://[", "http://x:99999999", "nonsense", "http://x:0", "http://a..b", "", "  "]
)
def test_nonsense_for_the_address_of_the_server_fails_nothing(fake_wandb, monkeypatch, tracker, tmp_path, address):
    monkeypatch.setenv("WANDB_BASE_URL", address)
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    if not address:
        monkeypatch.setattr(hub, "reachable", lambda url: url != "https://api.wandb.ai")
    calls = fake_wandb(FakeRun())
    told_of(tracker, tmp_path)
    assert [call["mode"] for call in calls] == ["offline"]


@pytest.mark.parametrize("what", ["latin-1", "folder", "pipe", "no home"])
def test_netrc_that_cannot_be_read_holds_no_key(fake_wandb, monkeypatch, tracker, tmp_path, what):
    netrc = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(netrc))
    if what == "latin-1":
        netrc.write_bytes("machine api.example login müller password x".encode("latin-1"))
    elif what == "folder":
        netrc.mkdir()
    elif what == "pipe":
        os.mkfifo(netrc)
    else:
        monkeypatch.delenv("NETRC")
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    calls = fake_wandb(FakeRun())
    told_of(tracker, tmp_path)
    assert [call["mode"] for call in calls] == ["offline"]


NAMES = ["team/project", "a\\b", "a#b", "a?b", "a%b", "a:b", "", " ", "a ", "x" * 129, "a\nb"]


@pytest.mark.parametrize("key", ["project", "entity"])
@pytest.mark.parametrize("name", NAMES)
def test_name_that_wandb_does_not_take_is_bad_input(key, name):
    with pytest.raises(UserError, match=rf"^tracker\.{key}: found '.*'; allowed: .* none of / \\ # \? % :$"):
        typed(TrackerOptions, {"name": "wandb", "project": "p", "entity": None, "mode": "auto", key: name}, "tracker")


@pytest.mark.parametrize("name", ["x" * 128, "a b", "Übung-1.2_3", "名"])
def test_other_names_are_taken(name):
    values = {"name": "wandb", "project": name, "entity": name, "mode": "auto"}
    assert typed(TrackerOptions, values).project == name


def test_absolute_paths_of_the_configuration_stay_at_home(fake_wandb, tracker, tmp_path):
    calls = fake_wandb(FakeRun())
    config = {"plm": {"path": "/home/me/plm", "name": "a/b"}, "list": ["~/x", "y", 3, None], "output_dir": "runs/a"}
    told_of(tracker, tmp_path, config=config)
    sent = {"plm": {"path": "plm", "name": "a/b"}, "list": ["x", "y", 3, None], "output_dir": "runs/a"}
    assert calls[0]["config"] == sent


@pytest.mark.parametrize(
    ("mode", "key", "network", "expected"),
    [
        ("auto", True, True, "online"), ("auto", False, True, "offline"), ("auto", True, False, "offline"),
        ("offline", True, True, "offline"), ("online", False, False, "online"),
    ],
)  # fmt: skip
def test_mirror_is_online_only_with_key_and_network_unless_told(
    fake_wandb, monkeypatch, tmp_path, mode, key, network, expected
):
    if key:
        monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setattr(hub, "reachable", lambda url: network)
    calls = fake_wandb(FakeRun())
    told_of(compose(["tracker=wandb", f"tracker.mode={mode}"]).tracker, tmp_path)
    assert [call["mode"] for call in calls] == [expected]
    assert calls[0]["id"] == "abc", "a resumed run goes on in the same place"


def test_start_and_end_wait_only_so_long(fake_wandb, tracker, tmp_path):
    settings = fake_wandb(FakeRun())
    told_of(tracker, tmp_path)
    assert 0 < settings[0]["settings"]["init_timeout"] <= 60
    assert 0 < settings[0]["settings"]["finish_timeout"] <= 120


def test_key_is_found_in_the_environment_or_in_netrc(monkeypatch, tmp_path):
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert not wandb_mirror.has_key()
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert wandb_mirror.has_key()
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert wandb_mirror.has_key()


def logged(folder):
    """The records of the one offline run below `folder`, by kind, as W&B's own reader prints them."""
    import wandb

    wandb.teardown()  # as at the end of a process: its service writes what it still holds
    (run,) = folder.glob("wandb/offline-run-*")
    program = Path(sys.executable).with_name("wandb")
    command = [program, "leet", "inspect", "--json", run]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    found = {}
    for line in map(json.loads, lines):
        found.setdefault(line["type"], []).append(line[line["type"]])
    return found


def test_offline_run_reads_back_as_the_local_files(tiny_run, tmp_path):
    config = compose([
        *tiny_run, "trainer.epochs=2", "trainer.log_every=1", f"output_dir={tmp_path}",
        "tracker=wandb", "tracker.mode=offline",
    ])  # fmt: skip
    folder = run(config).folder
    record, found = records.read(folder), logged(folder)
    told = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    sent = {}
    for entry in found["history"]:
        sent.setdefault(entry["item"]["_step"], {}).update(entry["item"])
    assert {row["event"] for row in told} == {"train", "evaluation"}
    for row in told:
        for name in row.keys() - {"event", "step"}:
            assert sent[row["step"]][f"{row['event']}/{name}"] == row[name]
    (start,) = found["run"]
    another_seed = setting_key(dataclasses.replace(config, seed=config.seed + 1))
    assert start["run_id"] == record.config_hash
    assert start["run_group"] == f"full/sst2/tiny_roberta/inducer/{another_seed[:8]}"
    sent_config = {key: value for key, value in start["config"]["update"].items() if key != "_wandb"}
    assert sent_config["trainer"] == record.config["trainer"]
    assert sent_config["plm"]["path"] == Path(record.config["plm"]["path"]).name
    summary = {name: value for entry in found["summary"] for name, value in entry["update"].items()}
    assert {name: summary[name] for name in record.scores} == {
        name: score.value for name, score in record.scores.items()
    }
    assert summary["parameters"] == dataclasses.asdict(record.parameters)
    assert found["exit"][0]["exit_code"] == 0
    assert "artifact" not in found, "a run's files stay in its folder"
    (written,) = folder.glob("wandb/offline-run-*/*.wandb")
    content = written.read_bytes()
    private = (socket.gethostname(), sys.executable, sys.prefix, str(tmp_path), str(Path.cwd()), tempfile.gettempdir())
    assert [word for word in private if re.search(rb"\b" + re.escape(word.encode()) + rb"\b", content)] == []
    assert [path.name for path in folder.glob("wandb/offline-run-*/files/*")] == []


def test_seeds_side_by_side_are_mirrored_one_by_one(tiny_run, tmp_path):
    overrides = [*tiny_run, "trainer.epochs=1", "trainer.log_every=1", f"output_dir={tmp_path}", "seeds=2"]
    folders = [outcome.folder for outcome in run_all(compose([*overrides, "tracker=wandb", "tracker.mode=offline"]))]
    for folder in folders:
        found = logged(folder)
        assert [start["run_id"] for start in found["run"]] == [folder.name]
        told = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        sent = [entry["item"]["train/loss"] for entry in found["history"] if "train/loss" in entry["item"]]
        assert sent == [row["loss"] for row in told if row["event"] == "train"]
        assert found["exit"][0]["exit_code"] == 0


def test_tables_are_one_artifact_that_holds_every_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    handmade.write_run(tmp_path / "runs", "preset=mini", "task=sst2", "method=lora", "trainer.epochs=9")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "notes.txt").write_text("the user's own")
    assert main(["tables", "--wandb", "inducer-bench"]) == ExitCode.DONE
    (artifact,) = logged(tmp_path)["artifact"]
    assert (artifact["name"], artifact["type"]) == ("tables", "tables")
    held = {entry["path"] for entry in artifact["manifest"]["contents"]}
    assert held == set((tmp_path / "tables" / ".written").read_text().splitlines())
    assert "index.html" in held


def test_failing_tracker_changes_no_table_and_no_exit_code(fake_wandb, tmp_path, capsys):
    handmade.write_run(tmp_path / "runs", "preset=mini", "task=sst2", "method=lora", "trainer.epochs=9")

    def page(name, *more):
        assert main(["tables", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / name), *more]) == ExitCode.DONE
        return (tmp_path / name / "index.html").read_bytes()

    plain = page("plain")
    for error in (RuntimeError("no server"), TimeoutError("too slow")):
        notices.TERMINAL.told.clear()
        fake_wandb(error=error)
        assert page(type(error).__name__, "--wandb", "x") == plain
        assert f"{LEFT_OUT}{error}\n" in capsys.readouterr().err


def test_mirror_that_fails_everywhere_changes_no_number_and_is_told_once(fake_wandb, tiny_run, tmp_path, capsys):
    def outcome(name, *overrides):
        result = run(
            compose([
                *tiny_run, "trainer.epochs=1", "trainer.log_every=1",
                f"output_dir={tmp_path / name}", *overrides,
            ])
        )  # fmt: skip
        record = records.read(result.folder)
        files = [(result.folder / file).read_bytes() for file in ("metrics.jsonl", "predictions.jsonl.gz")]
        return result.code, result.folder.name, record.scores, record.losses, files

    fake = FakeRun("log", "finish")
    calls = fake_wandb(fake)
    plain = outcome("plain")
    assert calls == []
    assert outcome("mirrored", "tracker=wandb") == plain
    assert (len(calls), fake.attempts) == (1, 1)
    assert capsys.readouterr().err.count("Weights & Biases is left out") == 1
    assert next((tmp_path / "mirrored").rglob("log.txt")).read_text().count("Weights & Biases is left out") == 1
    fake_wandb(error=RuntimeError("no server"))
    assert outcome("without", "tracker=wandb") == plain
    assert plain[0] == ExitCode.DONE
