"""(c) Ablations, (d) other gates, and (f) habits of the released code: each change against the runs without it."""

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
        names: the keys that a change sets -> its name, with `{}` for the value of the first of them, `{1}` for that of
            the second one.
        unchanged: what the runs without a change are called.
    """

    experiment: str
    base: Mapping[str, str]
    names: Mapping[tuple[str, ...], str]
    unchanged: str


_WHOLE = {
    "method.extension": "true", "method.gate": "true", "method.key_residual": "query", "method.r_k": "",
    "method.self_temperature": "1.0", "method.share_output": "false", "method.sqrt_position": "false",
    "method.value_residual": "true", "trainer.eps": "",
}  # fmt: skip
ABLATIONS = Question(
    experiment="real_ablation",
    base=_WHOLE,
    names={
        ("method.gate",): "no gate",
        ("method.value_residual",): "no value residual",
        ("method.r_k",): "no MLP_k",
        ("method.share_output",): "B_v shared by heads",
        ("method.extension",): "no value extension",
        ("method.r_k", "method.sqrt_position"): "no MLP_k, score by position",
    },
    unchanged="the whole inducer",
)
GATE = Question(
    experiment="real_ablation",
    base=_WHOLE,
    names={
        ("method.gate", "method.r_v"): "no gate, at the same budget (r_v = {1})",
        ("method.r_k", "method.r_v"): "no MLP_k, at the same budget (r_v = {1})",
        ("method.key_residual",): "a key about the attended key (ours)",
        ("method.self_temperature",): "self score divided by {} (ours)",
        ("trainer.eps",): "AdamW's eps {}",
    },
    unchanged="the whole inducer",
)
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
    unchanged="protocol=paper",
)  # fmt: skip
QUESTIONS = (ABLATIONS, GATE, HABITS)


def differences(groups: Sequence[Group], question: Question) -> list[Difference]:
    """Each change minus no change, per task and method: one family of comparisons.

    A change that another question about the same experiment has a name for is left to that one.

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
    base = unchanged(groups, question, f"{place}, {name}")
    if base is None:
        return []
    named: dict[str, list[Group]] = {}
    for group in groups:
        changed = changed_from(base, group)
        if group is not base and _about(question.experiment, tuple(changed)) is question:
            named.setdefault(_named(changed, question), []).append(group)
    alike = {label: alone(found, f"{place}, {name}, {label}") for label, found in named.items()}
    if not alike:
        return []
    sides = [Side(question.unchanged, base.done), *(Side(f"{name}, {label}", alike[label].done) for label in alike)]
    return between(place, measure("headline", base.config.task), sides, [(side, 0) for side in range(1, len(sides))])


def unchanged(groups: Sequence[Group], question: Question, what: str) -> Group | None:
    """The runs without a change, among those of one task, PLM and method.

    Raises:
        UserError: several settings are without one.
    """
    found = [group for group in groups if _is_base(group, groups, question)]
    return alone(found, f"{what}, {question.unchanged}") if found else None


def changed_from(base: Group, group: Group) -> dict[str, str]:
    """What differs from the runs without a change, by dotted key, in the order of keys."""
    own, others = values(group.config), values(base.config)
    changed = {key: own[key] for key in sorted(own) if own[key] != others.get(key)}
    if "protocol.gate_before_mask" in changed:
        changed.pop("method.gate_before_mask", None)  # follows it
    return changed


def _about(experiment: str, keys: tuple[str, ...]) -> Question:
    """The question that has a name for a change of these keys; else the first one about the experiment."""
    own = [question for question in QUESTIONS if question.experiment == experiment]
    return next((question for question in own if keys in question.names), own[0])


def _is_base(group: Group, groups: Sequence[Group], question: Question) -> bool:
    own = values(group.config)
    for key, value in question.base.items():
        wanted = value or max((values(other.config).get(key, "null") for other in groups), key=_size)
        if key in own and own[key] != wanted:
            return False
    return True


def _named(changed: Mapping[str, str], question: Question) -> str:
    label = question.names.get(tuple(changed))
    return label.format(*changed.values()) if label else ", ".join(f"{key}={changed[key]}" for key in changed)


def _size(value: str) -> float:
    """A number to compare values by; all examples are more than any number of them."""
    return float("inf") if value == "null" else float(value)
