"""A lock says who holds it; what a killed process left behind blocks nobody and misleads nobody."""

import errno
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from inducer_bench import locks
from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.files import write_atomic
from inducer_bench.locks import InUse, Lock
from inducer_bench.runs.identity import identify, run_folder
from inducer_bench.runs.run import run

SINCE = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"
HOLDER = """
import sys
from pathlib import Path
from inducer_bench.locks import Lock
with Lock(Path(sys.argv[1]), "x").held():
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock `tmp_path / "lock"`."""
    command = [sys.executable, "-c", HOLDER, tmp_path / "lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def refusal(lock, patience=0.0):
    with pytest.raises(InUse) as refused:
        lock.acquire(patience)
    return str(refused.value)


def test_held_lock_says_who_holds_it_and_since_when_until_it_is_given_back(other, tmp_path):
    lock = Lock(tmp_path / "lock", "x")
    here = f"in use by process {other.pid} on host {re.escape(socket.gethostname())} since {SINCE}"
    assert re.fullmatch(here, refusal(lock))
    other.communicate("\n", timeout=30)
    with lock.held():
        assert json.loads((tmp_path / "lock.holder").read_text())["pid"] == os.getpid()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_killed_holder_is_followed_at_once_and_never_named_again(other, tmp_path, monkeypatch):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (tmp_path / "lock.holder").exists()
    monkeypatch.setattr(locks, "write_atomic", full_disk)
    with Lock(tmp_path / "lock", "x").held():
        assert refusal(Lock(tmp_path / "lock", "x")) == "in use by another process"


def full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("left", [
    b"", b"{", b"[]", b"\xff", b"{}", b'{"pid": "x", "host": "a", "since": "b"}',
    b'{"pid": null, "host": 1, "since": 2}',
    b'{"pid": 123456789012345678901234567890, "host": "HOST", "since": "b"}', b'{"pid": NaN}', b"[" * 9999,
])  # fmt: skip
def test_damaged_note_of_the_holder_is_no_note(other, tmp_path, left):
    (tmp_path / "lock.holder").write_bytes(left.replace(b"HOST", socket.gethostname().encode()))
    assert refusal(Lock(tmp_path / "lock", "x")) == "in use by another process"


def test_holder_on_another_host_is_believed_and_shown_safely(other, tmp_path):
    note = {"pid": 1, "host": "a\nb\x1b[1m", "since": "noon"}
    write_atomic(tmp_path / "lock.holder", json.dumps(note).encode())
    assert refusal(Lock(tmp_path / "lock", "x")) == r"in use by process 1 on host a\nb\x1b[1m since noon"


def test_waiting_is_told_once_and_ends_when_the_lock_is_free_or_patience_is_over(other, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(locks, "QUIET", 0.1)
    lock = Lock(tmp_path / "lock", "the table")
    assert refusal(lock, 0.3).startswith(f"in use by process {other.pid} ")
    told = capsys.readouterr().err
    assert re.fullmatch(rf"inducer-bench: waiting for the table, in use by process {other.pid} on host .*\n", told)
    other.stdin.write("\n")
    other.stdin.flush()
    started = time.monotonic()
    with lock.held(30):
        assert time.monotonic() - started < 20


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_system_without_locks_is_told_at_once_and_a_run_goes_on(tmp_path, monkeypatch, code, overrides, capsys):
    def flock(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="file system without locks"):
        Lock(tmp_path / "lock", "x").acquire(30)
    assert run(compose([*overrides, "trainer.epochs=0"])).code == ExitCode.DONE
    assert "is on a file system without locks: nothing keeps the same run" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["folder", "loop"])
def test_something_else_in_the_place_of_the_lock_is_an_error(tmp_path, place, overrides):
    config = compose(overrides)
    folder = run_folder(config, identify(config))
    folder.mkdir(parents=True)
    if place == "folder":
        (folder / ".lock").mkdir()
    else:
        (folder / ".lock").symlink_to(".lock")
    with pytest.raises(UserError, match=r"output_dir: '.*' cannot be written \(.*: '.*/.lock'\)"):
        run(config)


def test_two_processes_never_work_on_one_run(overrides):
    config = compose([*overrides, "trainer.epochs=0"])
    folder = run_folder(config, identify(config))
    folder.mkdir(parents=True)
    (folder / ".x.tmp").mkdir()
    (folder / ".y.tmp").write_text("half")
    with Lock(folder / ".lock", "x").held(), pytest.raises(UserError) as refused:
        run(config)
    here = rf"process {os.getpid()} on host {re.escape(socket.gethostname())} since {SINCE}"
    assert re.fullmatch(rf"output_dir: '\S+' is in use by {here}; wait for it, or stop it", str(refused.value))
    assert run(config).code == ExitCode.DONE
    assert [path.name for path in folder.glob(".*")] == [".x.tmp", ".lock"]
