"""(c) Ablations of the inducer, and (f) habits of the released code: each change against the same runs without it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inducer_bench.report.measures import measure
from inducer_bench.report.naming import task_title
from inducer_bench.report.store import Group
from scripts.evidence.real.differences import Difference, Side, adjusted, between
from scripts.evidence.real.runs import alone, by_task, form, values


@dataclass(frozen=True)
class Question:
    """What is changed, and from what.

    Args:
        experiment: whose runs answer it.
        base: dotted key -> value of the runs without a change; an empty value: the largest of those there are.
        names: the keys that a change sets -> its name, with `{}` for the value of the first of them.
        unchanged: what the runs without a change are called.
    """

    experiment: str
    base: Mapping[str, str]
    names: Mapping[tuple[str, ...], str]
    unchanged: str


ABLATIONS = Question(
    experiment="real_ablation",
    base={
        "method.extension": "true", "method.gate": "true", "method.key_residual": "query", "method.r_k": "",
        "method.self_temperature": "1.0", "method.share_output": "false", "method.sqrt_position": "false",
        "method.value_residual": "true",
    },
    names={
        ("method.gate",): "no gate",
        ("method.value_residual",): "no value residual",
        ("method.r_k",): "no MLP_k",
        ("method.share_output",): "B_v shared by heads",
        ("method.extension",): "no value extension",
        ("method.r_k", "method.sqrt_position"): "no MLP_k, score by position",
        ("method.key_residual",): "a key about the attended key (ours)",
        ("method.self_temperature",): "self score divided by {} (ours)",
    },
    unchanged="the whole inducer",
)  # fmt: skip
HABITS = Question(
    experiment="real_habits",
    base={
        "protocol.name": "paper", "protocol.train_head": "true", "protocol.gate_before_mask": "false",
        "protocol.select_first": "null", "task.max_train": "",
    },
    names={
        ("protocol.train_head",): "head left at its random start",
        ("protocol.gate_before_mask",): "gates before the padding mask",
        ("protocol.select_first",): "epoch selected on the first {} examples of dev",
        ("task.max_train",): "{} training examples",
        ("protocol.held_out", "protocol.name", "protocol.select_on"): "epoch selected on held-out train (clean)",
        ("protocol.gate_before_mask", "protocol.name", "protocol.select_first", "protocol.train_head"):
            "all habits of as_released",
    },
    unchanged="without it",
)  # fmt: skip


def differences(groups: Sequence[Group], question: Question) -> list[Difference]:
    """Each change minus no change, per task and method: one family of comparisons.

    Raises:
        UserError: several settings are without a change, or with the same one.
    """
    found = []
    for (_, plm), own in sorted(by_task([group for group in groups if group.done]).items()):
        for name in sorted({form(group.config) for group in own}):
            place = f"{task_title(own[0].config.task)} on {plm}"
            found += _of(place, name, [group for group in own if form(group.config) == name], question)
    return adjusted(found)


def _of(place: str, name: str, groups: Sequence[Group], question: Question) -> list[Difference]:
    without = [group for group in groups if _is_base(group, groups, question)]
    if not without or len(groups) < 2:
        return []
    base = alone(without, f"{place}, {name}, {question.unchanged}")
    named: dict[str, list[Group]] = {}
    for group in groups:
        if group is not base:
            named.setdefault(_named(group, base, question), []).append(group)
    changed = {label: alone(found, f"{place}, {name}, {label}") for label, found in named.items()}
    sides = [Side(question.unchanged, base.done), *(Side(f"{name}, {label}", changed[label].done) for label in changed)]
    return between(place, measure("headline", base.config.task), sides, [(side, 0) for side in range(1, len(sides))])


def _is_base(group: Group, groups: Sequence[Group], question: Question) -> bool:
    own = values(group.config)
    for key, value in question.base.items():
        wanted = value or max((values(other.config).get(key, "null") for other in groups), key=_size)
        if key in own and own[key] != wanted:
            return False
    return True


def _named(group: Group, base: Group, question: Question) -> str:
    own, others = values(group.config), values(base.config)
    changed = {key: own[key] for key in sorted(own) if own[key] != others.get(key)}
    if "protocol.gate_before_mask" in changed:
        changed.pop("method.gate_before_mask", None)  # follows it
    label = question.names.get(tuple(changed))
    return label.format(*changed.values()) if label else ", ".join(f"{key}={changed[key]}" for key in changed)


def _size(value: str) -> float:
    """A number to compare values by; all examples are more than any number of them."""
    return float("inf") if value == "null" else float(value)
