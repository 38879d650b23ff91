"""Costs of runs against numbers that are worked out here by hand."""

import dataclasses

import pytest
from helpers import handmade
from helpers.handmade import EXAMPLES, MINI, write_run

from inducer_bench.config.compose import compose
from inducer_bench.report.costs import Costs
from inducer_bench.runs.record import Device, Parameters, Tokens
from inducer_bench.runs.timing import Timing

CPU = Device(type="cpu", name="x86_64", threads=1)
DATA = "sha256:data"
TRAINED, PLM = 20_000, 1_210_496
COUNTS = {
    "tokens": Tokens(real=1000, padded=1100),
    "train_flops": (4 * PLM + 2 * TRAINED) * 1100,
}
PARAMETERS = Parameters(method=17_000, head=100, tokens=0, plm=PLM, percent=1.4)  # those of handmade records


def cost(root, *overrides, device=CPU, data=DATA):
    return Costs(root, device).of(handmade.configuration((*MINI, "method=lora", *overrides)), data)


@pytest.fixture
def runs(tmp_path):
    """Three seeds of LoRA: 30, 31 and 32 s of training, 1.5 s of evaluation."""
    for seed in range(3):
        write_run(tmp_path, *MINI, "method=lora", seed=seed, peak_memory_of="tensors_allocated", **COUNTS)
    return tmp_path


def test_same_kind_takes_what_the_finished_runs_took(runs):
    found = cost(runs, "seed=7")
    assert (found.seconds, found.low, found.high) == pytest.approx((32.5, 31.5, 33.5))
    assert found.source == "3 finished runs"
    assert found.memory == 2**29 + 2**21


def test_learning_rate_changes_no_cost(runs):
    assert cost(runs, "trainer.lr=0.1") == cost(runs)


def test_time_follows_epochs_and_examples(runs):
    # Of 4,000 + 200 / 3 examples an epoch 1,000 + 200 / 3 are left, and of 5 epochs 2; all of dev is scored.
    found = cost(runs, "trainer.epochs=2", "task.max_train=1000")
    assert found.seconds == pytest.approx(31 * (2 * (1000 + 200 / 3)) / (5 * (4000 + 200 / 3)) + 1.5)
    assert cost(runs, "task.max_eval=50").seconds == pytest.approx(31 * (4000 + 50 / 3) / (4000 + 200 / 3) + 1.5 / 4)


def test_held_out_slice_is_taken_from_train(runs):
    found = cost(runs, "protocol=clean", "protocol.held_out=0.25")
    assert found.seconds == pytest.approx(31 * (3000 + 1000 / 3) / (4000 + 200 / 3) + 1.5)


def test_trial_keeps_no_adapter_and_scores_the_held_out_part(runs):
    clean = ["protocol=clean", "protocol.held_out=0.25"]
    trial = cost(runs, *clean, "protocol.score=held_out")
    training = 31 * (3000 + 1000 / 3) / (4000 + 200 / 3)
    assert trial.seconds == pytest.approx(training + 1.5 * 1000 / EXAMPLES)
    assert cost(runs, *clean).left - cost(runs).left == 0
    assert trial.left < cost(runs, *clean).left


def test_runs_of_a_part_of_the_data_do_not_say_how_many_there_are(tmp_path):
    write_run(tmp_path, *MINI, "method=lora", "task.max_train=1000", **COUNTS,
              examples={"train": 1000, "selection": EXAMPLES, "dev": EXAMPLES})  # fmt: skip
    assert cost(tmp_path) is None
    assert cost(tmp_path, "task.max_train=2000") is None
    assert cost(tmp_path, "task.max_train=500").seconds == pytest.approx(30 * (500 + 200 / 3) / (1000 + 200 / 3) + 1.5)


def test_runs_on_other_data_do_not_say_how_many_there_are(runs):
    assert cost(runs, data="sha256:other") is None
    assert cost(runs, data=None) == cost(runs)


def test_nearest_settings_count(runs):
    write_run(runs, *MINI, "method=lora", "method.r=2", train_seconds=100.0, **COUNTS)
    assert cost(runs, "method.r=2").seconds == pytest.approx(101.5)
    assert cost(runs).seconds == pytest.approx(32.5)
    assert cost(runs, "method.r=2", "trainer.eval_batch_size=7").source == (
        "1 finished run, with other trainer.eval_batch_size"
    )


