"""The Hugging Face hub: whether it can be reached, and the commits that the local cache contains.

A branch or tag is resolved once, to its commit at that time, and keeps it until it is deleted from the local cache: a
run is identified by exactly what it loads. The cache is read without huggingface_hub, whose import would slow down the
check for a finished run.
"""

import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Literal
from urllib.parse import urlparse

from inducer_bench.errors import shown
from inducer_bench.notices import tell

SECONDS = 3.0  # time-out of name look-up and connection
Kind = Literal["model", "dataset"]
_OFFLINE = "HF_HUB_OFFLINE"
_SECONDS = ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT")  # read with int() when huggingface_hub is imported
_COMMIT = re.compile("[0-9a-f]{40}")


def reachable(url: str | None = None) -> bool:
    """Whether a TCP connection to `url`, by default the hub, opens; False for the hub if HF_HUB_OFFLINE is set."""
    if url is None:
        if _forbidden():
            return False
        url = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    if not host(url):
        return False
    address = urlparse(url)
    host_and_port = (host(url), address.port or (443 if address.scheme == "https" else 80))
    answer: SimpleQueue[bool] = SimpleQueue()
    # Name look-up has no time-out of its own; the thread is a daemon, so that the process can exit before it returns.
    Thread(target=lambda: answer.put(_connects(host_and_port)), daemon=True).start()
    try:
        return answer.get(timeout=SECONDS)
    except Empty:
        return False


def host(url: str) -> str:
    """The host of an address; empty if it is not one that can be asked."""
    try:
        address = urlparse(url)
        return (address.hostname or "") if address.port != 0 else ""
    except ValueError:  # a bracket without its other half, a port beyond 65,535
        return ""


def _connects(host_and_port: tuple[str, int]) -> bool:
    try:
        socket.create_connection(host_and_port, timeout=SECONDS).close()
    except (OSError, ValueError):  # ValueError: a name that no host can have
        return False
    return True


def check_environment() -> None:
    """Take variables out of the environment with which the hub's libraries could not even be imported.

    Each is reported in a line; a run needs none of them.
    """
    for name in _SECONDS:
        if not re.fullmatch("[0-9]{0,9}", os.environ.get(name, "")):
            tell(f"{name}: found '{shown(os.environ.pop(name))}', which is no number of seconds, and is ignored")
    url = os.environ.get("HF_ENDPOINT")
    if url and not host(url):
        del os.environ["HF_ENDPOINT"]
        os.environ[_OFFLINE] = "1"  # another hub is not what was asked for
        tell(f"HF_ENDPOINT: found '{shown(url)}', which is no address, so that the hub is not asked")


@contextmanager
def offline(wanted: bool) -> Iterator[None]:
    """If `wanted`, keep the hub's libraries off the network inside the block: they would retry for half a minute."""
    if not wanted:
        yield
        return
    before = os.environ.get(_OFFLINE)
    os.environ[_OFFLINE] = "1"  # for libraries that are imported later
    _set_in_libraries(True)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_OFFLINE]
        else:
            os.environ[_OFFLINE] = before
        _set_in_libraries(_forbidden())


def _set_in_libraries(value: bool) -> None:
    """Set the flag in libraries already imported: they read the environment only at import."""
    for name in ("huggingface_hub.constants", "datasets.config"):
        if name in sys.modules:
            sys.modules[name].HF_HUB_OFFLINE = value  # type: ignore[attr-defined]


def _forbidden() -> bool:
    return os.environ.get(_OFFLINE, "0").upper() in ("1", "TRUE", "YES", "ON")


def known_commit(kind: Kind, repository: str, revision: str) -> str | None:
    """The commit that the local cache has for a branch, tag or commit; None if it has none."""
    if _COMMIT.fullmatch(revision):
        return revision
    reference = _repository(kind, repository) / "refs" / revision
    try:
        found = reference.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return found if _COMMIT.fullmatch(found) else None


def snapshot(kind: Kind, repository: str, revision: str) -> Path | None:
    """The folder that the local cache has for a branch, tag or commit; None if it has none. It may lack files."""
    commit = known_commit(kind, repository, revision)
    folder = _repository(kind, repository) / "snapshots" / str(commit)
    return folder if commit is not None and folder.is_dir() else None


def _repository(kind: Kind, repository: str) -> Path:
    return hub_cache() / "--".join([f"{kind}s", *repository.split("/")])


def hub_cache() -> Path:
    """huggingface_hub's folder of repositories, according to its environment variables."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("HF_HOME", os.path.join(cache, "huggingface"))
    folder = os.environ.get("HF_HUB_CACHE", os.environ.get("HUGGINGFACE_HUB_CACHE", os.path.join(home, "hub")))
    return Path(os.path.expandvars(os.path.expanduser(folder)))
