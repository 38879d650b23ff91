"""Sweeps: what the parent process tells of the jobs, and the same numbers through every launcher."""

import json
from importlib.metadata import distributions

import pytest
from helpers.sweeps import job_lines

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
    printed = capsys.readouterr().err.splitlines()
    assert printed[0] == "sweep of 3 jobs:"
    first, second, third = job_lines(printed)
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
    assert [line.split()[0] for line in job_lines(process.stderr.splitlines())] == ["done"] * 4


SEARCHING = """
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper


class Searching(Sweeper):
    def setup(self, *, hydra_context, task_function, config):
        parts = dict(hydra_context=hydra_context, task_function=task_function, config=config)
        self.launcher = Plugins.instance().instantiate_launcher(**parts)

    def sweep(self, arguments):
        jobs = [[*arguments, f"trainer.lr={lr}"] for lr in (1e-9, 0.02)]
        objectives = [self.launcher.launch([job], n)[0].return_value for n, job in enumerate(jobs)]
        Path("objectives").write_text(str(objectives))


ConfigStore.instance().store(group="hydra/sweeper", name="searching", node={"_target_": f"{__name__}.Searching"})
"""


@pytest.mark.parametrize("metric", [None, "f1"])
def test_sweeper_that_searches_is_given_the_score_that_it_asks_for(metric, run_cli, overrides, tmp_path):
    (tmp_path / "hydra_plugins" / "searching").mkdir(parents=True)
    (tmp_path / "hydra_plugins" / "searching" / "__init__.py").write_text(SEARCHING)
    arguments = ["hydra/sweeper=searching", *overrides, "method=lora", "task.metrics=[accuracy,f1]"]
    wanted = [] if metric is None else [f"optimized_metric={metric}"]
    process = run_cli("-m", *arguments, *wanted, cwd=tmp_path, timeout=300, installed=True)
    assert process.returncode == 0, process.stderr
    assert "sweep of 2 jobs:" in process.stderr
    found = sorted(
        (record for _, record in records.find(tmp_path / "runs")[0]), key=lambda r: r.config["trainer"]["lr"]
    )
    expected = [record.scores[metric].value if metric else record.selection_score for record in found]
    assert json.loads((tmp_path / "objectives").read_text()) == expected


def test_jobs_leave_whole_results_in_the_folder_of_the_sweep(tmp_path):
    jobs(tmp_path, (7, ("done", 0, 1.5)))
    assert json.loads((tmp_path / "jobs" / "7.json").read_text())["overrides"] == "seed=7"
