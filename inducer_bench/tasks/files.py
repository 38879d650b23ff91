"""Local files of a task: located by split, unpacked and decoded; each problem with a file is reported in one line.

A split is one file. For a task that reads XML it may be a folder of XML files.
"""

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from json import JSONDecodeError
from pathlib import Path
from typing import Any, NoReturn

from inducer_bench import files, strict_json
from inducer_bench.errors import UserError, listed, nearest
from inducer_bench.tasks.options import TaskOptions


def find(task: TaskOptions, folder: Path, split: str) -> Path:
    """The file of `split` in `folder`, named by `task.files` with or without extension; or the folder of its XML files.

    Raises:
        UserError: there is none, there are several, or the folder cannot be read.
    """
    with readable(folder):
        return folder / _only(task, folder, split)


def _only(task: TaskOptions, folder: Path, split: str) -> str:
    name, trees = task.files[split], "xml" in task.formats
    found = [file for wanted in (name, *task.other_names.get(name, ())) for file in _files(task, folder, wanted)]
    if trees and (folder / name).is_dir() and not any(file.startswith(f"{name}/") for file in found):
        found.append(name)
    if len(found) > 1:
        raise UserError(
            f"task.files.{split}: found {', '.join(found)} in '{folder}'; name one: task.files.{split}={found[0]}"
        )
    if not found:
        wanted = name if ending(folder / name) in task.formats else f"{name}.({'|'.join(task.formats)})[.gz]"
        there = sorted(p.name for p in folder.iterdir() if ending(p) in task.formats or (trees and p.is_dir()))
        raise UserError(
            f"task.data_dir: no {wanted}{' and no folder of XML files' if trees else ''} in '{folder}'; "
            f"{nearest(name, there)}found: {listed(there) or 'none'}; for another name give task.files.{split}"
        )
    return found[0]


def _files(task: TaskOptions, folder: Path, name: str) -> list[str]:
    """The files of this name, which may lack the extension."""
    endings = [f".{kind}{packed}" for kind in task.formats for packed in ("", ".gz")]
    names = [name] if ending(folder / name) in task.formats else [f"{name}{end}" for end in endings]
    return [file for file in names if (folder / file).is_file()]


def parts(found: Path) -> dict[str, Path]:
    """The files of a split by relative path, sorted: of a folder its XML files; a single file has the path "".

    Args:
        found: from `find`.

    Raises:
        UserError: it is a folder without XML files, or one that cannot be read.
    """
    if not found.is_dir():
        return {"": found}
    with readable(found):
        paths = [Path(folder, name) for folder, _, names in os.walk(found, onerror=_stop) for name in names]
        paths = sorted(path for path in paths if ending(path) == "xml" and path.is_file())
    if not paths:
        raise UserError(f"{found}: a folder without XML files")
    return {path.relative_to(found).as_posix(): path for path in paths}


def ending(path: Path) -> str:
    """The extension that decides how a file is read: `tsv` for both `dev.tsv` and `dev.tsv.gz`."""
    return Path(path.name.lower().removesuffix(".gz")).suffix.removeprefix(".")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Tell in one line what the system says of a file or folder that is read.

    Raises:
        UserError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or path}: cannot be read ({error.strerror or error})") from None


def _stop(error: OSError) -> NoReturn:
    raise error


@contextmanager
def opened(path: Path) -> Iterator[BufferedIOBase]:
    """A file to read, unpacked on the way if its name ends in .gz.

    Raises:
        UserError: it cannot be read or unpacked; also while it is read.
    """
    with readable(path), open(path, "rb", opener=files.regular) as file:
        try:
            yield gzip.GzipFile(fileobj=file) if path.suffix.lower() == ".gz" else file
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(f"{path}: not a whole gzip file ({error})") from None


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked if its name ends in .gz.

    Raises:
        UserError: it cannot be read or unpacked.
    """
    with opened(path) as file:
        return file.read()


def read_text(path: Path) -> str:
    """The content of a file as text, without a byte order mark.

    Raises:
        UserError: it cannot be read, is empty, or is not UTF-8; the message names the line.
    """
    text = decoded(read_bytes(path), str(path))
    if not text.strip():
        raise UserError(f"{path}: an empty file")
    return text


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a file, as `text_lines` gives them; they are read when they are asked for.

    Raises:
        UserError: it cannot be read, is empty, or is not UTF-8; the message names the line.
    """
    with opened(path) as file:
        lines = text_lines(file, str(path))
        begun = []
        for line in lines:
            begun.append(line)
            if line.strip():
                break
        else:
            raise UserError(f"{path}: an empty file")
        yield from begun
        yield from lines


def text_lines(content: Iterable[bytes], name: str) -> Iterator[str]:
    """Lines as text, without a byte order mark, each with its end but the last one; blank ones at the end are dropped.

    Args:
        content: lines of UTF-8, which end with line feeds.
        name: where they are from, for messages.

    Raises:
        UserError: see `decoded`.
    """
    held: list[str] = []  # a line and the blank ones after it
    for number, line in enumerate(content, start=1):
        text = decoded(line, name, number)
        if text.strip("\r\n"):
            yield from held
            held = []
        held.append(text)
    if held and (last := held[0].rstrip("\r\n")):
        yield last


def decoded(content: bytes, name: str, first: int = 1) -> str:
    """Bytes as text, without a byte order mark.

    Args:
        content: UTF-8.
        name: where it is from, for messages.
        first: number of its first line there.

    Raises:
        UserError: it is not UTF-8 or holds a NUL; the message names the line.
    """
    if first == 1 and content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{name}, line 1: UTF-16; expected UTF-8")
    try:
        text = content.decode("utf-8-sig" if first == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + first
        raise UserError(f"{name}, line {line}: not UTF-8 ({error.reason})") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + first
        raise UserError(f"{name}, line {line}: a NUL byte; expected text as UTF-8")
    return text


def read_json(path: Path) -> Any:
    """The one JSON value in a file.

    Raises:
        UserError: it cannot be read, or is not JSON; the message names the line.
    """
    return parsed_json(read_text(path), str(path))


def parsed_json(text: str, name: str) -> Any:
    """The one JSON value of a text.

    Raises:
        UserError: it is not JSON; the message names the line of the text, which is called `name`.
    """
    try:
        return strict_json.loads(text, unique_keys=True)
    except JSONDecodeError as error:
        line = f", line {error.lineno}" if error.pos else ""  # else it is not known
        raise UserError(f"{name}{line}: not JSON ({error.msg})") from None
