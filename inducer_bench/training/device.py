"""The device and precision of a run, torch's settings for it, and its random number generators."""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from inducer_bench import distributed
from inducer_bench.errors import UserError, shown
from inducer_bench.training.options import TrainerOptions

_CUBLAS, _DETERMINISTIC = "CUBLAS_WORKSPACE_CONFIG", (":4096:8", ":16:8")  # as NVIDIA documents it for cuBLAS


def make_accelerator(trainer: TrainerOptions) -> Accelerator:
    """The accelerator for the configured device and precision. Nothing opens a GPU before: each process has its own.

    Raises:
        UserError: CUDA is requested but not available, TF32 without it, compilation for a CPU without a C++ compiler,
            more processes than GPUs, frozen weights in bf16 without that precision, or a setting of cuBLAS that is not
            deterministic as it should be.
    """
    cuda = torch.cuda.is_available() and trainer.device != "cpu"
    if trainer.device == "cuda" and not cuda:
        raise UserError("trainer.device: found 'cuda', but torch sees no CUDA device; allowed here: auto, cpu")
    if trainer.precision == "tf32" and not cuda:
        raise UserError("trainer.precision: found 'tf32', which needs a CUDA device; allowed here: auto, fp32, bf16")
    if trainer.compile != "none" and not cuda:
        _check_compiler(trainer.compile)
    precision = {"auto": "bf16" if cuda else "no", "bf16": "bf16"}.get(trainer.precision, "no")
    if trainer.frozen == "bf16" and precision != "bf16":
        raise UserError(f"trainer.frozen: found 'bf16', which needs trainer.precision=bf16; allowed with "
                        f"trainer.precision={trainer.precision} here: fp32")  # fmt: skip
    if cuda:
        _open_gpu(trainer)
    # Private, but there is no other way: the state is shared by all accelerators of a process, and an earlier run in
    # this process may have used another precision or device.
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(mixed_precision=precision, cpu=not cuda)


def _open_gpu(trainer: TrainerOptions) -> None:
    """Start CUDA on this process's GPU.

    Raises:
        UserError: see `make_accelerator`.
    """
    # cuBLAS looks at this when CUDA starts, which it does once for all runs of a process.
    workspace = os.environ.setdefault(_CUBLAS, _DETERMINISTIC[0])
    if trainer.deterministic and workspace not in _DETERMINISTIC:
        allowed = ", ".join(_DETERMINISTIC)
        raise UserError(f"{_CUBLAS}: found '{shown(workspace)}'; allowed with trainer.deterministic=true: {allowed}")
    rank, gpus = distributed.local_rank(), torch.cuda.device_count()
    if rank >= gpus:
        raise UserError(f"LOCAL_RANK: found {rank}, but torch sees {gpus} CUDA devices; allowed: a process for each")
    torch.cuda.set_device(rank)


@contextmanager
def settings(trainer: TrainerOptions) -> Iterator[None]:
    """Torch's settings for a run; the process's own come back after the block.

    With `deterministic`, scaled-dot-product attention on CUDA takes the deterministic forms of its kernels by itself.
    """
    products, algorithms = torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    capped = trainer.gpu_memory is not None and torch.cuda.is_initialized()
    torch.set_float32_matmul_precision("high" if trainer.precision == "tf32" else "highest")
    if trainer.deterministic:
        torch.use_deterministic_algorithms(True)
    if capped:
        torch.cuda.set_per_process_memory_fraction(trainer.gpu_memory)
    try:
        with flushed_denormals():
            yield
    finally:
        torch.set_float32_matmul_precision(products)
        if trainer.deterministic:
            torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
        if capped:
            torch.cuda.set_per_process_memory_fraction(1.0)


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
        raise UserError(f"trainer.compile: found '{mode}', but no C++ compiler '{compiler}'; allowed here: 'none'")
