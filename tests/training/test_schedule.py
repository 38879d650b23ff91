"""Learning rates: our own two as they have always been, all others as transformers steps them."""

import dataclasses
import inspect
import math

import pytest
import torch
from transformers import get_scheduler
from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION

from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import canonical
from inducer_bench.runs.run import run
from inducer_bench.training import loop
from inducer_bench.training.options import SCHEDULE_ARGS
from inducer_bench.training.schedule import learning_rates

WARMUPS = (0.0, 0.06, 0.1, 0.5, 0.999, 1.0, 2.5, 7.0, 40.0, 500.0)
NEEDED = {
    "cosine_with_min_lr": {"min_lr_rate": 0.1},
    "cosine_warmup_with_min_lr": {"min_lr": 1e-5},
    "warmup_stable_decay": {"num_decay_steps": 5},
}
OF_TRANSFORMERS = [name for name in SCHEDULE_ARGS if name not in ("linear", "constant")]


@pytest.fixture(scope="module")
def plain():
    return compose(["preset=mini", "task=sst2", "method=lora"]).trainer


def of_release_0_1(config, step, total_steps):
    """The learning rate as version 0.1 computed it, word for word."""
    warmup = config.warmup * total_steps if config.warmup < 1 else config.warmup
    if step < warmup:
        return config.lr * (step + 1) / (warmup + 1)
    if config.schedule == "constant":
        return config.lr
    return config.lr * max(0.0, (total_steps - step) / max(1.0, total_steps - warmup))


@pytest.mark.parametrize("schedule", ["linear", "constant"])
@pytest.mark.parametrize("warmup", WARMUPS)
def test_our_own_schedules_are_those_of_the_first_release_to_the_bit(plain, schedule, warmup):
    for total in (0, 1, 2, 7, 40, 1250):
        for lr in (5e-3, 2e-4, 1.0 / 3):
            config = dataclasses.replace(plain, schedule=schedule, warmup=warmup, lr=lr)
            rate = learning_rates(config, total)
            steps = range(total + 2)
            assert [rate(step) for step in steps] == [of_release_0_1(config, step, total) for step in steps]


