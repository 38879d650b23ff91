"""Whatever a tracker does, no number and no exit code changes, and nothing waits for long; what it keeps is right."""

import dataclasses
import json
import sys
import time
from pathlib import Path

import pytest

from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import canonical
from inducer_bench.runs.run import run
from inducer_bench.runs.several import run_all
from inducer_bench.training import mirrors
from inducer_bench.training.mirrors import TITLES, open_mirrors
from inducer_bench.training.sink import Start

ROW = {"event": "train", "step": 2, "loss": 0.5, "lr": 1e-3}
DONE = {"accuracy": 75.0, "parameters": {"method": 12}}
START = {"run_id": "abc", "name": "sst2/lora/0", "group": "full/sst2/plm/lora/0", "config": {"seed": 0}}


class Sink:
    """Stands in for a tracker, which fails in the named way in the named place."""

    calls: list[str]

    def __init__(self, place, how, calls):
        self.place, self.how, self.calls = place, how, calls
        self.call("start")

    def call(self, name):
        self.calls.append(name)
        if name == self.place:
            self.how()

    def log(self, row, step):
        self.call("log")

    def finish(self, summary):
        self.call("finish")


def raises():
    raise RuntimeError("the disk is full\nof cats")


def exits():
    raise SystemExit


def hangs():
    time.sleep(60)


def is_slow():
    time.sleep(0.2)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(mirrors, "_HUNG", set())


@pytest.fixture
def put(monkeypatch):
    """Put a stand-in into the place of every tracker; returns the list of its calls."""

    def put(place, how, seconds=5.0):
        calls = []
        monkeypatch.setattr(mirrors, "_sink", lambda *_: Sink(place, how, calls))
        monkeypatch.setattr(mirrors, "END_SECONDS", seconds)
        return calls

    return put


def outcome(overrides, folder, *more):
    """What must not depend on a tracker."""
    result = run(compose([*overrides, "trainer.epochs=1", "trainer.log_every=1", f"output_dir={folder}", *more]))
    record = records.read(result.folder)
    files = [(result.folder / file).read_bytes() for file in ("metrics.jsonl", "predictions.jsonl.gz")]
    return result.code, result.folder.name, record.scores, record.losses, record.evaluations, files


@pytest.fixture(scope="module")
def plain(tiny_run, tmp_path_factory):
    return outcome(tiny_run, tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize(
    ("place", "how"),
    [
        ("start", raises), ("log", raises), ("finish", raises), ("start", exits), ("start", hangs), ("log", hangs),
        ("finish", hangs), ("log", is_slow),
    ],
)  # fmt: skip
def test_tracker_that_fails_or_hangs_changes_no_number_and_no_exit_code(
    put, tiny_run, tmp_path, plain, place, how, capsys
):
    put(place, how, seconds=0.3 if how is hangs else 5.0)
    began = time.monotonic()
    assert outcome(tiny_run, tmp_path, "tracker=tensorboard") == plain
    assert time.monotonic() - began < 50, "and does not wait for it"
    told = [line for line in capsys.readouterr().err.splitlines() if "TensorBoard" in line]
    assert len(told) == (how is not is_slow), told


@pytest.mark.parametrize("name", TITLES)
@pytest.mark.parametrize("how", ["absent", "half installed"])
def test_tracker_whose_package_is_absent_or_broken_is_told_in_a_line(name, how, tmp_path, monkeypatch, capsys):
    module = {"wandb": "wandb", "tensorboard": "torch.utils.tensorboard.writer", "trackio": "trackio"}[name]
    for loaded in [each for each in sys.modules if each.startswith(f"inducer_bench.training.{name}_mirror")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None if how == "absent" else type(sys)(module))
    each = open_mirrors(compose([f"tracker={name}"]).tracker, Start(tmp_path, **START))
    each.log(ROW)
    each.finish(DONE)
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"inducer-bench: {TITLES[name]} is left out, nothing is mirrored: ")
    if how == "absent" and name != "wandb":
        assert told.endswith(f"; pip install 'inducer-bench[{name}]'")


def test_rows_do_not_wait_for_a_slow_tracker_and_come_in_their_order(monkeypatch, tmp_path):
    rows = []

    class Slow(Sink):
        def log(self, row, step):
            time.sleep(0.02)
            rows.append(step)

    monkeypatch.setattr(mirrors, "_sink", lambda *_: Slow("", raises, []))
    each = open_mirrors(compose(["tracker=trackio"]).tracker, Start(tmp_path, **START))
    began = time.monotonic()
    for step in range(20):
        each.log({**ROW, "step": step})
    assert time.monotonic() - began < 0.2
    each.finish(DONE)
    assert rows == list(range(20))


def test_later_runs_do_without_a_tracker_that_hung(put, tmp_path):
    calls = put("finish", hangs, seconds=0.1)
    tracker = compose(["tracker=trackio", "tracker.also=[tensorboard]"]).tracker
    for _ in range(3):
        open_mirrors(tracker, Start(tmp_path, **START)).finish(DONE)
    assert calls.count("finish") == 2, "one of each tracker"


