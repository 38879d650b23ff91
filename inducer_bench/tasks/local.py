"""Local files of a task, read as a run would read them, but without torch: what `validate` looks at."""

from collections.abc import Iterable
from dataclasses import dataclass
from time import perf_counter

from inducer_bench.tasks import source
from inducer_bench.tasks.classification_rows import find_labels, read_rows
from inducer_bench.tasks.files import find
from inducer_bench.tasks.options import ClassificationOptions, TaskOptions, TextToTextOptions
from inducer_bench.tasks.text_to_text_rows import read_pairs

_SECONDS = 2.0  # of reading a split


@dataclass(frozen=True)
class ReadSplit:
    """A split in a local file."""

    split: str
    file: str  # its name
    rows: int | None  # examples, also those beyond the task's limit; None where only the file was looked for
    whole: bool  # whether all of it was read
    sequences: int | None = None  # that a run trains on, of train, where known


def read_local(task: TaskOptions) -> list[ReadSplit]:
    """Read the local files of each split, a large one for a few seconds; nothing of data that are none of the user's.

    Rows of tasks with a format of their own are left to the run.

    Raises:
        UserError: the line that a run would end with.
    """
    if task.data_dir is None:
        source.check_source(task)
        return []
    folder = source.data_folder(task)
    assert folder is not None
    labels = find_labels(task) if isinstance(task, ClassificationOptions) else None
    unlimited = task.unlimited()
    found = []
    for split in task.splits():
        name = find(task, folder, split).name
        if isinstance(unlimited, ClassificationOptions):
            count, whole = _count(read_rows(unlimited, split, labels))
            used = min(count, task.limit(split) or count)
            found.append(ReadSplit(split, name, count, whole, used if whole else None))
        elif isinstance(task, TextToTextOptions):
            pairs = read_pairs(task, split)
            texts = sum(len(targets) for _, targets in source.used(task, split, pairs.items()))
            found.append(ReadSplit(split, name, len(pairs), True, texts))
        else:
            found.append(ReadSplit(split, name, None, False))
    return found


def _count(rows: Iterable[object]) -> tuple[int, bool]:
    """The number of rows that were read, and whether these are all."""
    until, count = perf_counter() + _SECONDS, 0
    for count, _ in enumerate(rows, start=1):
        if perf_counter() > until:
            return count, False
    return count, True
