"""Faults in every file of a run's folder, finished or interrupted, and what each command makes of them.

A command may refuse, or do its work. Then its results are those of a run without faults, bit for bit.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from helpers.commands import Ended, Trouble, command, counted
from helpers.runs import results

from chaos.cases import TINY, badly_told
from inducer_bench.runs import record as records

# Six steps of training, a checkpoint after each, and an evaluation after every second one.
ARGUMENTS = [*TINY, "trainer.epochs=3", "trainer.checkpoint_every=1", "method=lora", "method.dropout=0.1"]
_INPUT = b'{"sentence": "a good film"}\n'


@dataclass(frozen=True)
class Fault:
    """A file of a run's folder, what is done to it, and the command that follows."""

    file: str
    change: str
    then: str  # of COMMANDS
    interrupted: bool  # the run was killed in its training, and left a checkpoint

    def __str__(self) -> str:
        state = "interrupted" if self.interrupted else "finished"
        return f"{state}: {self.file} {self.change}, then {self.then}"


class Runs:
    """One run, as it is when finished and when killed after its first epoch; copied for every fault."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        finished, killed = folder / "finished", folder / "interrupted"
        for path in (finished, killed):
            path.mkdir(parents=True)
        ended, count = counted(ARGUMENTS, finished)
        assert ended.code == 0, ended
        assert ended.folder is not None
        self.path = ended.folder
        self.results = results(finished / self.path)
        command(ARGUMENTS, killed, trouble=Trouble(at=count * 3 // 5, kill=True))
        left = {path.name.split("-")[0] for path in (killed / self.path / "checkpoint").iterdir()}
        assert left >= {"state.safetensors", "best"}, left
        assert not (killed / self.path / records.FILE).exists()

    def files(self, interrupted: bool) -> list[str]:
        """The files of the run's folder, and itself as an empty name."""
        folder = self.folder / ("interrupted" if interrupted else "finished") / self.path
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.name != ".lock")

    def copy(self, interrupted: bool, to: Path) -> None:
        """Copy the folder in which the command was run."""
        shutil.copytree(self.folder / ("interrupted" if interrupted else "finished"), to)

    def finished_run(self, to: Path) -> None:
        """Copy the finished run's folder as `run`."""
        shutil.copytree(self.folder / "finished" / self.path, to / "run")


def faults(runs: Runs) -> Iterator[Fault]:
    """Every file with every change; the same command follows, and for a finished run every other one, too."""
    for interrupted in (False, True):
        for file in runs.files(interrupted):
            for change in CHANGES:
                for then in ["the same command"] if interrupted else COMMANDS:
                    yield Fault(file, change, then, interrupted)


def tried(fault: Fault, runs: Runs, folder: Path) -> tuple[Ended, str | None]:
    """Make the fault in a copy of the run and give the command; returns how it ended, and what is wrong with that."""
    runs.copy(fault.interrupted, folder)
    CHANGES[fault.change](folder / runs.path / fault.file)
    privileges = Trouble(no_privileges=True) if fault.change == "unreadable" else None
    arguments = [word.replace("RUN", str(runs.path)) for word in COMMANDS[fault.then]]
    ended = command(arguments, folder, stdin=_INPUT, trouble=privileges)
    return ended, badly_told(ended) or _wrong(fault, ended, runs, folder)


def _wrong(fault: Fault, ended: Ended, runs: Runs, folder: Path) -> str | None:
    if ended.code not in (0, 1, 2):
        return f"exit {ended.code}"
    if fault.then == "the same command":
        if ended.code == 1 and fault.change != "unreadable":
            return "a failed run for damaged files"
        if ended.code == 0 and fault.interrupted:
            try:
                found = results(folder / runs.path)
            except (OSError, ValueError) as error:
                return f"done, but {error}"
            return None if found == runs.results else "other results than without the fault"
    elif ended.code == 1 and "left out" not in ended.out + ended.err:
        return "exit 1 for damaged files"
    if fault.then == "predict" and ended.code == 0 and ("NaN" in ended.out or "0.0, 0.0" in ended.out):
        return "an undefined prediction"
    damaged_weights = fault.file.endswith("adapter.safetensors") and fault.change in _DAMAGING
    if fault.then in ("predict", "export") and damaged_weights and ended.code == 0:
        return "damaged weights were used"
    return None


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for position in range(len(content) // 2, len(content), max(len(content) // 64, 1)):
        content[position] ^= 0x10
    path.write_bytes(content)


def _replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        _gone(path)
        make(path)

    return change


def _gone(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _on_file(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """The change, of a file; a folder is replaced by the file that results from nothing."""

    def changed(path: Path) -> None:
        if path.is_dir():
            _gone(path)
            path.write_bytes(b"")
        change(path)

    return changed


_DAMAGING = ("missing", "empty", "cut", "of flipped bits", "garbage", "longer", "a folder", "a pipe", "a loop of links")
CHANGES: dict[str, Callable[[Path], None]] = {
    "missing": _gone,
    "empty": _on_file(lambda path: path.write_bytes(b"")),
    "cut": _on_file(lambda path: os.truncate(path, path.stat().st_size * 2 // 3)),
    "of flipped bits": _on_file(_flip),
    "garbage": _on_file(lambda path: path.write_bytes(bytes(range(256)) * 4)),
    "longer": _on_file(lambda path: path.write_bytes(path.read_bytes() + b"more\n")),
    "deep JSON": _on_file(lambda path: path.write_text("[" * 100_000)),
    "a folder": _replaced(Path.mkdir),
    "a pipe": _replaced(os.mkfifo),
    "a loop of links": _replaced(lambda path: path.symlink_to(path.name)),
    "unreadable": lambda path: path.chmod(0),
}
COMMANDS: dict[str, list[str]] = {
    "the same command": ARGUMENTS,
    "predict": ["predict", "RUN"],
    "export": ["export", "RUN", "out"],
    "ls runs": ["ls", "runs"],
    "tables": ["tables"],
}
