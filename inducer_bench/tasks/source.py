"""Locating a task's data, on the hub, in local files or in the mini suite, and their fingerprint.

Only the hub needs `datasets`, so a finished run on local files is recognised at once.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from inducer_bench.errors import UserError, first_line
from inducer_bench.files import sha256
from inducer_bench.hub import known_commit
from inducer_bench.mini import suite
from inducer_bench.tasks.files import ending, find, parts, readable
from inducer_bench.tasks.options import HubData, TaskOptions
from inducer_bench.tasks.subset import sample
from inducer_bench.tasks.table_files import Cells, InputColumn, pick, read_table

if TYPE_CHECKING:
    from datasets import Dataset

Example = TypeVar("Example")

_ROWS = 1_000  # of the hub's data, made Python objects at a time


def rows(task: TaskOptions, split: str, columns: list[InputColumn], header: list[str] | None = None) -> Iterator[Cells]:
    """The rows of a split that is a table, from local files or from the hub, read when they are asked for.

    Args:
        task: where to read.
        split: its name.
        columns: the columns to read.
        header: all columns of a tsv or csv file without a header line.

    Raises:
        UserError: see `files.find` and `table_files.read_table`.
    """
    folder = data_folder(task)
    if folder is not None:
        return read_table(find(task, folder, split), columns, header)
    tables, name = load_from_hub(hub_data(task), split).with_format("arrow").iter(_ROWS), where(task, split)
    data = (row for table in tables for row in table.to_pylist())
    return pick(((f"{name}, row {number}", row) for number, row in enumerate(data, start=1)), columns)


def limited(
    task: TaskOptions, split: str, examples: Iterable[Example], unit: Callable[[Example], object] | None = None
) -> list[Example]:
    """As `used`, in a list."""
    return [*used(task, split, examples, unit)]


def used(
    task: TaskOptions, split: str, examples: Iterable[Example], unit: Callable[[Example], object] | None = None
) -> Iterator[Example]:
    """The examples of a split that the task asks for, in their order, one after another.

    All are read, so that a bad row is reported wherever it is.

    Args:
        task: its limit of the split, and `sample`.
        split: its name.
        examples: all of them.
        unit: what an example is a part of; a sample takes all parts of a unit, but for the last unit.

    Raises:
        UserError: there are none.
    """
    number, limit = 0, task.limit(split)
    chosen = examples if limit is None or task.sample == "first" else sample(examples, limit, unit)
    for number, example in enumerate(chosen, start=1):
        if limit is None or number <= limit:
            yield example
    if not number:
        raise UserError(f"{where(task, split)}: no examples")


def where(task: TaskOptions, split: str) -> str:
    """The file or folder of a split, or its name on the hub, for messages."""
    folder = data_folder(task)
    if folder is not None:
        return str(find(task, folder, split))
    hub = hub_data(task)
    return f"{'/'.join(filter(None, (hub.path, hub.name)))}, {hub.splits[split]}"


def fingerprint(task: TaskOptions) -> str:
    """The fingerprint of a task's data: sha256 of the local files, or the hub's path, name, commit and splits.

    While the commit is unknown, the revision takes its place; such data are never loaded.

    Raises:
        UserError: a local file is missing or cannot be read.
    """
    if data_folder(task) is None:
        hub = hub_data(task)
        commit = _commit(hub) or hub.revision
        return f"hub:{hub.path}/{hub.name}@{commit}:{','.join(hub.splits[split] for split in task.splits())}"
    digest = hashlib.sha256()
    for split in task.splits():
        digest.update(split_fingerprint(task, split).encode())
    return f"sha256:{digest.hexdigest()[:16]}"


def split_fingerprint(task: TaskOptions, split: str) -> str:
    """The fingerprint of one split: sha256 of its local files, or the one that `datasets` gives to the hub's data."""
    folder = data_folder(task)
    if folder is None:
        return f"hub:{load_from_hub(hub_data(task), split)._fingerprint}"  # private; it depends on the commit
    path = find(task, folder, split)
    with readable(path):
        return ",".join(f"{part or ending(file)}:{sha256(file).hex()}" for part, file in parts(path).items())


def data_folder(task: TaskOptions) -> Path | None:
    """The local folder that holds the task's files; None if they come from the hub.

    Raises:
        UserError: `task.data_dir` is not a folder or not given, or the mini suite has no such task.
    """
    if task.data_dir is not None:
        folder = Path(task.data_dir)
        with readable(folder):
            if folder.is_dir():
                return folder
        raise UserError(f"task.data_dir: found '{folder}', which is not a folder; allowed: one with {_wanted(task)}")
    check_source(task)
    return None if task.source == "hub" else suite.data_dir(task.name)


def check_source(task: TaskOptions) -> None:
    """Check that data come from somewhere, if they are in no folder of the user's.

    Raises:
        UserError: `task.data_dir` has to be given, or the mini suite has no such task.
    """
    if task.source == "files":
        raise UserError(
            f"task.data_dir: missing; task '{task.name}' reads local files: give a folder with {_wanted(task)}"
        )
    if task.source == "mini":
        try:
            suite.check_task(task.name)
        except KeyError as error:
            raise UserError(f"preset: {error.args[0]}") from None


def _wanted(task: TaskOptions) -> str:
    return f"{', '.join(task.files[split] for split in task.splits())} as {', '.join(task.formats)}"


def hub_data(task: TaskOptions) -> HubData:
    """The location of the task's data on the hub; the configuration has been checked for it."""
    assert task.hub is not None
    return task.hub


def fetch(task: TaskOptions, online: bool) -> None:
    """Fetch a task's data from the hub unless they are on this machine.

    Raises:
        UserError: they are not and cannot be fetched; the message says what to do instead.
    """
    data = hub_data(task)
    try:
        for split in task.splits():
            load_from_hub(data, split)
    except Exception as error:  # the hub cannot be reached, the name is unknown, or a proxy or token cannot be
        if online:
            raise UserError(f"task.hub: '{data.path}' cannot be loaded: {first_line(error)}") from None
        raise UserError(
            f"task: the data of '{task.name}' are not on this machine and the hub cannot be reached; "
            "give local files with task.data_dir=FOLDER, or use preset=mini (bundled, no network)"
        ) from None


def load_from_hub(hub: HubData, split: str) -> "Dataset":
    """The split as `datasets` loads it, from its cache or the hub, at the commit that identifies the data.

    Raises:
        OSError, ValueError: it is in neither.
    """
    from datasets import load_dataset_builder

    commit = _commit(hub)
    builder = load_dataset_builder(hub.path, hub.name, revision=commit or hub.revision)
    if builder.hash != commit:  # without a network, datasets takes the commit that was used last
        raise OSError(f"found commit {builder.hash} of revision '{hub.revision}'; expected {commit}")
    builder.download_and_prepare()
    return builder.as_dataset(split=hub.splits[split])


def _commit(hub: HubData) -> str | None:
    return known_commit("dataset", hub.path, hub.revision)
