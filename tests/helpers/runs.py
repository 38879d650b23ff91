"""Whole runs: a process that kills itself, what two equal runs have in common, and data for a run of seconds."""

import gzip
import json
import signal
from dataclasses import asdict

from helpers.commands import command
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.runs import experiment
from inducer_bench.runs import record as records
from inducer_bench.runs.experiment import Experiment

# Differs between equal runs: the clock, the command that was typed, and the state of the process.
CIRCUMSTANCE = {"train_seconds", "eval_seconds", "peak_memory_bytes", "command"}

# The process kills itself with SIGKILL: before the n-th rename of a file (in the middle of a write), or after a step.
KILLER = """
import os, signal, sys
from inducer_bench import files
from inducer_bench.cli import main
from inducer_bench.training import tracking
def killing(function, at, calls=[0]):
    def wrapper(*args, **kwargs):
        calls[0] += 1
        if calls[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return wrapper
where, at = sys.argv[1], int(sys.argv[2])
if where == "rename":
    files.os.replace = killing(os.replace, at)
else:
    tracking.Tracker.step = killing(tracking.Tracker.step, at)
sys.exit(main.main(sys.argv[3:]))
"""


def killed(where, at, overrides, folder):
    """Begin a run that `KILLER` ends, in a working directory."""
    ended = command([where, str(at), *overrides], folder, program=KILLER)
    assert ended.code == -signal.SIGKILL, ended


PEOPLE = ("Ada", "Bo", "Cleo", "Dan", "Eva", "Fox", "Gus", "Hal")


def built(config: ExperimentConfig) -> Experiment:
    """Everything that a run works with; its model stays with the caller and is not left to a later run."""
    return experiment.build(config).__enter__()


def results(folder):
    """All that a finished run computed."""
    record = {key: value for key, value in asdict(records.read(folder)).items() if key not in CIRCUMSTANCE}
    record["config"].pop("output_dir")
    names = ("adapter/adapter.safetensors", "metrics.jsonl", "predictions.jsonl.gz")
    return record, {name: (folder / name).read_bytes() for name in names}


def write_table(folder):
    for split, count in (("train", 16), ("dev", 6), ("test", 5)):
        rows = [f"{PEOPLE[i % 8]} {i},{PEOPLE[i % 8]} saw film {i} ." for i in range(count)]
        (folder / f"{split}.csv").write_text("\n".join(["source,target", *rows, "Ada 0,Ada saw it ."]))


def predictions_in(folder):
    """The predictions that a run left."""
    text = gzip.decompress((folder / "predictions.jsonl.gz").read_bytes()).decode()
    return [json.loads(line) for line in text.splitlines()]
