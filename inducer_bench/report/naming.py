"""What sets settings apart: the labels of rows, and what all rows share.

A setting is compared with the one that ships with its method. What differs from it is in the row's label, or, where all
rows have it, in the caption.
"""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from inducer_bench.config import yaml_files
from inducer_bench.config.choices import choices, files
from inducer_bench.config.methods import named
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError, shown
from inducer_bench.methods.options import METHODS, method_title, options_class
from inducer_bench.report.asked import composed
from inducer_bench.report.layout import Scope
from inducer_bench.report.store import Group
from inducer_bench.runs.identity import flat, setting
from inducer_bench.tasks.options import TaskOptions

_DATA, _WEIGHTS, _TUNED = "data", "model files", "tuned"
_SECTIONS = ("method", "trainer", "task", "protocol", "plm", _DATA, _WEIGHTS, _TUNED)
# Of an own task these are compared with the task's kind; the other keys say what its data are.
_AMOUNTS = ("task.max_", "task.sample", "task.source_tokens", "task.history", "task.decoding.")
PLAIN = "method=head_only"  # the method that has no settings
_TYPICAL = {"nlu": ("sst2", "roberta-base"), "nlg": ("webnlg", "gpt2")}  # family -> task and model
Values = Mapping[str, str]  # dotted key -> value, as `flat` writes it


@dataclass(frozen=True)
class NamedRow:
    """A row with its settings, one for each task."""

    label: str
    method: str
    groups: dict[str, Group]
    differs: tuple[tuple[str, str], ...]  # key -> value, in full


@dataclass(frozen=True)
class _Entry:
    """A setting with its values, and those of them that are not as shipped."""

    group: Group
    values: Values
    changed: dict[str, str]

    @property
    def config(self) -> ExperimentConfig:
        return self.group.config


