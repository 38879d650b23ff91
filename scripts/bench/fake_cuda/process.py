"""The process that simulates: its guard is compiled, it is started, asked, and answers. Imports no torch."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inducer_bench.files import cache_root

ROOT = Path(__file__).resolve().parents[3]
SOURCE = Path(__file__).with_name("guard.cpp")
METHODS = "fine_tune head_only bitfit prefix adapter lora mam kernel_mix inducer inducer_lora inducer_ffn".split()
FAMILIES = ("nlu", "nlg", "llama")
SCENES = ("training", "stacked", "interval", "evaluation", "decoding")
LACKING = {("llama", "bitfit")}  # Llama has no biases


class UnavailableError(Exception):
    """The guard cannot be built here; the message is one line with the reason."""


@dataclass(frozen=True)
class Request:
    """One method on one PLM, in one scene or several, one after another.

    Args:
        family: nlu (RoBERTa-base, SST-2), nlg (GPT-2 small, WebNLG) or llama (SmolLM2-135M's sizes, WebNLG).
        method: of `METHODS`.
        scenes: of `SCENES`; see `scenes.py`.
        layers: of the PLM.
        padded: whether each batch holds rows of several lengths.
        overrides: of the configuration.
    """

    family: str
    method: str
    scenes: tuple[str, ...] = ("training",)
    layers: int = 12
    padded: bool = True
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What was counted in one scene of a request; or `error`, the one line that tells where and why it broke.

    Args:
        launches: phase -> operator -> kernels on the device, about (`counts.py`).
        casts: changes of type among them, by phase.
        waits: phase -> place -> times that the host waited for the device there.
        without_gradient: trained parameters that got none.
    """

    request: dict[str, Any]
    scene: str
    launches: dict[str, dict[str, int]] = field(default_factory=dict)
    casts: dict[str, int] = field(default_factory=dict)
    waits: dict[str, dict[str, int]] = field(default_factory=dict)
    without_gradient: list[str] = field(default_factory=list)
    error: str | None = None

    def launched(self, *phases: str) -> int:
        """The launches of these phases, by default of all."""
        return sum(sum(self.launches.get(phase, {}).values()) for phase in phases or self.launches)

    def waited(self, *phases: str) -> int:
        """The waits of these phases, by default of all."""
        return sum(sum(self.waits.get(phase, {}).values()) for phase in phases or self.waits)


def run(requests: Sequence[Request]) -> Iterator[Answer]:
    """The answers for every scene of every request, in their order, each as soon as it is there.

    Raises:
        UnavailableError: see `build_guard`.
        RuntimeError: the process broke down.
    """
    command = [sys.executable, "-m", "scripts.bench.fake_cuda", str(build_guard())]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.TemporaryFile("w+") as asked:
        json.dump([asdict(request) for request in requests], asked)
        asked.seek(0)
        with subprocess.Popen(command, stdin=asked, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            for line in process.stdout:
                yield Answer(**json.loads(line))
    if process.returncode:
        raise RuntimeError(f"the simulation ended with exit code {process.returncode}")


def build_guard() -> Path:
    """The compiled guard for the installed torch, from the cache or built now.

    Raises:
        UnavailableError: torch is no CPU build, there is no C++ compiler, no place for the file, or the compiler
            refuses.
    """
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        raise UnavailableError(f"no C++ compiler '{os.environ.get('CXX', 'g++')}'")
    spec = find_spec("torch")
    assert spec
    assert spec.origin
    torch = Path(spec.origin).parent
    if (torch / "lib" / "libtorch_cuda.so").exists():
        raise UnavailableError(f"torch {version('torch')} is built for CUDA devices; a CPU build is needed")
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    try:
        library = cache_root() / "fake_cuda" / f"guard-{version('torch')}-{digest}.so"
        if library.exists():
            return library
        library.parent.mkdir(parents=True, exist_ok=True)
        draft = library.with_suffix(f".{os.getpid()}")
    except OSError as error:
        raise UnavailableError(f"no place for the guard ({error})") from None
    built = subprocess.run(
        [compiler, "-std=c++20", "-O0", "-shared", "-fPIC", f"-I{torch}/include",
         f"-I{torch}/include/torch/csrc/api/include", str(SOURCE), "-o", str(draft), f"-L{torch}/lib",
         "-Wl,--no-as-needed", "-lc10", "-ltorch_cpu", f"-Wl,-rpath,{torch}/lib"],
        capture_output=True, text=True,
    )  # fmt: skip
    if built.returncode:
        errors = [line for line in built.stderr.splitlines() if "error" in line]
        raise UnavailableError(f"{compiler} refuses guard.cpp: {(errors or ['no message'])[0]}")
    draft.replace(library)
    return library
