"""Whole runs: one that is killed and resumed, and one that does not fit into memory."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.runs import KILLER

from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode
from inducer_bench.runs import record as records
from inducer_bench.runs.run import run
from inducer_bench.strict_json import loads
from scripts.gpu.runs import little_memory


def losses(folder):
    lines = [loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if line["event"] == "train"]


def test_killed_run_resumes_on_its_curve(device, overrides, tmp_path):
    """Kernels that add in any order let two equal runs differ on a GPU; on a CPU they are equal."""
    wanted = [*overrides, f"trainer.device={device}"]
    whole = run(compose([*wanted, f"output_dir={tmp_path / 'whole'}"]))
    killed = [*wanted, f"output_dir={tmp_path / 'killed'}"]
    process = subprocess.run([sys.executable, "-c", KILLER, "step", "11", *killed], check=False, env=dict(os.environ))
    assert process.returncode == -signal.SIGKILL
    resumed = run(compose(killed))
    assert (whole.code, resumed.code) == (ExitCode.DONE, ExitCode.DONE)
    assert losses(resumed.folder) == pytest.approx(losses(whole.folder), abs=0 if device.type == "cpu" else 0.02)
    assert len(losses(resumed.folder)) == 8


def test_run_without_memory_is_recorded_and_exits_with_3(device, overrides):
    program, capped = little_memory(device, mib=1, tokens=8)
    command = [sys.executable, *program, *overrides, *capped, f"trainer.device={device}"]
    process = subprocess.run(command, check=False, capture_output=True, text=True)
    assert process.returncode == ExitCode.OUT_OF_MEMORY, process.stderr
    assert records.read(Path(process.stdout.strip().splitlines()[-1])).status == "oom"
