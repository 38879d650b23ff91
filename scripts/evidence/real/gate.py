"""(d) What the gates of finished inducers do, before and after training, from what `measure.py` keeps.

Inducers trained otherwise (without gate, without MLP_k, with other self scores) are in `changes.py`. Here trained ones
are changed, to g = 1, to gates that no longer depend on the token, or to no MLP_k, and each is compared with itself.
"""

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.report.measures import measure
from inducer_bench.report.naming import task_title
from inducer_bench.report.plots import interval
from inducer_bench.report.statistics import Contrast
from inducer_bench.report.store import Group
from scripts.evidence.real.changes import GATE, changed_from, unchanged
from scripts.evidence.real.differences import Difference
from scripts.evidence.real.runs import Evidence, by_task

FOLDER = "gates"  # in results/real: a file for each setting
OPEN = 0.95  # a gate above it is open, as `scripts/evidence/gates.py` counts
HARDLY = 0.1  # the key side hardly moves if it moves less than this, with its interval, relative to the value side
AFTER = {
    "g = 1": "g = 1 after training",
    "g at its mean": "each head's g held at its mean after training",
    "without MLP_k": "MLP_k left out after training",
}
_GATED = (("trainer.eps",), ("method.key_residual",), ("method.self_temperature",))  # changes that keep gate and MLP_k


@dataclass(frozen=True)
class Mean:
    """A number over seeds.

    Args:
        mean: of the seeds.
        interval: 95 %, of that mean; None of fewer than three seeds.
    """

    mean: float
    interval: tuple[float, float] | None

    def text(self, times: float = 1.0) -> str:
        """The mean with its interval, to three digits, times a number such as 100 for percent."""
        ends = [] if self.interval is None else [number(times * end) for end in self.interval]
        return number(times * self.mean) + (f" [{', '.join(ends)}]" if ends else "")


@dataclass(frozen=True)
class Measured:
    """The measurements of one setting.

    Args:
        place: task and PLM.
        score: the options of the self score and the optimiser's eps, in words.
        config: of its first run.
        runs: what `scripts/evidence/gates.py` found, one for each seed, by seed.
    """

    place: str
    score: str
    config: ExperimentConfig
    runs: tuple[dict[str, Any], ...]

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.place}, {self.score}"

    @property
    def published(self) -> bool:
        """Whether the self score is the paper's."""
        method: Any = self.config.method
        return bool(method.key_residual == "query" and method.self_temperature == 1.0)

    @property
    def layers(self) -> int:
        """How many the PLM has."""
        return len(self.runs[0]["layers"])

    def each(self, *path: str, layer: int | None = None) -> list[float]:
        """A number of each run, of one layer (from 0 on) or of all of them: `each("before", "mean")`."""
        found = []
        for run in self.runs:
            value = run["all"] if layer is None else run["layers"][layer]
            for key in path:
                value = value[key]
            found.append(float(value))
        return found

    def over(self, *path: str, layer: int | None = None) -> Mean:
        """`each` over seeds."""
        return mean(self.each(*path, layer=layer))

    def ratio(self, one: Sequence[str], other: Sequence[str]) -> Mean:
        """One number divided by another one of the same run, over seeds."""
        return divided(self.each(*one), self.each(*other))

    def change(self) -> Mean:
        """How far training moves the mean gate, over seeds."""
        pairs = zip(self.each("before", "mean"), self.each("after", "mean"), strict=True)
        return mean([after - before for before, after in pairs])


def mean(values: Sequence[float]) -> Mean:
    """A number over seeds."""
    return Mean(statistics.fmean(values), interval(values))


