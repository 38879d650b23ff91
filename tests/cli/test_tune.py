"""`inducer-bench tune`: equal effort, ordinary runs, no look at what is reported, and nothing lost."""

import dataclasses
import json
import signal
import subprocess
from importlib.metadata import distributions

import pytest
from helpers.commands import command

from inducer_bench.runs import record as records
from inducer_bench.search import record as searches

EFFORT = ["methods=[lora,bitfit]", "trials=4", "seeds=2", "tune.max_train=12", "tune.epochs=1", "tune.confirm=2"]
JOBLIB = any(distribution.name == "hydra-joblib-launcher" for distribution in distributions())


@pytest.fixture(scope="module")
def overrides(tiny_run):
    return [*tiny_run, "task.max_eval=8", "trainer.epochs=2", "trainer.lr=0.01", "trainer.device=cpu"]


@pytest.fixture(scope="module")
def study(run_cli, overrides, tmp_path_factory):
    """A study from scratch: its folder, and the process."""
    cwd = tmp_path_factory.mktemp("study")
    process = run_cli("tune", *overrides, *EFFORT, "tune.untuned=true", cwd=cwd)
    assert process.returncode == 0, process.stderr
    return cwd, process


def found(cwd):
    """Choice of a method -> its search."""
    searched, left_out = searches.find(cwd / "runs")
    assert not left_out
    return {search.choice: search for _, search in searched}


def runs(cwd):
    """Hash -> record of every run."""
    recorded, left_out = records.find(cwd / "runs")
    assert not left_out
    return {record.config_hash: record for _, record in recorded}


def best_first(trial):
    """The score decides, then the loss of the epoch that has it."""
    return -trial.score, trial.loss, trial.number


def without_times(search):
    values = json.loads(json.dumps(search, default=vars))
    for run in values["trials"] + values["confirmations"]:
        del run["seconds"]
    return values


def test_every_method_tries_the_same_points_about_its_own_rate(study):
    cwd, _ = study
    lora, bitfit = (found(cwd)[name] for name in ("lora", "bitfit"))
    assert [trial.point for trial in lora.trials] == [trial.point for trial in bitfit.trials]
    assert len(lora.trials) == 4
    assert lora.study == bitfit.study
    assert lora.id != bitfit.id
    for search in (lora, bitfit):
        rates = [trial.settings["trainer.lr"] for trial in search.trials]
        assert all(10**-1.5 <= rate / 0.01 <= 10**1.5 for rate in rates)
        assert [runs(cwd)[trial.run].config["trainer"]["lr"] for trial in search.trials] == rates


def test_trials_see_a_slice_of_train_and_score_nothing_else(study):
    cwd, _ = study
    for search in found(cwd).values():
        for trial in search.trials:
            record = runs(cwd)[trial.run]
            assert record.examples == {"train": 9, "selection": 3}  # 12 examples, a fifth of them held out
            assert record.protocol == "clean"
            assert record.seed == search.seed == 0
            assert record.config["trainer"]["epochs"] == search.epochs == 1
            assert set(record.files) == {"metrics.jsonl", "predictions.jsonl.gz"}
            assert trial.score == record.selection_score
            assert trial.seconds == record.train_seconds + record.eval_seconds


def test_best_trials_of_a_slice_run_again_on_all_of_the_data_and_their_best_one_wins(study):
    cwd, _ = study
    for search in found(cwd).values():
        ranked = sorted(search.trials, key=best_first)
        assert [run.number for run in search.confirmations] == [trial.number for trial in ranked[:2]]
        for run in search.confirmations:
            record = runs(cwd)[run.run]
            assert record.examples == {"train": 12, "selection": 4}
            assert record.config["trainer"]["epochs"] == 2
            assert record.config["trainer"]["lr"] == run.settings["trainer.lr"]
            assert run.score == record.selection_score
        assert search.winner == min(search.confirmations, key=best_first).number


def test_without_a_slice_or_confirmation_the_best_trial_wins(run_cli, overrides, tmp_path):
    for more in (["tune.confirm=3"], ["tune.epochs=1", "tune.confirm=0"]):
        process = run_cli("tune", *overrides, "methods=lora", "trials=3", "seeds=1", *more, cwd=tmp_path)
        assert process.returncode == 0, process.stderr
    for _, search in searches.find(tmp_path / "runs")[0]:
        assert search.confirmations == []
        assert search.winner == min(search.trials, key=best_first).number


def test_winner_runs_again_with_fresh_seeds_on_the_reported_split(study):
    cwd, _ = study
    for search in found(cwd).values():
        assert [run.seed for run in search.finals] == [1, 2]
        for run in search.finals:
            record = runs(cwd)[run.run]
            assert record.config["trainer"]["lr"] == search.trials[search.winner].settings["trainer.lr"]
            assert record.examples == {"train": 15, "selection": 1, "dev": 8}
            assert record.config["trainer"]["epochs"] == 2
            assert record.config["search"] == search.id
            assert record.protocol == "clean"


