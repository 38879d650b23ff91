"""Files and folders that are there whole or not at all, and the folder for what can be made again."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path


def cache_root() -> Path:
    """Where generated data and encoded examples are kept: INDUCER_BENCH_CACHE, or a folder in the user's cache."""
    return Path(os.environ.get("INDUCER_BENCH_CACHE") or Path.home() / ".cache" / "inducer_bench")


def sha256(path: Path) -> bytes:
    """Of a file's content as it is now; the jobs of a sweep share it, for large files take a second each time."""
    found = path.stat()
    return _sha256(path, found.st_size, found.st_mtime_ns)


@cache
def _sha256(path: Path, size: int, changed: int) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` so that a reader, or a crash at any moment, sees the old file or the new one, never a part.

    Raises:
        OSError: the folder is read-only or the disk is full; the old file is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a folder beside its place and rename it there; of several processes the first one wins.

    Raises:
        OSError: the place is read-only or the disk is full; nothing is left behind.
    """
    with tempfile.TemporaryDirectory(prefix=".draft-", dir=folder.parent) as room:
        draft = Path(room) / folder.name
        draft.mkdir()
        write(draft)
        try:
            os.rename(draft, folder)
        except OSError:
            if not folder.is_dir():
                raise


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
