"""Several seeds side by side leave the records that each would have left alone, whatever happens to the others."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from helpers.runs import killed, results, write_table
from safetensors.torch import load_file

from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.runs import experiment
from inducer_bench.runs import record as records
from inducer_bench.runs.run import run
from inducer_bench.runs.several import run_all
from inducer_bench.training import side_by_side
from inducer_bench.training.stack import Stack

SEEDS = (0, 1, 2)
TOGETHER = ("seeds=3",)


@pytest.fixture(scope="module")
def setting(tiny_roberta_folder, sst2_folder):
    """Two epochs of eight steps, with dropout and gradient accumulation."""
    return [
        f"plm.path={tiny_roberta_folder}", f"task.data_dir={sst2_folder}", "task.max_length=32", "trainer.lr=2e-3",
        "trainer.epochs=2", "trainer.batch_size=8", "trainer.micro_batch_size=3", "trainer.log_every=2",
        "trainer.checkpoint_every=3", "method.r_k=4",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def alone(setting, tmp_path_factory):
    """The folders of the three seeds, each run alone."""
    return run_alone(setting, tmp_path_factory.mktemp("alone"))


def run_alone(overrides, root):
    one_by_one = [*overrides, "trainer.batches=buckets", f"output_dir={root}"]
    return [run(compose([*one_by_one, f"seed={seed}"])).folder for seed in SEEDS]


def run_together(overrides, root, *more):
    return run_all(compose([*overrides, *(more or TOGETHER), f"output_dir={root}"]))


def assert_equal_within_rounding(folder, expected):
    found, lone = (records.read(each) for each in (folder, expected))
    assert (found.status, found.seed, found.config_hash) == ("done", lone.seed, lone.config_hash)
    assert {**found.config, "output_dir": ""} == {**lone.config, "output_dir": ""}
    assert (found.steps, found.tokens, found.best_epoch) == (lone.steps, lone.tokens, lone.best_epoch)
    assert (found.examples, found.parameters, found.labels) == (lone.examples, lone.parameters, lone.labels)
    for name, score in lone.scores.items():
        assert found.scores[name].value == pytest.approx(score.value, rel=1e-4)
    lines, lone_lines = ((each / "metrics.jsonl").read_text().splitlines() for each in (folder, expected))
    for line, lone_line in zip(lines, lone_lines, strict=True):
        own, expected_line = json.loads(line), json.loads(lone_line)
        assert own.pop("event") == expected_line.pop("event")
        assert own == pytest.approx(expected_line, rel=1e-4)
    weights, lone_weights = (load_file(each / "adapter/adapter.safetensors") for each in (folder, expected))
    assert weights.keys() == lone_weights.keys()
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, lone_weights[name], rtol=1e-3, atol=2e-5)


def test_each_seed_leaves_what_it_leaves_alone_and_nothing_runs_twice(setting, alone, tmp_path):
    outcomes = run_together(setting, tmp_path)
    assert [outcome.code for outcome in outcomes] == [ExitCode.DONE] * 3
    assert [outcome.message.split(":")[0] for outcome in outcomes] == ["seed 0", "seed 1", "seed 2"]
    for outcome, expected in zip(outcomes, alone, strict=True):
        assert outcome.folder.name == expected.name
        assert_equal_within_rounding(outcome.folder, expected)
        assert {path.name for path in outcome.folder.iterdir()} == {path.name for path in expected.iterdir()}
        assert outcome.record.side_by_side == 3
        assert records.read(expected).side_by_side == 1
        log = (outcome.folder / "log.txt").read_text()
        assert log.count("step 2/16") == 1  # of its own steps, not of the others'
        assert "side by side: seeds 0, 1, 2" in log
    lone = run(compose([*setting, "seed=1", "trainer.batches=buckets", f"output_dir={tmp_path}"]))
    assert lone.status == "skipped"
    assert [outcome.status for outcome in run_together(setting, tmp_path)] == ["skipped"] * 3


def test_only_missing_seeds_are_trained(setting, alone, tmp_path, monkeypatch):
    lanes = []
    monkeypatch.setattr(side_by_side, "Stack", lambda *given: lanes.append(len(given[2])) or Stack(*given))
    first = run_together(setting, tmp_path, "seeds=1", "seed=1")
    assert lanes == []  # one seed runs alone
    assert [outcome.status for outcome in first] == ["done"]
    outcomes = run_together(setting, tmp_path)
    assert [outcome.status for outcome in outcomes] == ["done", "skipped", "done"]
    assert set(lanes) == {2}
    for outcome, expected in zip(outcomes, alone, strict=True):
        assert_equal_within_rounding(outcome.folder, expected)


@pytest.mark.parametrize("at", [11])
def test_signal_stops_all_at_a_step_and_the_same_command_resumes_bit_for_bit(setting, tmp_path, monkeypatch, at):
    whole = run_together(setting, tmp_path / "whole")
    original, steps = side_by_side.add_gradients_of_each, []

    def signalling(*arguments):
        steps.append(1)
        if len(steps) == at + 1:  # the first one is a check
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    monkeypatch.setattr(side_by_side, "add_gradients_of_each", signalling)
    stopped = run_together(setting, tmp_path)
    assert [outcome.code for outcome in stopped] == [ExitCode.INTERRUPTED] * 3
    assert [outcome.record.status for outcome in stopped] == ["interrupted"] * 3
    assert f"stopped at step {at} of 16" in stopped[0].message
    monkeypatch.undo()
    resumed = run_together(setting, tmp_path)
    assert [results(outcome.folder) for outcome in resumed] == [results(outcome.folder) for outcome in whole]


def test_killed_runs_resume_bit_for_bit(setting, tmp_path):
    whole = run_together(setting, tmp_path / "whole")
    command = [*setting, *TOGETHER, f"output_dir={tmp_path}"]
    killed("step", 3 * 13 + 2, command, tmp_path)
    resumed = run_together(setting, tmp_path)
    assert "resuming at step 12" in (resumed[0].folder / "log.txt").read_text()
    assert [results(outcome.folder) for outcome in resumed] == [results(outcome.folder) for outcome in whole]


@pytest.mark.parametrize("at", [9])
def test_runs_killed_while_they_save_go_on_from_different_steps(setting, alone, tmp_path, at):
    command = [*setting, *TOGETHER, f"output_dir={tmp_path}"]
    killed("rename", at, command, tmp_path)
    for outcome, expected in zip(run_together(setting, tmp_path), alone, strict=True):
        assert_equal_within_rounding(outcome.folder, expected)


def test_lone_run_resumes_what_was_begun_side_by_side_and_the_other_way_round(setting, alone, tmp_path, monkeypatch):
    original, steps = side_by_side.add_gradients_of_each, []

    def signalling(*arguments):
        steps.append(1)
        if len(steps) == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    monkeypatch.setattr(side_by_side, "add_gradients_of_each", signalling)
    run_together(setting, tmp_path)
    monkeypatch.undo()
    by_itself = [*setting, "seed=1", "trainer.batches=buckets", f"output_dir={tmp_path}"]
    lone = run(compose(by_itself))
    assert "resuming at step 5" in (lone.folder / "log.txt").read_text()
    assert_equal_within_rounding(lone.folder, alone[1])
    for outcome, expected in zip(run_together(setting, tmp_path), alone, strict=True):
        assert_equal_within_rounding(outcome.folder, expected)


def test_seed_that_diverges_is_recorded_and_the_others_go_on(setting, alone, tmp_path, monkeypatch):
    original = experiment.attach_method

    def broken(config, model):
        tuned = original(config, model)
        if config.seed == 1:
            with torch.no_grad():
                next(iter(tuned.method_parameters().values())).fill_(torch.nan)
        return tuned

    monkeypatch.setattr(experiment, "attach_method", broken)
    outcomes = run_together(setting, tmp_path)
    assert [outcome.code for outcome in outcomes] == [ExitCode.DONE, ExitCode.FAILED, ExitCode.DONE]
    assert outcomes[1].message.startswith("seed 1: diverged: inducer, epoch 1, step 1: loss nan")
    assert records.read(outcomes[1].folder).status == "failed"
    assert "TrainingDiverged" in (outcomes[1].folder / "log.txt").read_text()
    assert "TrainingDiverged" not in (outcomes[0].folder / "log.txt").read_text()
    for seed in (0, 2):
        assert_equal_within_rounding(outcomes[seed].folder, alone[seed])


def test_seed_out_of_patience_leaves_and_the_others_go_on(setting, tmp_path):
    impatient = [each for each in setting if not each.startswith("method.")]
    impatient += ["method=lora", "method.r=4", "trainer.epochs=4", "trainer.patience=1", "trainer.lr=1e-3"]
    impatient += ["trainer.micro_batch_size=null"]
    expected = run_alone(impatient, tmp_path / "alone")
    assert [len(records.read(folder).evaluations) for folder in expected] == [2, 3, 2]
    for outcome, lone in zip(run_together(impatient, tmp_path), expected, strict=True):
        assert_equal_within_rounding(outcome.folder, lone)


@pytest.mark.parametrize(("method", "options"), [("lora", ["method.r=4"]), ("prefix", [])])
def test_seeds_of_a_generation_task_write_the_same_texts(tiny_gpt2_folder, tmp_path, method, options):
    """Each seed has another number of target tokens in a batch."""
    (tmp_path / "data").mkdir()
    write_table(tmp_path / "data")
    writing = [
        "task=text_to_text", "task.metrics=[chrf]", "task.metric=chrf", f"plm.path={tiny_gpt2_folder}",
        f"task.data_dir={tmp_path / 'data'}", "task.max_length=60", "task.decoding.max_new_tokens=3",
        f"method={method}", *options, "trainer.epochs=2", "trainer.batch_size=4", "trainer.eval_batch_size=2",
        "trainer.log_every=1", "task.decoding.sample=true",
    ]  # fmt: skip
    expected = run_alone(writing, tmp_path / "alone")
    for outcome, lone in zip(run_together(writing, tmp_path), expected, strict=True):
        assert_equal_within_rounding(outcome.folder, lone)
        assert (outcome.folder / "predictions.jsonl.gz").read_bytes() == (lone / "predictions.jsonl.gz").read_bytes()


def test_frozen_random_head_of_each_seed_is_its_own(setting, tmp_path):
    released = [*setting, "protocol=as_released"]
    expected = run_alone(released, tmp_path / "alone")
    for outcome, lone in zip(run_together(released, tmp_path), expected, strict=True):
        assert_equal_within_rounding(outcome.folder, lone)


def test_what_cannot_run_side_by_side_is_one_line_before_training(setting, tmp_path, monkeypatch):
    (tmp_path / "own_code").mkdir()
    (tmp_path / "own_code" / "looking.py").write_text(
        "from inducer_bench.methods.options import MethodOptions\n"
        "from inducer_bench.options import options\n"
        "import torch\n"
        "@options\n"
        "class Options(MethodOptions):\n"
        "    pass\n"
        "class Scale(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.by = torch.nn.Parameter(torch.ones(()))\n"
        "    def forward(self, module, inputs, output):\n"
        "        return output * self.by if self.by.item() else output\n"
        "def attach(tuned, options):\n"
        "    for layer in tuned.layers():\n"
        "        scale = Scale()\n"
        "        tuned.add_part(layer.output.module, 'scale', scale)\n"
        "        tuned.add_hook(layer.output.module.register_forward_hook(scale.forward))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    looking = [each for each in setting if not each.startswith("method.")]
    with pytest.raises(
        UserError, match=r"^seeds: 'own_code.looking' on Roberta.* cannot be trained side by side \(.*item.*\)"
    ):
        run_together(looking, tmp_path / "runs", "method=own", "method.name=own_code.looking", *TOGETHER)
    assert list((tmp_path / "runs").rglob("record.json")) == []


def test_several_processes_are_refused(setting, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UserError, match="seeds: found 3; allowed: null in a run of several processes"):
        run_together(setting, tmp_path)


def test_dry_run_takes_a_step_of_each_and_leaves_nothing(setting, tmp_path):
    outcomes = run_together(setting, tmp_path, *TOGETHER, "dry_run=true")
    assert [outcome.code for outcome in outcomes] == [ExitCode.DONE] * 3
    losses = {outcome.message.partition("loss ")[2] for outcome in outcomes}
    assert len(losses) == 3
    assert list(tmp_path.iterdir()) == []


def test_sweep_counts_runs_and_prints_the_folder_of_each(setting, tmp_path, run_cli):
    plain = [each for each in setting if not each.startswith("method.")]
    short = [*plain, "task.max_train=16", "trainer.epochs=1", f"output_dir={tmp_path}"]
    ended = run_cli("-m", *short, "method=lora,bitfit", "seeds=2")
    assert ended.returncode == 0, ended.stderr
    assert "sweep of 2 jobs, 4 runs:" in ended.stderr
    folders = [Path(line) for line in ended.stdout.splitlines() if line.startswith(str(tmp_path))]
    assert [records.read(folder).method for folder in folders] == ["lora", "lora", "bitfit", "bitfit"]
    refused = run_cli(*short, "method=fine_tune", "seeds=2")
    assert refused.returncode == ExitCode.BAD_INPUT
    assert refused.stderr.splitlines()[-1].startswith("inducer-bench: method: found 'fine_tune'; allowed with seeds=2:")
