"""Is the hub there? Asked once, up front, so that a machine without a network gets an answer and not a time-out."""

import os
import socket
from urllib.parse import urlparse

from inducer_bench.errors import UserError

SECONDS = 3.0  # to wait for a connection


def reachable(url: str | None = None) -> bool:
    """Whether a TCP connection to the hub (or `url`) opens; False too where HF_HUB_OFFLINE says not to try."""
    if url is None:
        if os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "TRUE", "YES", "ON"):
            return False
        url = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    address = urlparse(url)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        with socket.create_connection((address.hostname or "", port), timeout=SECONDS):
            return True
    except OSError:
        return False


def require(key: str, what: str, advice: str) -> None:
    """Refuse to go on without the hub.

    Raises:
        UserError: the hub cannot be reached; the line names the config key, what was wanted and what to do instead.
    """
    if not reachable():
        raise UserError(f"{key}: '{what}' is not on this machine and the hub cannot be reached; {advice}")
