"""Timed steps of several runs, in a process of their own, which ends when its time is over. Without torch here.

That process reads data and loads PLMs, which nothing could stop within this one; and whatever happens to it, to the
memory of the machine or in a library, ends nothing but the timing.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout, suppress
from multiprocessing.connection import Connection

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import first_line
from inducer_bench.runs.timing import Timing

_LEAST = 2.0  # seconds of steps that are worth the start of the process


def timings(configs: Sequence[ExperimentConfig], seconds: float) -> Iterator[Timing | str]:
    """What each of several runs would take, or why it could not be timed; fewer than asked for if time is over.

    Args:
        configs: of runs of one seed.
        seconds: for all of them together.
    """
    spawn = multiprocessing.get_context("spawn")  # a fork would share the threads and locks of this process
    here, there = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_time, args=(list(configs), seconds, there), daemon=True)
    deadline = time.monotonic() + seconds
    process.start()
    there.close()
    try:
        for _ in configs:
            if not here.poll(max(deadline - time.monotonic(), 0.0)):
                return
            try:
                yield here.recv()
            except EOFError:
                yield "the process that timed it was killed"
                return
    finally:
        process.kill()
        process.join()
        here.close()


def _time(configs: list[ExperimentConfig], seconds: float, results: Connection) -> None:
    """Send the timing of each run; what a library prints is dropped."""
    deadline = time.monotonic() + seconds
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), suppress(BrokenPipeError):
        sys.stderr = nowhere
        for number, config in enumerate(configs):
            share = (deadline - time.monotonic()) / (len(configs) - number)
            results.send(_timed(config, max(share / 2, _LEAST)))


def _timed(config: ExperimentConfig, seconds: float) -> Timing | str:
    try:
        from inducer_bench.runs.timed import timed

        return timed(config, seconds)
    except Exception as error:  # bad data or PLM, no memory, or a bug: the plan goes on without
        return f"{type(error).__name__}: {first_line(error)}"