def test_own_device_counts_before_settings(runs):
    gpu = Device(type="cuda", name="NVIDIA H200", threads=8)
    write_run(runs, *MINI, "method=lora", "method.r=2", train_seconds=3.0, device=gpu, precision="no", **COUNTS)
    assert cost(runs, device=gpu).seconds == pytest.approx(4.5)
    assert cost(runs, device=Device(type="cpu", name="x86_64", threads=4)).source == (
        "3 finished runs on cpu x86_64, threads: 1"
    )


def test_other_methods_stand_in_by_floating_point_operations(runs):
    found = cost(runs, "method=fine_tune")
    ratio = (4 * PLM + 2 * (PLM + 100)) / (4 * PLM + 2 * TRAINED)
    assert found.seconds == pytest.approx(32.5 * ratio)
    assert found.source == "finished runs of lora, by operations"
    assert found.checkpoint == (PLM + 100) * 4 * 8
    assert found.memory is None


def test_other_methods_stand_in_by_their_ratio_on_another_task(runs):
    mnli = {"examples": {"train": 6000, "selection": EXAMPLES, "dev": EXAMPLES, "dev_mismatched": EXAMPLES}, **COUNTS}
    write_run(runs, "preset=mini", "task=mnli", "method=lora", train_seconds=40.0, **mnli)
    write_run(runs, "preset=mini", "task=mnli", "method=adapter", train_seconds=60.0, **mnli)
    found = cost(runs, "method=adapter")
    assert found.seconds == pytest.approx(1.5 * 32.5)
    assert found.source == "finished runs of lora, in the ratio that they have on mnli"


def test_disk_is_that_of_deployed_parameters_and_two_checkpoints(runs):
    found = cost(runs)
    assert found.checkpoint == TRAINED * 4 * (2 * 3 + 2)
    folder = next((runs / "sst2" / "mini_roberta" / "lora").iterdir())
    beside = sum(path.stat().st_size for path in folder.iterdir())
    assert found.left == pytest.approx((17_000 + 100) * 4 + beside, abs=100)  # records differ in length


def test_timed_steps_stand_for_a_run(tmp_path):
    config, costs = compose([*MINI, "method=lora"]), Costs(tmp_path, CPU)
    assert costs.of(config, DATA) is None
    examples = {"train": 4000, "selection": EXAMPLES, "dev": EXAMPLES}
    costs.add(config, Timing(50.0, 2.0, examples, CPU, "no", PARAMETERS, TRAINED, 0.7, 0.1, 0.2, 2**30), DATA)
    assert costs.of(config, DATA).seconds == pytest.approx(52.0)
    assert costs.of(config, DATA).source == "timed steps"
    longer = dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, epochs=10))
    assert costs.of(longer, DATA).seconds == pytest.approx(102.0)


def test_webnlg_counts_texts_while_its_limit_counts_entries(tmp_path):
    task = ["preset=mini", "task=webnlg", "method=lora"]
    sizes = {"examples": {"train": 1000, "selection": 100, "test": 50}, **COUNTS}
    write_run(tmp_path, *task, train_seconds=30.0, **sizes)
    of = Costs(tmp_path, CPU).of
    assert of(compose([*task, "task.max_train=300"]), DATA) is None  # 1,000 texts are of fewer entries
    assert of(compose([*task, "task.max_train=1000"]), DATA).seconds == pytest.approx(31.5)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"train_seconds": 1e12}, "found more than 1e+09"),
        ({"config": {"trainer": {"epochs": "three"}}}, "its configuration is of another release"),
    ],
)
def test_odd_record_is_left_out_in_a_line(changes, line, runs):
    if "config" in changes:
        values = dataclasses.asdict(handmade.configuration((*MINI, "method=lora")))
        values["trainer"] |= changes["config"]["trainer"]
        changes = {"config": {**values, "seed": 9, "output_dir": str(runs)}}
        folder_seed = 9
    else:
        folder_seed = 8
    write_run(runs, *MINI, "method=lora", seed=folder_seed, **{**COUNTS, **changes})
    costs = Costs(runs, CPU)
    assert costs.of(compose([*MINI, "method=lora"]), DATA).seconds == pytest.approx(32.5)
    (found,) = costs.left_out
    assert line in found
    assert found.count("\n") == 0
