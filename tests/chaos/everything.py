"""All trials by name: each is a function that makes one, and says how it ended."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from helpers.commands import Ended

from chaos import command_lines, data_files, faults, keys, kills, plm_files, predictions
from chaos.cases import message, named


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial."""

    code: int
    message: str  # its last line
    wrong: str | None  # None: as it should be


Trial = Callable[[], Outcome]


def everything(room: Path, number_of_kills: int, seed: int) -> Iterator[tuple[str, Trial]]:
    """Every input, every fault and some random kills.

    Args:
        room: an empty folder for all that is written.
        number_of_kills: random moments and file operations at which runs are killed.
        seed: of these.
    """
    runs = faults.Runs(room / "runs")
    rooms = _rooms(room / "trials")
    inputs = named(
        [
            *keys.cases(),
            *data_files.cases(),
            *plm_files.cases(),
            *command_lines.cases(),
            *predictions.cases(runs.finished_run),
        ]
    )
    for key, case in inputs.items():
        yield key, _trial(case.run, rooms)
    for fault in faults.faults(runs):
        yield f"faults: {fault}", _trial(lambda folder, fault=fault: faults.tried(fault, runs, folder), rooms)
    references: dict[str, kills.Reference] = {}
    lock = Lock()

    def killed(kill: kills.Kill, folder: Path) -> tuple[Ended, str | None]:
        with lock:
            if kill.setting not in references:
                references[kill.setting] = kills.reference(kill.setting, room / "references" / kill.setting)
        return kills.tried(kill, references[kill.setting], folder)

    for number, kill in enumerate(kills.kills(number_of_kills, seed)):
        yield f"{kill.kind}: {number}, {kill}", _trial(lambda folder, kill=kill: killed(kill, folder), rooms)


def _trial(tried: Callable[[Path], tuple[Ended, str | None]], rooms: Iterator[Path]) -> Trial:
    """Every trial has a folder with one subfolder `w`, so that whatever is written beside `w` is seen."""

    def trial() -> Outcome:
        room = next(rooms)
        room.mkdir(parents=True)
        try:
            ended, wrong = tried(room / "w")
        except (OSError, ValueError, KeyError) as error:  # what was left behind could not even be judged
            return Outcome(-1, "", f"{type(error).__name__}: {error}")
        shutil.rmtree(room, ignore_errors=True)
        return Outcome(ended.code, message(ended).replace(str(room), "..."), wrong)

    return trial


class _rooms(Iterator[Path]):
    """New names for folders, for several threads."""

    def __init__(self, parent: Path) -> None:
        self.parent, self.count, self.lock = parent, 0, Lock()

    def __next__(self) -> Path:
        with self.lock:
            self.count += 1
            return self.parent / str(self.count)
