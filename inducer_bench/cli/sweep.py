"""Outcome of a sweep's jobs, reported by the process that started it, whichever launcher ran them and where.

Each job leaves a file of JSON in the sweep's folder, first when it begins. The table at the end is made of these files,
and of what this process knows itself where one could not be written.
"""

import os
import re
import shlex
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from inducer_bench import strict_json
from inducer_bench.cli.columns import print_rows
from inducer_bench.config.overrides import literal
from inducer_bench.errors import LONGEST_MESSAGE, ExitCode, shown
from inducer_bench.files import read_bytes, write_atomic
from inducer_bench.metrics.table import written
from inducer_bench.runs.outcome import Outcome
from inducer_bench.runs.record import FinishedRecord

# An override in the text of several: quotes and brackets may have spaces in them.
_OVERRIDE = re.compile(r"""(?:'[^']*'|"[^"]*"|\[[^\]]*\]|[^\s'"\[]|['"\[])+""")
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
    metric: str = ""  # the headline score of its runs
    scores: tuple[float, ...] = ()  # of those that are done

    def ended(self, status: str, code: ExitCode, message: str, seconds: float) -> "Job":
        """The job with its outcome."""
        return replace(self, status=status, code=code, message=message, seconds=seconds)

    def ended_with(self, outcomes: Sequence[Outcome], seconds: float) -> "Job":
        """The job with the outcomes of its runs: the worst of them, the message of each, and their scores."""
        worst = max(outcomes, key=lambda outcome: SEVERITY.index(outcome.code))
        message = "; ".join(outcome.message for outcome in outcomes)
        done = [outcome.record for outcome in outcomes if isinstance(outcome.record, FinishedRecord)]
        job = self.ended(worst.status, worst.code, message, seconds)
        return replace(
            job,
            runs=len(outcomes),
            metric=done[0].metric if done else "",
            scores=tuple(record.score for record in done if record.score is not None),
        )

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
    common: frozenset[str] = frozenset()  # overrides of every job
    tables: tuple[str, ...] = ()  # arguments of the command that makes tables of the runs

    def folder_override(self) -> str:
        """The override that makes Hydra use this folder: its own would have the time of a second composition."""
        return f"hydra.sweep.dir={literal(str(self.folder))}"

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

    def differing(self, overrides: str) -> str:
        """Those of a job's overrides that not all jobs have; all of them if that leaves none."""
        kept = [override for override in _OVERRIDE.findall(overrides) if override not in self.common]
        return " ".join(kept) or overrides

    def next_command(self) -> str:
        """What to do with the runs, in a line."""
        return f"next: {shlex.join(['inducer-bench', 'tables', *self.tables])}"

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
        ordered = [replace(job, overrides=self.differing(job.overrides)) for _, job in sorted(jobs.items())]
        report_jobs(ordered, "sweep of")
        _report_means(ordered)
        if any(job.status in ("done", "skipped") for job in ordered):
            print(self.next_command(), file=sys.stderr)
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
    print(title, file=sys.stderr)
    print_rows(("status", "time", "overrides", "result"), rows, sys.stderr, numbers=("time",))


def _report_means(jobs: Sequence[Job]) -> None:
    """Print the mean over the seeds of each setting, if one has several."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for job in jobs:
        kept = [override for override in _OVERRIDE.findall(job.overrides) if not re.match(r"seeds?=", override)]
        found[" ".join(kept), job.metric] += job.scores
    rows = []
    for (setting, metric), scores in found.items():
        if scores:
            spread = f" ± {written(metric, stdev(scores))}" if scores[1:] else ""
            seeds = f"{len(scores)} seed{'s' if scores[1:] else ''}"
            rows.append((setting or "all jobs", f"{metric} {written(metric, fmean(scores))}{spread}", seeds))
    if any(len(scores) > 1 for scores in found.values()):
        print("mean over seeds, ± standard deviation:", file=sys.stderr)
        print_rows(("setting", "score", "of"), rows, sys.stderr)


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
