"""Batches, learning rates, and what a training run does at its edges."""

import copy
import math
from collections import Counter
from types import SimpleNamespace

import pytest
import torch

from inducer_bench.errors import TrainingDiverged
from inducer_bench.training.batching import (
    WINDOW,
    evaluation_batches,
    micro_batches,
    padded_tokens,
    training_batches,
)
from inducer_bench.training.checkpoint import Progress
from inducer_bench.training.loop import make_optimizer, out_of_patience, set_lr, update
from inducer_bench.training.mirrors import Mirrors
from inducer_bench.training.tracking import Tracker
from inducer_bench.training.watch import Watch, account

LENGTHS = [5 + (index * 7919) % 60 for index in range(1000)]


def trainer(**changes):
    return SimpleNamespace(**{"lr": 1.0, "warmup": 0.1, "schedule": "linear", "patience": None, **changes})


def test_every_example_is_in_exactly_one_batch():
    batches = training_batches(LENGTHS, 16, seed=3, epoch=2)
    assert Counter(index for batch in batches for index in batch) == Counter(range(1000))
    assert sorted(map(len, batches)) == [8] + [16] * 62


def test_order_depends_on_seed_and_epoch_alone():
    first = training_batches(LENGTHS, 16, seed=1, epoch=1)
    torch.rand(10)
    assert training_batches(LENGTHS, 16, seed=1, epoch=1) == first
    assert training_batches(LENGTHS, 16, seed=1, epoch=2) != first
    assert training_batches(LENGTHS, 16, seed=2, epoch=1) != first


def test_buckets_waste_little_padding():
    batches = training_batches(LENGTHS, 16, seed=0, epoch=0)
    padded = sum(max(LENGTHS[i] for i in batch) * len(batch) for batch in batches)
    assert padded <= 1.10 * sum(LENGTHS)


def test_batches_do_not_come_sorted_by_length():
    longest = [max(LENGTHS[i] for i in batch) for batch in training_batches(LENGTHS, 4, seed=0, epoch=0)]
    assert longest != sorted(longest)
    assert len(longest) > WINDOW


def test_evaluation_covers_everything_longest_first():
    batches = evaluation_batches(LENGTHS, 64)
    assert sorted(index for batch in batches for index in batch) == list(range(1000))
    assert LENGTHS[batches[0][0]] == max(LENGTHS)


def with_gradient(*gradient):
    """A parameter of zeros with that gradient, and plain gradient descent on it."""
    parameter = torch.nn.Parameter(torch.zeros(len(gradient)))
    parameter.grad = torch.tensor(gradient)
    return parameter, torch.optim.SGD([parameter], lr=1.0)


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (1.0, math.inf)])
def test_first_step_that_is_not_finite_is_named_although_it_is_read_later(loss, norm):
    watch = Watch()
    for step in range(5, 10):
        watch.add(*torch.tensor((1.0, 2.0) if step < 7 else (loss, norm) if step == 7 else (math.nan, math.nan)))
    with pytest.raises(TrainingDiverged, match=rf"lora, epoch 1, step 7: loss {loss:.4g}, gradient norm {norm:.4g}; "):
        account(Progress(step=9), watch.read().tolist(), "lora")


def test_losses_are_added_in_the_order_of_steps_whenever_they_are_read():
    losses, together, apart = torch.rand(7), Progress(step=7), Progress()
    watch = Watch()
    for loss in losses:
        watch.add(loss, torch.ones(()))
    account(together, watch.read().tolist(), "lora")
    for loss in losses:
        apart.step += 1
        watch.add(loss, torch.ones(()))
        account(apart, watch.read().tolist(), "lora")
    assert together.interval_loss == apart.interval_loss == sum(losses.tolist())
    assert len(watch.read()) == 0


def test_steps_keep_what_they_were_when_their_tensors_are_used_again():
    watch, loss, norm = Watch(), torch.zeros(3), torch.ones(3)  # of three models at once
    for _ in range(2):
        watch.add(loss, norm)
        loss += 1
    assert watch.read().tolist() == [[[0.0] * 3, [1.0] * 3], [[1.0] * 3, [1.0] * 3]]


@pytest.mark.parametrize(
    ("clip_norm", "expected"), [(2.5, [-1.5, -2.0]), (5.0, [-3.0, -4.0]), (9.0, [-3.0, -4.0]), (None, [-3.0, -4.0])]
)
def test_gradients_are_scaled_down_to_the_norm_and_never_up(clip_norm, expected):
    parameter, optimizer = with_gradient(3.0, 4.0)
    untouched = torch.nn.Parameter(torch.zeros(1))  # without a gradient: a head that this task does not use
    assert update([parameter, untouched], optimizer, clip_norm).item() == 5.0
    assert parameter.tolist() == pytest.approx(expected, rel=1e-5)
    assert parameter.grad is None


def test_gradients_that_are_not_finite_have_such_a_norm():
    parameter, optimizer = with_gradient(3.0, math.nan)
    assert update([parameter], optimizer, clip_norm=1.0).isnan()


