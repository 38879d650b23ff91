"""Hydra's own errors, and those of what it calls, are one line and exit code 2."""

import pytest

from inducer_bench.cli import main

LINES = {  # command line -> the one line that answers it begins with this
    "--cfg nope": "argument --cfg/-c: invalid choice: 'nope'",
    "--info nope": "argument --info/-i: invalid choice: 'nope'",
    "--multirun=3": "argument --multirun/-m: ignored explicit argument '3'",
    "--config-dir": "argument --config-dir/-cd: expected one argument",
    "--config-dir /nowhere": "--config-dir: found '/nowhere', which is not a folder",
    "--config-name=foo": "--config-name: unknown 'foo'; allowed: config",
    "--config-path=/nowhere": "configuration: Primary config directory not found.",
    "--cfg job --package x": "package 'x' not found in config",
    "--package x": "--package: only together with --cfg",
    "--resolve": "--resolve: only together with --cfg",
    "--cfg job -m": "--multirun: not together with --cfg; inducer-bench plan ... lists the jobs of a sweep",
    "--cfg job --info": "--cfg: not together with --info",
    "--run -m": "--run: not together with --multirun",
    "-sc install=bash": "-sc: not in use here; inducer-bench completion bash|zsh|fish",
    "=1": "override '=1': not understood; write key=value",
    "seed=1=2": "override 'seed=1=2': not understood; write key=value, and where the value has special characters ",
    "hydra=null": "configuration: Config group override must be a string",
    "hydra.run.dir=/proc/x": "hydra.run.dir: '/proc/x' cannot be written",
    "hydra.job.num=abc": "hydra.job.num: Value 'abc'",
    "hydra.job.env_copy=[NO_SUCH_NAME]": "configuration: KeyError: 'NO_SUCH_NAME'",
    "hydra.job.env_set.A=1": "hydra.job.env_set.A: there is no such key; to add it write +hydra.job.env_set.A=...",
    "hydra/launcher=nope": "hydra/launcher: unknown 'nope'; allowed: basic",
    "hydra.sweeper.x=1": "hydra.sweeper.x: ",
    "trainer.lr=${trainer.lr}": "trainer.lr: Recursive interpolation detected",
    "optimized_metric=acuracy": "optimized_metric: unknown 'acuracy'; did you mean 'accuracy'? allowed: accuracy",
    "optimized_metric=accuracy_matched": "optimized_metric: unknown 'accuracy_matched'",
    "method.name=lora": "method=lora instead of method.name=lora brings all of its keys; method.r: missing",
    "task.kind=webnlg": "task=webnlg instead of task.kind=webnlg brings all of its keys; task.source_tokens: missing",
    "trainer.lr=null": "trainer.lr: found null; ",
    "-m hydra.sweeper.max_batch_size=0": "hydra.sweeper.max_batch_size: found 0",
    "-m hydra.sweep.subdir=${nope}": "hydra.sweep.subdir: Interpolation key 'nope' not found",
    "-m output_dir=${nope}": "hydra.sweep.dir: Interpolation key 'nope' not found",
    "-m seed=range(0,10,0)": "seed: found range(0, 10, 0); allowed: finite numbers, and a step that is not 0",
    "-m seed=range(0,inf)": "seed: found range(0, inf, 1)",
    "-m seed=range(3,3)": "seed: found range(3,3), which matches no value",
    "-m method=glob(zz*)": "method: found glob(zz*), which matches no value",
    "-m seed=choice()": "override 'seed=choice()': not understood",
    "-m seed=interval(0,1)": "seed: found interval(0,1), which needs a sweeper that searches",
    "-m seed=range(1000000000)": "seed: found a sweep of 1,000,000,000 jobs; allowed: at most 10,000",
    "-m seed=range(0,1000,0.001)": "seed: found a sweep of 1,000,000 jobs",
    "-m seed=range(101) trainer.epochs=range(100)": "seed: found a sweep of 10,100 jobs",
    "-m method=lora,lara": "method: unknown 'lara'; did you mean 'lora'?",
}


@pytest.mark.parametrize("full", ["0", "1"], ids=["", "HYDRA_FULL_ERROR"])
def test_error_of_hydra_is_one_line(full, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HYDRA_FULL_ERROR", full)
    monkeypatch.chdir(tmp_path)
    chosen = LINES if full == "0" else {line: LINES[line] for line in list(LINES)[::13]}
    for command, beginning in chosen.items():
        code = main.main(command.split(" "))
        shown = capsys.readouterr()
        assert (command, code, shown.out, shown.err.count("\n")) == (command, 2, "", 1)
        assert shown.err.startswith(f"inducer-bench: {beginning}")


def test_error_of_a_run_comes_out_as_it_is(capsys, monkeypatch, tmp_path):
    def broken(config, show):
        raise RuntimeError("a bug")

    monkeypatch.setattr("inducer_bench.cli.launch.run_all", broken)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError, match="a bug"):
        main.main(["seed=1"])
    assert capsys.readouterr().err == ""


def test_mode_of_a_sweep_may_be_set_by_an_override(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main.main(["hydra.mode=MULTIRUN", "seed=-1,-2"]) == 2
    assert "sweep of 2 jobs:\n" in capsys.readouterr().err
