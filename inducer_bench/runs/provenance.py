"""The provenance of a record: versions, code, device and command."""

import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import torch

from inducer_bench.runs.record import Code, Device
from inducer_bench.version import ALGORITHM, __version__

_PACKAGES = ("torch", "transformers", "accelerate", "datasets", "tokenizers", "numpy", "hydra-core", "scikit-learn")


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide numbers."""
    return {"python": platform.python_version(), **{package: version(package) for package in _PACKAGES}}


def code() -> Code:
    """The versions of package and algorithm; git commit and dirty flag where the package runs from its repository."""
    root = Path(__file__).resolve().parents[2]
    sha, dirty = None, None
    if (root / ".git").exists():
        sha = _git(root, "rev-parse", "HEAD")
        dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    return Code(version=__version__, algorithm=ALGORITHM, git_sha=sha, git_dirty=dirty)


def device(device: torch.device) -> Device:
    """The type and name of a device, and torch's number of CPU threads."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return Device(type=device.type, name=name, threads=torch.get_num_threads())


def command_line() -> str:
    """The command line, with the program's name in place of its path."""
    return shlex.join(["inducer-bench", *sys.argv[1:]])


def _git(root: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
