"""Copies of PLMs in the package's cache, each made once: whole or not at all, by one process at a time."""

from collections.abc import Callable
from pathlib import Path

from inducer_bench.files import cache_root, write_folder
from inducer_bench.locks import Lock
from inducer_bench.notices import tell

_PATIENCE = 1800.0  # seconds of waiting for another process that makes the same copy


def place(name: str) -> Path:
    """The folder of a copy.

    Raises:
        OSError: there is no place for a cache.
    """
    return cache_root() / "plms" / name


def make(folder: Path, what: str, told: str, fill: Callable[[Path], None]) -> None:
    """Make a copy, unless it is there.

    Args:
        folder: of the copy; see `place`.
        what: is being done, for whoever waits for it: the download of a wheel.
        told: when it begins.
        fill: called with an empty folder.

    Raises:
        OSError: the cache cannot be written.
        UserError: another process takes too long.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Lock(folder.with_name(f"{folder.name}.lock"), what).held(_PATIENCE):
        if not folder.is_dir():
            tell(told)
            write_folder(folder, fill)
