"""Signals that ask the process to stop: Ctrl-C (SIGINT), SIGTERM, and SIGHUP of a terminal that closes.

The first signal raises `Stopped`, a KeyboardInterrupt, wherever the program is; in a `shielded` block it waits, and the
block asks `requested` when it can stop. A second signal ends the process at once. A library may swallow the exception;
long work outside a shielded block therefore calls `check` from time to time.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from inducer_bench.errors import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_SECONDS = 0.5  # a terminal signals a launcher and its processes, and the launcher passes the signal on


class Stopped(KeyboardInterrupt):
    """A KeyboardInterrupt that is reported and recorded.

    A class of its own, because Python ends a process by SIGINT, whatever its exit code, once a KeyboardInterrupt itself
    has passed through an `exec`, as in the making of a dataclass.
    """


class _State:
    """What the handler knows; there is one for the process, as there is one handler."""

    watching = False
    shielded = False
    first: float | None = None  # time of the first signal


@contextmanager
def watched() -> Iterator[None]:
    """Handle the signals inside the block; within another such block, or in a thread that may not, nothing changes."""
    if _State.watching or threading.current_thread() is not threading.main_thread():
        yield
        return
    _State.watching, _State.shielded, _State.first = True, False, None
    previous: dict[signal.Signals, Any] = {}
    for number in SIGNALS:
        if number is not signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores it
            previous[number] = signal.signal(number, _handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        _State.watching, _State.first = False, None


@contextmanager
def shielded() -> Iterator[None]:
    """A block that a first signal does not stop: it asks `requested`, or is short."""
    with _shield(True):
        yield


@contextmanager
def exposed() -> Iterator[None]:
    """A part of a shielded block that a first signal stops, also one that came before it.

    Raises:
        Stopped: at a signal.
    """
    with _shield(False):
        check()
        yield


@contextmanager
def _shield(wanted: bool) -> Iterator[None]:
    before, _State.shielded = _State.shielded, wanted
    try:
        yield
    finally:
        _State.shielded = before


def requested() -> bool:
    """Whether a signal has asked the process to stop."""
    return _State.first is not None


def check() -> None:
    """Stop if a signal has asked for it.

    Raises:
        Stopped: it has.
    """
    if requested():
        raise Stopped


def end_with(code: int) -> None:
    """From here on, when nothing is left to do but exit, a signal does so at once."""
    for number in SIGNALS:
        signal.signal(number, lambda *_: os._exit(code))


def _handle(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _State.first is not None:
        if now - _State.first > SAME_SECONDS:
            with suppress(OSError):
                os.write(2, b"inducer-bench: stopped at once\n")
            os._exit(ExitCode.INTERRUPTED)
        return
    _State.first = now
    if not _State.shielded:
        raise Stopped
