"""The standard streams of a command: a full disk, a closed pipe or a closed stream stops nothing that is computed."""

import errno
import io
import os
import sys
from typing import Any

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


class _Lossy(io.FileIO):
    """A descriptor that takes everything; `error` is the first reason for which something was lost."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """The number of bytes of `data`, written or not."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while len(rest) and self.error is None:
            try:
                rest = rest[super().write(rest) or 0 :]
            except OSError as error:
                self.error = error
        return size


def protect() -> None:
    """Make the standard streams of this process ones that never fail.

    A stream that the caller has closed becomes the null device: otherwise the next file that is opened would get its
    descriptor, and whatever a library prints would go into that file.
    """
    for name, mode in _STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, os.O_RDWR), mode, closefd=False))  # noqa: SIM115
    for name in ("stdout", "stderr"):
        old = getattr(sys, name)
        raw = _Lossy(old.fileno(), "w", closefd=False)
        errors = "backslashreplace" if old.errors == "strict" else old.errors  # for letters that the encoding lacks
        at_once = name == "stderr" or old.line_buffering or old.write_through  # the last with PYTHONUNBUFFERED
        settings = {"encoding": old.encoding, "errors": errors, "line_buffering": at_once}
        setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(raw), **settings))


def lost() -> str | None:
    """Why something printed to stdout was lost; None if nothing was, or nobody wanted it: `inducer-bench ls | head`."""
    sys.stdout.flush()
    error = getattr(getattr(sys.stdout.buffer, "raw", None), "error", None)
    return None if error is None or error.errno == errno.EPIPE else error.strerror
