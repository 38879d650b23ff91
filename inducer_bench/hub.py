"""The hub as this machine sees it: whether it can be reached, and which commits its local cache knows.

A branch or tag stands for the commit that it was at when this machine first asked for it, until that is deleted from
the hub's cache: what a run is identified by is what it loads. The cache is read without huggingface_hub, so that a
finished run is recognised at once.
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

SECONDS = 3.0  # to look up the hub and open a connection
Kind = Literal["model", "dataset"]
_OFFLINE = "HF_HUB_OFFLINE"
_COMMIT = re.compile("[0-9a-f]{40}")


def reachable(url: str | None = None) -> bool:
    """Whether a TCP connection to the hub (or `url`) opens; False too where HF_HUB_OFFLINE says not to try."""
    if url is None:
        if _forbidden():
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


@contextmanager
def offline(wanted: bool) -> Iterator[None]:
    """Keep the hub's libraries from the network, which they would try for half a minute, until the end of the block."""
    if not wanted:
        yield
        return
    before = os.environ.get(_OFFLINE)
    os.environ[_OFFLINE] = "1"  # for libraries that are yet to be imported
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
    """They read the environment once, when they are imported."""
    for name in ("huggingface_hub.constants", "datasets.config"):
        if name in sys.modules:
            sys.modules[name].HF_HUB_OFFLINE = value  # type: ignore[attr-defined]


def _forbidden() -> bool:
    return os.environ.get(_OFFLINE, "0").upper() in ("1", "TRUE", "YES", "ON")


def known_commit(kind: Kind, repository: str, revision: str) -> str | None:
    """The commit that a branch or tag was at when it was first asked for; None if it has not been.

    A commit stands for itself.
    """
    if _COMMIT.fullmatch(revision):
        return revision
    reference = hub_cache() / "--".join([f"{kind}s", *repository.split("/")]) / "refs" / revision
    try:
        found = reference.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return found if _COMMIT.fullmatch(found) else None


def hub_cache() -> Path:
    """The folder where huggingface_hub keeps repositories, by its own environment variables."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("HF_HOME", os.path.join(cache, "huggingface"))
    folder = os.environ.get("HF_HUB_CACHE", os.environ.get("HUGGINGFACE_HUB_CACHE", os.path.join(home, "hub")))
    return Path(os.path.expandvars(os.path.expanduser(folder)))
