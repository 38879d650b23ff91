"""`method.budget`: the ranks that come closest to a parameter budget without exceeding it, on any PLM.

A budget is a number of deployed method parameters.
"""

import dataclasses
import itertools
from typing import Any, TypeVar

from inducer_bench.errors import UserError
from inducer_bench.methods.architectures import Sizes
from inducer_bench.methods.options import METHODS, MethodOptions, Rank

Method = TypeVar("Method", bound=MethodOptions)

BISECTIONS = 100  # of the common factor; a double has settled long before
NEIGHBOURHOOD = 2  # ranks tried on either side of the scaled ones


def solve(options: Method, budget: int, s: Sizes) -> Method:
    """The options with the ranks that come closest to `budget` parameters without exceeding it.

    One rank is solved for exactly. Several ranks roughly keep their proportions. They are scaled by a common factor as
    far as the budget allows; then the choice with the most parameters is taken among those at most `NEIGHBOURHOOD` away
    in each rank; then single ranks are raised until no further one fits. MLP_k keeps a rank of at least 2, as it does
    not exist below that.

    Raises:
        UserError: the method has no ranks, or the budget is too small for the smallest ones.
    """
    ranks = options.ranks
    if not ranks:
        allowed = ", ".join(name for name, kind in METHODS.items() if kind.ranks)
        raise UserError(f"method.budget: '{options.name}' has no rank to choose; allowed: {allowed}")
    least = [rank.least for rank in ranks]
    limits = [rank.most(s) or budget for rank in ranks]
    base = [value_of(options, rank) for rank in ranks]

    def cost(values: list[int]) -> int:
        return _with(options, ranks, values).parameters(s)

    def scaled(factor: float) -> list[int]:
        return [min(limit, max(low, int(rank * factor))) for rank, low, limit in zip(base, least, limits, strict=True)]

    smallest = cost(least)
    if smallest > budget:
        raise UserError(
            f"method.budget: found {budget:,}; allowed: at least {smallest:,} for '{options.name}' on this PLM"
        )
    low, high = 0.0, float(budget)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(scaled(middle)) <= budget else (low, middle)
    near = [
        range(max(lowest, rank - NEIGHBOURHOOD), min(limit, rank + NEIGHBOURHOOD) + 1)
        for rank, lowest, limit in zip(scaled(low), least, limits, strict=True)
    ]
    best = max((list(values) for values in itertools.product(*near) if cost(list(values)) <= budget), key=cost)
    while larger := [values for values in _one_more(best, limits) if cost(values) <= budget]:
        best = max(larger, key=cost)
    return _with(options, ranks, best)


def chosen(options: MethodOptions) -> str:
    """The ranks of a method as text, for instance `r_k=6, r_v=4`."""
    return ", ".join(f"{'.'.join(rank.path)}={value_of(options, rank)}" for rank in options.ranks)


def value_of(options: Any, rank: Rank) -> int:
    """The value of one rank."""
    for name in rank.path:
        options = getattr(options, name)
    return int(options)


def _one_more(values: list[int], limits: list[int]) -> list[list[int]]:
    """The choices that raise a single rank by one."""
    raised = [i for i, limit in enumerate(limits) if values[i] < limit]
    return [[value + (i == j) for j, value in enumerate(values)] for i in raised]


def _with(options: Method, ranks: tuple[Rank, ...], values: list[int]) -> Method:
    for rank, value in zip(ranks, values, strict=True):
        changed: Any = value
        for depth in reversed(range(len(rank.path))):
            holder: Any = options
            for name in rank.path[:depth]:
                holder = getattr(holder, name)
            changed = dataclasses.replace(holder, **{rank.path[depth]: changed})
        options = changed
    return options
