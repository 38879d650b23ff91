"""Locks between processes, which say who holds them.

The system releases a lock when its process ends, however it ends. Beside the lock lies a file about its holder, which
serves messages alone: one that a killed process left behind blocks nobody.
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from inducer_bench import strict_json
from inducer_bench.errors import shown
from inducer_bench.files import read_bytes, write_atomic
from inducer_bench.notices import tell

QUIET = 3.0  # seconds of waiting before the user is told
PATIENCE = 60.0  # seconds of waiting for a cache, which a run can do without
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of a file system without locks


class InUse(TimeoutError):
    """Another process holds a lock; the message says which one, as far as it is known."""


class Lock:
    """A lock on a file that need not exist, in a folder that does.

    Args:
        path: of the file.
        what: it protects, for the line about waiting.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._what = what
        self._holder = path.with_name(f"{path.name}.holder")
        self._lock = FileLock(path, fallback_to_soft=False)  # a soft lock would outlive a process that is killed

    def acquire(self, patience: float = 0.0) -> None:
        """Take the lock; wait for at most `patience` seconds, and tell the user after `QUIET` of them.

        Raises:
            InUse: another process holds it.
            OSError: the file cannot be opened or written, or its file system has no locks.
        """
        if not self._taken_within(min(patience, QUIET)):
            if patience > QUIET:
                tell(f"waiting for {self._what}, in use by {self._who()}")
            if patience <= QUIET or not self._taken_within(patience - QUIET):
                raise InUse(f"in use by {self._who()}")
        with suppress(OSError):  # the holder serves messages alone
            self._holder.unlink(missing_ok=True)  # of a process that was killed; a full disk cannot keep it
            write_atomic(self._holder, strict_json.dumps(_this_process()).encode())

    def release(self) -> None:
        """Give the lock back, if this process holds it."""
        if self._lock.is_locked:
            with suppress(OSError):
                self._holder.unlink(missing_ok=True)
            self._lock.release()

    @contextmanager
    def held(self, patience: float = 0.0) -> Iterator[None]:
        """Hold the lock inside the block; see `acquire`."""
        self.acquire(patience)
        try:
            yield
        finally:
            self.release()

    def _taken_within(self, seconds: float) -> bool:
        try:
            self._lock.acquire(timeout=seconds)
        except Timeout:
            return False
        except OSError as error:
            if error.errno in NO_LOCKS:  # network file systems, as they are mounted
                raise OSError(error.errno, "a file system without locks", self._lock.lock_file) from None
            raise
        return True

    def _who(self) -> str:
        """The holder as its file describes it."""
        try:
            holder = strict_json.loads(read_bytes(self._holder).decode())
            pid, host, since = int(holder["pid"]), str(holder["host"]), str(holder["since"])
            if host == socket.gethostname():
                with suppress(PermissionError):  # it is another user's
                    os.kill(pid, 0)  # sends nothing
        except (OSError, ValueError, TypeError, KeyError, OverflowError):
            return "another process"
        return f"process {pid} on host {shown(host)} since {shown(since)}"


def _this_process() -> dict[str, str | int]:
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
