"""Errors that the user sees as one line, and the exit codes of the command line."""

import difflib
from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of the command line."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    OUT_OF_MEMORY = 3
    INTERRUPTED = 130


class UserError(Exception):
    """Bad input: one line that names the config key, what was found and what is allowed. Exit code 2."""


class TrainingDiverged(Exception):
    """A loss, gradient, weight or score is not finite; the message says which, and where."""


class Interrupted(Exception):
    """The run was asked to stop. Its checkpoint is on disk, and the same command resumes it."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or the name of its type if there is no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def nearest(found: str, allowed: Iterable[str]) -> str:
    """`did you mean ...? ` with the closest of `allowed`, or an empty string if there is none."""
    matches = difflib.get_close_matches(found, list(allowed), n=1, cutoff=0.5)
    return f"did you mean '{matches[0]}'? " if matches else ""


def unknown(key: str, found: str, allowed: Iterable[str]) -> UserError:
    """A `UserError` for a value that is not among those allowed for `key`."""
    options = sorted(allowed)
    return UserError(f"{key}: unknown '{found}'; {nearest(found, options)}allowed: {', '.join(options)}")
