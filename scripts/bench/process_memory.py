"""Peak memory of this process as the system counts it: what reading and writing files costs beyond tensors."""

import contextlib
import resource
import sys
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak() -> None:
    """Start a new measurement; where the system cannot reset its counter, the peak is that since the process began."""
    with contextlib.suppress(OSError):
        CLEAR.write_text("5")  # Linux: resets VmHWM


def peak() -> int:
    """The peak in bytes."""
    if STATUS.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
