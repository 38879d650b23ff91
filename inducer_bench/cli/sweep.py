"""Outcome of a sweep's jobs, reported by the process that started it, whichever launcher ran them and where.

Each job leaves a file of JSON in the sweep's folder, first when it begins. The table at the end is made of these files,
and of what this process knows itself where one could not be written.
"""

import os
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from inducer_bench import strict_json
from inducer_bench.config.overrides import quoted
from inducer_bench.errors import LONGEST_MESSAGE, ExitCode, shown
from inducer_bench.files import read_bytes, write_atomic

# Worst last: a sweep's exit code is the worst of its jobs'.
SEVERITY = [ExitCode.DONE, ExitCode.INTERRUPTED, ExitCode.OUT_OF_MEMORY, ExitCode.BAD_INPUT, ExitCode.FAILED]


@dataclass(frozen=True)
class Job:
    """Outcome of one job; until it ends, that it is lost."""

    number: int
    overrides: str
    status: str = "lost"  # done, skipped, failed, oom, interrupted, refused, lost, not started
    code: ExitCode = ExitCode.FAILED
    message: str = "began, but left no result: its process was killed"
    seconds: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    runs: Annotated[int, Field(ge=1)] = 1  # seeds side by side

    def ended(self, status: str, code: ExitCode, message: str, seconds: float, runs: int = 1) -> "Job":
        """The job with its outcome; of several runs, the worst, and the message of each."""
        return replace(self, status=status, code=code, message=message, seconds=seconds, runs=runs)

    def write(self, folder: Path) -> None:
        """Write it into the sweep's folder.

        Raises:
            OSError: it cannot be written.
        """
        (folder / "jobs").mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "jobs" / f"{self.number}.json", strict_json.dumps(asdict(self)).encode())


_JOB = TypeAdapter(Job)


@dataclass(frozen=True)
class Sweep:
    """A sweep as the process knows it that started it."""

    folder: Path
    jobs: int | None  # None: only the sweeper knows, which chooses each job by the results of others
    started: float
    process: int = field(default_factory=os.getpid)
    own: dict[int, Job] = field(default_factory=dict)  # of this process, by number

    def folder_override(self) -> str:
        """The override that makes Hydra use this folder: its own would have the time of a second composition."""
        return f"hydra.sweep.dir={quoted(str(self.folder))}"

    def is_here(self) -> bool:
        """Whether this is the process that started the sweep; a launcher may run jobs in others, several at once."""
        return self.process == os.getpid()

    def keep(self, job: Job) -> None:
        """Remember a job, on disk as well if that has room."""
        self.own[job.number] = job
        with suppress(OSError):
            job.write(self.folder)

    def found(self) -> list[Job]:
        """The jobs that have begun, by number."""
        paths = [path for path in (self.folder / "jobs").glob("*.json") if path.stem.isdecimal()]
        return [job for _, job in sorted(({int(path.stem): _read(path) for path in paths} | self.own).items())]

    def progress(self, number: int) -> str:
        """The number of the job that begins, the time since the start, and an estimate of the time to go."""
        elapsed = time.monotonic() - self.started
        text = f"job {number + 1}" if self.jobs is None else f"job {number + 1} of {self.jobs}"
        text += f", {_clock(elapsed)} since the start"
        computed = [job.seconds for job in self.found() if job.status not in ("skipped", "lost")]
        if self.jobs is None or not computed:
            return text
        return f"{text}, about {_clock(sum(computed) / len(computed) * (self.jobs - number))} to go"

    def report(self, interrupted: bool = False) -> ExitCode:
        """Print the table of all jobs to stderr; returns the worst exit code.

        Args:
            interrupted: the sweep was asked to stop, which is its exit code then.
        """
        jobs = {job.number: job for job in self.found()}
        for number in range(self.jobs or 0):
            if number not in jobs:
                jobs[number] = Job(number, f"job {number + 1}", "not started", message="the same command starts it")
            elif interrupted and jobs[number].status == "lost":
                jobs[number] = replace(jobs[number], status="interrupted", message="the same command resumes")
        report_jobs([job for _, job in sorted(jobs.items())], "sweep of")
        if interrupted:
            return ExitCode.INTERRUPTED
        return max((job.code for job in jobs.values()), key=SEVERITY.index, default=ExitCode.DONE)


def _read(path: Path) -> Job:
    """The job of a file; a lost one if the file is damaged."""
    try:
        job = _JOB.validate_python(strict_json.loads(read_bytes(path).decode()))
        return replace(job, number=int(path.stem))
    except (OSError, ValueError, ValidationError):
        return Job(int(path.stem), f"job {int(path.stem) + 1}", message=f"'{path}' cannot be read")


def report_jobs(jobs: list[Job], what: str) -> None:
    """Print a table in a terminal, and elsewhere one unbroken line for each job; `what` begins the title."""
    runs = sum(job.runs for job in jobs)
    title = f"{what} {len(jobs)} jobs{f', {runs} runs' if runs > len(jobs) else ''}:"
    rows = [
        (
            shown(job.status),
            _clock(job.seconds),
            shown(job.overrides, LONGEST_MESSAGE),
            shown(job.message, LONGEST_MESSAGE),
        )
        for job in jobs
    ]
    if not sys.stderr.isatty():
        lines = [f"  {status:<12}{time:>8}  {overrides}  {message}" for status, time, overrides, message in rows]
        print("\n".join([title, *lines]), file=sys.stderr)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("status", "time", "overrides", "result", title=title, box=None)
    for row in rows:
        table.add_row(*row)
    Console(stderr=True).print(table, highlight=False, markup=False)


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
