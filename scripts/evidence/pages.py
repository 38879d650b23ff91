"""Regenerate the tables in `results/*/*.md`.

    python -m scripts.evidence.pages        # part of `make results`

A page ends with the output of a command that stands on a line of its own above it, in backquotes:
`python -m scripts.evidence.parameter_table`. The command is run again and its output replaced. A command without its
input (the parity fixtures) leaves the page as it is.
"""

import importlib
import io
import re
import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path

from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic

RESULTS = Path(__file__).resolve().parents[2] / "results"
_COMMAND = re.compile(r"^`python -m (scripts\.[\w.]+)(.*)`\n", re.MULTILINE)


def main() -> None:
    """Rewrite every page that has a command."""
    for path in sorted(RESULTS.glob("*/*.md")):
        page = path.read_text(encoding="utf-8")
        if _COMMAND.search(page) is None:
            continue
        try:
            write_atomic(path, regenerated(page).encode())
        except UserError as error:
            print(f"{path.relative_to(RESULTS.parent)}: not regenerated: {error}", file=sys.stderr)


def regenerated(page: str) -> str:
    """The page with the current output of its command.

    Raises:
        UserError: the command lacks its input.
    """
    command = _COMMAND.search(page)
    assert command is not None
    output = io.StringIO()
    with redirect_stdout(output):
        importlib.import_module(command[1]).main(*shlex.split(command[2]))
    return f"{page[: command.end()]}\n{output.getvalue().rstrip()}\n"


if __name__ == "__main__":
    main()
