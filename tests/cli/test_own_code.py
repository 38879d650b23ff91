"""A method, a kind of task and configuration files of the user's own, through the installed command."""

from importlib.metadata import distributions
from pathlib import Path

import pytest
from helpers.sweeps import job_lines
from joblib import cpu_count

from inducer_bench.runs import record as records

INSTALLED = {distribution.name for distribution in distributions()}

METHOD = '''
"""Scale the output of every attention module by trained numbers."""

import torch

from inducer_bench.methods.options import MethodOptions
from inducer_bench.options import options


@options
class Options(MethodOptions):
    rate: float


class Scale(torch.nn.Module):
    def __init__(self, width, rate):
        super().__init__()
        self.weight, self.rate = torch.nn.Parameter(torch.zeros(width)), rate

    def forward(self, module, inputs, output):
        return output * (1 + self.rate * self.weight)


def attach(tuned, options):
    for layer in tuned.layers():
        scale = Scale(layer.width, options.rate)
        tuned.add_part(layer.output.module, "scale", scale)
        tuned.add_hook(layer.output.module.register_forward_hook(scale))
'''
TASK = '''
"""Classification of texts in upper case."""

from inducer_bench.options import options
from inducer_bench.tasks.classification import ClassificationTask as Task
from inducer_bench.tasks.options import ClassificationOptions


@options
class Options(ClassificationOptions):
    kind: str = "my_package.shouting"
    loud: bool
'''
SCALE = "# Scales the outputs of attention.\nname: my_package.scale\nrate: 2.0\nrecipes: {default: {lr: 1.0e-2}}\n"
SEARCH = "0123456789abcdef"
OWN = ["method=own", "method.name=my_package.scale", "+method.rate=2.0", "trainer.lr=1e-2"]


@pytest.fixture(scope="module")
def cwd(tmp_path_factory):
    """The user's working directory, with a package and a folder of configuration files."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_package").mkdir()
    (folder / "my_package" / "scale.py").write_text(METHOD)
    (folder / "my_package" / "shouting.py").write_text(TASK)
    (folder / "my_conf" / "method").mkdir(parents=True)
    (folder / "my_conf" / "method" / "scale.yaml").write_text(SCALE)
    return folder


@pytest.fixture(scope="module")
def overrides(tiny_run):
    return [*tiny_run, "task.max_eval=8", "trainer.epochs=1", "trainer.device=cpu"]


@pytest.fixture(scope="module")
def finished(run_cli, overrides, cwd):
    """A run of the user's method without any file, and its folder."""
    process = run_cli(*overrides, *OWN, cwd=cwd)
    assert process.returncode == 0, process.stderr
    return cwd / process.stdout.splitlines()[-1]


def test_method_is_at_most_thirty_lines():
    assert len([line for line in METHOD.splitlines() if line.strip()]) < 30


def test_method_named_on_the_command_line_runs_and_is_recorded(finished):
    record = records.read(finished)
    assert (record.status, record.method) == ("done", "my_package.scale")
    assert record.parameters.method == 2 * 32  # layers x width of the tiny RoBERTa
    assert finished.parts[-2] == "my_package.scale"


def test_file_of_the_users_folder_names_the_same_run(finished, run_cli, overrides, cwd):
    process = run_cli("--config-dir", "my_conf", *overrides, "method=scale", cwd=cwd)
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[0].startswith("already done: accuracy ")
    assert cwd / process.stdout.splitlines()[-1] == finished


def test_ls_lists_the_run_and_the_users_file(finished, run_cli, cwd):
    listed = run_cli("ls", "runs", cwd=cwd)
    assert "my_package.scale" in listed.stdout
    assert listed.returncode == 0
    methods = run_cli("ls", "methods", "--config-dir", "my_conf", cwd=cwd)
    assert "  scale            Scales the outputs of attention.\n" in methods.stdout
    assert "scale  " not in run_cli("ls", "methods", cwd=cwd).stdout


def test_tables_show_the_method(finished, run_cli, cwd):
    process = run_cli("tables", "--config-dir", "my_conf", cwd=cwd)
    assert process.returncode == 0, process.stderr
    (settings,) = (cwd / "tables").rglob("sst2.csv")
    assert ",my_package.scale," in settings.read_text()


