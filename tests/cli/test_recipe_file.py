"""`recipe=FILE` in every command that takes overrides, and in sweeps through launchers."""

from pathlib import Path

import pytest

from inducer_bench.cli import main
from inducer_bench.runs import record as records

SEARCH = "0123456789abcdef"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with two recipes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(f"method: lora\nsettings: {{trainer.lr: 0.02, method.r: 3}}\nsearch: {SEARCH}\n")
    (tmp_path / "with space").mkdir()
    (tmp_path / "with space" / "b.yml").write_text("method: bitfit\nsettings: {trainer.lr: 0.03}\n")
    return tmp_path


@pytest.fixture(scope="module")
def overrides(tiny_run):
    return [*tiny_run, "task.max_eval=8", "trainer.epochs=0", "trainer.device=cpu"]


def runs(folder: Path) -> list[tuple[str, float, int, str | None]]:
    found = [record for _, record in records.find(folder / "runs")[0]]
    return sorted((r.method, r.config["trainer"]["lr"], r.seed, r.config["search"]) for r in found)


def test_shown_configuration_and_counts_are_those_of_the_recipe(folder, capsys):
    assert main.main(["--cfg", "job", "recipe=a.yaml", "seed=7"]) == 0
    lines = {line.strip() for line in capsys.readouterr().out.splitlines()}
    assert {"lr: 0.02", "r: 3", f"search: {SEARCH}", "recipe: full_nlu", "seed: 7", "name: lora"} <= lines
    assert main.main(["params", "recipe=a.yaml", "plm=roberta-base"]) == 0
    assert "lora on roberta-base" in capsys.readouterr().out
    assert main.main(["validate", "recipe=a.yaml"]) == 0
    assert "method=lora" in capsys.readouterr().out


def test_run_takes_the_recipe_and_its_record_names_the_search(folder, run_cli, overrides):
    process = run_cli(*overrides, "recipe=a.yaml", cwd=folder)
    assert process.returncode == 0, process.stderr
    assert runs(folder) == [("lora", 0.02, 0, SEARCH)]
    again = run_cli(*overrides, "method=lora", "trainer.lr=0.02", "method.r=3", cwd=folder)
    assert again.stdout.startswith("already done")  # the search is neutral
    assert run_cli(*overrides, "recipe=a.yaml", "dry_run=true", "seed=1", cwd=folder).returncode == 0


@pytest.mark.parametrize(
    "launcher",
    [
        [],
        pytest.param(["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], marks=pytest.mark.slow, id="joblib"),
        pytest.param(["hydra/launcher=submitit_local"], marks=pytest.mark.slow, id="submitit"),
    ],
)
def test_sweep_goes_through_recipes(folder, run_cli, overrides, launcher):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    arguments = ["-m", *launcher, *overrides, "recipe=a.yaml,with space/b.yml", "seed=range(2)"]
    process = run_cli(*arguments, cwd=folder, timeout=300, installed=bool(launcher))
    assert process.returncode == 0, process.stderr
    bitfit = [("bitfit", 0.03, seed, None) for seed in (0, 1)]
    assert runs(folder) == [*bitfit, *(("lora", 0.02, seed, SEARCH) for seed in (0, 1))]
    summary = process.stderr[process.stderr.index("sweep of 4 jobs:") :]
    assert summary.count("recipe=a.yaml seed=") == 2


def test_recipe_decides_the_method_of_an_experiment_that_sweeps_over_methods(folder, run_cli, overrides):
    (folder / "conf" / "experiment").mkdir(parents=True)
    sweep = "# @package _global_\nhydra: {sweeper: {params: {method: 'lora,bitfit,prefix', seed: 'range(2)'}}}\n"
    (folder / "conf" / "experiment" / "mine.yaml").write_text(sweep)
    arguments = ["--config-dir", "conf", "-m", *overrides, "recipe=a.yaml", "experiment=mine"]
    process = run_cli(*arguments, cwd=folder)
    assert process.returncode == 0, process.stderr
    assert runs(folder) == [("lora", 0.02, seed, SEARCH) for seed in (0, 1)]


def test_sweep_of_an_experiment_may_go_through_recipes(folder, run_cli, overrides):
    (folder / "conf" / "experiment").mkdir(parents=True)
    sweep = "# @package _global_\nhydra: {sweeper: {params: {recipe: 'a.yaml,nope.yaml'}}}\n"
    (folder / "conf" / "experiment" / "mine.yaml").write_text(sweep)
    process = run_cli("--config-dir", "conf", "-m", *overrides, "experiment=mine", cwd=folder)
    assert process.returncode == 2
    assert "refused" in process.stderr
    assert "recipe: 'nope.yaml': cannot be read" in process.stderr
    assert runs(folder) == [("lora", 0.02, 0, SEARCH)]


IMPOSSIBLE = "inducer-bench: recipe: 'bad.yaml': trainer.lr: found -1; allowed: greater than 0\n"


@pytest.mark.parametrize("arguments", ["recipe=bad.yaml", "-m recipe=bad.yaml seed=1,2", "-m recipe=bad.yaml,bad.yaml"])
def test_setting_that_is_impossible_is_told_with_the_name_of_the_file(folder, capsys, arguments):
    (folder / "bad.yaml").write_text("method: lora\nsettings: {trainer.lr: -1}\n")
    assert main.main(arguments.split()) == 2
    assert IMPOSSIBLE in capsys.readouterr().err


def test_setting_that_is_impossible_is_told_so_by_the_workers_of_a_launcher(folder, run_cli):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    (folder / "bad.yaml").write_text("method: lora\nsettings: {trainer.lr: -1}\n")
    (folder / "worse.yaml").write_text("method: lora\nsettings: {trainer.lr: -2}\n")
    arguments = ["-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "recipe=bad.yaml,worse.yaml"]
    process = run_cli(*arguments, cwd=folder, installed=True)
    assert process.returncode == 2, process.stderr
    for line in (IMPOSSIBLE, IMPOSSIBLE.replace("bad", "worse").replace("-1", "-2")):
        assert process.stderr.count(line) == 1


def test_plan_names_the_file_of_a_setting_that_is_impossible(folder, capsys):
    (folder / "bad.yaml").write_text("method: lora\nsettings: {trainer.lr: -1}\n")
    main.main(["plan", "recipe=bad.yaml", "seed=1,2"])
    shown = capsys.readouterr()
    assert "recipe: 'bad.yaml': trainer.lr: found -1" in shown.out + shown.err


def test_nothing_starts_before_every_recipe_of_a_sweep_is_right(folder, capsys):
    (folder / "bad.yaml").write_text("method: lara\n")
    assert main.main(["-m", "recipe=a.yaml,bad.yaml"]) == 2
    assert capsys.readouterr().err.startswith("inducer-bench: recipe: 'bad.yaml': method: unknown 'lara'")
    assert main.main(["-m", "recipe=a.yaml,with space/b.yml", "method=lora"]) == 2
    assert capsys.readouterr().err == (
        "inducer-bench: recipe: 'with space/b.yml' is for method=bitfit; found method=lora; "
        "allowed: the same, or none\n"
    )
    assert not (folder / "runs").exists()
