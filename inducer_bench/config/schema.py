"""The schema of a composed configuration: the option classes of every room, put together.

The YAML files of `conf/` hold the values. The room that uses a value defines its meaning and its range.
"""

import dataclasses
import re
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError

from inducer_bench.methods import options as methods
from inducer_bench.methods.options import MethodOptions
from inducer_bench.options import options, typed
from inducer_bench.plm.options import PlmOptions
from inducer_bench.tasks import options as tasks
from inducer_bench.tasks.options import TaskOptions
from inducer_bench.training.options import ProtocolOptions, TrackerOptions, TrainerOptions


def _method(values: dict[str, Any] | MethodOptions) -> MethodOptions:
    if isinstance(values, MethodOptions):
        return values
    return typed(methods.options_class(_text(values.get("name"))), values, "method")


def _task(values: dict[str, Any] | TaskOptions) -> TaskOptions:
    if isinstance(values, TaskOptions):
        return values
    return typed(tasks.options_class(_text(values.get("kind"))), values, "task")


def _text(value: Any) -> str:
    return "null" if value is None else str(value)


def _search_id(found: Any) -> str | None:
    if found is None or (isinstance(found, str) and re.fullmatch("[0-9a-f]{16}", found)):
        return found
    raise PydanticCustomError("search_id", "a text of 16 hexadecimal digits, or null")


SearchId = Annotated[str | None, PlainValidator(_search_id)]


@options
class ExperimentConfig:
    """One experiment."""

    task: Annotated[TaskOptions, PlainValidator(_task)]
    plm: PlmOptions
    method: Annotated[MethodOptions, PlainValidator(_method)]
    trainer: TrainerOptions
    protocol: ProtocolOptions
    tracker: TrackerOptions
    suite: Literal["full", "mini"]  # mini: on data made by this project; never compared with real ones
    recipe: str  # which of the method's published settings apply, such as full_nlu
    seed: Annotated[int, Field(ge=0, lt=2**32)]  # what numpy's generator takes
    seeds: Annotated[int, Field(ge=1, le=1000)] | None = None  # side by side, from `seed` on; null: one run
    output_dir: str  # runs, searches and sweeps go below it
    dry_run: bool
    search: SearchId = None  # the search that the settings come from; see search/record.py
    optimized_metric: str | None  # the score that a searching sweeper optimises; by default what selects the epoch

    def each_run(self) -> list["ExperimentConfig"]:
        """The configuration of each run: of one for each seed where there are `seeds`, else this one."""
        if self.seeds is None:
            return [self]
        return [dataclasses.replace(self, seed=self.seed + i, seeds=None) for i in range(self.seeds)]
