"""The random sample that stands for a split of which only some examples are used."""

import heapq
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import count, groupby
from operator import itemgetter
from typing import TypeVar

Example = TypeVar("Example")

_SEED = 0  # another one, and `ALGORITHM` must rise


def sample(examples: Iterable[Example], size: int, unit: Callable[[Example], object] | None = None) -> list[Example]:
    """A random sample of examples, in their order; all of them, if there are no more.

    It depends on nothing but the number of examples: equal for every method, seed and machine. Each is drawn with the
    same probability, whatever its label. A smaller sample is a part of a larger one.

    Args:
        examples: read once; no more than the sample is kept.
        size: of the sample.
        unit: what an example is a part of. Whole units are drawn, and of the last one the first parts.
    """
    lowest = heapq.nsmallest(size, _ranked(examples, unit))
    return [example for _, _, example in sorted(lowest, key=itemgetter(1))]


def _ranked(
    examples: Iterable[Example], unit: Callable[[Example], object] | None
) -> Iterator[tuple[float, int, Example]]:
    """Examples with the random rank of their unit and their own number, which decides between equal ranks."""
    draw, numbers = random.Random(_SEED), count()  # `random()` gives the same values in every release of Python
    numbered = zip(numbers, examples, strict=False)
    for _, parts in groupby(numbered, key=itemgetter(0) if unit is None else lambda pair: unit(pair[1])):
        rank = draw.random()
        for number, example in parts:
            yield rank, number, example
