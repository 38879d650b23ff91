"""Sweeps: what the parent process tells of the jobs, and the same numbers through every launcher."""

import json
from importlib.metadata import distributions

import pytest

from inducer_bench.cli.sweep import Job, Sweep
from inducer_bench.errors import ExitCode
from inducer_bench.runs import record as records

INSTALLED = {distribution.name for distribution in distributions()}


def needs(package):
    return pytest.mark.skipif(package not in INSTALLED, reason=f"needs {package}")


@pytest.fixture(scope="module")
def overrides(tiny_run):
    return [*tiny_run, "task.max_eval=8", "trainer.epochs=1", "trainer.lr=0.01", "trainer.device=cpu"]


def jobs(folder, *found):
    for number, (status, code, seconds) in found:
        Job(number, f"seed={number}", status, code, "some result", seconds).write(folder)


def test_report_lists_every_job_and_gives_the_worst_code(tmp_path, capsys):
    jobs(tmp_path, (1, ("failed", ExitCode.FAILED, 61.4)), (0, ("done", ExitCode.DONE, 3723.0)))
    assert Sweep(tmp_path, 3, 0.0).report() == ExitCode.FAILED
    title, first, second, third = capsys.readouterr().err.splitlines()
    assert title == "sweep of 3 jobs:"
    assert first.split() == ["done", "1:02:03", "seed=0", "some", "result"]
    assert second.split()[:3] == ["failed", "0:01:01", "seed=1"]
    assert third.split()[:2] == ["not", "started"]


@pytest.mark.parametrize(
    ("codes", "worst"),
    [
        ([ExitCode.DONE, ExitCode.INTERRUPTED], ExitCode.INTERRUPTED),
        ([ExitCode.OUT_OF_MEMORY, ExitCode.INTERRUPTED], ExitCode.OUT_OF_MEMORY),
        ([ExitCode.BAD_INPUT, ExitCode.OUT_OF_MEMORY], ExitCode.BAD_INPUT),
        ([ExitCode.DONE], ExitCode.DONE),
    ],
)
def test_worst_code_of_the_jobs(codes, worst, tmp_path):
    jobs(tmp_path, *((number, ("x", code, 1.0)) for number, code in enumerate(codes)))
    assert Sweep(tmp_path, len(codes), 0.0).report() == worst


def test_time_to_go_is_that_of_computed_jobs(tmp_path, monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: 300.0)
    jobs(tmp_path, (0, ("skipped", 0, 0.1)), (1, ("done", 0, 100.0)), (2, ("failed", 1, 200.0)))
    assert Sweep(tmp_path, 5, 0.0).progress(3) == "job 4 of 5, 0:05:00 since the start, about 0:05:00 to go"
    assert Sweep(tmp_path, None, 0.0).progress(3) == "job 4, 0:05:00 since the start"


def scores(cwd):
    found = [record for _, record in records.find(cwd / "runs")[0]]
    return {(record.method, record.seed): record.scores for record in found}


@pytest.fixture(scope="module")
def in_process(run_cli, overrides, tmp_path_factory):
    cwd = tmp_path_factory.mktemp("basic")
    process = run_cli("-m", *overrides, "method=lora,bitfit", "seed=0,1", cwd=cwd)
    assert process.returncode == 0, process.stderr
    return scores(cwd)


@pytest.mark.parametrize(
    ("launcher", "options"),
    [
        pytest.param("joblib", ["hydra.launcher.n_jobs=2"], marks=needs("hydra-joblib-launcher")),
        pytest.param("submitit_local", [], marks=needs("hydra-submitit-launcher")),
        pytest.param(
            "ray",
            ["+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.init.log_to_driver=false"],
            marks=needs("hydra-ray-launcher"),
        ),
    ],
)
def test_launcher_gives_the_same_numbers_and_the_table(launcher, options, in_process, run_cli, overrides, tmp_path):
    arguments = ["-m", f"hydra/launcher={launcher}", *options, *overrides, "method=lora,bitfit", "seed=0,1"]
    process = run_cli(*arguments, cwd=tmp_path, timeout=300, installed=True)
    assert process.returncode == 0, process.stderr
    assert scores(tmp_path) == in_process
    lines = process.stderr.splitlines()
    summary = lines[lines.index("sweep of 4 jobs:") + 1 :]
    assert [line.split()[0] for line in summary] == ["done"] * 4


@needs("hydra-joblib-launcher")
def test_jobs_side_by_side_share_the_cores(run_cli, overrides, tmp_path, monkeypatch):
    import joblib

    monkeypatch.delenv("OMP_NUM_THREADS")
    arguments = ["-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", *overrides, "method=lora", "seed=0,1"]
    process = run_cli(*arguments, "trainer.epochs=0", cwd=tmp_path, timeout=300, installed=True)
    assert process.returncode == 0, process.stderr
    found = [record for _, record in records.find(tmp_path / "runs")[0]]
    assert [record.device.threads for record in found] == [max(joblib.cpu_count() // 2, 1)] * 2


@needs("hydra-optuna-sweeper")
def test_optuna_finds_the_learning_rate_that_does_something(run_cli, overrides, tmp_path):
    search = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.sampler.seed=1"]
    search += ["hydra.sweeper.direction=maximize", "optimized_metric=accuracy", "trainer.lr=choice(1e-9,0.02)"]
    process = run_cli("-m", *search, *overrides, "method=lora", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    (result,) = (tmp_path / "runs").glob("sweeps/*/optimization_results.yaml")
    found = [record for _, record in records.find(tmp_path / "runs")[0]]
    best = max(record.scores["accuracy"].value for record in found)
    assert f"best_value: {best}" in result.read_text()
    assert "sweep of 3 jobs:" in process.stderr


def test_jobs_leave_whole_results_in_the_folder_of_the_sweep(tmp_path):
    jobs(tmp_path, (7, ("done", 0, 1.5)))
    assert json.loads((tmp_path / "jobs" / "7.json").read_text())["overrides"] == "seed=7"
