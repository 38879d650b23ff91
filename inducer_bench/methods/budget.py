"""`method.budget`: the ranks that come closest to a parameter budget without exceeding it, on any PLM.

A budget is a number of deployed method parameters. In every method of this package each rank adds the same number of
parameters per unit, whatever the others are. What ranks can reach is then an integer knapsack:

    parameters = smallest + sum_i unit_i n_i,    rank_i = least_i + n_i,    0 <= n_i <= most_i
"""

import bisect
import dataclasses
import math
import operator
from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

from inducer_bench.errors import UserError
from inducer_bench.methods.architectures import Sizes
from inducer_bench.methods.options import METHODS, MethodOptions, Rank

Method = TypeVar("Method", bound=MethodOptions)
Cost = Callable[[list[int]], int]  # ranks -> parameters
Path = tuple[str, ...]  # attribute names from the options to a value


def solve(options: Method, budget: int, s: Sizes, kept: Collection[Path] = ()) -> Method:
    """The options with the ranks whose parameters come closest to `budget` without exceeding it; none come closer.

    Of ranks that come equally close, those are taken that keep the proportions of the given ranks best: the fewest
    parameters are elsewhere than if all ranks were scaled by one factor. A rank stays as it is where it is below its
    least value (`r_k=0` is a method without MLP_k) or adds no parameters. What a rank scales grows as it does: alpha
    of LoRA, so that alpha / r is that of the given options and the rate that suits stays the same.

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
    room, given = budget - smallest, [value_of(options, rank) for rank in ranks]
    units = [cost(_raised(least, i)) - smallest for i in range(len(ranks))]
    factor = (room + sum(map(operator.mul, units, least))) / sum(map(operator.mul, units, given))
    limits = [rank.most(s) or budget for rank in ranks]
    choices = [
        _Choice(unit, max(0, min(room // unit, most - low)), factor * value - low)
        for unit, low, most, value in zip(units, least, limits, given, strict=True)
    ]
    best = [low + n for low, n in zip(least, _closest(choices, room), strict=True)]
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
    """One rank: the parameters that it adds per unit, how many units are possible, and how many are wanted."""

    unit: int
    most: int
    wanted: float

    def nearest_first(self, room: int) -> Iterator[int]:
        """The numbers of units that fit into `room` parameters, those nearest to the wanted one first."""
        most = min(self.most, room // self.unit)
        below = min(most, max(0, round(self.wanted)))
        above = below + 1
        while below >= 0 or above <= most:
            if below >= 0 and (above > most or self.distance(below) <= self.distance(above)):
                yield below
                below -= 1
            else:
                yield above
                above += 1

    def distance(self, n: int) -> float:
        """How many of its parameters are more or fewer than wanted."""
        return self.unit * abs(n - self.wanted)


def _closest(choices: list[_Choice], room: int) -> list[int]:
    """The units of each rank: the sum closest to `room`, and of its choices the nearest to the wanted one."""
    common = math.gcd(*(choice.unit for choice in choices))
    size = room // common + 1
    reachable = [1]  # bit s: the ranks from some rank on can add s common parameters
    for choice in reversed(choices):
        reachable.append(_sums(reachable[-1], choice.unit // common, choice.most, size))
    best = (reachable[-1].bit_length() - 1) * common
    tables = [bits.to_bytes(size // 8 + 1, "little") for bits in reversed(reachable)]
    found: list[int] = []
    nearest = math.inf

    def search(chosen: list[int], left: int, distance: float) -> None:
        nonlocal found, nearest
        if len(chosen) == len(choices):
            found, nearest = chosen, distance
            return
        choice, table = choices[len(chosen)], tables[len(chosen) + 1]
        for n in choice.nearest_first(left):
            further = distance + choice.distance(n)
            if further >= nearest:
                return
            rest = (left - n * choice.unit) // common
            if table[rest // 8] >> rest % 8 & 1:
                search([*chosen, n], rest * common, further)

    search([], best, 0.0)
    return found


def _sums(bits: int, unit: int, most: int, size: int) -> int:
    """The sums below `size` of one of `bits` and 0 to `most` times `unit`; numbers of times are doubled."""
    times = 1
    while most > 0:
        bits = (bits | bits << min(times, most) * unit) & ((1 << size) - 1)
        most, times = most - times, 2 * times
    return bits


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
    for depth in reversed(range(len(path))):
        value = dataclasses.replace(_at(options, path[:depth]), **{path[depth]: value})
    return value
