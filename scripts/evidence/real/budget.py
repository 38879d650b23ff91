"""(e) Scores against the budget of parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from inducer_bench.report.measures import measure
from inducer_bench.report.naming import task_title
from inducer_bench.report.plots import interval
from inducer_bench.report.store import Group
from scripts.evidence.real.against import of_ours
from scripts.evidence.real.differences import Difference, Side, adjusted
from scripts.evidence.real.runs import by_task, form

BUDGETS = (0.1, 0.3, 1.0, 2.0, 5.0)  # % of the PLM, as `real_budget.yaml` sweeps them


@dataclass(frozen=True)
class Point:
    """A method at one budget.

    Args:
        percent: that it has, of the PLM.
        budget: that it was given.
        score: the mean over seeds.
        interval: 95 %, of that mean; None of fewer than three seeds.
    """

    place: str
    method: str  # its name in records
    label: str
    budget: float
    percent: float
    score: float
    interval: tuple[float, float] | None
    seeds: int


def points(groups: Sequence[Group]) -> list[Point]:
    """Every method at every budget, by task, label and budget."""
    found = []
    for (_, plm), own in sorted(by_task(groups).items()):
        of = measure("headline", own[0].config.task)
        for group in own:
            scores = Side("", group.done).scores(of)
            if scores:
                percent = group.done[0].record.parameters.percent
                found.append(
                    Point(f"{task_title(group.config.task)} on {plm}", group.config.method.name, form(group.config),
                          budget_of(percent), percent, fmean(scores), interval(scores), len(scores))
                )  # fmt: skip
    return sorted(found, key=lambda point: (point.place, point.label, point.percent))


def differences(groups: Sequence[Group]) -> list[Difference]:
    """The inducer minus each other method at the same budget: one family of comparisons."""
    found = []
    for (_, plm), own in sorted(by_task([group for group in groups if group.done]).items()):
        at: dict[float, list[Group]] = {}
        for group in own:
            at.setdefault(budget_of(group.done[0].record.parameters.percent), []).append(group)
        for budget, some in sorted(at.items()):
            found += of_ours(f"{task_title(own[0].config.task)} on {plm}, {budget:g} %", some)
    return adjusted(found)


def budget_of(percent: float) -> float:
    """The budget of a method with so many parameters, which are never above it."""
    return min((budget for budget in BUDGETS if percent <= budget * (1 + 1e-9)), default=BUDGETS[-1])
