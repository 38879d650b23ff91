"""A cache of encoded examples: Arrow tables of `datasets`, shared by all runs that need the same ones.

An entry is named by the hash of everything that decides its content. It is written atomically, with the checksum of its
table, and a damaged entry is made again. The cache changes no number, and a run can do without it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, overload

from datasets import Dataset, load_from_disk
from transformers import PreTrainedTokenizerBase, TokenizersBackend

from inducer_bench.files import cache_root, read_bytes, regular, remove, write_folder
from inducer_bench.locks import PATIENCE, Lock
from inducer_bench.notices import tell

Encoded = dict[str, Any]  # `length`: number of tokens; input_ids and other model inputs: lists of int, or numbers

_CHECKSUM = "sha256"
_PACKAGES = ("transformers", "tokenizers", "datasets")


class EncodedExamples(Sequence[Encoded]):
    """Encoded examples in the order of their split, read from an Arrow table one at a time, or a batch at a time."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self.lengths: list[int] = data["length"][:]

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

    def select(self, indices: Sequence[int]) -> "EncodedExamples":
        """The examples with these indices, in this order."""
        return EncodedExamples(self._data.select(indices))


def cached(key: dict[str, Any], encode: Callable[[], list[Encoded]]) -> EncodedExamples:
    """The examples that `encode` returns, from the cache, or encoded and put there.

    Args:
        key: JSON values that decide, together with the code of this package's tasks, what `encode` returns.
        encode: returns at least one example.
    """
    with ExitStack() as stack:
        try:
            folder = _entry(key)
            if (data := _load(folder)) is not None:
                return EncodedExamples(data)
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = Lock(folder.with_name(f"{folder.name}.lock"), f"an entry of the token cache '{folder.parent}'")
            stack.enter_context(lock.held(PATIENCE))  # one of several jobs that need the same encodes, the others wait
        except OSError as error:
            return _without_cache(error, Dataset.from_list(encode()))
        if (data := _load(folder)) is not None:
            return EncodedExamples(data)
        data = Dataset.from_list(encode())
        try:
            remove(folder)
            write_folder(folder, lambda draft: _save(data, draft))
        except OSError as error:
            return _without_cache(error, data)
        return EncodedExamples(_load(folder) or data)


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


def _without_cache(error: OSError, data: Dataset) -> EncodedExamples:
    tell(f"the token cache is not used ({error}); INDUCER_BENCH_CACHE=FOLDER puts it elsewhere")
    return EncodedExamples(data)


def _load(folder: Path) -> Dataset | None:
    """The table of an entry; None if there is none or it is damaged."""
    try:
        whole = read_bytes(folder / _CHECKSUM).decode() == _checksum(folder)
        return load_from_disk(folder) if whole else None
    except (OSError, ValueError):
        return None


def _save(data: Dataset, draft: Path) -> None:
    data.save_to_disk(draft, num_shards=1)
    (draft / _CHECKSUM).write_text(_checksum(draft))


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
