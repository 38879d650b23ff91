"""Which method is good on all of these tasks? The mean of its ranks, with an interval.

On each task, methods are ranked by the mean score of their runs, 1 being the best; equal scores share the mean of their
ranks. The interval is about *other seeds of the same methods on the same tasks and examples*: two to eight tasks that
somebody chose say nothing about further tasks. It holds the mean rank that such studies give on average, in 95 % of
studies, up to the 0.05 that a table rounds away (`results/statistics`). It is found by drawing the mean scores again,
from Student's t distribution with the spread of each method's runs on each task, and ranking again.

Methods whose true scores are hardly different share their ranks on average, so that these ranks lie nearer to the
middle than the ranks of the true scores would: no study of a few seeds can know those.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inducer_bench.report.statistics import Array

_DRAWS = 10_000


@dataclass(frozen=True)
class MeanRank:
    """The rank of one method among those that were tried on every task.

    Args:
        ranks: on each task, in the order of the tasks; 1 is the best.
        mean: of the ranks.
        interval: of the mean, over other seeds; None if a method has a single run on a task.
    """

    ranks: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None


def mean_ranks(
    tasks: Sequence[Mapping[str, Sequence[float]]],
    better: Sequence[int],
    confidence: float = 0.95,
    draws: int = _DRAWS,
) -> dict[str, MeanRank]:
    """The mean ranks of the methods that were tried on every task, the best first.

    Args:
        tasks: for each task, method -> the scores of its runs. A method without a finite score was tried and failed: it
            ranks last. One that is missing was not tried: it has no mean rank, and the others are ranked without it.
        better: for each task, 1 if higher is better, -1 if lower is.
        confidence: of each interval.
        draws: of all mean scores.

    Returns:
        Method -> its mean rank; empty without tasks, or if fewer than two methods were tried on every task.
    """
    names = [name for name in (tasks[0] if tasks else ()) if all(name in task for task in tasks)]
    if len(names) < 2:
        return {}
    random = np.random.default_rng(0)
    observed, drawn = [], []
    for task, sign in zip(tasks, better, strict=True):
        runs = [sign * np.array([score for score in task[name] if math.isfinite(score)]) for name in names]
        means = np.array([own.mean() if own.size else -np.inf for own in runs])
        observed.append(_ranks(means[None])[0])
        drawn.append(_ranks(means + np.stack([_errors(own, draws, random) for own in runs], axis=1)))
    ranks, ends = np.stack(observed), (0.5 - confidence / 2, 0.5 + confidence / 2)
    intervals = np.quantile(np.mean(drawn, axis=0), ends, axis=0).T  # (methods, 2)
    known = all(len(task[name]) != 1 for task in tasks for name in names)
    found = {
        name: MeanRank(
            tuple(map(float, own)), float(own.mean()), (float(interval[0]), float(interval[1])) if known else None
        )
        for name, own, interval in zip(names, ranks.T, intervals, strict=True)
    }
    return dict(sorted(found.items(), key=lambda item: item[1].mean))


def _errors(runs: Array, draws: int, random: np.random.Generator) -> Array:
    """(draws): how far the mean of so many other runs may be from that of these."""
    if runs.size < 2:
        return np.zeros(draws)
    return random.standard_t(runs.size - 1, draws) * float(runs.std(ddof=1) / np.sqrt(runs.size))


def _ranks(scores: Array) -> Array:
    """(R, M) -> (R, M): the rank of each method, 1 for the highest score; ties share their mean rank."""
    from scipy.stats import rankdata  # takes a second

    found: Array = rankdata(-scores, axis=1)
    return found
