"""`method.budget`: the ranks that fill a parameter budget without exceeding it, in the given proportions, on any PLM.

A budget is a number of deployed method parameters. In every method of this package each rank adds the same number of
parameters per unit, whatever the others are. The given ranks times one factor would fill the budget exactly:

    smallest + sum_i unit_i (wanted_i - least_i) = budget,    wanted_i = factor given_i, from least_i to most_i

Ranks are whole numbers. Of those within the budget, the ones are taken for which the fewest parameters are unused, or
belong to another rank than they should:

    minimise    sum_i unit_i |rank_i - wanted_i| + unused
"""

import bisect
import dataclasses
import heapq
import math
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from inducer_bench.errors import UserError
from inducer_bench.methods.architectures import Sizes
from inducer_bench.methods.options import METHODS, MethodOptions, Rank

Method = TypeVar("Method", bound=MethodOptions)
Cost = Callable[[list[int]], int]  # ranks -> parameters
Path = tuple[str, ...]  # attribute names from the options to a value


def solve(options: Method, budget: int, s: Sizes, kept: Collection[Path] = ()) -> Method:
    """The options with the ranks that fill `budget` without exceeding it, in the proportions of the given ones.

    The equations are at the top of this module. A rank stays as it is where it is below its least value (`r_k=0` is a
    method without MLP_k) or adds no parameters. What a rank scales grows as it does: alpha of LoRA, so that alpha / r
    is that of the given options, and the rate that suits stays the same.

    Args:
        options: with the ranks that give the proportions.
        budget: the number of parameters.
        s: the sizes of the PLM.
        kept: paths of values that stay, although a rank scales them.

    Raises:
        UserError: the method has no ranks, or the budget is too small for the least ones.
    """
    if not options.ranks:
        allowed = ", ".join(name for name, kind in METHODS.items() if kind.ranks)
        raise UserError(f"method.budget: '{options.name}' has no rank to choose; allowed: {allowed}")
    ranks = [rank for rank in options.ranks if _counts(options, rank, s)]
    least = [rank.least for rank in ranks]

    def cost(values: list[int]) -> int:
        return _with(options, ranks, values).parameters(s)

    smallest = cost(least)
    if smallest > budget:
        raise UserError(
            f"method.budget: found {budget:,}; allowed: at least {smallest:,} for '{options.name}' on this PLM"
        )
    given = [value_of(options, rank) for rank in ranks]
    units = [cost(_raised(least, i)) - smallest for i in range(len(ranks))]
    limits = [rank.most(s) or budget for rank in ranks]
    best = _nearest(list(map(_Choice, units, least, map(max, least, limits), given)), budget - smallest)
    if cost(best) != smallest + sum(unit * (value - low) for unit, value, low in zip(units, best, least, strict=True)):
        best = _enumerated(cost, [], least, limits, budget)  # a method from outside, whose ranks do not add up
    solved = _with(options, ranks, best)
    for rank, value, old in zip(ranks, best, given, strict=True):
        for path in rank.scaled_paths():
            if path not in kept:
                solved = _replaced(solved, path, _at(options, path) * value / old)
    return solved


def decided(options: MethodOptions) -> dict[str, int | float]:
    """The values that a budget decides, by their path with dots: the ranks, and what they scale."""
    paths = [path for rank in options.ranks for path in (rank.path, *rank.scaled_paths())]
    return {".".join(path): _at(options, path) for path in paths}


def chosen(options: MethodOptions) -> str:
    """What a budget decided as text, for instance `r_k=6, r_v=4` or `r=24, alpha=48`."""
    return ", ".join(f"{key}={value:g}" for key, value in decided(options).items())


def check_ranks(options: MethodOptions, s: Sizes) -> None:
    """Check that no rank is larger than the size of the model that it is within; see `Rank.most`.

    Raises:
        UserError: one is.
    """
    for rank in options.ranks:
        value, bound = value_of(options, rank), rank.most(s)
        most = None if bound is None else max(bound, rank.allowed)
        if most is not None and value > most:
            width = {"head_width": "head width", "width": "width", "ffn": "width of the FFN"}[str(rank.within)]
            lowest = 0 if rank.least > 1 else 1  # what does not exist below its least rank may be left out
            key = ".".join(("method", *rank.path))
            raise UserError(f"{key}: found {value}; allowed: {lowest} to {most}, the {width} of this PLM")


