"""What comes from the hub is fetched before anything is built; without a network the answer is one line, not a wait.

A branch or tag stands for the commit that it was at when this machine first asked for it, until that is deleted from
the hub's cache: what a run is identified by is what it loads.
"""

import os
import socket
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Literal
from urllib.parse import urlparse

from inducer_bench.config.schema import ExperimentConfig, PlmConfig
from inducer_bench.config.validate import plm_folder
from inducer_bench.errors import UserError, first_line
from inducer_bench.revisions import known_commit
from inducer_bench.tasks import source

SECONDS = 3.0  # to look up the hub and open a connection
_FILES = ["*.json", "*.txt", "*.safetensors"]


def fetch(config: ExperimentConfig) -> None:
    """Make sure that the PLM and the data are on this machine.

    Raises:
        UserError: they are not, and cannot be fetched; the line says what to do instead.
    """
    needs_data, needs_plm = source.data_folder(config.task) is None, _needs_plm(config.plm)
    if not (needs_data or needs_plm):
        return
    online = reachable()
    if not online:
        # Before the hub's libraries are imported: they would retry for half a minute.
        os.environ["HF_HUB_OFFLINE"] = "1"
    if needs_data:
        _fetch_data(config, online)
    if needs_plm:
        _fetch_plm(config.plm, online)


def learn_commits(config: ExperimentConfig) -> None:
    """Have the hub tell, and its cache remember, the commits that are not known yet; if it can be reached.

    Nothing is asked if all are known: a finished run is recognised without a network.
    """
    wanted: list[tuple[Literal["model", "dataset"], str, str]] = []
    if source.data_folder(config.task) is None:
        data = source.hub_data(config.task)
        wanted.append(("dataset", data.path, data.revision))
    if _needs_plm(config.plm):
        wanted.append(("model", str(config.plm.hub), config.plm.revision))
    unknown = [repository for repository in wanted if known_commit(*repository) is None]
    if not unknown or not reachable():
        return
    from huggingface_hub import HfApi

    for kind, repository, revision in unknown:
        with suppress(Exception):  # whatever it is, `fetch` will meet it too, and tell it
            HfApi().resolve_revision(repository, repo_type=kind, revision=revision)


def plm_commit(plm: PlmConfig) -> str | None:
    """The commit of a PLM from the hub; None if it is not known yet."""
    return known_commit("model", str(plm.hub), plm.revision)


def plm_files(plm: PlmConfig) -> Path:
    """The local folder of a PLM that `fetch` has made sure of.

    Raises:
        UserError: `plm.path` is not a folder.
    """
    folder = plm_folder(plm)
    if folder is None:
        return _snapshot(plm, local_files_only=True)
    if not folder.is_dir():
        raise UserError(f"plm.path: found '{folder}', which is not a folder; allowed: one in transformers' format")
    return folder


def reachable(url: str | None = None) -> bool:
    """Whether a TCP connection to the hub (or `url`) opens; False too where HF_HUB_OFFLINE says not to try."""
    if url is None:
        if os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "TRUE", "YES", "ON"):
            return False
        url = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    address = urlparse(url)
    place = (address.hostname or "", address.port or (443 if address.scheme == "https" else 80))
    answer: SimpleQueue[bool] = SimpleQueue()
    # A look-up of a name knows no time-out of its own, and only a daemon lets the process end before it.
    Thread(target=lambda: answer.put(_connects(place)), daemon=True).start()
    try:
        return answer.get(timeout=SECONDS)
    except Empty:
        return False


def _connects(place: tuple[str, int]) -> bool:
    try:
        socket.create_connection(place, timeout=SECONDS).close()
    except OSError:
        return False
    return True


def _needs_plm(plm: PlmConfig) -> bool:
    """Whether a PLM's weights or tokenizer come from the hub."""
    return plm_folder(plm) is None and not (plm.weights == "random" and plm.tokenizer)


def _fetch_data(config: ExperimentConfig, online: bool) -> None:
    data = source.hub_data(config.task)
    try:
        for split in config.task.splits():
            source.load_from_hub(data, split)
    except (OSError, ValueError) as error:  # what datasets raises for a hub out of reach and for an unknown name
        if online:
            raise UserError(f"task.hub: '{data.path}' cannot be loaded: {first_line(error)}") from None
        raise UserError(
            f"task: the data of '{config.task.name}' are not on this machine and the hub cannot be reached; "
            "give local files with task.data_dir=FOLDER, or use preset=mini (bundled, no network)"
        ) from None


def _fetch_plm(plm: PlmConfig, online: bool) -> None:
    try:
        _snapshot(plm, local_files_only=not online)
    except (OSError, ValueError) as error:  # as above; a name that can be none is a ValueError
        if online:
            raise UserError(f"plm.hub: '{plm.hub}' cannot be fetched: {first_line(error)}") from None
        advice = (
            "random weights still need a tokenizer: plm.tokenizer=FOLDER, or plm.tokenizer=mini_roberta (bundled)"
            if plm.weights == "random"
            else "give a local folder with plm.path=FOLDER, or use preset=mini (bundled, no network)"
        )
        raise UserError(f"plm: '{plm.name}' is not on this machine and the hub cannot be reached; {advice}") from None


def _snapshot(plm: PlmConfig, local_files_only: bool) -> Path:
    from huggingface_hub import snapshot_download

    assert plm.hub is not None
    commit = plm_commit(plm)
    found = snapshot_download(
        plm.hub, revision=commit or plm.revision, allow_patterns=_FILES, local_files_only=local_files_only
    )
    folder = Path(found)
    if folder.name != commit:  # the hub did not answer when it was asked for it
        raise OSError(f"revision '{plm.revision}' turned out only now to be commit {folder.name}; run it again")
    return folder
