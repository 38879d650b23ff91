"""A search that is damaged, or contradicts the records of its runs, is left out in a line and hides no other one."""

import dataclasses
import json

import pytest
from helpers import handmade
from helpers.handmade import MINI
from helpers.searches import tune

from inducer_bench.cli.main import main
from inducer_bench.report import store, studies
from inducer_bench.runs import record as records
from inducer_bench.search import record as searches

LORA, BITFIT = (*MINI, "method=lora"), (*MINI, "method=bitfit")


def load(root):
    return studies.load(root, store.load(root))


def labels(found):
    return [method.label for study in found for method in study.methods]


def changed(folder, **changes):
    """Write a search with other values, as sound as any."""
    searches.write(folder, dataclasses.replace(searches.read(folder), **changes))


def trial_of(folder, number, **changes):
    trials = searches.read(folder).trials
    trials[number] = dataclasses.replace(trials[number], **changes)
    changed(folder, trials=trials, winner=None, finals=[])


def folder_of(root, run):
    (found,) = root.glob(f"sst2/*/*/{run}")
    return found


def test_searches_of_one_study_are_together_by_label(tmp_path):
    tune(tmp_path, *LORA)
    tune(tmp_path, *BITFIT)
    found, left_out = load(tmp_path)
    assert left_out == []
    assert [[method.label for method in study.methods] for study in found] == [["BitFit", "LoRA"]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder, root: (folder / searches.FILE).write_text("{"), "not a whole record"),
        (lambda folder, root: trial_of(folder, 0, run="a" * 16), "trials.0: its run aaaaaaaaaaaaaaaa is not there"),
        (lambda folder, root: trial_of(folder, 2, score=99.0), "trials.2.score: found 99.0; its run "),
        (lambda folder, root: trial_of(folder, 2, settings={"trainer.lr": 1.0}), "trials.2: found trainer.lr=1.0; its"),
        (lambda folder, root: trial_of(folder, 2, score=1e200), "trials.2: found numbers beyond 1e+100"),
        (lambda folder, root: trial_of(folder, 2, seconds=1e200), "trials.2: found numbers beyond 1e+100"),
        (lambda folder, root: changed(folder, config={**searches.read(folder).config, "more": 1}), "another release"),
        (
            lambda folder, root: changed(
                folder, finals=[dataclasses.replace(run, seed=run.seed + 7) for run in searches.read(folder).finals]
            ),
            "is a trial, or of another seed than 8",
        ),
        (
            lambda folder, root: changed(
                folder, finals=[searches.FinalRun(seed=0, run=searches.read(folder).trials[2].run)]
            ),
            "is a trial, or of another seed than 0",
        ),
        (lambda folder, root: changed(folder, finals=searches.read(folder).untuned), "finals.0: found trainer.lr="),
        (
            lambda folder, root: changed(
                folder, untuned=searches.read(next(root.glob("searches/*/*/bitfit/*"))).finals
            ),
            "method: found lora; its run ",
        ),
    ],
)  # fmt: skip
def test_odd_search_is_left_out_in_a_line(tmp_path, change, told):
    tune(tmp_path, *BITFIT)
    folder = tune(tmp_path, *LORA, tried=(70.0, 75.0, 80.0), untuned=(60.0, 61.0))
    change(folder, tmp_path)
    found, left_out = load(tmp_path)
    assert labels(found) == ["BitFit"]
    (line,) = left_out
    assert line.startswith(f"{folder / searches.FILE}: ")
    assert told in line


