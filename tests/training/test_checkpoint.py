"""What a checkpoint restores, and what becomes of one that was damaged."""

import os
import random
import threading
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from helpers.commands import command
from safetensors.torch import load, load_file, save

from inducer_bench.training import checkpoint as checkpoints
from inducer_bench.training import tensor_file
from inducer_bench.training.checkpoint import Checkpoint, DamagedError, Progress
from scripts.bench import process_memory

PROGRESS = {"epoch": 1, "step": 3, "best_epoch": 1, "best_score": 50.0, "metrics": '{"event": "train"}\n'}


def job(folder, run="a", width=3, **options):
    """The checkpoint of a model of one parameter, and its AdamW."""
    parameter = torch.nn.Parameter(torch.linspace(-1, 1, width))
    optimizer = torch.optim.AdamW([parameter], lr=0.1)
    return Checkpoint(folder / "checkpoint", run, {"w": parameter}, optimizer, **options), parameter, optimizer


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


@pytest.mark.parametrize("background", [False, True])
def test_resumed_run_continues_as_if_it_had_never_stopped(tmp_path, background):
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    checkpoint, parameter, optimizer = job(tmp_path, background=background)
    with checkpoint:
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


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("at", range(8))
def test_write_that_fails_anywhere_leaves_a_good_state(saved, monkeypatch, at, background):
    """At the first to seventh rename and fsync; the eighth does not come."""
    folder, _ = saved
    checkpoint, parameter, optimizer = job(folder, background=background)
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
        with pytest.raises(OSError, match="No space") if at < 7 else nullcontext(), checkpoint:
            checkpoint.save_best(2)
            checkpoint.save(Progress(**{**PROGRESS, "epoch": 2, "best_epoch": 2, "step": 5}))
    progress, _ = resumed(folder)
    assert progress.step == (5 if at >= 6 else 4)
    assert list(folder.glob("checkpoint-damaged-*")) == []


# Saves in the background, in a process that dies at the n-th rename or fsync of the thread; then the run resumes.
KILLED = """
import os, sys, torch
from pathlib import Path
from inducer_bench.training.checkpoint import Checkpoint, Progress
def job(folder):
    parameter = torch.nn.Parameter(torch.zeros(3))
    return parameter, Checkpoint(folder, "a", {"w": parameter}, torch.optim.AdamW([parameter]), background=True)
def dying(function):
    def wrapper(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os._exit(9)
        return function(*arguments, **options)
    return wrapper
for at in range(1, 18):
    folder, finished = Path(sys.argv[1]) / str(at), os.memfd_create("finished")
    if (child := os.fork()) == 0:
        left, os.replace, os.fsync = at, dying(os.replace), dying(os.fsync)
        parameter, checkpoint = job(folder)
        with checkpoint:
            for epoch in (1, 2, 3):
                parameter.data.fill_(epoch)
                checkpoint.save_best(epoch)
                checkpoint.save(Progress(epoch=epoch, best_epoch=epoch))
                checkpoint._wait()
                os.pwrite(finished, bytes([epoch]), 0)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    parameter, checkpoint = job(folder)
    progress = checkpoint.resume()
    assert progress.epoch - ord(os.pread(finished, 1, 0) or b"\\0") in (0, 1), progress
    if progress.epoch:
        checkpoint.load_best(progress.best_epoch)
    assert (parameter == progress.epoch).all()
    print(code, progress.epoch)
"""


def test_process_killed_while_the_thread_writes_leaves_a_good_state(tmp_path):
    """At each rename and fsync of three epochs: 6 in the first one, 7 in the second."""
    ended = command([str(tmp_path)], tmp_path, program=KILLED)
    assert ended.err == ""
    codes, epochs = zip(*(map(int, line.split()) for line in ended.out.splitlines()), strict=True)
    assert codes == (9,) * 17
    assert epochs == (0,) * 5 + (1,) * 7 + (2,) * 5
    assert list(tmp_path.glob("*/*-damaged-*")) == []


@pytest.mark.parametrize("through", ["due", "save", "save_best", "load_best", "exit"])
def test_error_of_the_thread_is_raised_by_what_follows(tmp_path, monkeypatch, through):
    checkpoint, _, _ = job(tmp_path, background=True)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        checkpoint.save(Progress(step=1))
        checkpoint._thread.submit(int).result()  # what was submitted before has ended
    calls = {
        "due": lambda: checkpoint.due(Progress(step=2)),
        "save": lambda: checkpoint.save(Progress(step=2)),
        "save_best": lambda: checkpoint.save_best(1),
        "load_best": lambda: checkpoint.load_best(1),
        "exit": lambda: checkpoint.__exit__(),
    }
    with pytest.raises(OSError, match="No space left on device") as raised:
        calls[through]()
    assert raised.value.filename == str(tmp_path / "checkpoint/state.safetensors")