def test_untuned_runs_have_the_methods_own_settings_and_the_same_seeds(study):
    cwd, _ = study
    for search in found(cwd).values():
        assert [run.seed for run in search.untuned] == [1, 2]
        for run in search.untuned:
            assert runs(cwd)[run.run].config["trainer"]["lr"] == 0.01
            assert runs(cwd)[run.run].config["search"] is None


def test_summary_names_each_winner_and_its_recipe(study):
    cwd, process = study
    lines = process.stdout.splitlines()[-2:]
    for line, choice in zip(lines, ("lora", "bitfit"), strict=True):
        search = found(cwd)[choice]
        assert line.split()[0] == choice
        assert f"trainer.lr={search.trials[search.winner].settings['trainer.lr']}" in line
        assert (cwd / line.split()[-1]).is_file()


def test_same_command_finds_everything_done(study, run_cli, overrides):
    cwd, _ = study
    before = {path: path.stat().st_mtime_ns for path in (cwd / "runs").rglob("record.json")}
    process = run_cli("tune", *overrides, *EFFORT, "tune.untuned=true", cwd=cwd)
    assert process.returncode == 0
    assert "to do: 0 trials, 0 runs" in process.stderr
    assert {path: path.stat().st_mtime_ns for path in (cwd / "runs").rglob("record.json")} == before


