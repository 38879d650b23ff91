"""The device and precision of a run, and its random number generators."""

import os
import random
import shutil

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from inducer_bench.errors import UserError
from inducer_bench.training.options import TrainerOptions


def make_accelerator(trainer: TrainerOptions) -> Accelerator:
    """The device and precision that the trainer asks for.

    Raises:
        UserError: CUDA is asked for and not there, or compiled code for a CPU without a compiler.
    """
    cuda = torch.cuda.is_available() and trainer.device != "cpu"
    if trainer.device == "cuda" and not cuda:
        raise UserError("trainer.device: found 'cuda', but torch sees no CUDA device; allowed here: auto, cpu")
    compiler = os.environ.get("CXX", "g++")  # as torch.compile looks for it
    if trainer.compile != "none" and not cuda and shutil.which(compiler) is None:
        raise UserError(f"trainer.compile: found '{trainer.compile}', but no C++ compiler '{compiler}'; allowed: none")
    precision = {"auto": "bf16" if cuda else "no", "bf16": "bf16", "fp32": "no"}[trainer.precision]
    AcceleratorState._reset_state(reset_partial_state=True)  # an earlier run of this process may have asked otherwise
    return Accelerator(mixed_precision=precision, cpu=not cuda)


def set_seed(seed: int) -> None:
    """Seed every generator a run may draw from; and spare the CPU the denormals of fading optimiser moments."""
    torch.set_flush_denormal(True)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