def test_learning_rate_in_a_tensor_is_changed_in_place_and_steps_by_the_same():
    parameters = [torch.nn.Parameter(torch.ones(5)) for _ in range(2)]
    rates = [0.1, torch.full((), 0.1)]
    optimizers = [
        torch.optim.AdamW([{"params": [p], "lr": rate}], fused=True) for p, rate in zip(parameters, rates, strict=True)
    ]
    for lr in (0.1, 0.03, 0.2):
        for parameter, optimizer in zip(parameters, optimizers, strict=True):
            set_lr(optimizer, lr)
            parameter.grad = torch.linspace(-1, 1, 5) * lr
            optimizer.step()
        assert optimizers[1].param_groups[0]["lr"] is rates[1]
        torch.testing.assert_close(parameters[1], parameters[0])


def test_patience_counts_epochs_without_a_better_score():
    assert not out_of_patience(Progress(epoch=9, best_epoch=1), trainer())
    assert not out_of_patience(Progress(epoch=3, best_epoch=2), trainer(patience=2))
    assert out_of_patience(Progress(epoch=4, best_epoch=2), trainer(patience=2))


def test_end_of_a_logging_interval_gives_its_mean_loss_and_starts_the_next_one():
    progress = Progress(step=4, interval_loss=6.0, interval_count=4, real_tokens=9)
    assert progress.end_interval() == 1.5
    assert progress == Progress(step=4, real_tokens=9)


def test_tracker_reads_the_progress_and_changes_nothing_of_it(tmp_path):
    tracker, progress = Tracker(tmp_path, Mirrors()), Progress(step=4, interval_loss=6.0, interval_count=4)
    before = copy.deepcopy(progress)
    tracker.start(progress, total_steps=8)
    tracker.step(progress)
    tracker.interval(progress, loss=1.5, lr=0.1)
    assert tracker.metrics == (tmp_path / "metrics.jsonl").read_text() != ""
    tracker.close(None)
    assert progress == before


@pytest.mark.parametrize("found", [b"", b"\0" * 18, b'{"event"', b'{"event": "TRAIN"}\nmore', None])
def test_metrics_that_were_cut_or_changed_are_written_again_and_told(tmp_path, caplog, found):
    tracker, line = Tracker(tmp_path, Mirrors()), '{"event": "train"}\n'
    if found is not None:
        tracker.path.write_bytes(found)
    tracker.start(Progress(step=4, metrics=line), total_steps=8)
    assert tracker.path.read_text() == tracker.metrics == line
    assert "metrics.jsonl: was cut or changed; written again from the checkpoint" in caplog.text


def test_metrics_logged_after_the_checkpoint_are_dropped_in_silence(tmp_path, caplog):
    tracker, line = Tracker(tmp_path, Mirrors()), '{"event": "train"}\n'
    tracker.path.write_text(line + "later\n")
    tracker.start(Progress(metrics=line), total_steps=8)
    assert (tracker.path.read_text(), caplog.messages) == (line, [])


def test_number_that_is_not_finite_is_never_written(tmp_path):
    tracker = Tracker(tmp_path, Mirrors())
    tracker.start(Progress(), total_steps=8)
    with pytest.raises(TrainingDiverged, match="step 3: a number is not finite"):
        tracker.interval(Progress(step=3), loss=1.5, lr=math.inf)
    assert tracker.path.read_text() == ""


def test_micro_batches_split_a_batch_without_losing_examples():
    assert [list(part) for part in micro_batches(list(range(7)), 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [list(part) for part in micro_batches(list(range(7)), None)] == [list(range(7))]


@pytest.mark.parametrize(("processes", "size", "expected"), [(1, None, 4 * 9), (1, 3, 3 * 7 + 9), (2, 1, 25)])
def test_padded_tokens_are_those_that_all_processes_compute(monkeypatch, processes, size, expected):
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    task = SimpleNamespace(padded_length=lambda examples, _, least: least or max(e["length"] for e in examples))
    examples = [{"length": length} for length in (4, 7, 5, 9)]
    assert padded_tokens(task, examples, size, 1) == expected
    assert padded_tokens(task, examples, size, 1, 10) == 4 * 10


def test_optimizer_holds_what_is_trained_and_decays_matrices_only():
    from helpers.architectures import build

    import inducer_bench as ib

    tuned = ib.attach(build("roberta"), "inducer", r_k=2, r_v=2)
    config = trainer(betas=[0.9, 0.98], eps=1e-6, weight_decay=0.1)
    decayed, plain = make_optimizer(tuned, config).param_groups
    names = {id(parameter): name for name, parameter in tuned.trained_parameters().items()}
    kinds = [{names[id(p)].rpartition(".")[2] for p in group["params"]} for group in (decayed, plain)]
    assert kinds == [{"A_k", "B_k", "A_v", "B_v", "weight"}, {"a_k", "b_k", "a_v", "b_B", "bias"}]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
