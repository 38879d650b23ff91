"""Errors that the user sees as one line, and the exit codes of the command line."""

import difflib
from collections.abc import Iterable
from enum import IntEnum

LONGEST_MESSAGE = 600
_LONGEST_NAME = 200
_COMPARED = 5  # names that difflib finds much alike, of which the nearest is named
# Memory that ends in the words of torch, CUDA and its libraries, oneDNN, C++, the C library and its dynamic linker.
_NO_MEMORY = (
    "outofmemoryerror", "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory",
    "enforce fail at alloc_cpu.cpp", "alloc_failed", "allocation_failed", "could not create a primitive",
    "could not create a memory", "bad_alloc", "can't start new thread", "failed to map segment",
)  # fmt: skip


# What people type for something that goes by another name here; case and punctuation aside.
_ALIASES = {
    "gpu": "cuda", "half": "bf16", "fp16": "bf16", "float16": "bf16", "bfloat16": "bf16", "float32": "fp32",
    "ft": "fine_tune", "full": "fine_tune", "linearprobe": "head_only", "probe": "head_only", "houlsby": "adapter",
    "pfeiffer": "adapter", "ptuning": "prefix", "ia3": "peft", "dora": "peft", "bert": "roberta-base", "gpt": "gpt2",
    "cnndm": "cnn_dailymail", "weightsandbiases": "wandb", "off": "none",
}  # fmt: skip


class ExitCode(IntEnum):
    """The exit codes of the command line."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    OUT_OF_MEMORY = 3
    INTERRUPTED = 130


class UserError(Exception):
    """Bad input: one line that names the config key, what was found and what is allowed. Exit code 2.

    Whatever the message quotes, it is one printable line of at most `LONGEST_MESSAGE` characters.
    """

    def __init__(self, message: str) -> None:
        super().__init__(shown(message, LONGEST_MESSAGE))


class TrainingDiverged(Exception):
    """A loss, gradient, weight or score is not finite; the message says which, and where."""


class Interrupted(Exception):
    """The run was asked to stop. Its checkpoint is on disk, and the same command resumes it."""


def shown(text: object, longest: int = 100) -> str:
    """A text from a file, a record or a library, as one line that is safe to print.

    What a terminal would obey or not show (line breaks, escape sequences, changes of direction, half a surrogate pair)
    is written as an escape. A long text loses its middle, so that a message keeps its key and what is allowed.

    Args:
        text: anything; its `str` is shown.
        longest: in characters.
    """
    whole = str(text)
    # An escape is at most 10 characters, so that a long text need not be escaped whole.
    parts = [whole] if len(whole) <= 2 * longest else [whole[:longest], whole[-longest:]]
    escaped = [printable(part) for part in parts]
    if len(escaped) == 1 and len(escaped[0]) <= longest:
        return escaped[0]
    note = f" ... ({len(whole):,} characters) ... "
    kept = max(longest - len(note), 2)
    return f"{escaped[0][: kept - kept // 2]}{note}{escaped[-1][-(kept // 2) :]}"


def printable(text: str) -> str:
    """A whole text as one line that is safe to print; see `shown`."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or the name of its type if there is no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def lacks_memory(error: BaseException) -> bool:
    """Whether an error tells that memory ended: on a GPU, in a library, or when a library was loaded."""
    message = f"{type(error).__name__}: {error}".lower()
    return isinstance(error, MemoryError) or any(words in message for words in _NO_MEMORY)


def listed(names: Iterable[str], most: int = 20) -> str:
    """Names for a message, separated by commas; of more than `most` the first ones and the number of the others."""
    each = [shown(name, 60) for name in names]
    return ", ".join(each) if len(each) <= most else f"{', '.join(each[:most])} and {len(each) - most:,} more"


def nearest(found: str, allowed: Iterable[str]) -> str:
    """`did you mean ...? ` with the closest of `allowed`, or an empty string if there is none.

    In this order: the same name but for case and punctuation, another name for it, the beginning of one of them or one
    that it begins with, and one that is spelt much alike: with fewest edits, and of these with the same letters.
    """
    names = [name for name in allowed if len(name) <= _LONGEST_NAME]
    if len(found) > _LONGEST_NAME:  # comparing takes the product of the lengths
        return ""
    plain = {_plain(name): name for name in reversed(names)}
    wanted = _plain(found)
    alias = _ALIASES.get(wanted)
    starts = [name for name in plain if wanted and name and (name.startswith(wanted) or wanted.startswith(name))]
    if wanted in plain:
        match: str | None = plain[wanted]
    elif alias in names:
        match = alias
    elif len(wanted) > 2 and starts:
        match = plain[min(starts, key=lambda name: (abs(len(name) - len(wanted)), name))]
    else:
        close = difflib.get_close_matches(found, names, n=_COMPARED, cutoff=0.5)
        letters = sorted(found)
        match = min(close, key=lambda name: (_edits(found, name), sorted(name) != letters), default=None)
    return f"did you mean '{match}'? " if match else ""


def _edits(a: str, b: str) -> int:
    """Letters inserted, left out or replaced, and neighbours swapped, from one name to another (Damerau, 1964)."""
    rows = [list(range(len(b) + 1))]
    for i in range(1, len(a) + 1):
        row = [i]
        for j in range(1, len(b) + 1):
            edits = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and (a[i - 2], a[i - 1]) == (b[j - 1], b[j - 2]):
                edits = min(edits, rows[-2][j - 2] + 1)
            row.append(edits)
        rows.append(row)
    return rows[-1][-1]


def _plain(name: str) -> str:
    """A name without case and punctuation."""
    return "".join(c for c in name.lower() if c.isalnum())


def unknown(key: str, found: str, allowed: Iterable[str]) -> UserError:
    """A `UserError` for a value that is not among those allowed for `key`."""
    options = sorted(allowed)
    return UserError(f"{key}: unknown '{shown(found)}'; {nearest(found, options)}allowed: {listed(options)}")
