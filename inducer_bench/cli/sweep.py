"""Outcome of a sweep's jobs, reported by the process that started it, whichever launcher ran them and where.

Each job leaves a line of JSON in the sweep's folder. The table at the end is made of these; a job that left none is
lost: its process died.
"""

import json
import math
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override

from inducer_bench.config.compose import composed_with_hydra, files, quoted
from inducer_bench.errors import ExitCode
from inducer_bench.files import write_atomic

# Worst last: a sweep's exit code is the worst of its jobs'.
SEVERITY = [ExitCode.DONE, ExitCode.INTERRUPTED, ExitCode.OUT_OF_MEMORY, ExitCode.BAD_INPUT, ExitCode.FAILED]


@dataclass(frozen=True)
class Job:
    """Outcome of one job."""

    number: int
    overrides: str
    status: str  # done, skipped, failed, oom, interrupted, refused, lost
    code: int
    message: str
    seconds: float

    def write(self, folder: Path) -> None:
        """Write it into the sweep's folder."""
        (folder / "jobs").mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "jobs" / f"{self.number}.json", json.dumps(asdict(self)).encode())


@dataclass(frozen=True)
class Sweep:
    """A sweep as the process knows it that started it."""

    folder: Path
    jobs: int | None  # None: only the sweeper knows, which chooses each job by the results of others
    started: float
    process: int = field(default_factory=os.getpid)

    def folder_override(self) -> str:
        """The override that makes Hydra use this folder: its own would have the time of a second composition."""
        return f"hydra.sweep.dir={quoted(str(self.folder))}"

    def is_here(self) -> bool:
        """Whether this is the process that started the sweep; a launcher may run jobs in others, several at once."""
        return self.process == os.getpid()

    def finished(self) -> list[Job]:
        """The jobs that have ended, by number."""
        lines = [path.read_text(encoding="utf-8") for path in (self.folder / "jobs").glob("*.json")]
        return sorted((Job(**json.loads(line)) for line in lines), key=lambda job: job.number)

    def progress(self, number: int) -> str:
        """The number of the job that begins, the time since the start, and an estimate of the time to go."""
        elapsed = time.monotonic() - self.started
        text = f"job {number + 1}" if self.jobs is None else f"job {number + 1} of {self.jobs}"
        text += f", {_clock(elapsed)} since the start"
        computed = [job.seconds for job in self.finished() if job.status != "skipped"]
        if self.jobs is None or not computed:
            return text
        return f"{text}, about {_clock(sum(computed) / len(computed) * (self.jobs - number))} to go"

    def report(self) -> ExitCode:
        """Print the table of all jobs to stderr; returns the worst exit code."""
        jobs = {job.number: job for job in self.finished()}
        for number in range(self.jobs or 0):
            if number not in jobs:
                jobs[number] = Job(number, "", "lost", ExitCode.FAILED, "left no result: interrupted, or killed", 0.0)
        _print([job for _, job in sorted(jobs.items())])
        return max((ExitCode(job.code) for job in jobs.values()), key=SEVERITY.index, default=ExitCode.DONE)


def planned(overrides: list[str], config_dir: Path | None = None) -> Sweep:
    """The sweep that these overrides ask for, before it starts.

    Raises:
        HydraException, OmegaConfBaseException: they do not compose; see `config.compose.explain`.
    """
    parsed = OverridesParser.create().parse_overrides(overrides)
    fixed = [str(o.input_line) for o in parsed if not o.is_sweep_override()]
    config = composed_with_hydra(fixed, config_dir).hydra
    jobs = None
    if str(config.sweeper._target_).endswith("BasicSweeper"):
        params = [f"{key}={value}" for key, value in (config.sweeper.params or {}).items()]
        given = OverridesParser.create().parse_overrides([*params, *overrides])
        jobs = math.prod({o.get_key_element(): _size(o, config_dir) for o in given}.values())  # the last one counts
    return Sweep(Path(config.sweep.dir), jobs, time.monotonic())


def _size(override: Override, config_dir: Path | None) -> int:
    """The number of values that an override goes through."""
    if not override.is_sweep_override():
        return 1
    value = override.value()
    if isinstance(value, Glob):
        return len(value.filter([path.stem for path in files(override.key_or_group, config_dir)]))
    return sum(1 for _ in override.sweep_iterator())


def _print(jobs: list[Job]) -> None:
    """Print a table in a terminal, and elsewhere one unbroken line for each job."""
    title = f"sweep of {len(jobs)} jobs:"
    if not sys.stderr.isatty():
        lines = [f"  {job.status:<12}{_clock(job.seconds):>8}  {job.overrides}  {job.message}" for job in jobs]
        print("\n".join([title, *lines]), file=sys.stderr)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("status", "time", "overrides", "result", title=title, box=None)
    for job in jobs:
        table.add_row(job.status, _clock(job.seconds), job.overrides, job.message)
    Console(stderr=True).print(table, highlight=False, markup=False)


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