def named_rows(
    groups: Sequence[Group],
    config_dir: Path | None = None,
    hidden: Collection[str] = (),
    names: Mapping[str, str] | None = None,
    searched: Callable[[Group], tuple[str, ...] | None] = lambda group: None,
) -> tuple[list[NamedRow], tuple[tuple[str, str], ...]]:
    """The rows of a table, by method, and what all of them share and no method ships with.

    Args:
        groups: the settings; of equal ones on several tasks one row is made.
        config_dir: the user's folder of configuration files.
        hidden: keys that labels leave out, as the table has columns for them.
        names: method -> its name in this table.
        searched: the keys that a search chose for a setting. On several tasks `tuned` stands for their values.
    """
    tasks = {group.config.task.name for group in groups}
    entries = [_entry(group, config_dir) for group in groups]
    _add_files(entries)
    if len(tasks) > 1:
        entries = [_tuned(entry, searched(entry.group)) for entry in entries]
    shared = _shared(entries)
    own = [{key: value for key, value in entry.changed.items() if key not in shared} for entry in entries]
    own = _told_apart(entries, own)
    by_row: dict[tuple[str, str, frozenset[tuple[str, str]]], list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        by_row[entry.config.method.name, entry.config.plm.name, frozenset(own[number].items())].append(number)
    keys: dict[str, set[str]] = defaultdict(set)  # method -> what the labels of its rows have
    for entry, differing in zip(entries, own, strict=True):
        keys[entry.config.method.name] |= differing.keys() - {*hidden}
    several = len({entry.config.plm.name for entry in entries}) > 1
    rows = []
    for (method, plm, _), members in by_row.items():
        values = _common([entries[number] for number in members], keys[method])
        parts = [(names or {}).get(method) or method_title(method), *([plm] if several else [])]
        parts += [_part(key, value, keys[method], entries) for key, value in values.items()]
        differs = (*((("plm.name", plm),) if several else ()), *values.items())
        rows.append(
            NamedRow(
                ", ".join(parts),
                method,
                {entries[number].config.task.name: entries[number].group for number in members},
                differs,
            )
        )
    return sorted(rows, key=_by_method), tuple(_said(shared, tasks, config_dir))


def as_shipped(group: Group, config_dir: Path | None = None) -> bool:
    """Whether a setting is the one that ships with its method, on its task."""
    return _entry(group, config_dir).changed.keys() <= {"protocol.name"}


def is_own_file(method: str, choice: str, config_dir: Path | None = None) -> bool:
    """Whether a file of `conf/method` is the one whose setting is called the method's own."""
    return method_file(method, config_dir) == choice


def task_title(task: TaskOptions, config_dir: Path | None = None) -> str:
    """The task's name for people; a task with another name than the one whose title it has is called by its name."""
    titles = _titles(config_dir)
    if task.name in titles:
        return titles[task.name]
    return task.name if task.title is None or task.title in titles.values() else task.title


def _by_method(row: NamedRow) -> tuple[int, str, list[tuple[str, float, str]]]:
    """A sort key: shipped methods first, and within a method the values by size."""
    order = [*METHODS]
    place = order.index(row.method) if row.method in order else len(order)
    return place, row.method, [(key, *_size(value)) for key, value in row.differs]


def _size(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value


# -- what is not as shipped --------------------------------------------------------------------------------------------


def _entry(group: Group, config_dir: Path | None) -> _Entry:
    config = group.config
    values = flat(setting(config))
    base = shipped(config, config_dir) or values
    if config.task.max_train or config.task.max_eval:  # of all examples there is one sample
        values, base = (
            {"task.sample": one, **found} for one, found in ((config.task.sample, values), ("random", base))
        )
    own_task = config.task.name not in choices("task", config_dir)
    own_plm = config.plm.name not in choices("plm", config_dir)
    changed = {
        key: value
        for key, value in values.items()
        if base.get(key) != value
        and not (own_plm and key.startswith("plm."))
        and not (own_task and key.startswith("task.") and not key.startswith(_AMOUNTS))
    }
    if config.protocol.name != "paper":
        changed["protocol.name"] = config.protocol.name
    return _Entry(group, values, changed)


def shipped(config: ExperimentConfig, config_dir: Path | None) -> Values | None:
    """The values of the run that names the same task, model, method and protocol, and nothing else, if there is one.

    Composing takes a tenth of a second. So not every method is composed on every task: what a method changes on a
    typical task is taken over.
    """
    plm = config.plm.name if config.plm.name in choices("plm", config_dir) else None
    protocol = config.protocol.name if config.protocol.name in choices("protocol", config_dir) else "paper"
    words = Scope(config.suite, plm or "", protocol, config_dir).overrides()
    words = [word for word in words if word != "plm="]
    task = next((name for name in (config.task.name, config.task.kind) if name in choices("task", config_dir)), None)
    words += [] if task is None else [f"task={task}"]
    base = _values_of((*words, PLAIN), config_dir)
    method = method_file(config.method.name, config_dir)
    if base is None:
        return None
    if method is None:
        return _outside(base, config.method.name)
    recipe = composed((*words, PLAIN), config_dir).recipe
    typical = (*Scope(config.suite, _TYPICAL[config.task.family][1], "paper").overrides(),
               f"task={_TYPICAL[config.task.family][0]}", f"recipe={recipe}")  # fmt: skip
    plain, special = (_values_of((*typical, one), config_dir) for one in (PLAIN, f"method={method}"))
    if plain is None or special is None:
        return _values_of((*words, f"method={method}"), config_dir)
    changes = {key: value for key, value in special.items() if key.startswith("method.") or plain.get(key) != value}
    return {**{key: value for key, value in base.items() if not key.startswith("method.")}, **changes}


@lru_cache(maxsize=1024)
def _values_of(words: tuple[str, ...], config_dir: Path | None) -> Values | None:
    """The values of a composed run; None if a file of the user's needs further keys."""
    try:
        return flat(setting(composed(words, config_dir)))
    except UserError:
        return None


def _outside(base: Values, method: str) -> Values:
    """The values of a method from outside without a file: those that its options have by default, and no `lr`."""
    rest = {key: value for key, value in base.items() if not key.startswith("method.") and key != "trainer.lr"}
    try:
        fields = dataclasses.fields(options_class(method))
    except UserError:
        fields = ()
    defaults: dict[str, Any] = {"name": method}
    for field in fields:
        if field.name == "name":
            continue
        if field.default_factory is not dataclasses.MISSING:
            defaults[field.name] = field.default_factory()
        elif field.default is not dataclasses.MISSING:
            defaults[field.name] = field.default
    return {**rest, **flat({"method": defaults})}


@lru_cache(maxsize=256)
def method_file(method: str, config_dir: Path | None) -> str | None:
    """The file of `conf/method` that is a method's; None if it has none."""
    if method in choices("method", config_dir):
        return method
    own = sorted({*choices("method", config_dir)} - {*choices("method")})
    return next((choice for choice, name in named(own, config_dir).items() if name == method), None)


@lru_cache(maxsize=16)
def _titles(config_dir: Path | None) -> dict[str, str]:
    """Task -> title, of the files of `conf/task`: records of earlier releases have none."""
    found = {}
    for path in reversed(files("task", config_dir)):
        name, title = (yaml_files.value(path, f"task.{key}") for key in ("name", "title"))
        if isinstance(name, str) and isinstance(title, str):
            found[name] = title
    return found


# -- what is reported where --------------------------------------------------------------------------------------------


def _add_files(entries: Sequence[_Entry]) -> None:
    """Files of data and models that others of the same name do not have count as a difference."""
    for key in (_DATA, _WEIGHTS):
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        named = [(entry, *_file(entry, key)) for entry in entries]
        for entry, name, fingerprint in named:
            counts[name][fingerprint] += len(entry.group.runs)
        for entry, name, fingerprint in named:
            if fingerprint != min(counts[name].items(), key=lambda item: (-item[1], item[0]))[0]:
                entry.changed[key] = fingerprint


def _file(entry: _Entry, key: str) -> tuple[str, str]:
    """The name and the fingerprint of a setting's data or model."""
    if key == _DATA:
        return entry.config.task.name, entry.group.data
    return entry.config.plm.name, entry.group.weights


def _tuned(entry: _Entry, keys: tuple[str, ...] | None) -> _Entry:
    if keys is None:
        return entry
    values, changed = (
        {key: value for key, value in found.items() if key not in keys} for found in (entry.values, entry.changed)
    )
    return dataclasses.replace(entry, values=values, changed={**changed, _TUNED: "true"})


def _shared(entries: Sequence[_Entry]) -> dict[str, dict[str, str]]:
    """Key -> task -> value, of the changes that all settings of a task share, on every task."""
    found: dict[str, dict[str, str]] = {}
    for key in _ordered({key for entry in entries for key in entry.changed}):
        by_task: dict[str, set[str | None]] = defaultdict(set)
        for entry in entries:
            by_task[entry.config.task.name].add(entry.changed.get(key))
        if all(len(values) == 1 for values in by_task.values()):
            found[key] = {task: value for task, (value,) in by_task.items() if value is not None}
    return found


def _told_apart(entries: Sequence[_Entry], own: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The differences with what else sets settings of one task apart, where the differences alone do not."""
    same: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        config = entry.config
        same[config.task.name, config.method.name, config.plm.name, frozenset(own[number].items())].append(number)
    found = list(own)
    for members in same.values():
        values = [
            {**entries[i].values, _DATA: entries[i].group.data, _WEIGHTS: entries[i].group.weights} for i in members
        ]
        keys = {key for each in values for key in each if len({other.get(key) for other in values}) > 1}
        for number, each in zip(members, values, strict=True):
            found[number] = {**own[number], **{key: each.get(key, "null") for key in keys}}
    return found


def _common(members: Sequence[_Entry], keys: Collection[str]) -> dict[str, str]:
    """The values of a row's settings, where all of them have the same."""
    found = {}
    for key in _ordered(keys):
        values = {entry.changed.get(key, entry.values.get(key)) for entry in members}
        if len(values) == 1 and (value := values.pop()) is not None:
            found[key] = value
    return found


def _ordered(keys: Collection[str]) -> list[str]:
    return sorted(keys, key=lambda key: (_SECTIONS.index(key.split(".")[0]), key != "trainer.lr", key))


def _part(key: str, value: str, shown: Collection[str], entries: Sequence[_Entry]) -> str:
    if key == _TUNED:
        return _TUNED
    short = key.partition(".")[2] or key
    if key.endswith(".name"):
        short = key.removesuffix(".name")
    if sum(other.partition(".")[2] == short for other in shown) > 1:
        short = key
    return f"{short} {_written(key, value, {entry.values.get(key, '') for entry in entries})}"


def _written(key: str, value: str, among: Collection[str]) -> str:
    """A value as labels show it: numbers with three digits where these tell them apart."""
    if value in ("true", "false"):
        return "on" if value == "true" else "off"
    if value == "null":
        return "all" if key in ("task.max_train", "task.max_eval") else "none"
    if key in (_DATA, _WEIGHTS):
        return value.rpartition(":")[2][:8]
    short = [_rounded(other) for other in among]
    return shown(_rounded(value) if len({*short}) == len({*among}) else value)


def _rounded(value: str) -> str:
    try:
        return value if float(value).is_integer() else f"{float(value):.3g}"
    except ValueError:
        return value


def _said(
    shared: Mapping[str, Mapping[str, str]], tasks: Collection[str], config_dir: Path | None
) -> list[tuple[str, str]]:
    """Key and value of what all rows share; the protocol is reported elsewhere."""
    titles = _titles(config_dir)
    found = []
    for key, by_task in shared.items():
        if key in ("protocol.name", _TUNED):
            continue
        if len({*by_task.values()}) == 1 and len(by_task) == len(tasks):
            found.append((key, next(iter(by_task.values()))))
        else:
            found += [(key, f"{value} on {titles.get(task, task)}") for task, value in by_task.items()]
    return found
