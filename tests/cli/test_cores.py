"""Jobs that run side by side share the cores of a machine."""

import inspect
import os
import re
import threading
import warnings

import pytest
from joblib.externals.loky import process_executor
from omegaconf import OmegaConf

from inducer_bench.cli.cores import shared
from inducer_bench.errors import UserError
from inducer_bench.runs import record as records

VARIABLES = ("MKL_NUM_THREADS", "OMP_NUM_THREADS")
JOBLIB = {"_target_": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher", "n_jobs": 4}
SUBMITIT = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"}
SLURM = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"}
RAY = {"_target_": "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher", "ray": {"init": {}, "remote": {}}}
BASIC = {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}


@pytest.fixture
def machine(monkeypatch):
    """A machine of 16 cores, without any of the variables."""
    monkeypatch.setattr("joblib.cpu_count", lambda: 16)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def threads(launcher, jobs, batch=None):
    """The variables within `shared`; none of them remains."""
    before = dict(os.environ)
    with shared(OmegaConf.create({"launcher": launcher, "sweeper": {"max_batch_size": batch}}), jobs):
        found = [os.environ.get(name) for name in VARIABLES]
    assert dict(os.environ) == before
    return found


@pytest.mark.parametrize(
    ("launcher", "jobs", "batch", "expected"),
    [
        (JOBLIB, 100, None, "4"),
        (JOBLIB, 3, None, "5"),  # fewer jobs than may run at once
        (JOBLIB, 100, 2, "8"),
        (JOBLIB, None, None, "4"),  # a sweeper that searches
        (JOBLIB | {"n_jobs": 1}, 5, None, "16"),
        (JOBLIB | {"n_jobs": 50}, 100, None, "1"),
        (SUBMITIT, 8, None, "2"),  # it starts all at once
        (SUBMITIT, 60, None, "1"),
        (SUBMITIT, 60, 4, "4"),
        (SUBMITIT, None, None, None),
        (RAY, 60, None, "1"),
        (RAY | {"ray": {"init": {"num_cpus": 4}, "remote": {}}}, 60, None, "4"),
        (RAY | {"ray": {"init": {}, "remote": {"num_cpus": 8}}}, 60, None, "8"),
        (RAY | {"ray": {"init": {"address": "auto"}, "remote": {}}}, 60, None, None),
        (SLURM, 60, None, None),
        (BASIC, 60, None, None),
    ],
)
def test_threads_of_each_job_are_the_cores_by_the_jobs_at_once(machine, launcher, jobs, batch, expected):
    assert threads(launcher, jobs, batch) == [expected] * 2


@pytest.mark.parametrize("name", VARIABLES)
def test_number_that_the_user_has_set_stays_and_is_told_if_it_is_too_large(machine, capsys, name):
    machine.setenv(name, "4")
    assert threads(JOBLIB, 100) == ["4"] * 2
    assert capsys.readouterr().err == ""
    machine.setenv(name, "5")
    assert threads(JOBLIB, 100) == ["5"] * 2
    assert capsys.readouterr().err == (
        f"inducer-bench: 4 jobs at a time, with 5 thread(s) each, on 16 core(s); without {name} they share them\n"
    )


def test_more_jobs_at_once_than_cores_are_told(machine, capsys):
    assert threads(SUBMITIT, 17) == ["1"] * 2
    assert capsys.readouterr().err == "inducer-bench: 17 jobs at a time, with 1 thread(s) each, on 16 core(s)\n"


def test_no_jobs_at_once_are_refused(machine):
    with pytest.raises(UserError, match=r"^hydra\.launcher\.n_jobs: found 0; allowed: "):
        threads(JOBLIB | {"n_jobs": 0}, 3)


@pytest.mark.parametrize(
    ("launcher", "given", "jobs"),
    [
        pytest.param(["joblib", "hydra.launcher.n_jobs=2"], None, 2, marks=pytest.mark.slow, id="joblib"),
        pytest.param(
            ["joblib", "hydra.launcher.n_jobs=2"], "2", 1, marks=pytest.mark.slow, id="joblib, OMP_NUM_THREADS=2"
        ),
        pytest.param(["submitit_local"], None, 2, marks=pytest.mark.slow, id="submitit"),
    ],
)
def test_workers_of_a_launcher_have_their_part(launcher, given, jobs, run_cli, tiny_run, tmp_path, monkeypatch):
    joblib = pytest.importorskip("joblib")
    pytest.importorskip(f"hydra_plugins.hydra_{launcher[0].removesuffix('_local')}_launcher")
    if given is not None and joblib.cpu_count() < int(given):
        pytest.skip("fewer cores than threads")
    monkeypatch.delenv("OMP_NUM_THREADS")
    chosen = [f"hydra/launcher={launcher[0]}", *launcher[1:]]
    arguments = ["-m", *chosen, *tiny_run, "task.max_eval=8", "trainer.epochs=0", "trainer.device=cpu", "method=lora"]
    environment = {} if given is None else {"OMP_NUM_THREADS": given}
    process = run_cli(*arguments, f"seed=range({jobs})", cwd=tmp_path, env=environment, timeout=300, installed=True)
    assert process.returncode == 0, process.stderr
    found = [record for _, record in records.find(tmp_path / "runs")[0]]
    assert [record.device.threads for record in found] == [int(given or max(joblib.cpu_count() // 2, 1))] * jobs


def test_a_worker_that_joblib_replaces_is_no_news(machine, recwarn):
    (text,) = re.findall(r'"(A worker stopped[^"]*)"', inspect.getsource(process_executor))
    with shared(OmegaConf.create({"launcher": JOBLIB, "sweeper": {"max_batch_size": None}}), 4):
        warner = threading.Thread(target=warnings.warn, args=(text, UserWarning))  # joblib's warns in a thread, too
        warner.start()
        warner.join()
        warnings.warn("another one", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in recwarn] == ["another one"]