def number(value: float) -> str:
    """Three digits, or all of those in front of the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def divided(ones: Sequence[float], others: Sequence[float]) -> Mean:
    """One number divided by another one of the same seed, over seeds."""
    return mean([one / other for one, other in zip(ones, others, strict=True)])


def chosen(evidence: Evidence) -> dict[str, Group]:
    """The settings whose gates are measured, by the name of their file.

    They are the whole inducer of `real_ablation`, with each eps and self score.

    Raises:
        UserError: two settings would have one name.
    """
    found: dict[str, Group] = {}
    for group in _groups(evidence):
        if found.setdefault(name_of(group.config), group) is not group:
            raise UserError(f"{name_of(group.config)}: found two settings of this name; allowed: one")
    return found


def name_of(config: ExperimentConfig) -> str:
    """`<task>_<plm>_<eps>`, with what is not the paper's."""
    method: Any = config.method
    parts = [config.task.name, config.plm.name, f"{config.trainer.eps:g}"]
    parts += [method.key_residual] * (method.key_residual != "query")
    parts += [f"tau{method.self_temperature:g}"] * (method.self_temperature != 1.0)
    return "_".join(parts)


def load(folder: Path, evidence: Evidence) -> list[Measured]:
    """What is kept in a folder; nothing if it is not there.

    Raises:
        UserError: a run that was measured has no record among those that are kept.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        runs = json.loads(path.read_text(encoding="utf-8"))
        missing = [run["run"] for run in runs if run["run"] not in evidence.store.runs]
        if missing:
            raise UserError(f"{path}: run {missing[0]} has no record; allowed: runs that --collect has kept")
        config = evidence.store.runs[runs[0]["run"]][0]
        by_seed = sorted(runs, key=lambda run: run["seed"])
        found.append(
            Measured(f"{task_title(config.task)} on {config.plm.name}", _score(config), config, tuple(by_seed))
        )
    return sorted(found, key=lambda one: (one.place, not one.published, -one.config.trainer.eps, one.score))


def eps_pairs(found: Sequence[Measured]) -> list[tuple[Measured, Measured]]:
    """Settings with the same seeds that differ in the optimiser's eps alone: the larger one first."""
    pairs = []
    for one in found:
        for other in found:
            setting, lower = one.config.trainer, replace(one.config.trainer, eps=other.config.trainer.eps)
            same = one.config.method == other.config.method and other.config.trainer == lower
            if one.place == other.place and same and setting.eps > lower.eps and _seeds(one) == _seeds(other):
                pairs.append((one, other))
    return pairs


def after_training(found: Sequence[Measured]) -> list[Difference]:
    """The trained models with one change minus as they are, over seeds; p-values are not adjusted yet.

    Only where forward passes give the task's main score.
    """
    differences = []
    for one in found:
        of = measure("headline", one.config.task)
        for change, label in AFTER.items():
            new, old = (
                [run["scores"].get(what, {}).get(of.name) for run in one.runs] for what in (change, "as trained")
            )
            if None in (*new, *old) or len(new) < 2:
                continue
            moved = [of.better * (after - before) for after, before in zip(new, old, strict=True)]
            apart = Contrast(statistics.fmean(moved), 0.0, statistics.variance(moved) / len(moved), len(moved) - 1)
            means = (statistics.fmean(new), statistics.fmean(old))
            differences.append(
                Difference(one.label, label, "the same models as trained", means, apart, "seeds", apart.p_value)
            )
    return differences


def losses_after(one: Measured, change: str) -> Mean | None:
    """The change of the loss by a change of the trained models, over seeds; None if it was not measured."""
    if any(change not in run["scores"] for run in one.runs):
        return None
    return mean([run["scores"][change]["loss"] - run["scores"]["as trained"]["loss"] for run in one.runs])


def _groups(evidence: Evidence) -> Iterator[Group]:
    ablations = [group for group in evidence.of_experiment(GATE.experiment) if group.done]
    for own in by_task(ablations).values():
        ours = [group for group in own if group.config.method.name == "inducer"]
        base = unchanged(ours, GATE, own[0].config.task.name)
        if base is not None:
            yield from (group for group in ours if group is base or tuple(changed_from(base, group)) in _GATED)


def _score(config: ExperimentConfig) -> str:
    method: Any = config.method
    attended, tau = method.key_residual == "attended", method.self_temperature
    words = ["key about the attended one (ours)"] * attended + [f"self score over {tau:g} (ours)"] * (tau != 1.0)
    return ", ".join([*words, f"eps {config.trainer.eps:g}"])


def _seeds(one: Measured) -> list[int]:
    return [run["seed"] for run in one.runs]
