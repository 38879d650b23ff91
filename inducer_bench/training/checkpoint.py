"""The checkpoint from which a run resumes exactly: one file, replaced atomically.

Tensors (weights, optimiser state, random number generators) and the progress as JSON share one safetensors file, so
that a single rename replaces all of them together. The weights of the best epoch are a second file next to it, named
after the epoch.
"""

import dataclasses
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from inducer_bench.distributed import on_main_process
from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic

FILE = "state.safetensors"


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
    log_bytes: int = 0  # size of metrics.jsonl; a resumed run drops what was logged after it

    def end_interval(self) -> float:
        """End the logging interval and start the next one; returns the mean loss of the one that ended."""
        mean = self.interval_loss / self.interval_count
        self.interval_loss, self.interval_count = 0.0, 0
        return mean


class Checkpoint:
    """The checkpoint folder of one run.

    Args:
        folder: created on the first save.
        trained: name -> trained parameter; values are saved from it and restored in place.
        optimizer: holds the same parameters.
    """

    def __init__(self, folder: Path, trained: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        self.folder = folder
        self.trained = trained
        self.optimizer = optimizer

    @on_main_process
    def save(self, progress: Progress) -> None:
        """Write the current state; the previous one stays valid until this one is complete."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"weights/{name}": p.detach() for name, p in self.trained.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{key}": value for key, value in state.items()}
        generators, other_generators = _random_state()
        tensors |= {f"random/{name}": state for name, state in generators.items()}
        metadata = {"progress": json.dumps(dataclasses.asdict(progress)), "random": json.dumps(other_generators)}
        write_atomic(self.folder / FILE, save(_on_cpu(tensors), metadata))
        for old in self.folder.glob("best-*.safetensors"):
            if old != self._best(progress.best_epoch):
                old.unlink()

    def resume(self) -> Progress:
        """Restore the saved state, random number generators included.

        Returns:
            The progress of the saved run; a new `Progress` if nothing was saved.

        Raises:
            UserError: the file is damaged or belongs to another model.
        """
        path = self.folder / FILE
        if not path.is_file():
            return Progress()
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata()
            tensors = load_file(path)
            self._restore(tensors)
            _set_random_state(tensors, json.loads(metadata["random"]))
            return Progress(**json.loads(metadata["progress"]))
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{path}: not a whole checkpoint of this run ({error}); delete it to start over") from None

    @on_main_process
    def save_best(self, epoch: int) -> None:
        """Store the current weights as those of the best epoch; `save` deletes those of earlier best epochs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self._best(epoch), save(_on_cpu({name: p.detach() for name, p in self.trained.items()})))

    def load_best(self, epoch: int) -> None:
        """Load the weights of the best epoch into the model."""
        weights = load_file(self._best(epoch))
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(weights[name])

    def _best(self, epoch: int) -> Path:
        return self.folder / f"best-{epoch}.safetensors"

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
    if torch.cuda.is_available():
        generators["cuda"] = torch.cuda.get_rng_state()  # of this process's device
    kind, keys, *position = np.random.get_state()
    return generators, {"python": random.getstate(), "numpy": [kind, [int(key) for key in keys], *position]}


def _set_random_state(tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, *position = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *position))
    torch.set_rng_state(tensors["random/torch"])
    if torch.cuda.is_available() and "random/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random/cuda"])


def _on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous copies that share no memory, as safetensors requires."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
