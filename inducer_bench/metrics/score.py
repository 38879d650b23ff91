"""The result of a metric: a value with the signature of what computed it, or the reason why there is none."""

from typing import Annotated

from pydantic import Field

from inducer_bench.options import options


@options
class Score:
    """One score of a run, percent for most metrics."""

    # None if it was not computed or is undefined: never NaN, never a stand-in such as 0 or -1. A perplexity can be inf.
    value: Annotated[float, Field(allow_inf_nan=True)] | None
    signature: str  # implementation, version, tokenisation, case
    reason: str | None = None  # why there is no value: "not computed: ..."


Scores = dict[str, Score]


def not_computed(signature: str, why: str) -> Score:
    """The score of a metric that could not be computed, with the reason in one line."""
    return Score(value=None, signature=signature, reason=f"not computed: {why}")
