"""What is tried, and the rules that judge its outcome: one line, the right exit code, nothing wrong recorded."""

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.commands import Ended, Trouble, command

from inducer_bench.errors import LONGEST_MESSAGE, ExitCode

REFUSED = frozenset({ExitCode.BAD_INPUT})
EITHER = frozenset({ExitCode.DONE, ExitCode.BAD_INPUT})
DONE = frozenset({ExitCode.DONE})
ANY = frozenset({ExitCode.DONE, ExitCode.FAILED, ExitCode.BAD_INPUT, ExitCode.OUT_OF_MEMORY})

# A whole run of a second.
TINY = (
    "preset=mini task=sst2 method=inducer task.max_train=16 task.max_eval=8 trainer.batch_size=8 trainer.epochs=1"
).split()
TINY_NLG = (
    "preset=mini task=webnlg method=lora task.max_train=8 task.max_eval=4 trainer.batch_size=4 trainer.epochs=1 "
    "task.decoding.max_new_tokens=6 task.metrics=[bleu]"
).split()
_COLOURS = re.compile(r"^\x1b\[\d+m|\x1b\[0m", re.MULTILINE)
_LINES_OF_A_MESSAGE = 3  # progress may stand above it


def nothing(folder: Path) -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Case:
    """One command in a folder of its own."""

    group: str
    name: str
    arguments: list[str]
    allowed: frozenset[int] = REFUSED  # exit codes
    says: tuple[str, ...] = ()  # of a message: one of these at least
    prepare: Callable[[Path], None] = nothing
    stdin: bytes = b""
    stdout: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    trouble: Trouble | None = None
    alone: bool = True  # nothing is recorded before, or by other jobs
    shows: str = ""  # must be there, however it ends

    def run(self, folder: Path) -> tuple[Ended, str | None]:
        """Run it in a new folder; returns how it ended, and what is wrong with that."""
        folder.mkdir()
        self.prepare(folder)
        ended = command(self.arguments, folder, self.environment, self.stdin, self.stdout, self.trouble, timeout=60)
        return ended, self.wrong(ended, folder)

    def wrong(self, ended: Ended, folder: Path) -> str | None:
        """What is wrong with an outcome; None if it is as a user may expect it."""
        if (complaint := badly_told(ended)) is not None:
            return complaint
        if self.shows not in ended.err:
            return f"does not show '{self.shows}'"
        if ended.code not in self.allowed:
            return f"exit {ended.code}, expected {' or '.join(map(str, sorted(self.allowed)))}"
        if ended.code == ExitCode.BAD_INPUT and self.says and not any(word in ended.err for word in self.says):
            return f"names none of {', '.join(self.says)}"
        if self.alone and ended.code == ExitCode.BAD_INPUT and (recorded := list(folder.rglob("record.json"))):
            return f"refused, but recorded: {recorded[0]}"
        outside = [path.name for path in folder.parent.iterdir() if path.name.removesuffix(".logs").strip(".") !=
                   folder.name.strip(".")]  # fmt: skip
        if outside:
            return f"written outside its folder: {outside}"
        return next(filter(None, map(no_result, folder.rglob("record.json"))), None)


def badly_told(ended: Ended) -> str | None:
    """What is wrong with the way in which a command ended, whatever it was."""
    if ended.hung:
        return "hung"
    if ended.code < 0:
        return f"died by signal {-ended.code}"
    if "Traceback" in ended.err or "Logging error" in ended.err:
        return "a traceback"
    plain = _COLOURS.sub("", ended.err)  # of the log of a library
    if any(not character.isprintable() and character not in "\n\t" for character in plain):
        return "control characters in a message"
    lines = ended.err.strip().splitlines()
    if any(len(line) > LONGEST_MESSAGE + 40 for line in lines):
        return f"a line of {max(map(len, lines))} characters"
    if ended.code == ExitCode.BAD_INPUT and len(lines) > _LINES_OF_A_MESSAGE and "sweep of" not in ended.err:
        return f"{len(lines)} lines for bad input"
    if ended.code != ExitCode.DONE and not lines and not ended.out.strip():
        return "no message"
    return None


def no_result(path: Path) -> str | None:
    """What is wrong with a record that says `done`; None if it is a result, or does not say so."""
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(), parse_constant=_reject)
    except ValueError as error:
        return f"{path.name} is no strict JSON ({error})"
    if record["status"] != "done":
        return None if record["error"] else f"{record['status']} without a reason"
    values = [score["value"] for score in record["scores"].values()]
    if not values or not all(value is None or math.isfinite(value) for value in values):
        return f"recorded as done with scores {values}"
    for line in (path.parent / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=_reject)
    return None


def message(ended: Ended) -> str:
    """The last line that a user sees of an outcome, for the table of messages."""
    lines = (ended.err.strip() or ended.out.strip()).splitlines()
    return lines[-1] if lines else ""


def text_file(path: str, content: str | bytes) -> Callable[[Path], None]:
    """Prepare one file."""
    return files({path: content})


def files(contents: dict[str, str | bytes]) -> Callable[[Path], None]:
    """Prepare several files."""

    def prepare(folder: Path) -> None:
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))

    return prepare


def named(cases: Iterable[Case]) -> dict[str, Case]:
    """Cases by group and name, each of which occurs once."""
    found: dict[str, Case] = {}
    for case in cases:
        key = f"{case.group}: {case.name}"
        assert key not in found, f"two cases of one name: {key}"
        found[key] = case
    return found


def _reject(constant: str) -> Any:
    raise ValueError(f"{constant} in it")
