"""What a checkpoint restores, and what becomes of one that was damaged."""

import os
import random
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from inducer_bench.training.checkpoint import Checkpoint, DamagedError, Progress

PROGRESS = {"epoch": 1, "step": 3, "best_epoch": 1, "best_score": 50.0, "metrics": '{"event": "train"}\n'}


def job(folder, run="a", width=3):
    """The checkpoint of a model of one parameter after two steps of AdamW."""
    parameter = torch.nn.Parameter(torch.linspace(-1, 1, width))
    optimizer = torch.optim.AdamW([parameter], lr=0.1)
    return Checkpoint(folder / "checkpoint", run, {"w": parameter}, optimizer), parameter, optimizer


def step(parameter, optimizer):
    parameter.grad = torch.randn_like(parameter)
    optimizer.step()


@pytest.fixture
def saved(tmp_path):
    """A folder with a checkpoint of two states, which share their best weights; and the values of both."""
    torch.manual_seed(0)
    checkpoint, parameter, optimizer = job(tmp_path)
    step(parameter, optimizer)
    checkpoint.save_best(1)
    values = []
    for number in (3, 4):
        checkpoint.save(Progress(**{**PROGRESS, "step": number}))
        values.append(parameter.detach().clone())
        step(parameter, optimizer)
    return tmp_path, values


def resumed(folder, **of):
    checkpoint, parameter, _ = job(folder, **of)
    return checkpoint.resume(), parameter.detach()


def damage(path, how):
    content = path.read_bytes()
    if how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "deleted":
        path.unlink()
    else:
        middle, end = len(content) // 2, len(content) - 1
        flipped = {"flipped": middle, "flipped at its end": end, "flipped in the header": 20}.get(how)
        if flipped is not None:
            content = content[:flipped] + bytes([content[flipped] ^ 1]) + content[flipped + 1 :]
        path.write_bytes({"empty": b"", "cut": content[:middle], "garbage": b"\xff" * 999}.get(how, content))


def test_resumed_run_continues_as_if_it_had_never_stopped(tmp_path):
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    checkpoint, parameter, optimizer = job(tmp_path)
    step(parameter, optimizer)
    checkpoint.save(Progress(step=1))
    step(parameter, optimizer)
    expected = parameter.detach().clone(), random.random(), np.random.rand()
    again, parameter, optimizer = job(tmp_path)
    assert again.resume() == Progress(step=1)
    step(parameter, optimizer)
    assert torch.equal(parameter.detach(), expected[0])
    assert (random.random(), np.random.rand()) == expected[1:]


def test_nothing_saved_is_a_new_progress(tmp_path):
    assert resumed(tmp_path)[0] == Progress()


def test_state_is_a_plain_file_with_its_checksum(saved):
    folder, values = saved
    assert torch.equal(load_file(folder / "checkpoint/state.safetensors")["weights/w"], values[1])
    assert sorted(path.name for path in (folder / "checkpoint").iterdir()) == [
        "best-1.safetensors", "previous.safetensors", "state.safetensors",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "how", ["flipped", "flipped at its end", "flipped in the header", "cut", "empty", "garbage", "folder"]
)
def test_damaged_state_is_set_aside_and_the_one_before_counts(saved, caplog, how):
    folder, values = saved
    damage(folder / "checkpoint/state.safetensors", how)
    progress, weights = resumed(folder)
    assert progress == Progress(**PROGRESS)
    assert torch.equal(weights, values[0])
    assert (folder / "checkpoint-damaged-1/state.safetensors").exists()
    assert not (folder / "checkpoint/state.safetensors").exists()
    (line,) = caplog.messages
    assert "checkpoint/state.safetensors: " in line
    assert line.endswith("; moved to checkpoint-damaged-1; the run goes on from previous.safetensors")


def test_every_flipped_bit_of_the_values_is_found(saved):
    folder, _ = saved
    path = folder / "checkpoint/state.safetensors"
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    checkpoint, _, _ = job(folder)
    for place in random.Random(0).sample(range(header, len(content)), 200):
        path.write_bytes(content[:place] + bytes([content[place] ^ 64]) + content[place + 1 :])
        with pytest.raises(DamagedError):
            checkpoint._read("state.safetensors")


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "deleted", "folder"])
def test_states_whose_best_weights_are_damaged_are_set_aside(saved, caplog, how):
    folder, _ = saved
    damage(folder / "checkpoint/best-1.safetensors", how)
    progress, weights = resumed(folder)
    assert progress == Progress()
    assert torch.equal(weights, torch.linspace(-1, 1, 3))
    assert "best-1.safetensors: " in caplog.text
    assert caplog.messages[0].endswith("; the run starts over")
    assert list((folder / "checkpoint").iterdir()) == []
    kept = {path.name for aside in folder.glob("checkpoint-damaged-*") for path in aside.iterdir()}
    assert kept >= {"state.safetensors", "previous.safetensors"}
    assert ("best-1.safetensors" in kept) == (how != "deleted")


def test_older_state_with_other_best_weights_survives_damage_to_the_newer_ones(saved):
    folder, values = saved
    checkpoint, parameter, optimizer = job(folder)
    checkpoint.resume()
    step(parameter, optimizer)
    checkpoint.save_best(2)
    checkpoint.save(Progress(**{**PROGRESS, "epoch": 2, "best_epoch": 2, "step": 6}))
    damage(folder / "checkpoint/best-2.safetensors", "flipped")
    progress, weights = resumed(folder)
    assert (progress.step, progress.best_epoch) == (4, 1)
    assert torch.equal(weights, values[1])


@pytest.mark.parametrize("other", [{"run": "b"}, {"width": 4}])
def test_checkpoint_of_another_run_is_not_taken(saved, caplog, other):
    folder, _ = saved
    progress, _ = resumed(folder, **other)
    assert progress == Progress()
    assert "the checkpoint of another run" in caplog.text


def test_best_weights_that_change_during_the_run_are_noticed(saved):
    folder, _ = saved
    checkpoint, parameter, _ = job(folder)
    checkpoint.resume()
    damage(folder / "checkpoint/best-1.safetensors", "flipped")
    with pytest.raises(DamagedError, match=r"best-1\.safetensors: its checksum does not match"):
        checkpoint.load_best(1)
    assert parameter.isfinite().all()


@pytest.mark.parametrize("at", range(8))
def test_write_that_fails_anywhere_leaves_a_good_state(saved, monkeypatch, at):
    """At the first to seventh rename and fsync; the eighth does not come."""
    folder, _ = saved
    checkpoint, parameter, optimizer = job(folder)
    checkpoint.resume()
    step(parameter, optimizer)
    calls = []

    def failing(function):
        def wrapper(*arguments, **options):
            calls.append(1)
            if len(calls) == at + 1:
                raise OSError(28, "No space left on device")
            return function(*arguments, **options)

        return wrapper

    with monkeypatch.context() as patched:
        for name in ("replace", "fsync"):
            patched.setattr(os, name, failing(getattr(os, name)))
        with pytest.raises(OSError, match="No space") if at < 7 else nullcontext():
            checkpoint.save_best(2)
            checkpoint.save(Progress(**{**PROGRESS, "epoch": 2, "best_epoch": 2, "step": 5}))
    progress, _ = resumed(folder)
    assert progress.step == (5 if at >= 6 else 4)
    assert list(folder.glob("checkpoint-damaged-*")) == []
