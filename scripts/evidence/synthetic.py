"""Synthetic studies whose true scores are known: methods, runs and examples, without any training.

An example has a difficulty, which all methods share; a method is better at some examples than at others; the runs of a
method differ by luck, each as a whole and on each example:

    P(right) = 1 / (1 + exp(-(level + difficulty + method x example + run + run x example)))

The deviations of the difficulty and of the two products are fixed below; that of runs is given for each method.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from inducer_bench.metrics.classification import weighted_accuracy
from inducer_bench.report.examples import Examples

Array = NDArray[np.float64]

DIFFICULTY, METHOD_BY_EXAMPLE, RUN_BY_EXAMPLE = 1.5, 0.7, 0.7
SPREADS = (0.03, 0.4)  # the range of deviations of runs: at 80 % accuracy, 0.4 to 5 points
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


@dataclass(frozen=True)
class World:
    """The circumstances of a study.

    Args:
        examples: how many.
        accuracy: about which the methods lie, in (0, 1).
        spreads: the deviation of runs, for each method, on the logistic scale.
    """

    examples: int
    accuracy: float
    spreads: tuple[float, ...]


def world(random: np.random.Generator, methods: int) -> World:
    """Circumstances as of text classification: 200 to 2,000 examples, 60 to 95 %, methods of different stability."""
    low, high = np.log(SPREADS)
    return World(
        int(np.exp(random.uniform(np.log(200), np.log(2_000)))),
        float(random.uniform(0.6, 0.95)),
        tuple(np.exp(random.uniform(low, high, methods))),
    )


def study(random: np.random.Generator, about: World, accuracies: Sequence[float], seeds: int) -> list[list[Examples]]:
    """The runs of methods with these true accuracies, in (0, 1), each over all examples and runs that might be."""
    difficulty = random.normal(0, DIFFICULTY, about.examples)
    return [
        runs(random, difficulty, level(accuracy, spread), spread, seeds)
        for accuracy, spread in zip(accuracies, about.spreads, strict=True)
    ]


def runs(random: np.random.Generator, difficulty: Array, middle: float, spread: float, seeds: int) -> list[Examples]:
    """The runs of one method, whose mean on the logistic scale is `middle`, on examples of this difficulty, (N)."""
    shape = (seeds, len(difficulty))
    of_method = random.normal(0, METHOD_BY_EXAMPLE, len(difficulty))
    of_runs = random.normal(0, spread, (seeds, 1)) + random.normal(0, RUN_BY_EXAMPLE, shape)
    right = random.random(shape) < expit(middle + difficulty + of_method + of_runs)
    return [as_examples(run) for run in right]


def as_examples(right: NDArray[np.bool_]) -> Examples:
    """The examples of a run, (N), whose score is their accuracy."""
    pairs = np.stack([np.ones(len(right)), right], axis=1)
    return Examples(pairs, np.arange(len(right)), weighted_accuracy)


def accuracy(middle: float, spread: float) -> float:
    """The true accuracy of a method."""
    deviation = np.sqrt(DIFFICULTY**2 + METHOD_BY_EXAMPLE**2 + RUN_BY_EXAMPLE**2 + spread**2)
    return float(_WEIGHTS @ expit(middle + deviation * _NODES) / _WEIGHTS.sum())


@cache
def level(true: float, spread: float) -> float:
    """The mean on the logistic scale that gives a true accuracy: the inverse of `accuracy`."""
    return float(brentq(lambda middle: accuracy(middle, spread) - true, -20 + logit(true), 20 + logit(true)))
