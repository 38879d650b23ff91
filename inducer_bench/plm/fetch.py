"""Fetch a PLM from the hub, at the commit that identifies it."""

import os
from pathlib import Path

from inducer_bench.errors import UserError, first_line
from inducer_bench.hub import known_commit
from inducer_bench.plm.files import SUFFIXES
from inducer_bench.plm.location import plm_folder
from inducer_bench.plm.options import PlmOptions

_FILES = [f"*{suffix}" for suffix in SUFFIXES]


def comes_from_hub(plm: PlmOptions) -> bool:
    """Whether a PLM's weights or tokenizer come from the hub."""
    return plm_folder(plm) is None and not (plm.weights == "random" and plm.tokenizer)


def plm_commit(plm: PlmOptions) -> str | None:
    """The commit of a PLM from the hub; None if this machine does not know it yet."""
    return known_commit("model", str(plm.hub), plm.revision)


def plm_files(plm: PlmOptions) -> Path:
    """The local folder of a PLM that has been fetched or needs no fetching.

    Raises:
        UserError: `plm.path` is not a folder.
    """
    folder = plm_folder(plm)
    if folder is None:
        return _snapshot(plm, local_files_only=True)
    if not os.path.isdir(folder):
        raise UserError(f"plm.path: found '{folder}', which is not a folder; allowed: one in transformers' format")
    return folder


def fetch(plm: PlmOptions, online: bool) -> None:
    """Make sure that a PLM from the hub is on this machine.

    Raises:
        UserError: it is not and cannot be fetched; the message says what to do instead.
    """
    try:
        _snapshot(plm, local_files_only=not online)
    except Exception as error:  # the hub cannot be reached, the name is unknown, or a proxy or token cannot be
        if online:
            raise UserError(f"plm.hub: '{plm.hub}' cannot be fetched: {first_line(error)}") from None
        advice = (
            "random weights still need a tokenizer: plm.tokenizer=FOLDER, or plm.tokenizer=mini_roberta (bundled)"
            if plm.weights == "random"
            else "give a local folder with plm.path=FOLDER, or use preset=mini (bundled, no network)"
        )
        raise UserError(f"plm: '{plm.name}' is not on this machine and the hub cannot be reached; {advice}") from None


def _snapshot(plm: PlmOptions, local_files_only: bool) -> Path:
    from huggingface_hub import snapshot_download

    assert plm.hub is not None
    commit = plm_commit(plm)
    found = snapshot_download(
        plm.hub, revision=commit or plm.revision, allow_patterns=_FILES, local_files_only=local_files_only
    )
    folder = Path(found)
    if folder.name != commit:  # the hub had not answered when the run's identity needed the commit
        raise OSError(f"revision '{plm.revision}' resolved to commit {folder.name} only now; run it again")
    return folder
