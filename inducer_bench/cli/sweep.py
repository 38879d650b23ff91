"""What the jobs of a sweep came to, told by the process that started it, whichever launcher ran them and where.

Each job leaves a line of JSON in the sweep's folder; the table at the end is made of these, and a job that left none
is lost: its process died.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from inducer_bench.errors import ExitCode
from inducer_bench.files import write_atomic

# Worst last: a sweep's exit code is the worst of its jobs'.
SEVERITY = [ExitCode.DONE, ExitCode.INTERRUPTED, ExitCode.OUT_OF_MEMORY, ExitCode.BAD_INPUT, ExitCode.FAILED]


@dataclass(frozen=True)
class Job:
    """How one job of a sweep ended."""

    number: int
    overrides: str
    status: str  # done, skipped, failed, oom, interrupted, refused, lost
    code: int
    message: str
    seconds: float

    def write(self, folder: Path) -> None:
        """Leave it in the sweep's folder."""
        (folder / "jobs").mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "jobs" / f"{self.number}.json", json.dumps(asdict(self)).encode())


@dataclass
class Sweep:
    """A sweep as its parent process knows it."""

    folder: Path
    jobs: int | None  # None: only the sweeper knows, as it chooses each job by the results of others
    started: float

    def finished(self) -> list[Job]:
        """The jobs that have ended, by number."""
        lines = [path.read_text(encoding="utf-8") for path in (self.folder / "jobs").glob("*.json")]
        return sorted((Job(**json.loads(line)) for line in lines), key=lambda job: job.number)

    def progress(self, number: int) -> str:
        """Which job of how many begins, the time since the start, and what the others may take."""
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


current: Sweep | None = None  # of this process, between start and end of `hydra.main`


class SweepCallback(Callback):
    """Hydra calls it in the parent process when a sweep begins."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember where the sweep's folder is, and how many jobs there will be."""
        global current
        current = Sweep(Path(config.hydra.sweep.dir), _count(config), time.monotonic())


def _count(config: DictConfig) -> int | None:
    if not str(config.hydra.sweeper._target_).endswith("BasicSweeper"):
        return None
    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    overrides = OverridesParser.create().parse_overrides([*params, *config.hydra.overrides.task])
    return sum(len(batch) for batch in BasicSweeper.split_arguments(overrides, None))


def _print(jobs: list[Job]) -> None:
    """A table in a terminal; elsewhere one line for each job, whole however long."""
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
