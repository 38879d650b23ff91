"""A signal at any time: an answer within seconds, exit code 130, a record, and a run that resumes bit for bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.runs import results, write_table

from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode
from inducer_bench.runs import experiment, files
from inducer_bench.runs import record as records
from inducer_bench.runs.run import run
from inducer_bench.training import decoding, evaluation, interruption, loop
from inducer_bench.training.checkpoint import Checkpoint
from inducer_bench.training.tracking import Tracker

# The command line, in a process that signals itself when it imports a module; a library swallows what comes of it.
IMPORTING = """
import os, signal, sys, time
from inducer_bench.cli.main import entry_point
class Signalling:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            if not again:
                os.kill(os.getpid(), number)
            try:
                os.kill(os.getpid(), number)
            except KeyboardInterrupt:
                time.sleep(0.6)
                os.kill(os.getpid(), number)
number, module, again = getattr(signal, sys.argv[1]), sys.argv[2], sys.argv[3] == "again"
sys.meta_path.insert(0, Signalling())
sys.argv[1:] = sys.argv[4:]
entry_point()
"""


# The same, where it signals itself before it looks at the command line, or after all is done.
AROUND = """
import os, signal, sys
from inducer_bench.cli import main, streams
def signalling(original):
    def wrapper():
        os.kill(os.getpid(), signal.SIGTERM)
        return original()
    return wrapper
name = sys.argv.pop(1)
setattr(streams, name, signalling(getattr(streams, name)))
main.entry_point()
"""


@pytest.mark.parametrize("name", ["protect", "lost"])
def test_signal_before_and_after_a_command_is_one_line(name):
    command = [sys.executable, "-c", AROUND, name, "--version"]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (process.returncode, process.stderr) == (130, "inducer-bench: interrupted\n")


@pytest.fixture(autouse=True)
def hangup_counts():
    """Also where the tests run under nohup, which ignores it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def short(overrides):
    """One epoch of two steps, then the final evaluation of two batches."""
    return [*overrides, "task.max_train=16", "task.max_eval=16", "trainer.epochs=1", "trainer.eval_batch_size=8"]


@pytest.fixture
def writing(tiny_gpt2_folder, tmp_path):
    """One epoch of a step, then texts."""
    (tmp_path / "data").mkdir()
    write_table(tmp_path / "data")
    return [
        "task=text_to_text", "task.metrics=[chrf]", "task.metric=chrf", f"plm.path={tiny_gpt2_folder}",
        f"task.data_dir={tmp_path / 'data'}", "task.max_length=60", "task.decoding.max_new_tokens=3", "method=bitfit",
        "trainer.epochs=1", "trainer.batch_size=16", "trainer.eval_batch_size=2", f"output_dir={tmp_path / 'runs'}",
    ]  # fmt: skip


def signal_at(monkeypatch, owner, name, call=1, number=signal.SIGTERM):
    """Send this process a signal when a function is called for the n-th time."""
    original, calls = getattr(owner, name), []

    def signalling(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), number)
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, signalling)


def check_interrupted_and_resumed(monkeypatch, overrides, tmp_path):
    stopped = run(compose(overrides))
    assert (stopped.code, stopped.status) == (ExitCode.INTERRUPTED, "interrupted")
    assert stopped.message.endswith("; the same command resumes")
    assert records.read(stopped.folder).status == "interrupted"
    monkeypatch.undo()
    resumed = run(compose(overrides))
    whole = run(compose([*overrides, f"output_dir={tmp_path / 'whole'}"]))
    assert results(resumed.folder) == results(whole.folder)


@pytest.mark.parametrize(
    ("owner", "name", "call", "number"),
    [
        (experiment, "make_task", 1, signal.SIGTERM),  # reading the data
        (experiment, "attach_method", 1, signal.SIGHUP),
        (Checkpoint, "save", 1, signal.SIGTERM),
        (evaluation, "collate_to_device", 2, signal.SIGINT),  # the second batch of the selection set
        (evaluation, "collate_to_device", 4, signal.SIGTERM),  # the second batch of the final evaluation
        (files, "write_results", 1, signal.SIGTERM),
        (Tracker, "close", 1, signal.SIGTERM),
    ],
)
def test_run_stops_wherever_it_is_and_resumes_bit_for_bit(short, monkeypatch, tmp_path, owner, name, call, number):
    signal_at(monkeypatch, owner, name, call, number)
    check_interrupted_and_resumed(monkeypatch, short, tmp_path)


def test_generation_of_texts_stops(writing, monkeypatch, tmp_path):
    signal_at(monkeypatch, decoding, "padded_left", call=2)
    check_interrupted_and_resumed(monkeypatch, writing, tmp_path)


def test_signal_that_a_library_swallows_stops_the_next_batch(short, monkeypatch):
    def swallowing(*arguments):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            return collate(*arguments)

    collate = evaluation.collate_to_device
    monkeypatch.setattr(evaluation, "collate_to_device", swallowing)
    assert run(compose(short)).code == ExitCode.INTERRUPTED


def test_error_that_a_library_makes_of_a_signal_is_an_interruption(short, monkeypatch):
    def translating(*_, **__):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt as error:
            raise ImportError("KeyboardInterrupt: <EMPTY MESSAGE>") from error

    monkeypatch.setattr(experiment, "make_task", translating)
    assert run(compose(short)).code == ExitCode.INTERRUPTED


def test_run_that_is_complete_when_the_signal_comes_is_done(short, monkeypatch):
    signal_at(monkeypatch, records, "write")
    outcome = run(compose(short))
    assert (outcome.code, records.read(outcome.folder).status) == (ExitCode.DONE, "done")


def test_handlers_are_those_of_before_when_a_run_is_over(short):
    before = [signal.getsignal(number) for number in interruption.SIGNALS]
    run(compose([*short, "trainer.epochs=0"]))
    assert [signal.getsignal(number) for number in interruption.SIGNALS] == before
    assert not interruption.requested()


def test_signal_in_a_step_waits_for_its_end_and_its_checkpoint(short, monkeypatch):
    signal_at(monkeypatch, loop, "add_gradients")
    outcome = run(compose(short))
    assert "stopped at step 1 of 2" in outcome.message
    assert (outcome.folder / "checkpoint/state.safetensors").is_file()


def test_ignored_hangup_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruption.watched():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interruption.requested()
    finally:
        signal.signal(signal.SIGHUP, before)


# -- the command -------------------------------------------------------------------------------------------------------


def importing(number, module, overrides, folder, again="once"):
    command = [sys.executable, "-c", IMPORTING, number, module, again, *overrides]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("module", ["hydra", "pydantic"])
def test_signal_at_the_start_is_answered_in_a_line(short, tmp_path, number, module):
    process = importing(number, module, short, tmp_path)
    assert (process.returncode, process.stdout, process.stderr) == (130, "", "inducer-bench: interrupted\n")


def test_signal_while_torch_is_imported_is_recorded(short, tmp_path):
    process = importing("SIGTERM", "torch.nn", short, tmp_path)
    assert process.returncode == 130
    assert process.stderr == "interrupted; the same command resumes\n"
    assert records.read(tmp_path / Path(process.stdout.splitlines()[-1])).status == "interrupted"


def test_second_signal_ends_the_process_at_once(short, tmp_path):
    started = time.perf_counter()
    process = importing("SIGTERM", "hydra", short, tmp_path, "again")
    assert (process.returncode, process.stderr) == (130, "inducer-bench: stopped at once\n")
    assert time.perf_counter() - started < 10
