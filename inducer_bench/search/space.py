"""What a search tries: the prior about a method's own values, and the points that are the same for every method.

The learning rate is uniform in its logarithm over `tune.decades`, with the method's own value in the middle. With
`tune.dimensions` above 1 further keys follow, which the method's file lists under `search`:

    search:
      method.dropout: [0.0, 0.05, 0.1]                  # values, each as likely
      method.scale: {low: 0.25, high: 4.0, log: true}   # an interval; whole numbers if both ends are

Points are those of Sobol's sequence (https://doi.org/10.1016/0041-5553(67)90144-9, by scipy), all shifted by one
random vector modulo 1 (Cranley and Patterson 1976, https://doi.org/10.1137/0713071). They fill the range evenly, more
trials go on where fewer ended, and each point alone is uniform, as one of a random search would be.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from inducer_bench.errors import UserError, shown
from inducer_bench.options import options, typed
from inducer_bench.search.record import Dimension, Value

LEARNING_RATE = "trainer.lr"
_SECTIONS = ("method.", "trainer.")


@options
class _Interval:
    """An interval of a method's `search`."""

    low: int | float
    high: int | float
    log: bool = False


def points(trials: int, dimensions: int, seed: int) -> list[list[float]]:
    """(trials, dimensions): points in [0, 1). Those of fewer trials are the first ones of more.

    Args:
        trials: number of points.
        dimensions: of each.
        seed: of the shift.
    """
    from scipy.stats import qmc

    power = math.ceil(math.log2(trials))
    sequence = qmc.Sobol(dimensions, scramble=False).random_base2(power)[:trials]
    shifted: list[list[float]] = ((sequence + np.random.default_rng(seed).random(dimensions)) % 1.0).tolist()
    return shifted


def space(config: DictConfig, decades: float, dimensions: int) -> list[Dimension]:
    """The dimensions of a method's search: the learning rate, and the first keys of the method's `search`.

    Args:
        config: composed, with the method's own values.
        decades: width of the range of learning rates.
        dimensions: the most that a method may have.

    Raises:
        UserError: the method's `search` is not as above.
        OmegaConfBaseException: a value is missing or cannot be resolved; see `config.compose.explain`.
    """
    rate = float(OmegaConf.select(config, LEARNING_RATE))
    half = 10 ** (decades / 2)
    found = [Dimension(key=LEARNING_RATE, centre=rate, low=rate / half, high=rate * half, log=True)]
    more = OmegaConf.to_container(config.method.get("search") or OmegaConf.create({}), resolve=True)
    if not isinstance(more, Mapping):
        raise UserError(f"method.search: found {shown(more)}; allowed: keys, each with values or an interval")
    for key, values in more.items():
        found.append(_dimension(config, str(key), values))
    return found[:dimensions]


def setting(dimension: Dimension, coordinate: float) -> Value:
    """The value of a dimension's key at a coordinate in [0, 1)."""
    if dimension.values is not None:
        return dimension.values[int(coordinate * len(dimension.values))]
    assert dimension.low is not None
    assert dimension.high is not None
    low, high = dimension.low, dimension.high
    value = low * (high / low) ** coordinate if dimension.log else low + (high - low) * coordinate
    if isinstance(dimension.centre, int) and not isinstance(dimension.centre, bool):
        return round(value)
    return float(f"{value:.4g}")  # as a person would write it


def _dimension(config: DictConfig, key: str, values: Any) -> Dimension:
    """A further dimension.

    Raises:
        UserError: its key is none of the configuration's, or its values are neither a list nor an interval.
    """
    where = f"method.search.{key}"
    if key == LEARNING_RATE or not key.startswith(_SECTIONS):
        raise UserError(f"{where}: allowed: keys of method and trainer; the learning rate is always searched")
    missing = object()
    centre = OmegaConf.select(config, key, default=missing)
    if centre is missing or not isinstance(centre, Value):
        raise UserError(f"{where}: no key of the configuration with a single value; allowed: one of method or trainer")
    if isinstance(values, list):
        if len(values) < 2 or not all(isinstance(value, Value) for value in values):
            raise UserError(f"{where}: found {shown(values)}; allowed: a list of at least two values")
        return Dimension(key=key, centre=centre, values=values)
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: found {shown(values)}; allowed: a list of values, or low and high")
    interval = typed(_Interval, {str(name): value for name, value in values.items()}, where)
    if interval.low >= interval.high or (interval.log and interval.low <= 0):
        raise UserError(
            f"{where}: found low {interval.low}, high {interval.high}; allowed: low below high, and above 0 with log"
        )
    whole = isinstance(interval.low, int) and isinstance(interval.high, int)
    return Dimension(
        key=key,
        centre=round(centre) if whole and isinstance(centre, float) else centre,
        low=interval.low,
        high=interval.high,
        log=interval.log,
    )
