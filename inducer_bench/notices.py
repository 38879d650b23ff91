"""Notices: one line for the user about something that a run works around; no result and no exit code depends on it.

A warning in this package's log is one: it is shown on the terminal, whether a run with a log of its own is going on or
not.
"""

import logging
import sys
from contextlib import suppress
from typing import TextIO

from inducer_bench.distributed import is_main_process, on_main_process
from inducer_bench.errors import LONGEST_MESSAGE, shown

RUN_FOLDER = "run_folder"  # attribute of a line of the log that is about one of several runs: its folder, absolute
log = logging.getLogger("inducer_bench")


@on_main_process
def tell(message: str) -> None:
    """Write one line to the terminal, and to the log of the run, if there is one."""
    log.warning("%s", shown(message, LONGEST_MESSAGE))


class _Terminal(logging.Handler):
    """Shows each warning once per process, on stderr; an error is shown as the outcome of its run."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: set[str] = set()
        self.stream: TextIO | None = None  # in place of stderr

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if record.levelno == logging.WARNING and line not in self.told and is_main_process():
            self.told.add(line)
            with suppress(OSError):  # a closed terminal or a full disk
                print(f"inducer-bench: {line}", file=self.stream or sys.stderr)


TERMINAL = _Terminal()
log.addHandler(TERMINAL)
