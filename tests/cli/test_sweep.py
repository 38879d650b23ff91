"""Sweeps: what the parent process tells of the jobs, and the same numbers through every launcher."""

import json
import re
from dataclasses import replace
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


def ended(folder, number, overrides, score):
    job = Job(number, overrides).ended("done", ExitCode.DONE, f"accuracy {score}", 1.0)
    replace(job, metric="accuracy", scores=(score,)).write(folder)


def test_summary_shows_what_differs_means_over_seeds_and_what_to_do_next(tmp_path, capsys):
    common = ["task=sst2", "trainer.epochs=1", "task.files.train='a b.csv'"]
    for number, (lr, seed, score) in enumerate([("0.1", 0, 70.0), ("0.1", 1, 74.0), ("0.2", 0, 60.0)]):
        ended(tmp_path, number, " ".join([common[0], f"trainer.lr={lr}", *common[1:], f"seed={seed}"]), score)
    sweep = Sweep(tmp_path, 3, 0.0, common=frozenset(common), tables=("--runs", "my runs", "--config-dir", "mine"))
    assert sweep.report() == ExitCode.DONE
    assert capsys.readouterr().err.splitlines() == [
        "sweep of 3 jobs:",
        "  done  0:00:01  trainer.lr=0.1 seed=0  accuracy 70.0",
        "  done  0:00:01  trainer.lr=0.1 seed=1  accuracy 74.0",
        "  done  0:00:01  trainer.lr=0.2 seed=0  accuracy 60.0",
        "mean over seeds, ± standard deviation:",
        "  trainer.lr=0.1  accuracy 72.0 ± 2.8  2 seeds",
        "  trainer.lr=0.2  accuracy 60.0        1 seed",
        "next: inducer-bench tables --runs 'my runs' --config-dir mine",
    ]


def test_summary_without_repeated_settings_has_no_means(tmp_path, capsys):
    for number, method in enumerate(("lora", "bitfit")):
        ended(tmp_path, number, f"method={method}", 50.0)
    Sweep(tmp_path, 2, 0.0).report()
    assert "mean over seeds" not in capsys.readouterr().err


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_summary_fits_a_terminal(columns, tmp_path, capsys, monkeypatch):
    for number in range(3):
        ended(tmp_path, number, f"method=inducer_lora trainer.lr=0.00{number} seed={number}", 50.0 + number)
    Job(3, "seed=3").ended("failed", ExitCode.FAILED, "ValueError: " + "long " * 60, 1.0).write(tmp_path)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    Sweep(tmp_path, 4, 0.0).report()
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err)
    table = shown[: shown.index("next:")].splitlines()
    assert max(map(len, table)) <= columns
    for word in ("status", "inducer_lora", "trainer.lr=0.002", "ValueError"):
        assert word in shown.replace("\n", "") or columns == 60


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
    ("launcher", "options", "methods"),
    [
        pytest.param("joblib", ["hydra.launcher.n_jobs=2"], "lora,bitfit", marks=needs("hydra-joblib-launcher")),
        pytest.param(  # a process for each job
            "submitit_local", [], "lora", marks=[needs("hydra-submitit-launcher"), pytest.mark.slow]
        ),
        pytest.param(
            "ray",
            ["+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.init.log_to_driver=false"],
            "lora,bitfit",
            marks=needs("hydra-ray-launcher"),
        ),
    ],
)
def test_launcher_gives_the_same_numbers_and_the_table(
    launcher, options, methods, in_process, run_cli, overrides, tmp_path
):
    arguments = ["-m", f"hydra/launcher={launcher}", *options, *overrides, f"method={methods}", "seed=0,1"]
    process = run_cli(*arguments, cwd=tmp_path, timeout=300, installed=True)
    assert process.returncode == 0, process.stderr
    expected = {run: found for run, found in in_process.items() if run[0] in methods.split(",")}
    assert scores(tmp_path) == expected
    assert [line.split()[0] for line in job_lines(process.stderr.splitlines())] == ["done"] * len(expected)


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
