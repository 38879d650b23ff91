"""The outcome of a run: its status, its exit code, and one line for the user."""

import errno
from dataclasses import dataclass
from pathlib import Path

from inducer_bench.errors import (
    LONGEST_MESSAGE,
    ExitCode,
    Interrupted,
    TrainingDiverged,
    first_line,
    lacks_memory,
    shown,
)
from inducer_bench.runs.record import Record, Status
from inducer_bench.training import interruption

_FULL, _CLOSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG), (errno.EROFS, errno.EACCES, errno.EPERM)


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
    line = shown(first_line(error), LONGEST_MESSAGE)
    if isinstance(error, Interrupted):
        return "interrupted", ExitCode.INTERRUPTED, f"{line}; the same command resumes"
    if isinstance(error, KeyboardInterrupt) or interruption.requested():  # a library may turn it into its own error
        return "interrupted", ExitCode.INTERRUPTED, "interrupted; the same command resumes"
    if lacks_memory(error):
        return "oom", ExitCode.OUT_OF_MEMORY, f"out of memory: {line}; free memory, or lower trainer.micro_batch_size"
    if isinstance(error, OSError) and error.filename is not None:
        return "failed", ExitCode.FAILED, f"{cannot_use(error)}; then the same command goes on"
    kind = "diverged" if isinstance(error, TrainingDiverged) else type(error).__name__
    return "failed", ExitCode.FAILED, f"{kind}: {line}"


def cannot_use(error: OSError) -> str:
    """The file or folder that cannot be used, why, and what to do about it."""
    remedy = "repair it"
    if error.errno in _FULL:
        remedy = "free space there"
    elif error.errno in _CLOSED:
        remedy = "make it writable"
    return f"'{shown(error.filename, LONGEST_MESSAGE // 2)}': {error.strerror}; {remedy}"
