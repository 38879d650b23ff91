"""Copies of PLMs in the package's cache, each made once: whole or not at all, by one process at a time."""

import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from inducer_bench.files import cache_root, write_folder
from inducer_bench.locks import Lock
from inducer_bench.notices import tell
from inducer_bench.plm.files import is_cut_off

_PATIENCE = 1800.0  # seconds of waiting for another process that makes the same copy


def place(name: str) -> Path:
    """The folder of a copy.

    Raises:
        OSError: there is no place for a cache.
    """
    return cache_root() / "plms" / name


def is_whole(folder: Path, names: Collection[str]) -> bool:
    """Whether a copy has these files, and no safetensors file was cut off."""
    return all((folder / name).is_file() for name in names) and not any(map(is_cut_off, folder.glob("*.safetensors")))


def make(folder: Path, whole: Callable[[Path], bool], what: str, told: str, fill: Callable[[Path], None]) -> None:
    """Make a copy, unless it is there; one that is not whole is made again.

    Args:
        folder: of the copy; see `place`.
        whole: tells whether the folder is a whole copy.
        what: is being done, for whoever waits for it: the download of a wheel.
        told: when it begins.
        fill: called with an empty folder.

    Raises:
        OSError: the cache cannot be written.
        UserError: another process takes too long.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Lock(folder.with_name(f"{folder.name}.lock"), what).held(_PATIENCE):
        if not whole(folder):
            if folder.is_dir():
                tell(f"'{folder}' is damaged, and is made again")
                shutil.rmtree(folder)
            tell(told)
            write_folder(folder, fill)
