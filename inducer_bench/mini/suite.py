"""The files of the mini suite: generated task folders and bundled PLM folders."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path

from inducer_bench.mini.reviews import labelled_sentences

WORLD_VERSION = 1
SST2_SEED = 67
SST2_TRAIN, SST2_DEV = 4000, 1000

_HERE = Path(__file__).parent


def data_dir(task: str) -> Path:
    """The folder with the files of a mini task, in the format of the real one; generated on first use.

    Raises:
        KeyError: there is no such mini task.
    """
    if task not in _WRITERS:
        raise KeyError(f"no mini task {task!r}; there are: {', '.join(_WRITERS)}")
    folder = _cache_root() / f"mini-{WORLD_VERSION}-{_sources_hash()}" / task
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        _write_atomically(folder, _WRITERS[task])
    return folder


def plm_dir(name: str) -> Path:
    """The folder of a bundled PLM, in transformers' format.

    Raises:
        KeyError: there is no such bundled PLM.
    """
    bundled = sorted(config.parent.name for config in (_HERE / "plms").glob("*/config.json"))
    if name not in bundled:
        raise KeyError(f"no bundled PLM {name!r}; there are: {', '.join(bundled)}")
    return _HERE / "plms" / name


def sst2_splits() -> dict[str, list[tuple[str, int]]]:
    """The labelled reviews, (sentence, label) by split; balanced, without a sentence that occurs twice."""
    rows = labelled_sentences(SST2_SEED)
    return {"train": list(islice(rows, SST2_TRAIN)), "dev": list(islice(rows, SST2_DEV))}


def _write_sst2(folder: Path) -> None:
    for split, rows in sst2_splits().items():
        lines = ["sentence\tlabel", *(f"{sentence}\t{label}" for sentence, label in rows)]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


_WRITERS: dict[str, Callable[[Path], None]] = {"sst2": _write_sst2}


def _cache_root() -> Path:
    return Path(os.environ.get("INDUCER_BENCH_CACHE") or Path.home() / ".cache" / "inducer_bench")


@cache
def _sources_hash() -> str:
    """Changes with any module of the generator, so that files of an older world are never taken up."""
    digest = hashlib.sha256()
    for source in sorted(_HERE.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:8]


def _write_atomically(folder: Path, write: Callable[[Path], None]) -> None:
    """Writes a folder beside its place and renames it there; of several processes the first one wins."""
    with tempfile.TemporaryDirectory(prefix=".draft-", dir=folder.parent) as room:
        draft = Path(room) / folder.name
        draft.mkdir()
        write(draft)
        try:
            os.rename(draft, folder)
        except OSError:
            if not folder.is_dir():
                raise
