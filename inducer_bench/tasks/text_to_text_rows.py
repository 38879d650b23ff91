"""Rows of text-to-text tasks, without torch."""

from inducer_bench.errors import UserError
from inducer_bench.tasks import source
from inducer_bench.tasks.options import TextToTextOptions
from inducer_bench.tasks.table_files import InputColumn, checked_text


def read_pairs(task: TextToTextOptions, split: str) -> dict[str, list[str]]:
    """Source text -> its target texts, in the order of the split's rows.

    Raises:
        UserError: the file is missing or damaged, lacks a column, or has an empty target.
    """
    columns = [InputColumn("task.text", (task.text,)), InputColumn("task.target", (task.target,))]
    targets: dict[str, list[str]] = {}
    for where, [text, target] in source.rows(task, split, columns):
        if not checked_text(target, where, task.target).strip():
            raise UserError(f"{where}, '{task.target}': an empty text; expected a target (task.target)")
        targets.setdefault(checked_text(text, where, task.text), []).append(target)
    return targets
