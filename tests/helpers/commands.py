"""The command line, or a program, forked from a process that has imported everything: a run costs what it computes.

ended = command(["preset=mini", ...], folder)
"""

import ctypes
import errno
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from threading import Lock
from typing import Any

_PRELOADED = "helpers.preloaded"
_FOR_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_MEMORY = 12 * 2**30  # bytes written: address space alone is reserved by the terabyte in the figures' converter
_CAPABILITY_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
_STARTING = Lock()


@dataclass(frozen=True)
class Ended:
    """A process that has ended, or was killed because it ran for too long."""

    code: int  # negative: the signal that ended it
    out: str
    err: str
    seconds: float
    hung: bool

    @property
    def folder(self) -> Path | None:
        """The run's folder, which is the last line of stdout, relative to the folder of the command."""
        lines = self.out.strip().splitlines()
        return Path(lines[-1]) if lines else None


@dataclass(frozen=True)
class Trouble:
    """What happens to the process: at a file operation below its working directory, or to all of them."""

    at: int | None = None  # counted from 1
    kill: bool = False  # SIGKILL before that operation; otherwise it fails, and so does every later one
    error: int = errno.ENOSPC
    file_size: int | None = None  # bytes that a file may have
    no_privileges: bool = False  # permissions hold for root, too


def command(
    arguments: Iterable[str],
    folder: Path,
    environment: dict[str, str] | None = None,
    stdin: bytes = b"",
    stdout: str | None = None,
    trouble: Trouble | None = None,
    stop: tuple[int, float] | None = None,
    kill_when: Callable[[], bool] | None = None,
    timeout: float = 60.0,
    program: str | None = None,
) -> Ended:
    """Run `inducer-bench`, or a program, with these arguments.

    Args:
        arguments: of the command line.
        folder: its working directory; exists.
        environment: added to that of this process.
        stdin: its content.
        stdout: where it goes, such as /dev/full; by default it is kept.
        trouble: see `Trouble`.
        stop: a signal and the seconds after which it is sent.
        kill_when: SIGKILL is sent as soon as it says so.
        timeout: seconds until the process is killed and counts as hung.
        program: Python to run in place of the command line, as `python -c` does.
    """
    logs = folder.parent / f".{folder.name}.logs"
    logs.mkdir(exist_ok=True)
    (logs / "in").write_bytes(stdin)
    streams = (str(logs / "in"), stdout or str(logs / "out"), str(logs / "err"))
    for name in ("out", "err"):
        (logs / name).write_bytes(b"")
    started = time.monotonic()
    variables = {**os.environ, **(environment or {})}
    process = context().Process(
        target=_child, args=(list(arguments), str(folder), variables, streams, trouble or Trouble(), program)
    )
    process.start()
    if stop is not None:
        process.join(stop[1])
        if process.exitcode is None:
            os.kill(process.pid or 0, stop[0])
    while kill_when is not None and process.exitcode is None:
        if kill_when():
            process.kill()
        process.join(0.02)
    process.join(timeout)
    hung = process.exitcode is None
    if hung:
        process.kill()
        process.join()
    out, err = ((logs / name).read_text(encoding="utf-8", errors="replace") for name in ("out", "err"))
    return Ended(process.exitcode or 0, out, err, time.monotonic() - started, hung)


def counted(arguments: Iterable[str], folder: Path) -> tuple[Ended, int]:
    """Run a command; returns the number of its file operations, too, at each of which `Trouble` can happen to it."""
    counter = folder.parent / f".{folder.name}.operations"
    ended = command(arguments, folder, environment={"CHAOS_COUNTER": str(counter)}, trouble=Trouble(at=sys.maxsize))
    return ended, int(counter.read_text())


def context() -> Any:
    """For `multiprocessing`: forks from a server that is started here, by the first of several threads."""
    with _STARTING:
        return _context()


@cache
def _context() -> Any:
    """The server takes only the environment over, and finds this package by that."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [before])])
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return context


def _child(
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    streams: tuple[str, str, str],
    trouble: Trouble,
    program: str | None,
) -> None:
    for number, (path, flags) in enumerate(zip(streams, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
        descriptor = os.open(path, flags)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as the interpreter opens it
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    assert _PRELOADED in sys.modules, "the server could not import it, which it does not tell"
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))  # what grows without end is told, not the machine
    if trouble.file_size is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (trouble.file_size, trouble.file_size))
    if trouble.no_privileges:
        _drop_capabilities()
    if trouble.at is not None:
        sys.addaudithook(_hook(folder, trouble))
    sys.argv = ["-c" if program is not None else "inducer-bench", *arguments]
    if program is not None:
        exec(program, {"__name__": "__main__"})
        return
    from inducer_bench.cli.main import entry_point

    entry_point()


def _hook(folder: str, trouble: Trouble) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that counts operations that change files below a folder, and strikes at one of them."""
    count = 0
    counter = os.environ.get("CHAOS_COUNTER")
    inside = False

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal count, inside
        if inside or not _changes(event, args):
            return
        path = args[0] if isinstance(args[0], str | bytes | os.PathLike) else ""
        if not os.path.abspath(os.fsdecode(path)).startswith(folder):
            return
        count += 1
        if counter is not None:
            inside = True
            Path(counter).write_text(str(count))
            inside = False
        if trouble.kill and count == trouble.at:
            os.kill(os.getpid(), signal.SIGKILL)
        if not trouble.kill and trouble.at is not None and count >= trouble.at and event != "os.remove":
            raise OSError(trouble.error, os.strerror(trouble.error), path)

    return hook


def _drop_capabilities() -> None:
    """Root without capabilities is an ordinary owner of its files. See capset(2)."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, nothing) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _changes(event: str, args: tuple[Any, ...]) -> bool:
    if event == "open":
        return isinstance(args[2], int) and bool(args[2] & _FOR_WRITING)
    return event in ("os.rename", "os.mkdir", "os.remove", "os.truncate", "os.rmdir", "shutil.rmtree")
