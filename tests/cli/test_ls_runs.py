"""`ls runs`: which runs, in which order, what tells them apart, and the same for programs."""

import json
import os

import pytest
from helpers.handmade import MINI, write_run

from inducer_bench.cli import main


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Four runs of LoRA that differ in learning rate and seed, one of BitFit, and one that failed."""
    folder = tmp_path_factory.mktemp("sweep")
    written = []
    for lr, scores in (("0.01", (70.0, 71.0)), ("0.001", (60.0, 61.25))):
        for seed, score in enumerate(scores):
            written.append(write_run(folder / "runs", *MINI, "method=lora", f"trainer.lr={lr}", seed=seed, score=score))
    written.append(write_run(folder / "runs", *MINI, "method=bitfit", score=65.0, parameters=100))
    written.append(write_run(folder / "runs", *MINI, "method=prefix", status="failed"))
    for number, path in enumerate(written):
        os.utime(path / "record.json", (number * 86400, number * 86400))
    return folder


@pytest.fixture
def listed(runs, capsys, monkeypatch):
    """The lines, or what JSON says, and the exit code."""
    monkeypatch.chdir(runs)

    def ask(*arguments):
        code = main.main(["ls", "runs", *arguments])
        shown = capsys.readouterr()
        assert code == 0, shown.err
        return json.loads(shown.out) if "--json" in arguments else shown.out.splitlines()

    return ask


@pytest.fixture
def refused(runs, capsys, monkeypatch):
    """The one line that answers."""
    monkeypatch.chdir(runs)

    def ask(*arguments):
        assert main.main(["ls", "runs", *arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return ask


def test_line_has_the_score_the_date_and_what_differs_from_runs_of_the_same_cell(listed):
    bitfit, *lora, prefix = listed()
    assert [line.split()[:5] for line in (bitfit, lora[0])] == [
        ["done", "mini/sst2", "mini_roberta", method, "seed"] for method in ("bitfit", "lora")
    ]
    assert sorted("trainer.lr=0.01" in line for line in lora) == [False, False, True, True]
    assert sorted("trainer.lr=0.001 " in line for line in lora) == [False, False, True, True]
    assert "trainer" not in bitfit + prefix  # alone in their cells
    assert "accuracy 65.0" in bitfit
    assert " 1970-01-0" in bitfit
    assert prefix.split()[0] == "failed"


def test_runs_are_chosen_by_facts_keys_patterns_and_numbers(listed):
    def chosen(*words):
        options = [option for word in words for option in ("--filter", word)]
        return sorted((run["method"], run["score"]) for run in listed("--json", *options))

    assert chosen("method=lo*", "seed=1") == [("lora", 61.25), ("lora", 71.0)]
    assert chosen("trainer.lr=1e-3") == [("lora", 60.0), ("lora", 61.25)]
    assert chosen("method=bitfit,prefix") == [("bitfit", 65.0), ("prefix", None)]
    assert chosen("status=failed") == [("prefix", None)]
    assert chosen("method.r=*", "trainer.lr=0.01", "seed=0") == [("lora", 70.0)]


@pytest.mark.parametrize(
    ("key", "scores"),
    [
        ("score", [60.0, 61.25, 65.0, 70.0, 71.0, None]),
        ("accuracy", [60.0, 61.25, 65.0, 70.0, 71.0, None]),
        ("date", [70.0, 71.0, 60.0, 61.25, 65.0, None]),
        ("parameters", [65.0]),
        ("trainer.lr", [60.0, 61.25]),
    ],
)
def test_runs_are_sorted_and_those_without_the_value_come_last(key, scores, listed):
    found = [run["score"] for run in listed("--json", "--sort", key)]
    assert found[: len(scores)] == scores
    backwards = [run["score"] for run in listed("--json", "--sort", key, "--reverse")]
    if key in ("score", "accuracy"):
        assert backwards == [*reversed(scores[:-1]), None]
    elif key == "date":  # every run has one
        assert backwards == [*reversed(scores)]
    else:
        assert sorted(backwards, key=str) == sorted(found, key=str)
        assert backwards != found


def test_json_has_what_a_program_asks_for(listed):
    run = next(run for run in listed("--json") if run["score"] == 61.25)
    assert (run["status"], run["task"], run["plm"], run["seed"]) == ("done", "sst2", "mini_roberta", 1)
    assert run["folder"].endswith(run["hash"])
    assert (run["scores"], run["differs"]) == ({"accuracy": 61.25}, {"trainer.lr": "0.001"})
    assert run["config"]["trainer"]["lr"] == 0.001
    assert run["date"] == "1970-01-04T00:00:00+00:00"
    assert next(run for run in listed("--json") if run["status"] == "failed")["error"] == "failed"


def test_mistyped_keys_are_told_with_the_nearest(refused):
    assert "--filter: unknown 'metod'; did you mean 'method'?" in refused("--filter", "metod=lora")
    assert "--filter: unknown 'lr'; allowed: trainer.lr" in refused("--filter", "lr=1")
    assert "--sort: unknown 'scroe'; did you mean 'score'?" in refused("--sort", "scroe")
    assert "--filter: found 'lora'; allowed: KEY=VALUE" in refused("--filter", "lora")


def test_nothing_that_fits_is_told(listed):
    assert listed("--filter", "seed=7") == ["none of the 6 runs in runs fits --filter seed=7"]
    assert listed("--filter", "seed=7", "--json") == []


@pytest.mark.parametrize("exists", [False, True])
def test_without_runs_the_answer_is_how_to_start_one(exists, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if exists:
        (tmp_path / "runs").mkdir()
    assert main.main(["ls", "runs"]) == 0
    assert capsys.readouterr().out == (
        "no runs in runs; start one with: inducer-bench preset=mini task=sst2 method=inducer\n"
    )
    assert main.main(["ls", "runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_run_may_be_named_by_the_start_of_its_hash(runs, capsys, monkeypatch):
    monkeypatch.chdir(runs)
    paths = sorted(path.parent for path in (runs / "runs").glob("sst2/mini_roberta/lora/*/record.json"))
    assert main.main(["compare", paths[0].name[:6], paths[1].name]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in shown[:2]] == [str(path.relative_to(runs)) for path in paths[:2]]
    assert main.main(["compare", "ffff0000ffff", str(paths[1])]) == 2
    assert "RUN: found 'ffff0000ffff'" in capsys.readouterr().err


def test_start_of_several_hashes_names_them(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("abcd1", "abcd2"):
        (tmp_path / "runs" / "sst2" / "x" / "lora" / name).mkdir(parents=True)
    assert main.main(["predict", "abcd"]) == 2
    assert capsys.readouterr().err == (
        "inducer-bench: RUN: found 'abcd', the start of 2 hashes: runs/sst2/x/lora/abcd1, runs/sst2/x/lora/abcd2\n"
    )
