"""All metrics of this package, and metrics of a user's module by their dotted name. Importing this is cheap."""

import dataclasses
from collections.abc import Callable, Collection, Sequence

from inducer_bench.errors import UserError
from inducer_bench.metrics import classification, coqa, generation
from inducer_bench.metrics.metric import Metric, Row, Scored
from inducer_bench.options import user_module

_DECIMALS, _LOSS_DECIMALS = 2, 4  # of a score whose metric is not known; of a loss

METRICS: tuple[Metric, ...] = (*classification.METRICS, *generation.METRICS, *coqa.METRICS)

# What is drawn and swapped in resampling: rows of the same unit go together. By default a row is its own unit.
UNITS: dict[Scored, Callable[[Row], str]] = {"turns": coqa.dialogue}
# The groups that have scores of their own and that a row belongs to. By default that is its `group`.
GROUPS: dict[Scored, Callable[[Row], tuple[str, ...]]] = {"turns": coqa.groups}


def metrics_of(scored: Collection[Scored]) -> list[Metric]:
    """The metrics of this package that score one of these kinds of prediction."""
    return [metric for metric in METRICS if metric.of in scored]


def is_users(name: str) -> bool:
    """Whether a metric's name is the dotted one of a user's module; `f1:no. 1` is that of a label."""
    return "." in name and ":" not in name


def user_metric(key: str, name: str) -> Metric:
    """The metric `my_metric` of a user's module, by its dotted name `my_package.my_module.my_metric`, which it keeps.

    Args:
        key: the configuration key that holds the name, for messages.

    Raises:
        UserError: the module cannot be imported, or the name is not that of a `Metric` in it.
    """
    module, _, attribute = name.rpartition(".")
    found = getattr(user_module(key, module, attribute), attribute)
    if not isinstance(found, Metric):
        raise UserError(f"{key}: '{name}' is {type(found).__name__}; allowed: inducer_bench.metrics.metric.Metric")
    return dataclasses.replace(found, name=name)


def metric_of(score: str, among: Sequence[Metric]) -> Metric | None:
    """The metric of a score in a record: `bleu_seen` and `bleu` are scores of `bleu`, `bleu_multi_seen` is not.

    None if none of the metrics has such a score.
    """
    fitting = [metric for metric in among if fits(score, metric.name)]
    return max(fitting, key=lambda metric: len(metric.name), default=None)


def fits(score: str, metric: str) -> bool:
    """Whether a score may be that of a metric, of all rows or of a part."""
    return f"{score}_".startswith(f"{metric}_")


def known(score: str) -> Metric | None:
    """The metric of a score in a record, a user's included; None where its module is gone, or for a loss."""
    if not is_users(score):
        return metric_of(score, METRICS)
    module, _, name = score.rpartition(".")
    while name:
        try:
            return user_metric("task.metrics", f"{module}.{name}")
        except UserError:  # the module is gone, or this is the score of a part
            name = name.rpartition("_")[0]
    return None


def written(score: str, value: float | None, finer: int = 0, sign: str = "") -> str:
    """A score with the decimals of its metric, a loss with four; `-` where there is none.

    Args:
        score: its name in a record, that of a user's metric with its dotted name.
        value: of it, or a difference.
        finer: so many further decimals, of a score whose metric is known.
        sign: `+` to write that of a positive number, too.
    """
    if value is None:
        return "-"
    found = known(score)
    decimals = found.decimals + finer if found else _LOSS_DECIMALS if score == "loss" else _DECIMALS
    return f"{value:{sign}.{decimals}f}"
