"""What the runs of a plan cost: by finished runs, else by a few timed steps."""

import sys
from collections.abc import Iterable
from math import inf

from inducer_bench.cli.planned import Planned, PlannedRun
from inducer_bench.report.costs import Costs
from inducer_bench.runs.machine import expected_device
from inducer_bench.runs.timing import Timing
from inducer_bench.runs.timing_process import timings


def costs_of(planned: Planned, seconds: float) -> tuple[Costs, list[str]]:
    """What the runs cost, some of them timed, and notes about that."""
    runs = [run for job in planned.jobs for run in job.runs]
    wanted = runs[0].config.trainer.device if runs else "auto"
    costs = Costs(planned.output_dir, expected_device(wanted, min(planned.workers or 1, max(len(planned.jobs), 1))))
    unknown_ones = [*_without_cost(runs, costs)]
    if not unknown_ones or not seconds:
        return costs, []
    names = ", ".join(f"{run.config.method.name} on {run.config.task.name}" for run in unknown_ones)
    print(
        f"inducer-bench: no finished run says what these take, so a few steps are timed, for at most {seconds:g} s "
        f"(--time 0: none): {names}",
        file=sys.stderr,
    )
    notes = []
    found = [*timings([run.config for run in unknown_ones], seconds)]
    for run, timing in zip(unknown_ones, found, strict=False):
        if isinstance(timing, Timing):
            costs.add(run.config, timing, run.state.data)
        else:
            notes.append(f"{run.config.method.name} on {run.config.task.name} could not be timed: {timing}")
    if len(found) < len(unknown_ones):
        notes.append(f"time was over before {len(unknown_ones) - len(found)} of them were timed; --time gives more")
    return costs, notes


def _without_cost(runs: Iterable[PlannedRun], costs: Costs) -> Iterable[PlannedRun]:
    """One run of each task, PLM and method about which nothing is known, and whose data and PLM are here.

    It is the one with the most data: a part of them does not say how many there are.
    """
    found: dict[tuple[str, ...], PlannedRun] = {}
    for run in runs:
        config = run.config
        key = (config.task.name, config.plm.name, config.method.name)
        if run.state.name in ("to do", "failed", "interrupted", "oom") and costs.of(config, run.state.data) is None:
            found[key] = max(found.get(key, run), run, key=lambda run: run.config.task.max_train or inf)
    return found.values()