def stepped(config, total):
    """The rates of transformers' own scheduler, which steps with an optimizer from the start to the end."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=config.lr)
    warmup = math.ceil(config.warmup * total) if config.warmup < 1 else math.ceil(config.warmup)
    scheduler = get_scheduler(config.schedule, optimizer, warmup, total, dict(config.schedule_args))
    rates = []
    for _ in range(total - 1):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [*rates, optimizer.param_groups[0]["lr"]]


@pytest.mark.parametrize("schedule", OF_TRANSFORMERS)
@pytest.mark.parametrize("warmup", WARMUPS)
def test_schedule_of_transformers_is_the_one_that_its_scheduler_steps_through(plain, schedule, warmup):
    config = dataclasses.replace(plain, schedule=schedule, warmup=warmup, schedule_args=NEEDED.get(schedule, {}))
    learning_rates(config, 0)  # a run without epochs asks for no rate
    for total in (1, 7, 40):
        rate = learning_rates(config, total)
        assert [rate(step) for step in range(total)] == stepped(config, total)


@pytest.mark.parametrize(
    ("schedule", "arguments"),
    [
        ("cosine", {"num_cycles": 1.5}), ("cosine_with_restarts", {"num_cycles": 3}),
        ("polynomial", {"power": 2, "lr_end": 1e-5}), ("inverse_sqrt", {"timescale": 10}),
        ("warmup_stable_decay", {"num_decay_steps": 9, "min_lr_ratio": 0.1, "decay_type": "1-sqrt"}),
        ("cosine_warmup_with_min_lr", {"min_lr_rate": 0.2, "warmup_lr_rate": 0.3}),
    ],
)  # fmt: skip
def test_arguments_of_a_schedule_reach_transformers(plain, schedule, arguments):
    config = dataclasses.replace(plain, schedule=schedule, warmup=0.1, schedule_args=arguments)
    rate = learning_rates(config, 40)
    rates = [rate(step) for step in range(40)]
    assert rates == stepped(config, 40)
    plainly = dataclasses.replace(config, schedule_args=NEEDED.get(schedule, {}))
    assert rates != stepped(plainly, 40)


def test_stable_steps_of_ones_own_warn_of_nothing(plain, recwarn):
    arguments = {"num_decay_steps": 9, "num_stable_steps": 5}
    config = dataclasses.replace(plain, schedule="warmup_stable_decay", warmup=4.0, schedule_args=arguments)
    rate = learning_rates(config, 40)
    assert [step for step in range(40) if rate(step) == config.lr] == [4, 5, 6, 7, 8, 9]
    assert [warning for warning in recwarn if "num_stable_steps" in str(warning.message)] == []


def test_every_schedule_of_transformers_is_there_unless_it_looks_at_the_loss():
    names = {kind.value for kind in TYPE_TO_SCHEDULER_FUNCTION}
    assert names - set(SCHEDULE_ARGS) == {"reduce_lr_on_plateau", "greedy"}


@pytest.mark.parametrize("schedule", OF_TRANSFORMERS)
def test_listed_arguments_are_those_of_transformers(schedule):
    functions = {kind.value: function for kind, function in TYPE_TO_SCHEDULER_FUNCTION.items()}
    of_every_schedule = {"optimizer", "num_warmup_steps", "num_training_steps", "last_epoch"}
    assert set(inspect.signature(functions[schedule]).parameters) - of_every_schedule == set(SCHEDULE_ARGS[schedule])


REFUSED = {
    ("trainer.schedule=cosin",): "trainer.schedule: found 'cosin'; did you mean 'cosine'? allowed: linear, constant",
    ("+trainer.schedule_args.num_cycles=2",): "with schedule=linear: none",
    ("trainer.schedule=cosine", "+trainer.schedule_args.num_cycle=2"): "did you mean 'num_cycles'? num_cycles",
    ("trainer.schedule=cosine", "+trainer.schedule_args.num_cycles=two"): "num_cycles a number from 0 on",
    ("trainer.schedule=cosine", "+trainer.schedule_args.num_cycles=nan"): "num_cycles a number from 0 on",
    ("trainer.schedule=cosine", "trainer.schedule_args.num_cycles=2"): "write +trainer.schedule_args.num_cycles=...",
    ("trainer.schedule=cosine_with_min_lr",): "one of min_lr, min_lr_rate",
    ("trainer.schedule=warmup_stable_decay",): "num_decay_steps, which it needs",
    ("trainer.schedule=warmup_stable_decay", "+trainer.schedule_args={num_decay_steps: 0.5}"): "a whole number",
    ("trainer.schedule=warmup_stable_decay", "+trainer.schedule_args={num_decay_steps: 5, decay_type: exp}"):
        "decay_type linear, cosine, 1-sqrt",
    ("trainer.schedule=inverse_sqrt", "+trainer.schedule_args.timescale=0"): "timescale a number above 0",
    ("trainer.schedule=polynomial", "trainer.lr=1e-8"): "lr_end below trainer.lr, 1e-08",
}  # fmt: skip


@pytest.mark.parametrize("overrides", REFUSED)
def test_impossible_schedule_is_refused_in_one_line_without_torch(overrides):
    with pytest.raises(UserError) as caught:
        compose(["preset=mini", "task=sst2", "method=lora", *overrides])
    assert REFUSED[overrides] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_configuration_without_arguments_of_a_schedule_keeps_its_hash():
    config = compose(["preset=mini", "task=sst2", "method=lora"])
    assert "schedule_args" not in canonical(config)["trainer"]
    other = compose(["preset=mini", "task=sst2", "method=lora", "trainer.schedule=cosine",
                     "+trainer.schedule_args.num_cycles=2"])  # fmt: skip
    assert canonical(other)["trainer"]["schedule_args"] == {"num_cycles": 2}


def test_run_with_a_cosine_goes_on_after_an_interruption_as_if_there_had_been_none(tiny_run, tmp_path, monkeypatch):
    def config(name):
        return compose([*tiny_run, "trainer.schedule=cosine", "trainer.epochs=2", "trainer.log_every=1",
                        "trainer.batch_size=4", f"output_dir={tmp_path / name}"])  # fmt: skip

    whole = run(config("whole")).folder
    original, steps = loop.Checkpoint.due, []

    def due(self, progress):
        steps.append(progress.step)
        return progress.step == 3 or original(self, progress)

    monkeypatch.setattr(loop.Checkpoint, "due", due)
    monkeypatch.setattr(loop.interruption, "requested", lambda: len(steps) == 2)
    halves = run(config("halves"))
    assert halves.status == "interrupted"
    monkeypatch.undo()
    halves = run(config("halves"))
    assert steps == [1, 2, 3]
    files = [(folder / "metrics.jsonl").read_bytes() for folder in (whole, halves.folder)]
    assert files[0] == files[1]
    assert records.read(whole).scores == records.read(halves.folder).scores


# -- what a run is too short for ---------------------------------------------------------------------------------------


STABLE = {
    "schedule": "warmup_stable_decay", "warmup": 20, "schedule_args": {"num_decay_steps": 30, "num_stable_steps": 10},
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "steps", "told"),
    [
        ({"warmup": 500}, 501, None),
        ({"warmup": 500}, 500, "trainer.warmup: 500 steps, but the run has 500"),
        ({"warmup": 500, "schedule": "constant"}, 130, "trainer.warmup: 500 steps, but the run has 130"),
        ({"warmup": 0.99}, 3, None),
        ({"warmup": 500}, 0, None),  # nothing is trained
        (STABLE, 60, None),
        (STABLE, 59, "trainer.schedule_args: warm-up, stable steps and decay take 60 steps, but the run has 59"),
    ],
)
def test_what_a_run_is_too_short_for_is_told(plain, changes, steps, told):
    found = dataclasses.replace(plain, **changes).without_effect(steps)
    assert [line.partition(told or "?")[1] for line in found] == ([told] if told else [])


@pytest.mark.parametrize("schedule", ["linear", "constant", "cosine", "inverse_sqrt"])
@pytest.mark.parametrize("warmup", [1, 5, 9, 10, 11])
def test_warm_up_is_told_if_the_highest_rate_is_not_reached(plain, schedule, warmup):
    config = dataclasses.replace(plain, schedule=schedule, warmup=warmup)
    rates = [*map(learning_rates(config, 10), range(10))]
    reached = max(rates) == pytest.approx(config.lr)
    assert reached != bool(config.without_effect(10))
