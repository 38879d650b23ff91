"""The device and precision of a run, and its random number generators."""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from inducer_bench.errors import UserError
from inducer_bench.training.options import TrainerOptions


def make_accelerator(trainer: TrainerOptions) -> Accelerator:
    """The accelerator for the configured device and precision.

    Raises:
        UserError: CUDA is requested but not available, or compilation for a CPU without a C++ compiler.
    """
    cuda = torch.cuda.is_available() and trainer.device != "cpu"
    if trainer.device == "cuda" and not cuda:
        raise UserError("trainer.device: found 'cuda', but torch sees no CUDA device; allowed here: auto, cpu")
    if trainer.compile != "none" and not cuda:
        _check_compiler(trainer.compile)
    precision = {"auto": "bf16" if cuda else "no", "bf16": "bf16", "fp32": "no"}[trainer.precision]
    # Private, but there is no other way: the state is shared by all accelerators of a process, and an earlier run in
    # this process may have used another precision or device.
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(mixed_precision=precision, cpu=not cuda)


def set_seed(seed: int) -> None:
    """Seed the generators of Python, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Let the CPU treat denormal numbers as 0 in the block: decaying optimiser moments would otherwise slow it down."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)  # the next job's configuration may hold such numbers


def _check_compiler(mode: str) -> None:
    """Check for the C++ compiler that torch.compile calls on a CPU: `CXX`, by default g++.

    Raises:
        UserError: it is not on the path.
    """
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise UserError(f"trainer.compile: found '{mode}', but no C++ compiler '{compiler}'; allowed: none")
