"""`record.json`: what a run was, what it scored, what it cost, and where it came from. Complete and checksummed."""

import hashlib
import json
from pathlib import Path
from typing import Any

from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic

FILE = "record.json"
SCHEMA = 2
_IN_A_LINE = 4  # scores that a line has room for

Record = dict[str, Any]


def write(folder: Path, record: Record) -> None:
    """Write `record` into `folder`, with its schema version and checksum, whole or not at all."""
    body = json.loads(json.dumps({"schema": SCHEMA, **record}))  # as it will be read: keys of dicts become strings
    text = json.dumps({**body, "checksum": _checksum(body)}, indent=2, sort_keys=True)
    write_atomic(folder / FILE, (text + "\n").encode())


def read(folder: Path) -> Record | None:
    """The record in `folder`, or None if there is none.

    Raises:
        UserError: the record is truncated, was edited, or is of another schema.
    """
    path = folder / FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        checksum = record.pop("checksum")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise UserError(f"{path}: not a whole record; move the folder away to run again") from None
    if checksum != _checksum(record):
        raise UserError(f"{path}: its checksum does not match; it was edited; move the folder away to run again")
    if record["schema"] != SCHEMA:
        raise UserError(f"{path}: found schema {record['schema']}; allowed: {SCHEMA}")
    return record


def find(root: Path) -> list[Path]:
    """The run folders below `root` (`<task>/<plm>/<method>/<hash>`), sorted."""
    return sorted(path.parent for path in root.glob(f"*/*/*/*/{FILE}"))


def headline(record: Record) -> str:
    """The first scores of a record, that of its task's metric before all, or its status; for one line."""
    if record["status"] != "done":
        return str(record["status"])
    metric = record["config"]["task"]["metric"]
    names = sorted(record["scores"], key=lambda name: (name != metric, not name.startswith(f"{metric}_"), name))
    shown = [(name, record["scores"][name]["value"]) for name in names[:_IN_A_LINE]]
    more = f"  and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return "  ".join(f"{name} {'-' if value is None else f'{value:.2f}'}" for name, value in shown) + more


def code_of(record: Record) -> str:
    """The version, commit and state of the code that a run was made with, in words."""
    code = record["code"]
    commit = f" at {code['git_sha'][:7]}" if code["git_sha"] else ""
    return f"{code['version']}{commit}{', with uncommitted changes' if code['git_dirty'] else ''}"


def device_of(record: Record) -> str:
    """The device that a run was made on, in words; the threads of a CPU decide its times."""
    device = record["device"]
    threads = f", threads: {device['threads']}" if device["type"] == "cpu" else ""
    return f"{device['type']} {device['name']}{threads}"


def precision_of(record: Record) -> str:
    """fp32 or bf16."""
    return "fp32" if record["precision"] == "no" else str(record["precision"])


def _checksum(body: Record) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
