"""The provenance of a record: configuration, versions, code, device and command. Without torch, but for the device."""

import dataclasses
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.runs.identity import Identity
from inducer_bench.runs.record import Code, Data, Device, Record, Status
from inducer_bench.version import ALGORITHM, __version__

if TYPE_CHECKING:
    import torch

_WORDS: ContextVar[list[str]] = ContextVar("words of the command line")
_PACKAGES = ("torch", "transformers", "accelerate", "datasets", "tokenizers", "numpy", "hydra-core", "scikit-learn")


def unfinished(config: ExperimentConfig, identity: Identity, status: Status, error: str) -> Record:
    """The record of a run that failed, was interrupted or ran out of memory."""
    return Record(**known(config, identity), status=status, error=error)


def known(config: ExperimentConfig, identity: Identity) -> dict[str, Any]:
    """The fields that all records share, but for status and error."""
    source = config.task.source if config.task.data_dir is None else "local"
    return {
        "suite": config.suite,
        "task": config.task.name,
        "plm": config.plm.name,
        "plm_weights": config.plm.weights,
        "method": config.method.name,
        "protocol": config.protocol.name,
        "seed": config.seed,
        "config": dataclasses.asdict(config),
        "config_hash": identity.hash,
        "data": Data(source=source, fingerprint=identity.data),
        "plm_fingerprint": identity.plm,
        "code": code(),
        "versions": versions(),
        "command": command_line(),
    }


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


def device(device: "torch.device") -> Device:
    """The type and name of a device, and torch's number of CPU threads."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return Device(type=device.type, name=name, threads=torch.get_num_threads())


def command_line() -> str:
    """The command line, with the program's name in place of its path."""
    return shlex.join(["inducer-bench", *_WORDS.get(sys.argv[1:])])


@contextmanager
def command(words: list[str]) -> Iterator[None]:
    """A block whose runs have been asked for in another way than by a command line, which these words would be."""
    token = _WORDS.set(words)
    try:
        yield
    finally:
        _WORDS.reset(token)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
