"""The checkpoint from which a run resumes exactly.

    state.safetensors       the last saved state: weights, optimiser, random number generators, progress, metrics.jsonl
    previous.safetensors    the state before it
    best-N.safetensors      the weights of the best epoch, N, that a state refers to

Each state is one file, so that a single rename replaces all of it, and contains a checksum of itself and one of the
best weights. A state that is damaged, or whose best weights are, is set aside, and the other one counts.

From a CPU, tensors are written as they lie in memory, and training waits. From a GPU they are copied once, and a thread
writes the copy while training goes on.
"""

import dataclasses
import hashlib
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from inducer_bench import distributed, strict_json
from inducer_bench.errors import shown
from inducer_bench.files import read_bytes, write_atomic
from inducer_bench.training import tensor_file

ASKING_STEPS = 50  # after so many steps, several processes ask the main one whether minutes have passed
FILE, PREVIOUS = "state.safetensors", "previous.safetensors"

log = logging.getLogger("inducer_bench")


@dataclass
class Progress:
    """The state of the training loop that a checkpoint stores."""

    epoch: int = 0  # epochs finished
    batch: int = 0  # batches of the current epoch finished
    step: int = 0  # optimiser steps taken
    best_epoch: int = 0  # 0: none yet
    best_score: float | None = None
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    interval_loss: float = 0.0  # sum of losses since the last logged line
    interval_count: int = 0  # terms of that sum
    real_tokens: int = 0
    padded_tokens: int = 0
    train_seconds: float = 0.0
    side_by_side: int = 1  # runs that shared these seconds, at most
    metrics: str = ""  # the content of metrics.jsonl, which a resumed run starts with

    def count_step(self, terms: int, real_tokens: int, padded_tokens: int) -> None:
        """Count a step: the terms of its loss, and its tokens without and with padding."""
        self.step += 1
        self.batch += 1
        self.interval_count += terms
        self.real_tokens += real_tokens
        self.padded_tokens += padded_tokens

    def end_interval(self) -> float:
        """End the logging interval and start the next one; returns the mean loss of the one that ended."""
        mean = self.interval_loss / self.interval_count
        self.interval_loss, self.interval_count = 0.0, 0
        return mean


