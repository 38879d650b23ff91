"""A few steps stand for a run; they are taken in a process of their own, whose end ends nothing else."""

import dataclasses
from types import SimpleNamespace

import pytest
from helpers import killed
from helpers.commands import context

from inducer_bench.config.compose import compose
from inducer_bench.runs import timing_process
from inducer_bench.runs.run import run
from inducer_bench.runs.timed import spread, timed
from inducer_bench.runs.timing import Timing
from inducer_bench.runs.timing_process import timings


@pytest.fixture
def config(overrides):
    return compose([*overrides, "trainer.device=cpu"])


def test_spread_takes_the_middles_of_equal_parts():
    assert spread(range(12), 3) == [2, 6, 10]
    assert spread(range(2), 8) == [0, 1]


@pytest.mark.parametrize(
    "changes",
    [
        [],
        ["task.max_train=40", "task.max_eval=20"],
        ["protocol=clean", "protocol.held_out=0.25"],
        ["protocol=clean", "protocol.held_out=0.25", "protocol.score=held_out"],
    ],
)
def test_timing_counts_and_measures_what_the_run_does(changes, overrides, monkeypatch):
    monkeypatch.setattr("inducer_bench.runs.timed.TRAIN", 16)  # of 64: the others are only counted
    config = compose([*overrides, "trainer.device=cpu", *changes])
    found, true = timed(config, 1.0), run(config).record
    assert {**found.examples, **true.examples} == found.examples
    assert (found.device, found.precision, found.parameters) == (true.device, true.precision, true.parameters)
    assert found.train_seconds > 0
    assert found.eval_seconds > 0


def test_several_runs_are_timed_and_a_bad_one_is_told(config, monkeypatch):
    forks = SimpleNamespace(get_context=lambda _: context())  # from a process that has torch
    monkeypatch.setattr(timing_process, "multiprocessing", forks)
    bad = dataclasses.replace(config, task=dataclasses.replace(config.task, data_dir="/nowhere"))
    first, second = timings([config, bad], 120.0)
    assert isinstance(first, Timing)
    assert "task.data_dir" in second


def test_time_that_is_over_ends_the_timing(config):
    assert [*timings([config], 0.01)] == []


def test_killed_process_is_told(config, monkeypatch):
    monkeypatch.setattr(timing_process, "_time", killed.at_once)
    assert [*timings([config], 60.0)] == ["the process that timed it was killed"]
