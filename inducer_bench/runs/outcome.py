"""The outcome of a run: its status, its exit code, and one line for the user."""

from dataclasses import dataclass
from pathlib import Path

from inducer_bench.errors import ExitCode, Interrupted
from inducer_bench.runs.record import Record, Status

# The message of torch's CPU allocator (c10/core/impl/alloc_cpu.cpp), which raises a plain RuntimeError.
_CPU_ALLOCATOR = "can't allocate memory"


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    code: ExitCode
    folder: Path
    status: str  # as in the record; or skipped, or refused
    message: str
    record: Record | None = None


def diagnosis(error: BaseException) -> tuple[Status, ExitCode, str]:
    """The status, exit code and one-line message for an error that stopped a run."""
    import torch

    line = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return "interrupted", ExitCode.INTERRUPTED, f"{line or 'interrupted'}; the same command resumes"
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or _CPU_ALLOCATOR in line:
        return "oom", ExitCode.OUT_OF_MEMORY, f"out of memory: {line or 'lower trainer.micro_batch_size'}"
    return "failed", ExitCode.FAILED, f"{type(error).__name__}: {line}"