class DamagedError(Exception):
    """A file of a checkpoint is not what was written, or belongs to another run; the message is one line."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


@dataclass(frozen=True)
class _State:
    """A state as it is on disk."""

    tensors: dict[str, Tensor]
    progress: Progress
    random: dict[str, Any]
    best_sha256: str | None


class Checkpoint:
    """The checkpoint folder of one run.

        with checkpoint:  # what is being written is whole at the end
            progress = checkpoint.resume()
            ...
            if checkpoint.due(progress):
                checkpoint.save(progress)

    Args:
        folder: created on the first save.
        run: the hash of the run; the checkpoint of another one is not taken.
        trained: name -> trained parameter; values are saved from it and restored in place.
        optimizer: holds the same parameters.
        minutes: a state is due when so many have passed since the last one.
        every: a state is also due every so many steps.
        background: write a copy in a thread, as pays where the parameters are on a GPU.
    """

    def __init__(
        self,
        folder: Path,
        run: str,
        trained: dict[str, torch.nn.Parameter],
        optimizer: torch.optim.Optimizer,
        *,
        minutes: float = 5.0,
        every: int | None = None,
        background: bool = False,
    ) -> None:
        self.folder = folder
        self.run = run
        self.trained = trained
        self.optimizer = optimizer
        self._every, self._minutes = every, minutes
        self._last = time.monotonic()  # the time of the last save
        self._best_sha256: str | None = None  # of the best weights so far; known in the main process
        self._saved_best = 0  # the best epoch of the last state on disk
        self._thread = ThreadPoolExecutor(max_workers=1) if background else None
        self._writing: Future[None] | None = None  # what the thread does

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._wait()
        finally:
            if self._thread is not None:
                self._thread.shutdown()

    def due(self, progress: Progress) -> bool:
        """Whether to save now. Several processes call this after each step, and agree.

        Raises:
            OSError: the last state could not be written.
        """
        if self._writing is not None and self._writing.done():
            self._wait()
        if self._every is not None and progress.step % self._every == 0:
            return True
        if distributed.world_size() > 1 and progress.step % ASKING_STEPS:
            return False
        return distributed.broadcast_from_main(lambda: time.monotonic() - self._last >= 60 * self._minutes)

    @distributed.on_main_process
    def save(self, progress: Progress) -> None:
        """Write the current state; until it is complete, the last one stays valid.

        Raises:
            OSError: it, or in the background the last one, could not be written.
        """
        self._wait()  # for the checksum of the best weights, too
        tensors: dict[str, Tensor] = {f"weights/{name}": p for name, p in self.trained.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{key}": value for key, value in state.items()}
        generators, other_generators = _random_state()
        tensors |= {f"random/{name}": state for name, state in generators.items()}
        values = {
            "run": self.run,
            "progress": dataclasses.asdict(progress),
            "random": other_generators,
            "best_sha256": self._best_sha256,
        }
        tensors["values"] = torch.frombuffer(bytearray(strict_json.dumps(values).encode()), dtype=torch.uint8)
        self._write(tensors, self._write_state, progress.best_epoch)
        self._last = time.monotonic()

    def resume(self) -> Progress:
        """Restore the newest good state, random number generators included; states that are not good are set aside.

        Returns:
            The progress of the saved run; a new `Progress` if there is no good state.
        """
        name = distributed.broadcast_from_main(self._newest_good)
        if name is None:
            return Progress()
        state = self._read(name)
        self._restore(state.tensors)
        _set_random_state(state.tensors, state.random)
        self._best_sha256, self._saved_best = state.best_sha256, state.progress.best_epoch
        return state.progress

    @distributed.on_main_process
    def save_best(self, epoch: int) -> None:
        """Store the current weights as those of the best epoch; `save` deletes those that no state refers to.

        Raises:
            OSError: they, or in the background the last state, could not be written.
        """
        self._wait()
        self._write(self.trained, self._write_best, epoch)

    def load_best(self, epoch: int) -> None:
        """Load the weights of the best epoch into the model, once the main process has written them.

        Raises:
            DamagedError: they were changed since.
            OSError: they, or the last state, could not be written.
        """
        self._wait()
        distributed.broadcast_from_main(lambda: self._check_best(epoch, self._best_sha256))
        weights = load(read_bytes(self._best(epoch)))
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(weights[name])

    def _write(
        self, tensors: Mapping[str, Tensor], write: Callable[[dict[str, Tensor], int], None], best_epoch: int
    ) -> None:
        """Call `write` with the tensors on the CPU: now, or with a copy in the thread, which is at rest."""
        on_cpu = {
            name: tensor.detach().contiguous().to("cpu", non_blocking=True, copy=self._thread is not None)
            for name, tensor in tensors.items()
        }
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()  # copies from a GPU have arrived
        if self._thread is None:
            write(on_cpu, best_epoch)
        else:
            self._writing = self._thread.submit(write, on_cpu, best_epoch)

    def _wait(self) -> None:
        """Let the thread finish.

        Raises:
            OSError: it could not write.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write_state(self, tensors: dict[str, Tensor], best_epoch: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        content = tensor_file.parts(tensors, {"sha256": tensor_file.digest(tensors)})
        if (self.folder / FILE).exists():
            (self.folder / FILE).replace(self.folder / PREVIOUS)
        write_atomic(self.folder / FILE, *content)
        needed = {self._best(best_epoch), self._best(self._saved_best)}
        self._saved_best = best_epoch
        for old in set(self.folder.glob("best-*.safetensors")) - needed:
            old.unlink()

    def _write_best(self, tensors: dict[str, Tensor], epoch: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        content = tensor_file.parts(tensors)
        self._best_sha256 = tensor_file.sha256(content)
        write_atomic(self._best(epoch), *content)

    def _best(self, epoch: int) -> Path:
        return self.folder / f"best-{epoch}.safetensors"

    def _newest_good(self) -> str | None:
        """The name of the newest state from which the run can resume."""
        told = []
        good = None
        for name in (FILE, PREVIOUS):
            try:
                if (self.folder / name).exists():
                    state = self._read(name)
                    if state.progress.best_epoch:
                        self._check_best(state.progress.best_epoch, state.best_sha256)
                    good = name
                    break
            except DamagedError as error:
                told.append(f"{error}; moved to {self._set_aside({self.folder / name, error.path}).name}")
        if told:
            then = "the run starts over" if good is None else f"the run goes on from {good}"
            log.warning("%s; %s", "; ".join(told), then)
        return good

    def _read(self, name: str) -> _State:
        """The state in a file, checked in all that can be checked without changing anything.

        Raises:
            DamagedError: it is not a whole state of this run.
        """
        path = self.folder / name
        try:
            content = read_bytes(path)
            tensors = load(content)
            if tensor_file.metadata(content).get("sha256") != tensor_file.digest(tensors):
                raise DamagedError(path, "its checksum does not match")
            values = strict_json.loads(tensors["values"].numpy().tobytes().decode())
            state = _State(tensors, Progress(**values["progress"]), values["random"], values["best_sha256"])
        except OSError as error:
            raise DamagedError(path, f"cannot be read ({error.strerror})") from None
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DamagedError(path, f"not a whole checkpoint ({shown(error)})") from None
        weights = {name: tensor.shape for name, tensor in tensors.items() if name.startswith("weights/")}
        if values["run"] != self.run or weights != {f"weights/{name}": p.shape for name, p in self.trained.items()}:
            raise DamagedError(path, "the checkpoint of another run")
        return state

    def _check_best(self, epoch: int, sha256: str | None) -> None:
        path = self._best(epoch)
        try:
            found = hashlib.sha256(read_bytes(path)).hexdigest()
        except OSError as error:
            raise DamagedError(path, f"cannot be read ({error.strerror})") from None
        if found != sha256:
            raise DamagedError(path, "its checksum does not match")

    def _set_aside(self, paths: Iterable[Path]) -> Path:
        """Move files out of the checkpoint, into a new folder next to it."""
        number = 1
        while (aside := self.folder.with_name(f"{self.folder.name}-damaged-{number}")).exists():
            number += 1
        aside.mkdir()
        for path in paths:
            if path.exists():
                path.rename(aside / path.name)
        return aside

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(tensors[f"weights/{name}"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer/"):
                _, index, key = name.split("/", 2)
                state.setdefault(int(index), {})[key] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})


def _random_state() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The states of torch's and CUDA's generators as tensors; of Python's and numpy's as JSON."""
    generators = {"torch": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        generators["cuda"] = torch.cuda.get_rng_state()  # of this process's device
    kind, keys, *position = np.random.get_state()
    return generators, {"python": random.getstate(), "numpy": [kind, [int(key) for key in keys], *position]}


def _set_random_state(tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, *position = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *position))
    torch.set_rng_state(tensors["random/torch"])
    if torch.cuda.is_initialized() and "random/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random/cuda"])