def value_of(options: MethodOptions, rank: Rank) -> int:
    """The value of one rank."""
    return int(_at(options, rank.path))


@dataclasses.dataclass(frozen=True)
class _Choice:
    """One rank: the parameters that it adds per unit, its least and greatest value, and the given one."""

    unit: int
    least: int
    most: int
    given: int

    def scaled(self, factor: float) -> float:
        """The given rank times a factor, within the bounds."""
        return min(max(factor * self.given, self.least), self.most)


def _nearest(choices: list[_Choice], room: int) -> list[int]:
    """The ranks that add at most `room` parameters to the least ones; see `solve`."""
    room = min(room, sum(choice.unit * (choice.most - choice.least) for choice in choices))
    factor, above = 0.0, float(max(choice.most / choice.given for choice in choices))
    for _ in range(100):  # of bisection: halves of a float no longer differ
        middle = (factor + above) / 2
        if sum(choice.unit * (choice.scaled(middle) - choice.least) for choice in choices) <= room:
            factor = middle
        else:
            above = middle
    wanted = [choice.scaled(factor) for choice in choices]
    order = sorted(range(len(choices)), key=lambda i: -choices[i].unit)  # the smallest steps fill up what is left
    found: list[int] = []
    fewest = math.inf

    def search(chosen: list[int], left: int, elsewhere: float) -> None:
        nonlocal found, fewest
        index = order[len(chosen)]
        choice, target = choices[index], wanted[index]
        most = min(choice.most, choice.least + left // choice.unit)
        if len(chosen) == len(order) - 1:
            unused = left - choice.unit * (most - choice.least)
            wrong = elsewhere + choice.unit * abs(most - target) + unused
            if wrong < fewest:
                found, fewest = [*chosen, most], wrong
            return
        below = min(most, math.floor(target))
        downwards, upwards = reversed(range(choice.least, below + 1)), range(below + 1, most + 1)
        for value in heapq.merge(downwards, upwards, key=lambda value: abs(value - target)):
            further = elsewhere + choice.unit * abs(value - target)
            if further >= fewest:
                return
            search([*chosen, value], left - choice.unit * (value - choice.least), further)

    search([], room, 0.0)
    return [value for _, value in sorted(zip(order, found, strict=True))]


def _enumerated(cost: Cost, fixed: list[int], least: list[int], limits: list[int], budget: int) -> list[int]:
    """The ranks with the most parameters within the budget, if more of any rank is never fewer parameters."""
    index = len(fixed)

    def least_for(value: int) -> int:
        return cost([*fixed, value, *least[index + 1 :]])

    values = range(least[index], limits[index] + 1)
    values = values[: bisect.bisect_right(values, budget, key=least_for)]
    if index == len(least) - 1:
        return [*fixed, values[-1]]
    return max((_enumerated(cost, [*fixed, value], least, limits, budget) for value in values), key=cost)


def _counts(options: MethodOptions, rank: Rank, s: Sizes) -> bool:
    """Whether the rank, as it is, adds parameters."""
    value = value_of(options, rank)
    more = _with(options, [rank], [value + 1]).parameters(s)
    return value >= rank.least and more > options.parameters(s)


def _raised(values: list[int], index: int) -> list[int]:
    return [value + (i == index) for i, value in enumerate(values)]


def _with(options: Method, ranks: list[Rank], values: list[int]) -> Method:
    for rank, value in zip(ranks, values, strict=True):
        options = _replaced(options, rank.path, value)
    return options


def _at(options: Any, path: Path) -> Any:
    for name in path:
        options = getattr(options, name)
    return options


def _replaced(options: Method, path: Path, value: Any) -> Method:
    name, *rest = path
    inner = _replaced(getattr(options, name), tuple(rest), value) if rest else value
    return dataclasses.replace(options, **{name: inner})
