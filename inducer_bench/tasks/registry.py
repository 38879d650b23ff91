"""The class of each kind of task."""

from importlib import import_module
from typing import Any

from transformers import PreTrainedTokenizerBase

from inducer_bench.methods.architectures import Layout
from inducer_bench.tasks.base import Task
from inducer_bench.tasks.classification import ClassificationTask
from inducer_bench.tasks.coqa import CoqaTask
from inducer_bench.tasks.options import TaskOptions
from inducer_bench.tasks.text_to_text import TextToTextTask
from inducer_bench.tasks.webnlg import WebNlgTask

TASKS: dict[str, type[Task]] = {  # by kind
    "classification": ClassificationTask,
    "webnlg": WebNlgTask,
    "coqa": CoqaTask,
    "text_to_text": TextToTextTask,
}


def make_task(
    options: TaskOptions,
    tokenizer: PreTrainedTokenizerBase,
    architecture: dict[str, Any],
    labels: list[str] | None = None,
    layout: Layout | None = None,
) -> Task:
    """The task of a configuration, for one PLM.

    Args:
        options: of a kind of this package, or of a user's module that defines `Task`.
        tokenizer: of the PLM.
        architecture: the PLM's sizes, as its transformers config names them.
        labels: those of a finished run; by default those that the options list, or that the data have.
        layout: `plm.layout`, of an architecture that this package does not know.

    Raises:
        UserError: the labels cannot be read from the data.
    """
    kind = options.kind
    task_class: type[Task] = TASKS[kind] if kind in TASKS else import_module(kind).Task
    return task_class(options, tokenizer, architecture, labels, layout)
