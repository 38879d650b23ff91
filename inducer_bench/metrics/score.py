"""What every metric returns: a value with the signature of its implementation, or the reason why there is no value."""

from typing import NotRequired, TypedDict


class Score(TypedDict):
    """One number of a run."""

    value: float | None  # None if not computed or undefined: never NaN, never a stand-in such as 0 or -1
    signature: str  # implementation, version, tokenisation, case
    reason: NotRequired[str]  # only if value is None: "not computed: why"


Scores = dict[str, Score]


def not_computed(signature: str, why: str) -> Score:
    """The score of a metric that could not be computed, with the reason in one line."""
    return {"value": None, "signature": signature, "reason": f"not computed: {why}"}
