"""The records below a folder, in groups of runs that differ in nothing but the seed.

Damaged records are named and left out; so are records of random weights, which show nothing about a method.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.methods.options import METHODS
from inducer_bench.options import typed
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import canonical, flat
from inducer_bench.runs.record import Record

_MACHINE = ("device", "precision", "micro_batch_size", "eval_batch_size")  # of the trainer; footnotes tell mixes


@dataclass(frozen=True)
class Run:
    """One record and its folder."""

    folder: Path
    record: Record

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.record["seed"])

    @property
    def done(self) -> bool:
        """Whether it counts."""
        return bool(self.record["status"] == "done")


@dataclass(frozen=True)
class Group:
    """Runs of one setting: they differ in the seed, and perhaps in the machine and the code."""

    config: ExperimentConfig  # of the first run
    key: str  # equal for equal settings, whatever files of data and PLM they met
    data: str  # fingerprint
    weights: str  # fingerprint of the PLM
    runs: tuple[Run, ...]  # one for each seed, by seed
    superseded: int  # further records of these seeds, made by other code

    @property
    def done(self) -> tuple[Run, ...]:
        """The runs that count."""
        return tuple(run for run in self.runs if run.done)


@dataclass(frozen=True)
class Store:
    """All groups, and one line for each record that is left out because it is damaged or cannot be understood."""

    groups: list[Group]
    damaged: list[str]


def load(root: Path) -> Store:
    """Read and group every record below `root`."""
    damaged: list[str] = []
    found: dict[tuple[str, ...], list[tuple[ExperimentConfig, Run]]] = defaultdict(list)
    for folder in records.find(root):
        try:
            run, config = _read(folder)
        except UserError as error:
            damaged.append(str(error))
            continue
        if run.record["plm_weights"] != "random":
            key = (config.suite, config.protocol.name, config.task.name, config.plm.name, config.method.name,
                   setting_key(config), run.record["data"]["fingerprint"], run.record["plm_fingerprint"])  # fmt: skip
            found[key].append((config, run))
    return Store([_group(members) for _, members in sorted(found.items(), key=lambda item: item[0])], damaged)


def setting_key(config: ExperimentConfig) -> str:
    """The hash of what a configuration computes, whatever its seed and machine."""
    return hashlib.sha256(json.dumps(_setting(config), sort_keys=True).encode()).hexdigest()


def labels(groups: Sequence[Group]) -> list[str]:
    """A short name for each group: its method, and what tells it from the others of that method.

    A value that more than half of them share goes without saying, unless it is a rank.
    """
    by_method: dict[str, list[dict[str, str]]] = defaultdict(list)
    for group in groups:
        by_method[group.config.method.name].append(_values(group))
    told = {method: _telling(settings, method) for method, settings in by_method.items()}
    return [_label(group.config.method.name, _values(group), told, by_method) for group in groups]


def _read(folder: Path) -> tuple[Run, ExperimentConfig]:
    record = records.read(folder)
    assert record is not None  # `find` saw the file
    try:
        return Run(folder, record), typed(ExperimentConfig, record["config"])
    except UserError as error:
        raise UserError(f"{folder / records.FILE}: its configuration is of another release ({error})") from None


def _group(members: list[tuple[ExperimentConfig, Run]]) -> Group:
    """Of several runs with one seed the finished one counts, then the one of the latest version."""
    by_seed: dict[int, Run] = {}
    for _, run in sorted(members, key=lambda member: _precedence(member[1])):
        by_seed[run.seed] = run
    config, first = members[0]
    return Group(
        config=config,
        key=setting_key(config),
        data=first.record["data"]["fingerprint"],
        weights=first.record["plm_fingerprint"],
        runs=tuple(by_seed[seed] for seed in sorted(by_seed)),
        superseded=len(members) - len(by_seed),
    )


def _precedence(run: Run) -> tuple[bool, list[int], str]:
    version = [int(number) for number in re.findall(r"\d+", run.record["code"]["version"])]
    return run.done, version, run.folder.name


def _setting(config: ExperimentConfig) -> dict[str, Any]:
    values = canonical(config)
    del values["seed"]
    values["trainer"] = {key: value for key, value in values["trainer"].items() if key not in _MACHINE}
    return values


def _values(group: Group) -> dict[str, str]:
    """Every value of a setting by its key as a user writes it, and the fingerprints of its files."""
    return {**flat(_setting(group.config)), "data": group.data, "plm files": group.weights}


def _telling(settings: list[dict[str, str]], method: str) -> list[str]:
    """Keys that tell these settings apart: ranks first, then the method's own, and none that adds nothing."""
    sections = ("method", "trainer", "task", "protocol", "plm", "data")
    others = sorted(
        {key for values in settings for key in values},
        key=lambda key: (sections.index(key.split(".")[0].split()[0]), not key.endswith(".name"), key),
    )
    kept: list[str] = []
    different = 1
    for key in [*_ranks(method), *others]:
        parts = len({tuple(values.get(name, "") for name in [*kept, key]) for values in settings})
        if parts > different:
            kept, different = [*kept, key], parts
    return kept


def _ranks(method: str) -> list[str]:
    return [".".join(("method", *rank.path)) for rank in METHODS[method].ranks] if method in METHODS else []


def _label(
    method: str, values: dict[str, str], told: dict[str, list[str]], settings: dict[str, list[dict[str, str]]]
) -> str:
    parts = [method]
    for key in told[method]:
        value = values.get(key, "none")
        sharing = sum(other.get(key, "none") == value for other in settings[method])
        if key in _ranks(method) or 2 * sharing <= len(settings[method]):
            parts.append(f"{key.removeprefix('method.').removesuffix('.name')}={value}")
    return ", ".join(parts)
