"""The records below a folder, in groups of runs that differ only in the seed.

Damaged records are named and left out. Records of random weights are left out: they show nothing about a method. So are
trials of a search, which are scored on a part of train; `report/studies.py` finds them by their hashes.
"""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path
from typing import Any

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError, shown
from inducer_bench.methods.options import MethodOptions, options_class
from inducer_bench.options import typed
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import canonical, flat, setting_key
from inducer_bench.runs.record import FinishedRecord, Record

LARGEST = 1e100


@dataclass(frozen=True)
class Run:
    """One record and its folder."""

    folder: Path
    record: Record

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.record.seed


@dataclass(frozen=True)
class DoneRun(Run):
    """A run with scores."""

    record: FinishedRecord


@dataclass(frozen=True)
class Group:
    """Runs of one setting: they differ in the seed, and perhaps in the machine and the code."""

    config: ExperimentConfig  # of the first run
    key: str  # equal for equal settings, whatever their files of data and PLM
    data: str  # fingerprint
    weights: str  # fingerprint of the PLM
    runs: tuple[Run, ...]  # one for each seed, by seed
    superseded: tuple[str, ...]  # what further records of these seeds differ in; empty if there are none

    @property
    def done(self) -> tuple[DoneRun, ...]:
        """The runs with scores."""
        return tuple(run for run in self.runs if isinstance(run, DoneRun))


@dataclass(frozen=True)
class Store:
    """All groups, every run by its hash, and one line for each record that cannot be read or understood."""

    groups: list[Group]
    runs: dict[str, tuple[ExperimentConfig, Run]]  # trials of searches among them
    left_out: list[str]


def load(root: Path) -> Store:
    """Read and group every record below `root`.

    Raises:
        UserError: `root` is not a folder that can be read.
    """
    recorded, left_out = records.find(root)
    runs: dict[str, tuple[ExperimentConfig, Run]] = {}
    found: dict[tuple[str, ...], list[tuple[ExperimentConfig, Run]]] = defaultdict(list)
    for folder, record in recorded:
        try:
            config = configuration(record.config, record.method)
            _check_sizes(record)
        except UserError as error:
            left_out.append(str(UserError(f"{folder / records.FILE}: {error}")))
            continue
        run = DoneRun(folder, record) if isinstance(record, FinishedRecord) else Run(folder, record)
        runs[record.config_hash] = config, run
        if record.plm_weights != "random" and not record.is_trial:
            key = (config.suite, config.protocol.name, config.task.name, config.plm.name, config.method.name,
                   setting_key(config), run.record.data.fingerprint, run.record.plm_fingerprint)  # fmt: skip
            found[key].append((config, run))
    groups = [group_of(members) for _, members in sorted(found.items(), key=lambda item: item[0])]
    return Store(groups, runs, left_out)


def distinguishing_keys(settings: Sequence[dict[str, str]]) -> list[str]:
    """The fewest keys that distinguish these settings: keys of the method first, then the trainer's and others."""
    sections = ("method", "trainer", "task", "protocol", "plm", "data")
    others = sorted(
        {key for values in settings for key in values},
        key=lambda key: (sections.index(key.split(".")[0].split()[0]), not key.endswith(".name"), key),
    )
    kept: list[str] = []
    different = 1
    for key in others:
        parts = len({tuple(values.get(name, "") for name in [*kept, key]) for values in settings})
        if parts > different:
            kept, different = [*kept, key], parts
    return kept


# -- reading -----------------------------------------------------------------------------------------------------------


def configuration(values: dict[str, Any], method: str) -> ExperimentConfig:
    """The typed configuration; options of a method from outside whose module is gone keep their values unchecked.

    Raises:
        UserError: a key is unknown or impossible, or a metric of the user's is gone, without which no table is made.
    """
    try:
        if "." not in method or _importable(method):
            config = typed(ExperimentConfig, values)
        else:
            others = typed(ExperimentConfig, {**values, "method": {"name": "head_only"}})  # any method without options
            config = dataclasses.replace(others, method=_unchecked(values["method"]))
    except UserError as error:
        raise UserError(f"its configuration is of another release ({error})") from None
    config.task.metric_of(config.task.metric)
    return config


def _check_sizes(record: Record) -> None:
    """Check that means and figures can be made of a run's numbers.

    Raises:
        UserError: a score or a cost is beyond all measure.
    """
    if isinstance(record, FinishedRecord):
        numbers: list[tuple[str, float | None]] = [(name, score.value) for name, score in record.scores.items()]
        numbers += [number for entry in record.evaluations for number in entry.items()]
        numbers += [("train_seconds", record.train_seconds), ("eval_seconds", record.eval_seconds)]
        for name, value in [*numbers, ("percent", record.parameters.percent)]:
            if value is not None and abs(value) > LARGEST:
                raise UserError(f"{name}: found {shown(value)}; allowed in tables: up to {LARGEST:g}")


def _importable(method: str) -> bool:
    try:
        options_class(method)
    except UserError:
        return False
    return True


def _unchecked(values: dict[str, Any]) -> MethodOptions:
    """Options of a class made for these values alone.

    Raises:
        UserError: a key cannot be the name of an option.
    """
    for key in values:
        if not key.isidentifier() or iskeyword(key) or (hasattr(MethodOptions, key) and key != "name"):
            raise UserError(f"method.{key}: not the name of an option")
    fields: list[Any] = [(key, Any) for key in values if key != "name"]
    name = {"method_name": classmethod(lambda cls: values["name"])}
    made: Any = dataclasses.make_dataclass("Unchecked", fields, bases=(MethodOptions,), namespace=name, frozen=True,
                                           kw_only=True)  # fmt: skip
    found: MethodOptions = made(**values)
    return found


def group_of(members: Sequence[tuple[ExperimentConfig, Run]]) -> Group:
    """At least one run of one setting; of several with one seed a finished one counts, then the latest version.

    Then the last by its hash: records have no date.
    """
    by_seed: dict[int, tuple[ExperimentConfig, Run]] = {}
    differ: set[str] = set()
    for member in sorted(members, key=lambda member: _precedence(member[1])):
        seed = member[1].seed
        if seed in by_seed:
            differ |= _differences(by_seed[seed], member)
        by_seed[seed] = member
    config, first = members[0]
    return Group(
        config=config,
        key=setting_key(config),
        data=first.record.data.fingerprint,
        weights=first.record.plm_fingerprint,
        runs=tuple(by_seed[seed][1] for seed in sorted(by_seed)),
        superseded=tuple(sorted(differ)),
    )


def _differences(one: tuple[ExperimentConfig, Run], two: tuple[ExperimentConfig, Run]) -> set[str]:
    """The keys in which the records of one setting and seed differ, or else `code`."""
    left, right = (flat(canonical(config)) for config, _ in (one, two))
    keys = {key for key in {**left, **right} if left.get(key) != right.get(key)}
    return keys if one[1].record.code == two[1].record.code and keys else {*keys, "code"}


def _precedence(run: Run) -> tuple[bool, list[int], str]:
    version = [int(number) for number in re.findall(r"\d+", run.record.code.version)]
    return isinstance(run, DoneRun), version, run.folder.name


# -- labels ------------------------------------------------------------------------------------------------------------