def test_search_whose_trial_has_a_damaged_record_is_left_out_beside_it(tmp_path, capsys):
    folder = tune(tmp_path / "runs", *LORA)
    path = folder_of(tmp_path / "runs", searches.read(folder).trials[0].run) / records.FILE
    path.write_text("{")
    assert main(["tables", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"left out: {path}: not a whole record")
    assert second.startswith(f"left out: {folder / searches.FILE}: trials.0: its run ")


def test_trial_that_ended_after_the_search_was_written_is_not_odd(tmp_path):
    folder = tune(tmp_path, *LORA, tried=(70.0, 75.0, 80.0))
    trial_of(folder, 2, score=None, status="planned")
    found, left_out = load(tmp_path)
    assert left_out == []
    (method,) = found[0].methods
    assert [trial.status for trial in method.search.trials] == ["done"] * 3
    assert method.search.trials[2].score == 80.0
    assert method.missing() == "no winner yet"


@pytest.mark.parametrize("status", ["failed", "oom"])
def test_trial_that_failed_and_ran_again_leaves_the_winner_open(tmp_path, status):
    folder = tune(tmp_path, *LORA, tried=(70.0, 75.0, status))
    before = searches.read(folder)
    (method,) = load(tmp_path)[0][0].methods
    assert (method.search, method.missing()) == (before, None)
    record = folder_of(tmp_path, before.trials[2].run) / records.FILE
    again = tune(tmp_path / "again", *LORA, tried=(70.0, 75.0, 80.0))
    done = folder_of(tmp_path / "again", searches.read(again).trials[2].run)
    assert done.name == record.parent.name
    text = record.read_text()
    other = handmade.record_of(handmade.configuration((*LORA, "protocol=clean")), status="interrupted")
    read = records.read(record.parent)
    for status_now in ("interrupted", "oom", "failed"):
        records.write(record.parent, dataclasses.replace(read, status=status_now, error=other.error))
        found, left_out = load(tmp_path)
        again = ["LoRA (2 of 3 trials)"] if status_now == "interrupted" else []
        assert (left_out, found[0].missing()) == ([], again)
    record.write_text(text)
    record.unlink()  # someone removed it
    found, left_out = load(tmp_path)
    assert (left_out, found[0].missing()) == ([], ["LoRA (2 of 3 trials)"])
    for path in done.iterdir():
        (record.parent / path.name).write_bytes(path.read_bytes())
    found, left_out = load(tmp_path)
    assert (left_out, found[0].missing()) == ([], ["LoRA (no winner yet)"])
    assert [trial.score for trial in found[0].first.trials] == [70.0, 75.0, 80.0]


def test_trial_without_a_score_to_select_by_failed(tmp_path):
    folder = tune(tmp_path, *LORA, tried=(70.0, 75.0))
    run = folder_of(tmp_path, searches.read(folder).trials[0].run)
    records.write(run, dataclasses.replace(records.read(run), selection_score=None))
    trial_of(folder, 0, score=None, status="failed")
    assert load(tmp_path)[1] == []


def test_searches_on_random_weights_show_nothing(tmp_path):
    tune(tmp_path, *LORA, "plm.weights=random")
    assert load(tmp_path) == ([], [])


def test_method_whose_module_is_gone_keeps_its_search(tmp_path):
    folder = tune(tmp_path, *LORA, tried=("failed", "failed"))
    search = searches.read(folder)
    config = {**search.config, "method": {"name": "gone.away", "value": 1}}
    record = handmade.record_of(handmade.configuration((*LORA, "protocol=clean")), status="failed")
    trials = []
    for trial in search.trials:
        trainer = {**record.config["trainer"], "lr": trial.settings["trainer.lr"]}
        values = {**record.config, "seed": trial.number, "method": config["method"], "trainer": trainer}
        run = handmade.write_run(tmp_path, *LORA, status="failed", config=values, method="gone.away",
                                 protocol="clean", seed=trial.number)  # fmt: skip
        trials.append(dataclasses.replace(trial, run=run.name))
    own = tmp_path / "searches" / "sst2" / "mini_roberta" / "gone.away" / search.id
    own.mkdir(parents=True)
    searches.write(own, dataclasses.replace(search, method="gone.away", config=config, trials=trials, choice="mine"))
    found, left_out = load(tmp_path)
    assert left_out == []
    assert labels(found) == ["LoRA", "mine"]


def test_folder_of_searches_that_cannot_be_read_is_told_once(tmp_path, capsys):
    handmade.write_run(tmp_path / "runs", *LORA)
    (tmp_path / "runs" / "searches").write_text("")
    assert main(["tables", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("left out: ") == 1


def test_a_task_may_be_called_searches(tmp_path):
    config = handmade.record_of(handmade.configuration(LORA)).config
    values = json.loads(json.dumps(config))
    values["task"]["name"] = "searches"
    handmade.write_run(tmp_path, *LORA, config=values, task="searches")
    assert [group.config.task.name for group in store.load(tmp_path).groups] == ["searches"]
    assert load(tmp_path) == ([], [])