def test_params_and_validate_and_help_read_the_users_folder(run_cli, cwd):
    params = run_cli("params", "--config-dir", "my_conf", "method=scale", "plm.weights=random", "--json", cwd=cwd)
    assert f'"method": {12 * 768}' in params.stdout, params.stderr
    valid = run_cli("validate", "method=scale", "--config-dir", "my_conf", cwd=cwd)
    assert valid.stdout.startswith("valid: task=sst2 plm=roberta-base method=my_package.scale ")
    for arguments in (["--help", "--config-dir", "my_conf"], ["--config-dir", "my_conf", "--help"]):
        assert ", scale\n" in run_cli(*arguments, cwd=cwd).stdout
    near = run_cli("validate", "--config-dir", "my_conf", "method=scael", cwd=cwd)
    assert "method: unknown 'scael'; did you mean 'scale'?" in near.stderr
    missing = run_cli("--config-dir", "nowhere", "method=scale", cwd=cwd)
    assert (
        missing.stderr
        == "inducer-bench: --config-dir: found 'nowhere', which is not a folder; allowed: one in the layout of conf/\n"
    )


def test_sweep_takes_the_users_method_and_folder_to_its_jobs(run_cli, overrides, cwd):
    arguments = ["--config-dir", "my_conf", "-m", *overrides, "output_dir=sweep", "method=scale,bitfit", "seed=0"]
    process = run_cli(*arguments, cwd=cwd)
    assert process.returncode == 0, process.stderr
    assert {record.method for _, record in records.find(cwd / "sweep")[0]} == {"my_package.scale", "bitfit"}
    assert len(job_lines(process.stderr.splitlines())) == 2


@pytest.mark.skipif("hydra-joblib-launcher" not in INSTALLED, reason="needs hydra-joblib-launcher")
def test_workers_of_a_launcher_get_the_users_method_a_recipe_and_their_cores(run_cli, overrides, cwd):
    """One job, which is in a process of its own, too: each process imports torch."""
    (cwd / "with space").mkdir()
    (cwd / "with space" / "r.yml").write_text(f"method: scale\nsettings: {{trainer.lr: 0.02}}\nsearch: {SEARCH}\n")
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    arguments = ["--config-dir", "my_conf", "-m", *launcher, *overrides, "output_dir=workers", "seed=0"]
    threads = min(cpu_count(), 2)
    environment = {"OMP_NUM_THREADS": str(threads)}
    given = [*arguments, "recipe=with space/r.yml"]
    process = run_cli(*given, cwd=cwd, env=environment, timeout=300, installed=True)
    assert process.returncode == 0, process.stderr
    [(_, record)] = records.find(cwd / "workers")[0]
    assert (record.method, record.config["trainer"]["lr"]) == ("my_package.scale", 0.02)
    assert (record.config["search"], record.device.threads) == (SEARCH, threads)
    assert len(job_lines(process.stderr.splitlines())) == 1


def test_glob_counts_and_runs_the_users_method(run_cli, overrides, cwd):
    arguments = ["-m", "--config-dir", "my_conf", *overrides, "output_dir=globbed", "method=glob([scal*,bit*])"]
    process = run_cli(*arguments, cwd=cwd)
    assert process.returncode == 0, process.stderr
    lines = process.stderr.splitlines()
    assert lines[0] == "2 jobs: 0 done already, 2 to run"
    assert lines[1].startswith("job 1 of 2, ")
    assert [line.split()[0] for line in job_lines(lines)] == ["done", "done"]


def test_kind_of_task_is_a_module_of_the_users(run_cli, overrides, cwd):
    process = run_cli(*overrides, "task.kind=my_package.shouting", "+task.loud=true", "method=bitfit", cwd=cwd)
    assert process.returncode == 0, process.stderr
    task = records.read(cwd / Path(process.stdout.splitlines()[-1])).config["task"]
    assert (task["kind"], task["loud"]) == ("my_package.shouting", True)


def test_module_that_does_not_exist_is_refused_in_one_line(run_cli, cwd):
    process = run_cli("validate", "method=own", "method.name=my_package.scael", "trainer.lr=1e-3", cwd=cwd)
    assert process.returncode == 2
    assert process.stderr.startswith(
        "inducer-bench: method.name: 'my_package.scael' cannot be imported (ModuleNotFound"
    )


def test_module_without_a_folder_is_told_where_to_go(run_cli, tmp_path):
    (tmp_path / "scale.py").write_text("")
    for key, override in (("method.name", "method=own"), ("task.kind", "method=lora")):
        done = run_cli("validate", override, f"{key}=scale", "trainer.lr=1", cwd=tmp_path)
        assert done.returncode == 2
        assert f"{key}: 'scale' is a module by itself" in done.stderr
        assert "write my_folder.scale" in done.stderr


def test_file_in_the_working_directory_does_not_hide_an_installed_package(run_cli, tmp_path):
    (tmp_path / "yaml.py").write_text("raise SystemExit('hidden')\n")
    assert run_cli("validate", cwd=tmp_path).returncode == 0
