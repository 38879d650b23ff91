"""Peak memory of a run: on the GPU if there is one, else of the process."""

import contextlib
import resource
import sys
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak() -> None:
    """Start a new measurement; where the system cannot reset its counter, the peak is that of the whole process."""
    if torch.cuda.is_initialized():  # which this would do
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")  # Linux: resets VmHWM


def peak(device: torch.device) -> tuple[int, str]:
    """The peak in bytes, and what it measures: `cuda_allocated` or `process_resident`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device), "cuda_allocated"
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024, "process_resident"
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, "process_resident"
