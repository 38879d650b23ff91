"""Where a record comes from: versions, code, machine, command."""

import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from inducer_bench.version import __version__

_PACKAGES = ("torch", "transformers", "accelerate", "datasets", "tokenizers", "numpy", "hydra-core", "scikit-learn")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide numbers."""
    return {"python": platform.python_version(), **{package: version(package) for package in _PACKAGES}}


def code() -> dict[str, Any]:
    """Package version, and git commit and dirty flag where the package runs from its repository."""
    root = Path(__file__).resolve().parents[2]
    sha, dirty = None, None
    if (root / ".git").exists():
        sha = _git(root, "rev-parse", "HEAD")
        dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    return {"version": __version__, "git_sha": sha, "git_dirty": dirty}


def device(device: torch.device) -> dict[str, Any]:
    """The device's type and name, and torch's threads."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"type": device.type, "name": name, "threads": torch.get_num_threads()}


def command_line() -> str:
    """The command as it was typed, with the program's name in place of its path."""
    return shlex.join(["inducer-bench", *sys.argv[1:]])


def _git(root: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