def test_one_tracker_that_fails_leaves_the_others_alone(monkeypatch, tmp_path, capsys):
    calls = {"trackio": [], "wandb": []}
    monkeypatch.setattr(mirrors, "_sink", lambda name, *_: Sink("log" if name == "wandb" else "", raises, calls[name]))
    each = open_mirrors(compose(["tracker=wandb", "tracker.also=[trackio,wandb]"]).tracker, Start(tmp_path, **START))
    for _ in range(2):
        each.log(ROW)
    each.finish(DONE)
    assert calls == {"trackio": ["start", "log", "log", "finish"], "wandb": ["start", "log"]}
    told = "Weights & Biases is left out from here on: the disk is full of cats"
    assert capsys.readouterr().err == f"inducer-bench: {told}\n"


def test_trackers_are_no_part_of_the_hash():
    configs = [
        compose(overrides)
        for overrides in ([], ["tracker=tensorboard"], ["tracker=trackio", "tracker.also=[wandb]", "tracker.project=p"])
    ]
    assert all(canonical(config) == canonical(configs[0]) for config in configs)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["tracker=tensorbord"], "tracker: unknown 'tensorbord'; did you mean 'tensorboard'?"),
        (["tracker.also=[mlflow]"], r"tracker\.also\.0: found 'mlflow'; .*allowed: wandb, tensorboard, trackio"),
    ],
)
def test_unknown_tracker_is_bad_input(overrides, message):
    with pytest.raises(UserError, match=message):
        compose(overrides)


# -- what the trackers keep --------------------------------------------------------------------------------------------


def scalars(folder):
    """What TensorBoard's own reader finds in a run's folder: tag -> step -> value; and its hyper-parameters."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    values = {tag: {event.step: event.value for event in found.Scalars(tag)} for tag in found.Tags()["scalars"]}
    raw = found.summary_metadata.get("_hparams_/session_start_info")
    start = HParamsPluginData.FromString(raw.plugin_data.content).session_start_info if raw else None
    return values, {} if start is None else dict(start.hparams)


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_tensorboard_has_every_row_the_scores_and_the_configuration(tiny_run, tmp_path, plain):
    assert outcome(tiny_run, tmp_path, "tracker=tensorboard") == plain
    (file,) = tmp_path.rglob("record.json")
    record = records.read(file.parent)
    values, hyper_parameters = scalars(file.parent)
    for row in rows(file.parent):
        for name in row.keys() - {"event", "step"}:
            assert values[f"{row['event']}/{name}"][row["step"]] == pytest.approx(row[name], rel=1e-6)
    for name, score in record.scores.items():
        assert values[f"scores/{name}"] == {record.steps: pytest.approx(score.value, rel=1e-6)}
    assert hyper_parameters["trainer.lr"].number_value == record.config["trainer"]["lr"]
    assert hyper_parameters["method.name"].string_value == "inducer"
    assert hyper_parameters["parameters.method"].number_value == record.parameters.method
    assert hyper_parameters["plm.path"].string_value == Path(record.config["plm"]["path"]).name, "no folder of mine"


def test_tensorboard_hides_what_an_interrupted_run_wrote_too_many(tmp_path):
    def written(steps, summary):
        each = open_mirrors(compose(["tracker=tensorboard"]).tracker, Start(tmp_path, **START))
        for step, loss in steps:
            each.log({**ROW, "step": step, "loss": loss})
        each.finish(summary)

    written([(1, 0.9), (2, 0.8), (3, 0.7), (4, 0.6)], None)
    time.sleep(1.1)  # files are read in the order of their seconds
    written([(3, 0.5), (4, 0.4)], DONE)
    values, _ = scalars(tmp_path)
    assert values["train/loss"] == pytest.approx({1: 0.9, 2: 0.8, 3: 0.5, 4: 0.4})


def test_trackio_has_every_row_the_scores_and_the_configuration_of_each_of_several_seeds(tiny_run, tmp_path, capsys):
    from trackio.sqlite_storage import SQLiteStorage

    overrides = [*tiny_run, "trainer.epochs=1", "trainer.log_every=1", f"output_dir={tmp_path}", "seeds=2"]
    outcomes = run_all(compose([*overrides, "tracker=trackio", "tracker.project=seeds"]))
    assert "rackio" not in capsys.readouterr().out, "stdout is for scripts"
    names = SQLiteStorage.get_runs("seeds")
    assert len(names) == 2
    for each in outcomes:
        record = each.record
        (name,) = [name for name in names if name.endswith(each.folder.name)]
        assert name == f"sst2/inducer/{record.seed}/{record.config_hash}"
        sent = {}
        for entry in SQLiteStorage.get_logs("seeds", name):
            sent.setdefault(entry["step"], {}).update(entry)
        for row in rows(each.folder):
            for key in row.keys() - {"event", "step"}:
                assert sent[row["step"]][f"{row['event']}/{key}"] == row[key]
        for score, found in record.scores.items():
            assert sent[record.steps][f"scores/{score}"] == found.value
        config = SQLiteStorage.get_run_config("seeds", name)
        assert config["trainer"] == record.config["trainer"]
        assert config["plm"]["path"] == Path(record.config["plm"]["path"]).name
        assert sent[record.steps]["scores/parameters"] == dataclasses.asdict(record.parameters)
