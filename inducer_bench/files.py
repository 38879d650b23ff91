"""Files read whole, written atomically and hashed, and the folder for data that can be regenerated."""

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
CONF_DIR = next(path for path in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if path.is_dir())  # shipped YAML files


def cache_root() -> Path:
    """The folder of generated data and encoded examples: INDUCER_BENCH_CACHE, or one in the user's cache.

    Raises:
        OSError: the user has no home; containers have such users.
    """
    try:
        return Path(os.environ.get("INDUCER_BENCH_CACHE") or "~/.cache/inducer_bench").expanduser()
    except RuntimeError as error:
        raise FileNotFoundError(errno.ENOENT, str(error)) from None


def read_bytes(path: Path) -> bytes:
    """The content of a regular file, or of a link to one.

    Raises:
        OSError: there is none, it cannot be read, or it is something else: a folder, or a pipe, which would wait for a
            writer.
    """
    with open(path, "rb", opener=regular) as file:
        return file.read()


def sha256(path: Path) -> bytes:
    """The SHA-256 of a file's content, computed once per process as long as size and modification time stay."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@cache
def _sha256(path: Path, size: int, changed: int) -> bytes:
    with open(path, "rb", opener=regular) as file:
        return hashlib.file_digest(file, "sha256").digest()


def write_atomic(path: Path, *content: bytes | memoryview) -> None:
    """Write a file by temporary file, fsync and rename: a reader or a crash sees the old content or the new, whole.

    Args:
        path: of the file.
        content: its parts, one after another; none is copied.

    Raises:
        OSError: the folder is read-only or the disk is full; the old file is unchanged. `filename` is that of the file.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _naming(path):
        try:
            with open(temporary, "wb") as file:
                for part in content:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)


def append(path: Path, content: bytes) -> None:
    """Add to the end of a file.

    Raises:
        OSError: it cannot be written, or not whole. `filename` is that of the file.
    """
    with _naming(path), open(path, "ab") as file:
        file.write(content)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in an OSError: a full disk shows in a write, which does not know the name."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Fill a temporary folder with `write`, then rename it; if several processes do so, the first one wins.

    Args:
        folder: the final path; its parent exists.
        write: called with the temporary folder.

    Raises:
        OSError: the parent is read-only or the disk is full; nothing remains.
    """
    with tempfile.TemporaryDirectory(prefix=".draft-", dir=folder.parent) as temporary:
        draft = Path(temporary) / folder.name
        draft.mkdir()
        write(draft)
        try:
            os.rename(draft, folder)
        except OSError:
            if not folder.is_dir():
                raise


def regular(path: str, flags: int) -> int:
    """An opener for `open` that takes regular files only: a pipe would wait for its other end.

    Raises:
        OSError: it is something else, or cannot be opened.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", path)


def remove(path: Path) -> None:
    """Delete a file, a link, or a folder with all that it contains, if it is there.

    Raises:
        OSError: it cannot be deleted.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
