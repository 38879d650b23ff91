"""JSON files with a schema version and a checksum, written whole: records of runs and of searches."""

import hashlib
import json
from pathlib import Path
from typing import Any

from inducer_bench import strict_json
from inducer_bench.errors import UserError
from inducer_bench.files import read_bytes, write_atomic

_AGAIN = "move the folder away to run again"


def write(path: Path, schema: int, values: dict[str, Any]) -> None:
    """Write `values` with their schema version and checksum, whole or not at all.

    Raises:
        OSError: the file cannot be written; an earlier one is left as it was.
        TypeError, ValueError: JSON has no form for a value.
    """
    body = strict_json.loads(strict_json.dumps({"schema": schema, **values}))  # as read: keys of dicts become strings
    text = strict_json.dumps({**body, "checksum": _checksum(body)}, indent=2, sort_keys=True)
    write_atomic(path, (text + "\n").encode())


def read(path: Path) -> dict[str, Any] | None:
    """The values in a file and their `schema`, without the checksum, which is checked; None if there is no file.

    Raises:
        UserError: the file cannot be read, is truncated or was edited.
    """
    try:
        body: dict[str, Any] = strict_json.loads(read_bytes(path).decode())
        edited = body.pop("checksum") != _checksum(body)
    except (FileNotFoundError, NotADirectoryError):
        if not path.is_symlink():
            return None
        raise UserError(f"{path}: a link to what is not there; {_AGAIN}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {_AGAIN}") from None
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise UserError(f"{path}: not a whole record; {_AGAIN}") from None
    if edited:
        raise UserError(f"{path}: its checksum does not match; it was edited; {_AGAIN}")
    return body


def folders(root: Path, levels: int, left_out: list[str]) -> list[Path]:
    """The folders so many levels below `root`, sorted; adds a line for each one on the way that cannot be read.

    Raises:
        UserError: `root` is not a folder that can be read.
    """
    found = [root]
    for _ in range(levels):
        below: list[Path] = []
        for folder in found:
            try:
                below += sorted(path for path in folder.iterdir() if path.is_dir())
            except OSError as error:
                line = UserError(f"{folder}: cannot be read ({error.strerror})")
                if folder is root:
                    raise line from None
                left_out.append(str(line))
        found = below
    return found


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
