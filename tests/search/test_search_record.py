"""The record of a search is complete, typed and checksummed, or not there; bad ones are left out in one line."""

import dataclasses
import hashlib
import json

import pytest
from helpers.handmade import MINI, configuration, record_of
from helpers.searches import final_runs, search_in, search_of, space, trials

from inducer_bench.errors import UserError
from inducer_bench.search import record as searches
from inducer_bench.search.record import FILE, Dimension

LORA = (*MINI, "method=lora")


def forged(path, *keys, value):
    """Change a value and give the file the checksum of what it then holds."""
    body = json.loads(path.read_text())
    del body["checksum"]
    inner = body
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    checksum = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({**body, "checksum": checksum}))


def test_search_is_read_as_it_was_written(tmp_path):
    search = search_of(configuration(LORA), (70.0, "failed", 80.0, None), finals=final_runs(["a", "b"]))
    folder = search_in(tmp_path, *LORA, scores=(70.0, "failed", 80.0, None), finals=final_runs(["a", "b"]))
    assert searches.read(folder) == search
    assert searches.find(tmp_path) == ([(folder, search)], [])
    assert search.winner == 2


def test_of_equal_trials_the_one_with_the_lower_loss_is_better():
    """A score of 0 for every trial, as where all predict one class, says nothing about their learning rates."""
    found = [
        dataclasses.replace(trial, loss=loss)
        for trial, loss in zip(
            trials([0.0, 0.0, 0.0, 5.0, "failed", 0.0]), [0.61, None, 0.59, 0.7, None, 0.59], strict=True
        )
    ]
    assert [trial.number for trial in searches.best_of(found, better=1)] == [3, 2, 5, 0, 1]
    assert [trial.number for trial in searches.best_of(found, better=-1)] == [2, 5, 0, 1, 3]


def test_loss_of_a_trial_is_the_lowest_of_an_epoch_with_its_score():
    (trial,) = trials(["planned"])
    record = record_of(configuration((*LORA, "protocol=clean")))

    def came_to(*epochs, score=50.0):
        evaluations = [{"epoch": number, "step": 1, **epoch} for number, epoch in enumerate(epochs, start=1)]
        return searches.came_to(trial, dataclasses.replace(record, evaluations=evaluations, selection_score=score))

    lowest = {"accuracy": 50.0, "loss": 0.6}
    assert came_to({"accuracy": 50.0, "loss": 0.7}, lowest, {"accuracy": 40.0, "loss": 0.5}).loss == 0.6
    assert came_to({"accuracy": 50.0, "loss": None}, lowest).loss == 0.6
    assert came_to({"perplexity": 50.0, "loss": 3.9}).loss is None
    failed = came_to({"accuracy": None, "loss": 0.7}, score=None)
    assert (failed.status, failed.score, failed.loss) == ("failed", None, None)


def test_settings_keep_their_types(tmp_path):
    values = [True, 3, 3.0, "relu", None]
    dimension = Dimension(key="method.x", centre=3, values=values)
    tried = [dataclasses.replace(trial, point=[0.5, 0.5], settings={**trial.settings, "method.x": value})
             for trial, value in zip(trials([80.0] * 5), values, strict=True)]  # fmt: skip
    folder = search_in(tmp_path, *LORA, trials=tried, space=[*space(), dimension])
    found = [trial.settings["method.x"] for trial in searches.read(folder).trials]
    assert [(type(value), value) for value in found] == [(type(value), value) for value in values]


def test_no_search_is_none(tmp_path):
    assert searches.read(tmp_path) is None
    assert searches.find(tmp_path) == ([], [])
    assert searches.find(tmp_path / "nowhere") == ([], [])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "not a whole record"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"80.0", b"99.0")), "was edited"),
        (lambda path: forged(path, "schema", value=9), "found schema 9; allowed: 1"),
        (lambda path: forged(path, "more", value=9), "more: there is no such key"),
        (lambda path: forged(path, "trials", 0, "score", value="high"), "trials.0.score: found 'high'"),
        (lambda path: forged(path, "trials", 0, "score", value=99.0), "winner: found 1; allowed"),
        (lambda path: forged(path, "trials", 0, "status", value="failed"), "trials.0.score: found 70.0"),
        (lambda path: forged(path, "trials", 0, "number", value=1), "trials: found number 1 at place 0"),
        (lambda path: forged(path, "trials", 0, "settings", value={}), "trials.0: found ; allowed: a value for each"),
        (lambda path: forged(path, "winner", value=2), "winner: found 2; there are 2 trials"),
        (lambda path: forged(path, "winner", value=-1), "winner: found -1"),
        (lambda path: forged(path, "winner", value=None), "finals: found runs of a winner"),
        (lambda path: forged(path, "finals", value=[{"seed": 1, "run": "a"}] * 2), "finals: found the seeds [1, 1]"),
        (lambda path: forged(path, "space", value=[]), "space: found []"),
        (lambda path: forged(path, "space", 0, "low", value=None), "space.trainer.lr: allowed: low and high, or"),
        (lambda path: forged(path, "space", 0, "low", value=-1.0), "space.trainer.lr: allowed: low and high, or"),
        (lambda path: forged(path, "space", 0, "values", value=[1]), "space.trainer.lr: allowed: low and high, or"),
        (lambda path: forged(path, "task", value="../evil"), "task: found ../evil; its configuration says sst2"),
        (lambda path: forged(path, "config", "plm", value="text"), "plm: found mini_roberta; its configuration"),
        (lambda path: forged(path, "id", value="another"), "a copy, or moved; the place of this search is"),
    ],
)  # fmt: skip
def test_odd_search_is_left_out_in_a_line_and_hides_no_other(tmp_path, change, told):
    odd = search_in(tmp_path, *LORA, finals=final_runs(["a"]))
    other = search_in(tmp_path, *MINI, "method=bitfit")
    change(odd / FILE)
    found, left_out = searches.find(tmp_path)
    assert [folder for folder, _ in found] == [other]
    assert len(left_out) == 1
    assert left_out[0].startswith(f"{odd / FILE}: ")
    assert told in left_out[0]
    with pytest.raises(UserError):
        searches.read(odd)


def test_file_in_the_place_of_all_searches_is_told(tmp_path):
    (tmp_path / "searches").write_text("")
    assert searches.find(tmp_path) == ([], [f"{tmp_path / 'searches'}: cannot be read (Not a directory)"])
