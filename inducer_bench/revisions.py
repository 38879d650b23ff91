"""Which commit a revision of a hub repository stands for, as this machine's cache tells it.

The cache is read without huggingface_hub: that decides at its import whether it is offline, which `hub.fetch` finds out
only later, and a finished run is recognised without it.
"""

import os
import re
from pathlib import Path
from typing import Literal

_COMMIT = re.compile("[0-9a-f]{40}")


def known_commit(kind: Literal["model", "dataset"], repository: str, revision: str) -> str | None:
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