def test_steps_go_on_while_the_thread_writes_what_was_then(tmp_path, monkeypatch):
    """The thread waits for steps that come after the save; one save after the other."""
    checkpoint, parameter, optimizer = job(tmp_path, background=True)
    released, write_atomic = threading.Event(), checkpoints.write_atomic

    def slow(path, *content):
        assert released.wait(60)
        write_atomic(path, *content)

    monkeypatch.setattr(checkpoints, "write_atomic", slow)
    with checkpoint:
        checkpoint.save_best(1)
        then = parameter.detach().clone()
        step(parameter, optimizer)
        assert not checkpoint.due(Progress(step=1))
        assert not checkpoint.folder.joinpath("best-1.safetensors").exists()
        released.set()
        progress = Progress(step=1, best_epoch=1)
        checkpoint.save(progress)
        state = parameter.detach().clone()
        assert checkpoint.folder.joinpath("best-1.safetensors").exists()
        progress.best_epoch = 2
        step(parameter, optimizer)
    again, parameter, _ = job(tmp_path)
    assert again.resume() == Progress(step=1, best_epoch=1)
    assert torch.equal(parameter.detach(), state)
    again.load_best(1)
    assert torch.equal(parameter.detach(), then)


def test_state_is_due_after_some_minutes_and_after_some_steps(tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    checkpoint, _, _ = job(tmp_path, minutes=2.0)
    stepwise, _, _ = job(tmp_path, minutes=2.0, every=3)
    assert [checkpoint.due(Progress(step=step)) for step in range(1, 7)] == [False] * 6
    assert [stepwise.due(Progress(step=step)) for step in range(1, 7)] == [False, False, True] * 2
    now += 119
    assert not checkpoint.due(Progress(step=7))
    now += 1
    assert checkpoint.due(Progress(step=8))
    checkpoint.save(Progress(step=8))
    assert not checkpoint.due(Progress(step=9))
    now += 120
    assert checkpoint.due(Progress(step=10))


@pytest.mark.parametrize("overdue", [False, True])
def test_several_processes_do_what_the_clock_of_the_main_one_says(tmp_path, monkeypatch, overdue):
    """This one is not the main process; its own clock says the opposite."""
    asked = []

    def answered(ask):
        asked.append(ask)
        return overdue

    checkpoint, _, _ = job(tmp_path, every=70, minutes=1e9 if overdue else 1e-9)
    monkeypatch.setattr(checkpoints.distributed, "world_size", lambda: 2)
    monkeypatch.setattr(checkpoints.distributed, "broadcast_from_main", answered)
    due = [step for step in range(1, 101) if checkpoint.due(Progress(step=step))]
    assert due == ([50, 70, 100] if overdue else [70])
    assert len(asked) == 2


@pytest.mark.skipif(not process_memory.CLEAR.exists(), reason="the system cannot reset its measurement of memory")
@pytest.mark.parametrize(("background", "copies"), [(False, 0.0), (True, 1.0)])
def test_state_and_best_weights_are_copied_at_most_once(tmp_path, background, copies):
    checkpoint, parameter, optimizer = job(tmp_path, width=10_000_000, background=background)
    step(parameter, optimizer)
    parameter.grad = None
    for write, mebibytes in ((lambda: checkpoint.save_best(1), 38.1), (lambda: checkpoint.save(Progress()), 114.4)):
        status = process_memory.STATUS.read_text().splitlines()
        before = int(next(line for line in status if "VmRSS" in line).split()[1])
        process_memory.reset_peak()
        write()
        checkpoint._wait()
        added = process_memory.peak() / 2**20 - before / 2**10
        assert added < copies * mebibytes + 12
    checkpoint.__exit__()


def test_file_equals_that_of_safetensors():
    tensors = {
        "b": torch.randn(3, 2), "a": torch.randn(()), "nothing": torch.empty(0, 4), "bytes": torch.arange(7).byte(),
        "größe": torch.arange(5),
    }  # fmt: skip
    for metadata in (None, {"sha256": "0"}):
        assert b"".join(tensor_file.parts(tensors, metadata)) == save(tensors, metadata)


@pytest.mark.parametrize("dtype", tensor_file._TYPES)
def test_every_type_is_read_back(dtype):
    tensors = {"a": torch.tensor([[0, 1], [2, 3]]).to(dtype), "b": torch.ones(3)}
    read = load(b"".join(tensor_file.parts(tensors)))
    assert all(torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype for name, tensor in tensors.items())
