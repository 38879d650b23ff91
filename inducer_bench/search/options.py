"""The options of `inducer-bench tune`; `conf/config.yaml` has their defaults, in the section `tune`."""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError

from inducer_bench.options import PositiveInt, options


def _methods(found: Any) -> Any:
    if found in ("all", "with_ranks") or (isinstance(found, list) and found and all(isinstance(m, str) for m in found)):
        return found
    raise PydanticCustomError("methods", "all, with_ranks, or a list of methods")


@options
class TuneOptions:
    """The effort of a search, equal for every method, and what follows it."""

    methods: Annotated[list[str] | Literal["all", "with_ranks"], PlainValidator(_methods)]  # choices of conf/method
    trials: Annotated[int, Field(ge=1, le=4096)]  # of each method
    seeds: Annotated[int, Field(ge=1, le=1000)]  # runs of each winner; their seeds follow that of the trials
    decades: Annotated[float, Field(gt=0.0, le=12.0)]  # width of the range of learning rates about the method's own
    dimensions: Annotated[int, Field(ge=1, le=8)]  # of the learning rate and the first keys of a method's `search`
    points: Annotated[int, Field(ge=0, lt=2**32)]  # the seed of the quasi-random points
    held_out: Annotated[float, Field(gt=0.0, lt=1.0)]  # the part of train on which trials are scored
    max_train: PositiveInt | None  # trials see this many examples of train, that part included; null: as the runs
    epochs: PositiveInt | None  # of a trial; null: as the runs
    # Of trials on a part of the data or epochs, so many best ones run again as the final runs do, but are scored on a
    # held-out part of train, too; the best of them wins. 0: the best trial does.
    confirm: Annotated[int, Field(ge=0, le=4096)]
    budget: Annotated[str, Field(max_length=100)] | PositiveInt | None  # `method.budget` of the methods that have ranks
    untuned: bool  # also run each method at its own settings, with the same seeds
