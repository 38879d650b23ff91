"""The files of a PLM's folder that are read: all of them are hashed, and the libraries see no others.

transformers opens whatever it finds under dozens of names: vocabularies, added tokens, settings of generation,
adapters, and what an index names, also in other folders. So it is not given a PLM's folder, but a view of it: links to
the files that `read_from` lists, which are those that `fingerprint` hashes.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors import SafetensorError, safe_open

from inducer_bench import strict_json
from inducer_bench.errors import UserError, first_line, lacks_memory, shown
from inducer_bench.files import read_bytes, sha256

SUFFIXES = (".json", ".txt", ".model", ".spm", ".codes", ".jinja", ".safetensors")
_WEIGHTS, _INDEX, _ADAPTER = "model.safetensors", "model.safetensors.index.json", "adapter_config.json"
# How to generate is the task's to say; how a bundled PLM was made is for people.
_NEVER = ("generation_config.json", "pretraining.json", _ADAPTER)
# Hashed in this order and without their names, unlike all others; so they were when only these were hashed.
_FIRST = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json",
          "merges.txt")  # fmt: skip


def is_cut_off(file: Path) -> bool:
    """Whether a safetensors file ends before the tensors of its header do, or has no header."""
    try:
        with safe_open(file, framework="np"):
            return False
    except (OSError, SafetensorError):
        return True


def read_from(folder: Path, key: str, weights: bool) -> list[Path]:
    """The files of a folder that are read, in the order in which they are hashed.

    Args:
        folder: of a PLM or a tokenizer, in transformers' format.
        key: of the configuration, for messages.
        weights: whether the weights are read as well.

    Raises:
        UserError: the folder cannot be read; one of the files is no regular file, nor a link to one; the weights have
            an adapter, are missing, or are partly in other folders.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if _is_read(path.name, weights))
        odd = next((name for name in names if not (folder / name).is_file()), None)
        has_adapter = weights and (folder / _ADAPTER).exists()
    except OSError as error:
        raise UserError(f"{key}: '{folder}' cannot be read ({error.strerror}); allowed: a saved PLM") from None
    if odd is not None:
        raise UserError(f"{key}: '{folder / odd}' is not a file; allowed: a file, or a link to one")
    if has_adapter:
        raise UserError(f"{key}: '{folder}' holds an adapter, {_ADAPTER}; allowed: a PLM without one")
    if _INDEX in names:
        if _WEIGHTS in names:
            names.remove(_INDEX)  # of weights in several files; a whole file comes first
        else:
            _check_index(folder, key, names)
    if weights and not any(name.endswith(".safetensors") for name in names):
        raise UserError(f"{key}: found '{folder}', which holds no *.safetensors; allowed: a PLM saved as {_WEIGHTS}")
    return [folder / name for name in sorted(names, key=_order)]


def fingerprint(files: list[Path], key: str) -> str:
    """The hash of files as `read_from` gives them.

    Raises:
        UserError: one of them cannot be read.
    """
    digest = hashlib.sha256()
    for path in files:
        if path.name not in _FIRST and path.suffix != ".safetensors":
            digest.update(os.fsencode(path.name) + b"\0")
        try:
            digest.update(sha256(path))
        except OSError as error:
            raise UserError(f"{key}: '{path}' cannot be read ({error.strerror}); allowed: a readable file") from None
    return f"sha256:{digest.hexdigest()[:16]}"


@contextmanager
def opened(folder: Path, key: str, weights: bool) -> Iterator[Path]:
    """A view of a folder, for a library to load; whatever it raises about it becomes one line.

    Args:
        folder, key, weights: see `read_from`.

    Raises:
        UserError: the block failed. The line names the file that is broken, if one is not even JSON.
    """
    files = read_from(folder, key, weights)
    view = str(folder)
    try:
        with TemporaryDirectory(prefix="inducer-bench-plm-") as view:
            for path in files:
                (Path(view) / path.name).symlink_to(path.absolute())
            yield Path(view)
    except Exception as error:  # for a broken folder the libraries raise all kinds of errors
        if lacks_memory(error):
            raise
        told = f"{type(error).__name__}: {' '.join(str(error).split())}".replace(view, str(folder))
        broken = next(filter(None, map(_broken, files)), shown(told, 300))
        raise UserError(f"{key}: '{folder}' does not load: {broken}; allowed: one that transformers saved") from None


def json_object(path: Path) -> dict[str, Any]:
    """The values of a JSON file of transformers'. It need not be strict: those of some models hold Infinity.

    Raises:
        ValueError: the file cannot be read, or is no object in JSON; the message says what it is.
    """
    try:
        values = json.loads(read_bytes(path))
    except OSError as error:
        raise ValueError(str(error.strerror)) from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {first_line(error)}") from None
    if not isinstance(values, dict):
        raise ValueError("no JSON object")
    return values


def _broken(path: Path) -> str | None:
    """What is wrong with a file that should hold JSON; None if it does."""
    try:
        if path.suffix == ".json":
            json_object(path)
    except ValueError as error:
        return f"{path.name}: {error}"
    return None


def _is_read(name: str, weights: bool) -> bool:
    if name.startswith(".") or name in _NEVER or not name.endswith(SUFFIXES):
        return False
    if name.endswith(".safetensors"):
        return weights
    return not name.endswith(".index.json") or (weights and name == _INDEX)


def _order(name: str) -> tuple[int, str]:
    if name in _FIRST:
        return _FIRST.index(name), name
    return len(_FIRST) + (not name.endswith(".safetensors")), name


def _check_index(folder: Path, key: str, names: list[str]) -> None:
    """Check that the index names files of this folder only, and that they are there."""
    try:
        shards = set(strict_json.loads(read_bytes(folder / _INDEX).decode())["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{key}: '{folder / _INDEX}' is not an index of weights ({shown(error)})") from None
    if missing := sorted(map(str, shards - set(names))):
        raise UserError(
            f"{key}: '{folder / _INDEX}' names '{shown(missing[0])}'; allowed: a *.safetensors in the same folder"
        )
