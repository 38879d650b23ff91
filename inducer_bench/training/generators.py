"""The state of every global random number generator that a run may draw from."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Generators:
    """States of Python's, numpy's and torch's generators, and of that of this process's GPU, if there is one."""

    of_python: Any
    of_numpy: Any
    of_torch: Tensor
    of_cuda: Tensor | None

    @classmethod
    def now(cls) -> "Generators":
        """As they are."""
        cuda = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda)

    def of_device(self, device: torch.device) -> Tensor:
        """The state of torch's generator for a device."""
        if device.type != "cuda":
            return self.of_torch
        assert self.of_cuda is not None, "a lane on a GPU, but no GPU"
        return self.of_cuda

    def restore(self) -> None:
        """Set the generators to these states."""
        random.setstate(self.of_python)
        np.random.set_state(self.of_numpy)
        torch.set_rng_state(self.of_torch)
        if self.of_cuda is not None:
            torch.cuda.set_rng_state(self.of_cuda)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """A block in which the generators have these states; afterwards they are as before."""
        before = Generators.now()
        self.restore()
        try:
            yield
        finally:
            before.restore()