def test_less_asked_for_keeps_the_runs_that_are_there(study, run_cli, overrides, tmp_path):
    """Also where the search was without a winner for a while, or its file is damaged."""
    cwd, _ = study
    before = found(cwd)
    subprocess.run(["cp", "-r", cwd / "runs", tmp_path / "runs"], check=True)
    for folder, search in searches.find(tmp_path / "runs")[0]:
        if search.choice == "lora":
            searches.write(folder, dataclasses.replace(search, winner=None, finals=[]))
            other = next(trial for trial in search.trials if trial.number != search.winner).settings["trainer.lr"]
            words = ["method=lora", "protocol=clean", "seed=2", f"search={search.id}", f"trainer.lr={other}"]
            assert run_cli(*overrides, *words, cwd=tmp_path).returncode == 0  # of a winner that it had before
        else:
            damaged = next(run for run in search.finals if run.seed == 2)
            (record,) = (tmp_path / "runs").rglob(f"{damaged.run}/record.json")
            record.write_text("{")
    fewer = [word for word in EFFORT if not word.startswith("seeds=")]
    process = run_cli("tune", *overrides, *fewer, "seeds=1", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert "(1 seeds)" in process.stdout
    after = {search.choice: search for _, search in searches.find(tmp_path / "runs")[0]}
    assert after["lora"] == before["lora"]
    assert [run.seed for run in after["bitfit"].finals] == [1]
    assert after["bitfit"].untuned == before["bitfit"].untuned


def test_a_killed_study_goes_on_to_the_same_result(study, overrides, tmp_path):
    cwd, _ = study
    arguments = ["tune", *overrides, *EFFORT, "tune.untuned=true"]

    def recorded():
        return len([*(tmp_path / "runs").rglob("record.json")])

    for wanted in (3, 14):  # among the trials, and among the best ones that run again
        ended = command(arguments, tmp_path, kill_when=lambda wanted=wanted: recorded() >= wanted)
        assert ended.code == -signal.SIGKILL, "it ended before it was killed"
    assert command(arguments, tmp_path).code == 0
    assert {choice: without_times(search) for choice, search in found(tmp_path).items()} == {
        choice: without_times(search) for choice, search in found(cwd).items()
    }
    assert {run: record.scores for run, record in runs(tmp_path).items()} == {
        run: record.scores for run, record in runs(cwd).items()
    }


@pytest.mark.slow
@pytest.mark.skipif(not JOBLIB, reason="needs hydra-joblib-launcher")
def test_jobs_side_by_side_come_to_the_same(study, run_cli, overrides, tmp_path):
    cwd, _ = study
    fewer = ["methods=[lora]", "trials=2", "seeds=1", "tune.max_train=12", "tune.epochs=1", "tune.confirm=1"]
    parallel = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    process = run_cli("tune", *overrides, *fewer, *parallel, cwd=tmp_path, installed=True)
    assert process.returncode == 0, process.stderr
    search = found(tmp_path)["lora"]
    assert isinstance(runs(tmp_path)[search.finals[0].run], records.FinishedRecord)
    for trial, before in zip(search.trials, found(cwd)["lora"].trials, strict=False):
        assert trial.run == before.run
        assert trial.score == before.score


def test_more_trials_use_those_that_were_made(study, run_cli, overrides, tmp_path):
    cwd, _ = study
    subprocess.run(["cp", "-r", cwd / "runs", tmp_path / "runs"], check=True)
    more = ["methods=lora", "trials=5", "seeds=2", "tune.max_train=12", "tune.epochs=1", "tune.confirm=0"]
    process = run_cli("tune", *overrides, *more, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert "to do: 1 trials, 2 runs" in process.stderr


def test_a_trial_that_diverges_counts_as_the_worst_and_fails_nothing(run_cli, overrides, tmp_path):
    effort = ["methods=[lora]", "trials=4", "seeds=1", "tune.decades=12", "trainer.lr=1e8"]
    process = run_cli("tune", *overrides, *effort, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    search = found(tmp_path)["lora"]
    statuses = {trial.status for trial in search.trials}
    assert statuses == {"done", "diverged"}
    assert search.trials[search.winner].status == "done"
    again = run_cli("tune", *overrides, *effort, cwd=tmp_path)
    assert "to do: 0 trials, 0 runs" in again.stderr


def test_a_study_without_any_score_has_no_winner_and_fails(run_cli, overrides, tmp_path):
    effort = ["methods=[lora]", "trials=2", "seeds=1", "tune.decades=0.1", "trainer.lr=1e12"]
    process = run_cli("tune", *overrides, *effort, cwd=tmp_path)
    assert process.returncode == 1
    assert "2 of 2 trials have ended, no winner" in process.stdout
    assert found(tmp_path)["lora"].winner is None
    assert found(tmp_path)["lora"].finals == []


def test_several_values_of_a_key_make_a_study_of_each(run_cli, overrides, tmp_path):
    effort = ["methods=[bitfit,lora]", "trials=1", "seeds=1", "tune.budget=400", "task.max_train=12,16"]
    process = run_cli("tune", *[o for o in overrides if "max_train" not in o], *effort, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    searched = [search for _, search in searches.find(tmp_path / "runs")[0]]
    assert len({search.study for search in searched}) == 2
    assert len(searched) == 4
    assert {runs(tmp_path)[search.finals[0].run].config["method"].get("r") for search in searched} == {None, 1}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["protocol=paper"], "protocol: found 'paper', which selects on what is reported; allowed in tune: clean"),
        (["methods=[lora,lara]"], "methods: unknown 'lara'; did you mean 'lora'?"),
        (["methods=[lora,lora]"], "methods: found 'lora' twice"),
        (["methods=[]"], "tune.methods: found []"),
        (["method=lora"], "method: not allowed in tune; give methods=[...]"),
        (["trials=0"], "tune.trials: found 0"),
        (["trials=many"], "tune.trials: found 'many'"),
        (["tune.trails=4"], "tune.trails: there is no such key; did you mean 'trials'?"),
        (["tune.held_out=1.0"], "tune.held_out: found 1.0"),
        (["seed=1,2"], "seed: found several; allowed in tune: one"),
        (["dry_run=true"], "dry_run: not allowed in tune"),
        (["tune.epochs=1", "trainer.warmup=500"], "trainer.warmup: found 500"),
        (["tune.budget=1", "methods=[lora]"], "tune.budget"),
        (["tune.max_train=1", "methods=[lora]"], "tune.max_train: found 1"),
        (["tune.budget=x", "methods=[lora]"], "tune.budget: found 'x'"),
        (["tune.budget=0.5"], "tune.budget: found 0.5; allowed: a text or a whole number or null"),
        (["method.r=4", "methods=[bitfit]"], "method.r: there is no such key"),
        (["trainer.lr=interval(0.1,1)"], "trainer.lr: found an interval; allowed in tune: values"),
    ],
)
def test_what_is_impossible_is_told_before_anything_runs(words, told, run_cli, overrides, tmp_path):
    process = run_cli("tune", *overrides, *words, cwd=tmp_path)
    assert process.returncode == 2, process.stderr
    assert told in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1
    assert not [*tmp_path.rglob("record.json")]


@pytest.mark.parametrize("command", [[], ["validate"], ["-m"]])
def test_a_run_refuses_keys_of_tune(command, run_cli, overrides, tmp_path):
    process = run_cli(*command, *overrides, "tune.trials=4", cwd=tmp_path)
    assert process.returncode == 2
    assert "tune.trials: a run has no use for it; allowed: inducer-bench tune ..." in process.stderr


def test_help_names_the_keys(run_cli):
    process = run_cli("tune", "--help")
    assert process.returncode == 0
    assert all(word in process.stdout for word in ("methods=", "trials=", "seeds=", "tune.max_train="))
