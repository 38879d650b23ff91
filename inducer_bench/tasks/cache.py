"""A cache of encoded examples: Arrow tables of `datasets`, shared by all runs that need the same ones.

An entry is named by the hash of everything that decides its content. It is written atomically, with the checksum of its
table, and a damaged entry is made again. The cache changes no number, and a run can do without it.
"""

import errno
import gc
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import IO, Any, overload

import pyarrow as pa
from datasets import Dataset
from datasets.arrow_writer import ArrowWriter
from transformers import PreTrainedTokenizerBase, TokenizersBackend

from inducer_bench.files import cache_root, read_bytes, regular, remove, write_folder
from inducer_bench.locks import PATIENCE, Lock
from inducer_bench.notices import tell

Encoded = dict[str, Any]  # `length`: number of tokens; input_ids and other model inputs: lists of int, or numbers

_TABLE, _CHECKSUM = "table.arrow", "sha256"
_PACKAGES = ("transformers", "tokenizers", "datasets")


class EncodedExamples(Sequence[Encoded]):
    """Encoded examples in the order of their split, read from an Arrow table one at a time, or a batch at a time.

    Attributes:
        lengths: tokens of each.
        sources: what each was made of; None where each is its own.
    """

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self.lengths: list[int] = data["length"][:]
        self.sources: list[str] | None = data["source"][:] if "source" in data.column_names else None

    @classmethod
    def from_list(cls, examples: list[Encoded]) -> "EncodedExamples":
        """A table in memory."""
        return cls(Dataset.from_list(examples))

    def __len__(self) -> int:
        return len(self._data)

    @overload
    def __getitem__(self, index: int) -> Encoded: ...
    @overload
    def __getitem__(self, index: slice) -> "EncodedExamples": ...
    def __getitem__(self, index: int | slice) -> "Encoded | EncodedExamples":
        return self._data[index] if isinstance(index, int) else self.select(range(len(self))[index])

    def __iter__(self) -> Iterator[Encoded]:
        return iter(self._data)

    def take(self, indices: Sequence[int]) -> list[Encoded]:
        """The examples of a batch; three times as fast as one at a time."""
        examples: list[Encoded] = self._data.__getitems__(list(indices))
        return examples

    def values(self, key: str) -> list[Any]:
        """One value of every example, read at once."""
        found: list[Any] = self._data[key][:]
        return found

    def select(self, indices: Sequence[int]) -> "EncodedExamples":
        """The examples with these indices, in this order."""
        return EncodedExamples(self._data.select(indices))


def cached(key: dict[str, Any], encode: Callable[[], Iterable[list[Encoded]]]) -> EncodedExamples:
    """The examples that `encode` returns, from the cache, or encoded and put there.

    Args:
        key: JSON values that decide, together with the code of this package's tasks, what `encode` returns.
        encode: returns at least one example, in pieces. Where the cache cannot be written, it is called once more.
    """
    try:
        return EncodedExamples(_from_cache(key, encode))
    except _EncodingError as error:
        raise error.cause from None
    except OSError as error:
        tell(f"the token cache is not used ({error}); INDUCER_BENCH_CACHE=FOLDER puts it elsewhere")
    with BytesIO() as table:
        _write(encode(), table)
        return EncodedExamples(Dataset.from_buffer(pa.py_buffer(table.getvalue())))


def _from_cache(key: dict[str, Any], encode: Callable[[], Iterable[list[Encoded]]]) -> Dataset:
    """The table of an entry, which is made if there is none.

    Raises:
        OSError: there is no place for a cache, it cannot be written, or it is in use for too long.
        _EncodingError: instead of an OSError of `encode`.
    """
    folder = _entry(key)
    if (data := _load(folder)) is not None:
        return data
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder.with_name(f"{folder.name}.lock"), f"an entry of the token cache '{folder.parent}'")
    with lock.held(PATIENCE):  # one of several jobs that need the same encodes, the others wait
        if (data := _load(folder)) is not None:
            return data
        remove(folder)
        write_folder(folder, lambda draft: _save(_own_errors(encode), draft))
        return _open(folder)


class _EncodingError(Exception):
    """An OSError of what encodes, which is none of the cache."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _own_errors(encode: Callable[[], Iterable[list[Encoded]]]) -> Iterator[list[Encoded]]:
    try:
        yield from encode()
    except OSError as error:
        raise _EncodingError(error) from None


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """The hash of what decides a tokenizer's output: its class, options, model, vocabulary and special tokens."""
    if isinstance(tokenizer, TokenizersBackend):
        # Without `truncation` and `padding`, which are those of its last call; parsing the JSON would take longer.
        model: Any = tokenizer.backend_tokenizer.to_str().split('"added_tokens"', 1)[-1]
    else:
        model = sorted(tokenizer.get_vocab().items())
    options = {name: str(value) for name, value in tokenizer.init_kwargs.items() if name != "name_or_path"}
    return _hash({"class": type(tokenizer).__name__, "options": options, "model": model})


def _entry(key: dict[str, Any]) -> Path:
    """The folder of an entry.

    Raises:
        OSError: there is no place for a cache.
    """
    versions = {package: version(package) for package in _PACKAGES}
    return cache_root() / "tokens" / _hash({**key, "code": _code_hash(), "versions": versions})


def _load(folder: Path) -> Dataset | None:
    """The table of an entry; None if there is none or it is damaged."""
    try:
        return _open(folder)
    except (OSError, ValueError):
        return None


def _open(folder: Path) -> Dataset:
    """The table of an entry.

    Raises:
        OSError, ValueError: there is none or it is damaged.
    """
    if read_bytes(folder / _CHECKSUM).decode() != _checksum(folder):
        raise OSError(errno.EIO, "an entry is damaged", str(folder))
    return Dataset.from_file(str(folder / _TABLE))


def _save(pieces: Iterable[list[Encoded]], draft: Path) -> None:
    with open(draft / _TABLE, "wb") as file:
        _write(pieces, file)
    (draft / _CHECKSUM).write_text(_checksum(draft))


def _write(pieces: Iterable[list[Encoded]], file: IO[bytes]) -> None:
    """Examples as an Arrow table; its types are those of the first piece."""
    with _without_garbage_collection(), ArrowWriter(stream=file) as writer:
        for piece in pieces:
            writer.write_table(Dataset.from_list(piece).data.table)
        writer.finalize(close_stream=False)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A block that frees memory by reference counts alone.

    Each piece makes thousands of lists, without cycles; looking through them for cycles takes a third of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _checksum(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name != _CHECKSUM:
            with open(path, "rb", opener=regular) as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _code_hash() -> str:
    """The hash of every module in this room, so that examples encoded by other code are never used."""
    digest = hashlib.sha256()
    for module in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()
