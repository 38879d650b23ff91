"""A dry run says what a run takes and needs, records nothing, and without data waits for neither torch nor network."""

import os
import re
import subprocess
import sys
from unittest.mock import Mock

from helpers.runs import built

from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode
from inducer_bench.runs import timed
from inducer_bench.runs.run import run
from inducer_bench.training.units import size


def test_dry_run_says_time_memory_and_steps_and_records_nothing(overrides, tmp_path):
    shown = []
    outcome = run(compose([*overrides, "dry_run=true"]), shown.extend)
    assert outcome.code == ExitCode.DONE
    costs = r"\S+ s a step, \S+ [kM]B at the peak, about \d+:\d\d for the run"
    assert re.fullmatch(rf"dry run: loss \d\.\d{{4}}, {costs}; nothing was recorded", outcome.message)
    rows = dict(shown)
    assert rows["folder"] == f"{outcome.folder}, of a run; it is not made here"
    assert rows["steps"] == "16, 8 an epoch"
    assert {"step", "memory", "time", "parameters", "device", "data"} <= rows.keys()
    assert not (tmp_path / "runs").exists()


def test_dry_run_needs_the_memory_that_the_run_records(overrides):
    """Here the longest batch of the first epoch has the longest examples, as there are fewer than fifty batches."""
    shown = []
    config = compose([*overrides, "trainer.micro_batch_size=null"])
    run(compose([*overrides, "trainer.micro_batch_size=null", "dry_run=true"]), shown.extend)
    peak = run(config).record.peak_memory_bytes
    assert dict(shown)["memory"].startswith(f"{size(peak)} at the peak")


def test_dry_run_takes_the_longest_examples_first(overrides, monkeypatch):
    spy = Mock(wraps=timed.add_gradients)
    monkeypatch.setattr(timed, "add_gradients", spy)
    run(compose([*overrides, "dry_run=true", "trainer.batch_size=3"]))
    examples = spy.call_args_list[0].args[3]
    train = built(compose(overrides)).splits.train
    assert [example["length"] for example in examples] == sorted(train.lengths)[-3:]


def test_dry_run_without_room_says_so_in_a_line(overrides, monkeypatch):
    def no_room(*arguments):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(timed, "add_gradients", no_room)
    outcome = run(compose([*overrides, "dry_run=true"]))
    assert outcome.code == ExitCode.OUT_OF_MEMORY
    assert outcome.message.startswith("dry run: out of memory: ")


def test_dry_run_that_diverges_is_a_failure(overrides, monkeypatch):
    original = timed.add_gradients
    monkeypatch.setattr(timed, "add_gradients", lambda *given: original(*given) * float("nan"))
    outcome = run(compose([*overrides, "dry_run=true"]))
    assert outcome.code == ExitCode.FAILED
    assert "loss nan" in outcome.message


def test_dry_run_without_data_is_a_line_before_torch_is_imported():
    """In a process of its own, whose hub cannot be reached: not even the hub's own library may ask for it."""
    script = (
        "import sys; from inducer_bench.cli.main import main; code = main(['task=sst2', 'dry_run=true']); "
        "print(code, 'torch' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True, env=environment
    )
    assert found.stdout == "2 False\n"
    assert found.stderr.startswith("inducer-bench: task: the data of 'sst2' are not on this machine")
    assert found.stderr.count("\n") == 1
