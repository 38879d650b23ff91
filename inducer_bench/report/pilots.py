"""What finished runs say about the seeds that a comparison needs: the pilots of `power.py`, from an output folder."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median_low

from inducer_bench.errors import UserError
from inducer_bench.report import store
from inducer_bench.report.examples import Rows, read_predictions
from inducer_bench.report.power import LEVEL, Pilot, seeds_needed
from inducer_bench.report.store import Group

_METHODS = 6  # whose pairs are looked at: 15 pairs take a second


@dataclass(frozen=True)
class Power:
    """What so many seeds of each method can show on one task and PLM, and how many it takes.

    Args:
        task, plm: of the comparison.
        metric: the score.
        methods: those whose finished runs are the pilot.
        pairs: pairs of methods that the study compares: the level of each test is divided by their number.
        seeds: of each method, as planned.
        shown: the smallest difference that they show with 80 % power, in the score's unit, for the median pair of the
            pilot; None with one seed.
        difference: the one that was asked about.
        needed: runs of each method that it takes for the median pair; None: no number of them is enough.
    """

    task: str
    plm: str
    metric: str
    methods: list[str]
    pairs: int
    seeds: int
    shown: float | None
    difference: float | None
    needed: int | None


def power(
    root: Path, task: str, plm: str, methods: Sequence[str], seeds: int, difference: float | None
) -> Power | None:
    """What a comparison can show; None without finished runs of two methods, one of them with two seeds.

    Args:
        root: the output folder.
        task, plm: of the comparison.
        methods: names of those that are compared.
        seeds: of each.
        difference: that is to be found; in the score's unit, above 0.
    """
    found = _chosen(root, task, plm, methods)
    runs: dict[str, list[Rows]] = {}
    for method, group in found.items():
        try:
            runs[method] = [read_predictions(run.folder, run.record) for run in group.done]
        except UserError:
            continue  # its predictions are gone, or damaged; the record alone has no lines of examples
    pilots = [*_pilots(found, runs)]
    if not pilots:
        return None
    pairs = max(len(methods) * (len(methods) - 1) // 2, 1)
    level = LEVEL / pairs
    shown = median_low([pilot.smallest_difference(seeds, level) for pilot in pilots]) if seeds > 1 else None
    needed = None
    if difference is not None:
        each = [seeds_needed(difference, pilot, level) or float("inf") for pilot in pilots]
        needed = None if (middle := median_low(each)) == float("inf") else int(middle)
    metric = next(iter(found.values())).config.task.metric
    return Power(task, plm, metric, [*runs], pairs, seeds, shown, difference, needed)


def _chosen(root: Path, task: str, plm: str, methods: Sequence[str]) -> dict[str, Group]:
    """For each method the runs of one setting, that with the most seeds; all on the same data and protocol."""
    try:
        groups = store.load(root).groups
    except UserError:  # no such folder
        return {}
    by_data: dict[tuple[str, ...], dict[str, Group]] = defaultdict(dict)
    for group in groups:
        config = group.config
        trial = getattr(config.protocol, "score", "reported") == "held_out"
        if (config.task.name, config.plm.name) != (task, plm) or not group.done or trial:
            continue
        same = by_data[group.data, group.weights, config.suite, config.protocol.name]
        before = same.get(config.method.name)
        if before is None or len(group.done) > len(before.done):
            same[config.method.name] = group
    if not by_data:
        return {}
    found = max(by_data.values(), key=lambda same: sum(len(group.done) for group in same.values()))
    wanted = [method for method in methods if method in found] or [*found]
    others = [method for method in found if method not in wanted]
    most = sorted([*wanted, *others], key=lambda method: (method not in wanted, -len(found[method].done)))
    return {method: found[method] for method in most[:_METHODS]}


def _pilots(groups: dict[str, Group], runs: dict[str, list[Rows]]) -> Iterator[Pilot]:
    for left, right in combinations(runs, 2):
        task = groups[left].config.task
        metric = task.metric_of(task.metric)
        try:
            pilot = Pilot.of(task.metric, metric, runs[left], runs[right]) if metric else None
        except UserError:  # a prediction lacks what the metric scores
            continue
        if pilot is not None:
            yield pilot
