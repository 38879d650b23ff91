"""The device that runs of this machine would use, without torch, whose import takes seconds."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from inducer_bench.runs.record import Device

_NVIDIA = Path("/proc/driver/nvidia/gpus")
_CPU = Path("/proc/cpuinfo")
_BF16 = ("avx512_bf16", "amx_bf16", "bf16")  # instructions of x86 processors, and of Arm ones
BF16_SAVES = "this CPU has bf16 instructions: trainer.precision=bf16 took 0.6 of fp32's time where it was measured"
LONG = 300.0  # seconds of a run on a CPU, from which on that is said


def expected_device(wanted: str, jobs: int = 1) -> Device:
    """The device of a run, as far as is known.

    Args:
        wanted: `trainer.device`.
        jobs: that run at a time and share the cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("OMP_NUM_THREADS", "")
    threads = int(given) if given.isdecimal() and int(given) else max(cores // jobs, 1)
    if wanted != "cpu" and (wanted == "cuda" or _has_cuda()):
        return Device(type="cuda", name=_gpu(), threads=threads)
    return Device(type="cpu", name=platform.processor() or platform.machine(), threads=threads)


def computes_bf16() -> bool:
    """Whether the CPU multiplies in bfloat16, as far as the system says: Linux does, others do not."""
    try:
        return not {*_BF16}.isdisjoint(_CPU.read_text().split())
    except OSError:
        return False


def _has_cuda() -> bool:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1")
    return visible and "+cpu" not in version("torch") and Path("/dev/nvidiactl").exists()


def _gpu() -> str:
    """The name of the first GPU, as its driver gives it."""
    try:
        lines = next(_NVIDIA.glob("*/information")).read_text().splitlines()
    except (OSError, StopIteration):
        return "CUDA"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Model:")), "CUDA")
