"""A plan in numbers: for each task, PLM and method its runs and what they take, and what all of them take."""

import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from inducer_bench.cli.planned import Planned, PlannedJob, PlannedRun, elapsed
from inducer_bench.errors import listed
from inducer_bench.report.costs import Cost, Costs
from inducer_bench.report.pilots import Power, power
from inducer_bench.runs.machine import BF16_SAVES, LONG, computes_bf16, expected_device

Key = tuple[str, str, str, str]


@dataclass
class Row:
    """The runs of one method on one task and PLM, of one kind; seconds are of training and evaluation."""

    task: str
    plm: str
    method: str
    kind: str  # in a study: trial, untuned, confirmation or final; else empty
    runs: int = 0
    states: Counter[str] = field(default_factory=Counter)  # name of a state -> runs
    costed: int = 0  # runs that are left and whose cost is known
    seconds: float = 0.0  # of all that are left and known
    low: float = 0.0
    high: float = 0.0
    memory: int = 0  # bytes, of the largest
    sources: dict[str, None] = field(default_factory=dict)  # in the order in which they were met

    @property
    def done(self) -> int:
        """Runs that are not run again."""
        return self.states["done"]

    @property
    def left(self) -> int:
        """Runs that are to run."""
        return self.runs - self.done - self.states["refused"]


@dataclass(frozen=True)
class Plan:
    """What a command would do."""

    jobs: int
    rows: list[Row]
    workers: int | None  # jobs at a time
    elapsed: float | None  # seconds until all have ended; None where the workers are not known
    left_bytes: int  # that the runs leave, where known
    peak_bytes: int  # beside those, of checkpoints while they go on
    free_bytes: int
    output_dir: Path
    refused: list[tuple[str, str]]  # overrides of a job that cannot begin, and why
    powers: list[Power]
    notes: list[str]


def summary(planned: Planned, costs: Costs, notes: list[str], difference: float | None) -> Plan:
    """The plan of some jobs.

    Args:
        planned: the jobs.
        costs: of their runs.
        notes: what is to be said beside.
        difference: that is to be found between methods, if that was asked.
    """
    rows: dict[Key, Row] = {}
    phases: dict[int, list[float]] = {}
    seen: set[Path] = set()
    refused, found, repeated = [], list[Cost](), 0
    for job in planned.jobs:
        seconds = 0.0
        if job.refused is not None:
            refused.append((job.overrides, job.refused))
        for run in job.runs:
            if run.state.folder in seen:
                repeated += 1
                continue
            seen |= {run.state.folder} if run.state.folder else set()
            row = _row(rows, job, run)
            if run.state.name == "refused":
                refused.append((job.overrides, run.state.reason))
            if run.state.name in ("done", "refused"):
                continue
            cost = costs.of(run.config, run.state.data)
            if cost is not None:
                _add(row, cost)
                found.append(cost)
                seconds += cost.seconds
        phases.setdefault(job.phase, []).append(seconds)
    workers = planned.workers
    time = None if workers is None else sum(elapsed(jobs, workers) for _, jobs in sorted(phases.items()))
    plan = Plan(
        jobs=len(planned.jobs),
        rows=[*rows.values()],
        workers=workers,
        elapsed=time,
        left_bytes=sum(cost.left or 0 for cost in found),
        peak_bytes=sum(sorted((cost.checkpoint or 0 for cost in found), reverse=True)[: workers or 1]),
        free_bytes=_free(planned.output_dir),
        output_dir=planned.output_dir,
        refused=refused,
        powers=[],
        notes=[],
    )
    plan.notes.extend([*_notes(planned, plan, repeated), *notes, *_left_out(costs)])
    _add_powers(planned, plan, difference)
    return plan


def _row(rows: dict[Key, Row], job: PlannedJob, run: PlannedRun) -> Row:
    config = run.config
    key = (config.task.name, config.plm.name, config.method.name, job.kind)
    row = rows.setdefault(key, Row(*key))
    row.runs += 1
    row.states[run.state.name] += 1
    return row


def _add(row: Row, cost: Cost) -> None:
    row.costed += 1
    row.seconds += cost.seconds
    row.low += cost.low
    row.high += cost.high
    row.memory = max(row.memory, cost.memory or 0)
    row.sources[cost.source] = None


def _notes(planned: Planned, plan: Plan, repeated: int) -> list[str]:
    states = Counter(run.state.name for job in planned.jobs for run in job.runs)
    reasons = {run.state.reason: None for job in planned.jobs for run in job.runs if run.state.name == "unknown"}
    notes = [f"whether runs are done cannot be known: {reason}" for reason in reasons]
    if again := {name: states[name] for name in ("failed", "oom") if states[name]}:
        notes.append(f"{' and '.join(f'{count} {name}' for name, count in again.items())} before; they run again")
    if states["interrupted"]:
        notes.append(f"{states['interrupted']} were interrupted and will resume; they are counted in full here")
    if repeated:
        notes.append(f"{repeated} of the runs occur twice, and run once")
    if missing := sum(row.left - row.costed for row in plan.rows):
        notes.append(f"without hours: {missing} of the runs; none of their kind has finished or was timed")
    needed = plan.left_bytes + plan.peak_bytes
    if needed > plan.free_bytes:
        notes.append("disk: there is less free than the runs need; free some, or give another output_dir")
    if sum(row.seconds for row in plan.rows) > LONG and _may_take_bf16(planned):
        notes.append(f"{BF16_SAVES}; auto is fp32 here")
    if plan.workers is None:
        notes.append("the launcher does not say how many jobs run at a time")
    return notes


def _may_take_bf16(planned: Planned) -> bool:
    """Whether runs are left on a CPU that computes in bf16, and their precision was not chosen."""
    trainers = [run.config.trainer for job in planned.jobs for run in job.runs if run.state.name != "done"]
    chosen = (trainer.precision != "auto" or expected_device(trainer.device).type != "cpu" for trainer in trainers)
    return computes_bf16() and not all(chosen)


def _left_out(costs: Costs) -> list[str]:
    lines = costs.left_out
    return [f"{len(lines)} records are not used, the first: {lines[0]}"] if lines else []


def _add_powers(planned: Planned, plan: Plan, difference: float | None) -> None:
    """Add what each comparison can show, of the methods on one task and PLM; a note names those without a pilot."""
    methods: dict[tuple[str, str], dict[str, set[int]]] = {}
    for job in planned.jobs:
        for run in job.runs if job.kind in ("", "final") else ():
            config = run.config
            of_task = methods.setdefault((config.task.name, config.plm.name), {})
            of_task.setdefault(config.method.name, set()).add(config.seed)
    without = []
    for (task, plm), seeds in methods.items():
        if len(seeds) == 1 and difference is None:
            continue
        found = power(plan.output_dir, task, plm, [*seeds], min(map(len, seeds.values())), difference)
        if found is None:
            without.append(f"{task} on {plm}")
        else:
            plan.powers.append(found)
    if without:
        plan.notes.append(
            f"seeds: first run two methods, one of them with two seeds, on {listed(without)}; such runs say which "
            "difference can be seen"
        )


def _free(folder: Path) -> int:
    """The free bytes where a folder is or will be."""
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(place).free
