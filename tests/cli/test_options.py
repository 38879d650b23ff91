"""Any combination of the options of a run: an answer or one line, never a traceback."""

import logging
from itertools import cycle, product

import pytest
import yaml

from inducer_bench.cli import launch, main, plan_costs
from inducer_bench.errors import ExitCode
from inducer_bench.runs.outcome import Outcome

SHOWS = ("", "--cfg job", "--cfg hydra", "--cfg all", "--info", "--info searchpath", "--hydra-help", "-sc", "--plan")
OTHERS = [*product(("", "-m"), ("", "--resolve"), ("", "--package trainer", "--package hydra.nowhere"))]
OVERRIDES = ("seed=1", "preset=mini seed=1,2", "experiment=tuned_mini trainer.lr=1e-3", "method=lora,bitfit method.r=2")


@pytest.fixture
def nothing_runs(monkeypatch, tmp_path):
    """No run is started or timed; the working directory is another one, with a folder of the user's for a method."""
    found = Outcome(ExitCode.DONE, tmp_path, "skipped", "already done: accuracy 50.0")
    monkeypatch.setattr(launch, "run_all", lambda config, show: [found])
    monkeypatch.setattr(plan_costs, "timings", lambda configs, seconds: ["not timed" for _ in configs])
    (tmp_path / "mine" / "method").mkdir(parents=True)
    (tmp_path / "mine" / "method" / "small.yaml").write_text("defaults: [lora, _self_]\nr: 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # --info adds one, and its process ends


def answer(line, capsys):
    """The exit code, stdout and stderr of a command line."""
    code = main.main(line.split())
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err, line
    return code, shown.out, shown.err


@pytest.mark.parametrize("show", SHOWS)
def test_every_combination_of_options_is_answered(show, nothing_runs, capsys):
    folders, overrides = cycle(("", "--config-dir mine")), cycle(OVERRIDES)
    for others in OTHERS:
        line = " ".join([show, *others, next(folders), next(overrides)])
        code, out, err = answer(line, capsys)
        assert code in (0, 2), (line, err)
        assert out or err, line
        if code == 2 and "sweep of" not in err and show != "--plan":
            assert err.count("\n") == 1, (line, err)


@pytest.mark.parametrize(
    "command", ["", "params ", "validate ", "ls ", "tables ", "tune ", "plan ", "doctor ", "predict "]
)
def test_options_of_a_run_are_refused_or_understood_by_every_command(command, nothing_runs, capsys):
    for option in ("-sc", "--cfg job", "--info", "--resolve", "--package x", "--run -m"):
        if command:
            code, out, err = answer(f"{command}{option}", capsys)
            assert (code, out, err.count("\n")) == (2, "", 1), (command, option)
        code, out, _ = answer(f"{command}{option} --help", capsys)
        assert (code, out.startswith(("usage: inducer-bench", "inducer-bench: "))) == (0, True)


def test_configuration_of_a_job_is_shown_with_its_values(nothing_runs, capsys):
    code, out, _ = answer("--config-dir mine --cfg job preset=mini method=small trainer.epochs=7", capsys)
    shown = yaml.safe_load(out)
    assert (code, shown["method"]["r"], shown["trainer"]["epochs"], shown["trainer"]["lr"]) == (0, 1, 7, 0.005)
    code, out, _ = answer("--cfg job --package trainer trainer.epochs=7", capsys)
    assert (code, yaml.safe_load(out)["epochs"]) == (0, 7)


def test_jobs_that_compose_run_where_others_do_not(nothing_runs, capsys):
    code, _, err = answer("-m method=lora,bitfit,adapter method.r=2", capsys)
    jobs = [line.split()[0] for line in err.splitlines() if line.startswith("  ")]
    assert (code, jobs) == (2, ["skipped", "refused", "skipped"])
    assert err.startswith("3 jobs: 1 refused\n")


def test_sweep_of_which_no_job_composes_is_refused_whole(nothing_runs, capsys):
    code, out, err = answer("-m method=lora,bitfit trainer.precision=half", capsys)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("inducer-bench: trainer.precision: found 'half'; did you mean 'bf16'?")


def test_keys_of_an_experiments_methods_may_be_set(nothing_runs, capsys, tmp_path):
    (tmp_path / "mine" / "experiment").mkdir()
    (tmp_path / "mine" / "experiment" / "two.yaml").write_text(
        "# @package _global_\nhydra:\n  sweeper:\n    params:\n      method: lora,adapter\n"
    )
    code, _, err = answer("-m --config-dir mine experiment=two method.r=3", capsys)
    assert code == 0, err
    assert "refused" not in err
