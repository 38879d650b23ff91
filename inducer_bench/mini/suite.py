"""The files of the mini suite: generated task folders and bundled PLM folders."""

import hashlib
import json
import os
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from inducer_bench.errors import UserError, shown
from inducer_bench.files import cache_root, remove, sha256, write_folder
from inducer_bench.locks import PATIENCE, Lock
from inducer_bench.mini.dialogues import dialogues
from inducer_bench.mini.entries import entries_by_split
from inducer_bench.mini.pairs import MATCHED, MISMATCHED, Pair, pairs
from inducer_bench.mini.reviews import labelled_sentences
from inducer_bench.notices import tell

WORLD_VERSION = 1
SST2_SEED = 67
SST2_TRAIN, SST2_DEV = 4000, 1000
MNLI_SEED, MNLI_MISMATCHED_SEED = 392, 393
MNLI_TRAIN, MNLI_DEV = 6000, 1000  # and as many mismatched ones as in dev
WEBNLG_SEED = 2017
WEBNLG_SIZES = {"train": (1000, 0), "dev": (150, 0), "test": (100, 100)}  # entries of seen and of unseen categories
COQA_SEED = 2018
COQA_SIZES = {"train": 200, "dev": 50}  # dialogues

# Of each task's files, by `_digest`: they are the same on every machine.
SHA256 = {
    "sst2": "9d95995975c47d8bae662487158e5ac9b4b87997ed711bc1e9bf9bd06bad1b50",
    "mnli": "8f9760bfc147033127d7024e6a1b448653a07dd524242bbf2a7b5df9db463926",
    "webnlg": "567634fb8edf92bf065078498fc165df83ff2aafeb1d1e43629c6b3ee86b9a00",
    "coqa": "9cba93d7603c7eb33bd86b13234596ab08b7d4a24a9775883ea1e771a91831d7",
}

_HERE = Path(__file__).parent


def data_dir(task: str) -> Path:
    """The folder with the files of a mini task, in the format of the real one.

    They are made on first use, and again if they are not what was made; where nothing can be written in the cache, in a
    temporary folder of this process.

    Raises:
        KeyError: there is no such mini task.
        UserError: nothing can be written in the temporary folder either.
    """
    check_task(task)
    try:
        return _in_cache(task)
    except OSError as error:
        return _in_temporary_folder(task, shown(error))


def check_task(task: str) -> None:
    """Check that there is such a mini task.

    Raises:
        KeyError: there is none.
    """
    if task not in _WRITERS:
        raise KeyError(f"no mini task {task!r}; there are: {', '.join(_WRITERS)}")


def _in_cache(task: str) -> Path:
    folder = cache_root() / f"mini-{WORLD_VERSION}-{_sources_hash()}" / task
    if _is_whole(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists() or folder.is_symlink():
        # The lock: another process may have mended the folder and be reading it.
        with Lock(folder.with_name(f".{task}.lock"), f"'{folder}'").held(PATIENCE):
            if not _is_whole(folder):
                tell(f"the files in '{folder}' are not those of the mini suite; they are made again")
                remove(folder)
                write_folder(folder, lambda draft: _write(task, draft))
    else:
        write_folder(folder, lambda draft: _write(task, draft))
    return folder


@cache
def _in_temporary_folder(task: str, reason: str) -> Path:
    advice = "INDUCER_BENCH_CACHE=FOLDER puts the cache elsewhere"
    try:
        folder = Path(_temporary_folder().name) / task
        write_folder(folder, lambda draft: _write(task, draft))
    except OSError as error:
        raise UserError(
            f"preset: the data of '{task}' cannot be written ({shown(error)}; {reason}); {advice}"
        ) from None
    tell(f"the data of '{task}' are in a temporary folder: the cache cannot be used ({reason}); {advice}")
    return folder


@cache
def _temporary_folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="inducer-bench-")  # deleted when the process exits


def _is_whole(folder: Path) -> bool:
    """Whether a folder holds the files of a mini task, and no others."""
    try:
        return _digest(folder) == SHA256[folder.name]
    except OSError:
        return False


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(os.fsencode(path.name) + sha256(path))
    return digest.hexdigest()


def _write(task: str, draft: Path) -> None:
    _WRITERS[task](draft)
    if (found := _digest(draft)) != SHA256[task]:
        raise RuntimeError(f"the generator of '{task}' has changed: raise WORLD_VERSION, and put '{found}' in SHA256")


def plm_dir(name: str) -> Path:
    """The folder of a bundled PLM, in transformers' format.

    Raises:
        KeyError: there is no such bundled PLM.
    """
    if name not in plm_names():
        raise KeyError(f"no bundled PLM {name!r}; there are: {', '.join(plm_names())}")
    return _HERE / "plms" / name


def plm_names() -> list[str]:
    """The names of the bundled PLMs."""
    return sorted(config.parent.name for config in (_HERE / "plms").glob("*/config.json"))


def sst2_splits() -> dict[str, list[tuple[str, int]]]:
    """The labelled reviews, (sentence, label) by split; balanced, without a sentence that occurs twice."""
    rows = labelled_sentences(SST2_SEED)
    return {"train": list(islice(rows, SST2_TRAIN)), "dev": list(islice(rows, SST2_DEV))}


def _write_sst2(folder: Path) -> None:
    for split, rows in sst2_splits().items():
        lines = ["sentence\tlabel", *(f"{sentence}\t{label}" for sentence, label in rows)]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def mnli_splits() -> dict[str, list[Pair]]:
    """The labelled pairs by split; dev_mismatched is of genres that train does not have."""
    rows, mismatched = pairs(MNLI_SEED, MATCHED), pairs(MNLI_MISMATCHED_SEED, MISMATCHED)
    return {
        "train": list(islice(rows, MNLI_TRAIN)),
        "dev_matched": list(islice(rows, MNLI_DEV)),
        "dev_mismatched": list(islice(mismatched, MNLI_DEV)),
    }


def _write_mnli(folder: Path) -> None:
    for split, rows in mnli_splits().items():
        lines = ["index\tgenre\tsentence1\tsentence2\tgold_label"]
        for index, row in enumerate(rows):
            lines.append(f"{index}\t{row.genre}\t{row.premise}\t{row.hypothesis}\t{row.label}")
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_webnlg(folder: Path) -> None:
    for split, rows in entries_by_split(WEBNLG_SEED, WEBNLG_SIZES).items():
        _write_json(folder / f"{split}.json", {"entries": rows})


def _write_coqa(folder: Path) -> None:
    for split, count in COQA_SIZES.items():
        data = dialogues(COQA_SEED, split, count)
        _write_json(folder / f"coqa-{split}-v1.0.json", {"version": "1.0", "data": data})


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


_WRITERS: dict[str, Callable[[Path], None]] = {
    "sst2": _write_sst2,
    "mnli": _write_mnli,
    "webnlg": _write_webnlg,
    "coqa": _write_coqa,
}


@cache
def _sources_hash() -> str:
    """The hash of every module of the generator, so that files of an older world are never used."""
    digest = hashlib.sha256()
    for source in sorted(_HERE.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:8]
