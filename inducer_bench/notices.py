"""Notices: one line for the user about something that a run works around; no result and no exit code depends on it."""

import logging
import sys
from contextlib import suppress
from functools import cache

from inducer_bench.distributed import on_main_process
from inducer_bench.errors import LONGEST_MESSAGE, shown

log = logging.getLogger("inducer_bench")
log.addHandler(logging.NullHandler())  # else logging itself would repeat a line that no run's log takes


@on_main_process
def tell(message: str) -> None:
    """Write one line to the terminal, unless this process has already done so, and to the log of the run."""
    line = shown(message, LONGEST_MESSAGE)
    log.warning(line)
    _print(line)


@cache
def _print(line: str) -> None:
    with suppress(OSError):  # a closed terminal or a full disk: the log has the line, too
        print(f"inducer-bench: {line}", file=sys.stderr)
