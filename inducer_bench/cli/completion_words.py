"""What a word of the command line may become: overrides of a run, and files.

Keys and choices are read from the YAML files alone: composing them takes longer than a key should.
"""

import os
import re
from pathlib import Path
from typing import Any

import yaml

from inducer_bench.config.choices import choices, files, groups

_OF_A_FILE = re.compile(r"recipe|output_dir|task\.(data_dir|files\.\w+)|plm\.(path|tokenizer)")
_NOT_SET = ("recipes", "search", "hydra", "defaults", "tune")  # of files, but not for a command line


def overrides(prefix: str, config_dir: Path | None) -> list[str]:
    """The overrides that begin with `prefix`; of its value, what comes after the last comma is completed."""
    key, equals, value = prefix.partition("=")
    if equals:
        before, comma, last = value.rpartition(",")
        return [f"{key}={before}{comma}{found}" for found in _values(key, last, config_dir)]
    choosing = [] if "." in key else [f"{group}=" for group in groups(config_dir)]
    return choosing + _keys(_configuration(words_before(), config_dir), key)


def of_plan(prefix: str, config_dir: Path | None) -> list[str]:
    """The words of `inducer-bench plan`."""
    first = [] if words_before() else ["tune", *choices("experiment", config_dir)]
    return first + overrides(prefix, config_dir)


def of_tune(prefix: str, config_dir: Path | None) -> list[str]:
    """The words of `inducer-bench tune`."""
    key, equals, value = prefix.partition("=")
    if equals and key.removeprefix("tune.") == "methods":
        before = value[: max(value.rfind("["), value.rfind(",")) + 1]
        return [f"{key}={before}{choice}" for choice in ["all", "with_ranks", *choices("method", config_dir)]]
    own = ["methods=", "trials=", "seeds=", *(f"tune.{name}=" for name in _primary()["tune"])]
    return own + overrides(prefix, config_dir)


def paths(prefix: str, **_: object) -> list[str]:
    """Files and folders; those whose names begin with . or _ only where that is typed."""
    folder, name = os.path.split(prefix)
    try:
        entries = sorted(os.scandir(os.path.expanduser(folder) or "."), key=lambda entry: entry.name)
    except OSError:
        return []
    return [
        os.path.join(folder, entry.name) + ("/" if entry.is_dir() else "")
        for entry in entries
        if entry.name.startswith(name) and (name.startswith((".", "_")) or not entry.name.startswith((".", "_")))
    ]


def words_before() -> list[str]:
    """The words before the one under the cursor, without the program and the command."""
    from argcomplete.lexers import split_line

    words: list[str] = split_line(os.environ["COMP_LINE"], int(os.environ["COMP_POINT"]))[3]
    return words[int(os.environ["_ARGCOMPLETE"]) :]


def _values(key: str, prefix: str, config_dir: Path | None) -> list[str]:
    if key in groups(config_dir):
        return choices(key, config_dir)
    if _OF_A_FILE.fullmatch(key):
        return paths(prefix)
    from inducer_bench.config.overrides import alternatives

    return alternatives(key)


def _keys(values: dict[str, Any], prefix: str) -> list[str]:
    """The keys in the section that `prefix` is in; sections end with a dot, other keys with `=`."""
    section = prefix.rpartition(".")[0]
    for name in section.split(".") if section else []:
        values = values.get(name) or {}
        if not isinstance(values, dict):
            return []
    start = f"{section}." if section else ""
    return [
        f"{start}{name}{'.' if isinstance(value, dict) and value else '='}"
        for name, value in values.items()
        if name not in _NOT_SET
    ]


def _configuration(words: list[str], config_dir: Path | None) -> dict[str, Any]:
    """The keys of a run with these overrides, by section, and values that need not be the ones in force."""
    primary = _primary()
    chosen = {
        group: choice for entry in primary["defaults"] if isinstance(entry, dict) for group, choice in entry.items()
    }
    for word in words:
        group, equals, choice = word.partition("=")
        if equals:
            chosen[group] = choice.rpartition(",")[2]
    sections = {
        group: _section(group, str(choice), config_dir)
        for group, choice in chosen.items()
        if group in groups(config_dir) and group not in ("preset", "experiment", "ablation")
    }
    return {**primary, **{group: values for group, values in sections.items() if values}}


def _primary() -> dict[str, Any]:
    return _read(next(path for path in files(".") if path.stem == "config"))


def _section(group: str, choice: str, config_dir: Path | None) -> dict[str, Any]:
    """The keys of a choice: those of the files that it builds on, then its own."""
    path = next((path for path in files(group, config_dir) if path.stem == choice), None)
    own = {} if path is None else _read(path)
    found: dict[str, Any] = {}
    for name in own.get("defaults") or ():
        if isinstance(name, str) and name not in ("_self_", choice):
            found |= _section(group, name, config_dir)
    inner = own.get(group)  # of a file whose package is that of the whole configuration
    return found | (inner if isinstance(inner, dict) else own)


def _read(path: Path) -> dict[str, Any]:
    """The content of a file; nothing of one that cannot be read, which is not for completion to tell."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
