"""Runs killed, stopped or out of disk at a random moment, or at a chosen file operation, and then repeated.

The repeated command ends with the results of a run that nothing has happened to, bit for bit.
"""

import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from helpers.commands import Ended, Trouble, command, counted
from helpers.runs import results

from chaos.cases import TINY, TINY_NLG, badly_told
from inducer_bench.errors import ExitCode
from inducer_bench.runs import record as records

_SECONDS_TO_STOP = 5.0

# Dropout and micro-batches, a checkpoint after each step: everything that exact resume has to restore.
SETTINGS: dict[str, list[str]] = {
    "lora": [
        *TINY,
        "method=lora",
        "method.dropout=0.1",
        "trainer.epochs=4",
        "trainer.checkpoint_every=1",
        "trainer.micro_batch_size=3",
    ],
    "fine_tune": [*TINY, "method=fine_tune", "trainer.epochs=3", "trainer.checkpoint_every=2"],
    "generation": [*TINY_NLG, "trainer.epochs=3", "trainer.checkpoint_every=1", "task.decoding.sample=true"],
}


@dataclass(frozen=True)
class Kill:
    """What happens to which run, and when."""

    setting: str
    kind: str  # kill, SIGTERM or SIGINT at a moment; kill or full disk at a file operation
    moment: float  # as a fraction of the run's seconds, or of its file operations

    def __str__(self) -> str:
        return f"{self.setting}: {self.kind} at {self.moment:.2f}"


@dataclass(frozen=True)
class Reference:
    """A run that nothing has happened to."""

    path: Path  # of the run's folder, relative to that of the command
    results: object
    seconds: float
    operations: int


def reference(setting: str, folder: Path) -> Reference:
    """Run a setting undisturbed, and count its file operations."""
    folder.mkdir(parents=True)
    ended, count = counted(SETTINGS[setting], folder)
    assert ended.code == 0, ended
    assert ended.folder is not None
    return Reference(ended.folder, results(folder / ended.folder), ended.seconds, count)


def kills(count: int, seed: int) -> Iterator[Kill]:
    """Random kills, in equal parts of every kind."""
    generator = random.Random(seed)
    kinds = list(KINDS)
    for index in range(count):
        setting = generator.choice(list(SETTINGS))
        yield Kill(setting, kinds[index % len(kinds)], generator.random())


def tried(kill: Kill, undisturbed: Reference, folder: Path) -> tuple[Ended, str | None]:
    """Disturb a run and give the command again; returns how the disturbed one ended, and what is wrong with both."""
    folder.mkdir()
    arguments = SETTINGS[kill.setting]
    stop, trouble = None, None
    if kill.kind in _SIGNALS:
        stop = (_SIGNALS[kill.kind], kill.moment * undisturbed.seconds)
    else:
        at = 1 + int(kill.moment * undisturbed.operations)
        trouble = Trouble(at=at, kill=kill.kind == "kill at an operation")
    ended = command(arguments, folder, stop=stop, trouble=trouble)
    if (complaint := _disturbed(kill, ended, undisturbed, folder)) is not None:
        return ended, complaint
    again = command(arguments, folder)
    if again.code != ExitCode.DONE:
        return ended, f"the same command ends with {again.code}: {again.err[-200:]}"
    if results(folder / undisturbed.path) != undisturbed.results:
        return ended, "other results than without the disturbance"
    return ended, badly_told(again)


def _disturbed(kill: Kill, ended: Ended, undisturbed: Reference, folder: Path) -> str | None:
    record = records.read(folder / undisturbed.path)
    done = record is not None and record.status == "done"
    if ended.code == ExitCode.DONE:
        return None if done else "exit 0 without a record"
    if kill.kind.startswith("kill"):
        return None if ended.code == -signal.SIGKILL else f"exit {ended.code}"
    if (complaint := badly_told(ended)) is not None:
        return complaint
    if kill.kind in _SIGNALS:
        if ended.code != ExitCode.INTERRUPTED:
            return f"exit {ended.code} after a signal"
        if ended.seconds - kill.moment * undisturbed.seconds > _SECONDS_TO_STOP:
            return "took too long to stop"
        begun = (folder / undisturbed.path / "config.yaml").exists()
        if begun and (record is None or record.status not in ("interrupted", "done")):
            return "no record that it was interrupted"
    return None


_SIGNALS = {"kill at a moment": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}
KINDS = (*_SIGNALS, "kill at an operation", "full disk at an operation")
