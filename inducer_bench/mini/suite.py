"""The files of the mini suite: generated task folders and bundled PLM folders."""

import hashlib
import json
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from inducer_bench.files import cache_root, write_folder
from inducer_bench.mini.dialogues import dialogues
from inducer_bench.mini.entries import entries_by_split
from inducer_bench.mini.pairs import MATCHED, MISMATCHED, Pair, pairs
from inducer_bench.mini.reviews import labelled_sentences

WORLD_VERSION = 1
SST2_SEED = 67
SST2_TRAIN, SST2_DEV = 4000, 1000
MNLI_SEED, MNLI_MISMATCHED_SEED = 392, 393
MNLI_TRAIN, MNLI_DEV = 6000, 1000  # and as many mismatched ones as in dev
WEBNLG_SEED = 2017
WEBNLG_SIZES = {"train": (1000, 0), "dev": (150, 0), "test": (100, 100)}  # entries of seen and of unseen categories
COQA_SEED = 2018
COQA_SIZES = {"train": 200, "dev": 50}  # dialogues

_HERE = Path(__file__).parent


def data_dir(task: str) -> Path:
    """The folder with the files of a mini task, in the format of the real one; generated on first use.

    Raises:
        KeyError: there is no such mini task.
    """
    if task not in _WRITERS:
        raise KeyError(f"no mini task {task!r}; there are: {', '.join(_WRITERS)}")
    folder = cache_root() / f"mini-{WORLD_VERSION}-{_sources_hash()}" / task
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_folder(folder, _WRITERS[task])
    return folder


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
