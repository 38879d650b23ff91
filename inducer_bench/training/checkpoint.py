"""Everything a run needs to go on as if it had never stopped, in one file that is there whole or not at all.

Tensors (weights, optimiser state, random number generators) and a JSON progress report share one safetensors file, so
one rename moves all of them together. The weights of the best epoch so far lie beside it, under the epoch's number.
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
    """Where a training run stands; all of it is needed to go on."""

    epoch: int = 0  # epochs finished
    batch: int = 0  # batches of the present epoch finished
    step: int = 0  # optimiser steps taken
    best_epoch: int = 0  # 0: none yet
    best_score: float | None = None
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    interval_loss: float = 0.0  # sums since the last line of the log
    interval_count: int = 0
    real_tokens: int = 0
    padded_tokens: int = 0
    train_seconds: float = 0.0
    log_bytes: int = 0  # size of metrics.jsonl: what was logged later is dropped on resume


class Checkpoint:
    """The checkpoint folder of one run.

    Args:
        folder: created on the first save.
        trained: name -> parameter of all that is trained, loaded and saved in place.
        optimizer: over these parameters, in this order.
    """

    def __init__(self, folder: Path, trained: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        self.folder = folder
        self.trained = trained
        self.optimizer = optimizer

    @on_main_process
    def save(self, progress: Progress) -> None:
        """Write the present state; the previous one stays valid until this one is whole."""
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
        """Restore the saved state, random number generators included; a fresh `Progress` if there is none.

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
        """Keep the present weights as those of the best epoch; earlier ones go with the next `save`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self._best(epoch), save(_on_cpu({name: p.detach() for name, p in self.trained.items()})))

    def load_best(self, epoch: int) -> None:
        """Put the weights of the best epoch back into the model."""
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
    """States of torch's and CUDA's generators as tensors, of Python's and numpy's as JSON."""
    generators = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        generators["cuda"] = torch.cuda.get_rng_state()  # of the device of this process
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
    """Contiguous copies that share no memory: what safetensors asks for."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
