"""A finished run's model on new input."""

from collections.abc import Iterable
from typing import Any

from datasets import Dataset

from inducer_bench.plm.load import load_tokenizer, match_padding
from inducer_bench.plm.location import architecture
from inducer_bench.runs.finished import FinishedRun
from inducer_bench.tasks.cache import Examples
from inducer_bench.tasks.classification import ClassificationTask
from inducer_bench.tasks.generation import GenerationTask
from inducer_bench.tasks.registry import make_task
from inducer_bench.training.device import make_accelerator
from inducer_bench.training.evaluation import predict as predict_examples
from inducer_bench.training.evaluation import write


def predict(run: FinishedRun, inputs: Iterable[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """What the model says of each input, in their order.

    Args:
        run: a finished run.
        inputs: the place of each, for messages, and its values.

    Returns:
        `prediction`: a label's name, a number, or a text; with labels also `probabilities` by name.

    Raises:
        UserError: an input lacks a value, or the PLM is no longer there.
    """
    tokenizer = load_tokenizer(run.config.plm)
    task = make_task(run.config.task, tokenizer, architecture(run.config.plm))
    rows = [task.new_row(values, place) for place, values in inputs]
    if not rows:
        return []
    accelerator = make_accelerator(run.config.trainer)
    tuned = run.load().to(accelerator.device)
    match_padding(tuned.model, tokenizer)
    batch_size = run.config.trainer.eval_batch_size
    if isinstance(task, GenerationTask):
        return [{"prediction": row["prediction"]} for row in write(accelerator, tuned, task, rows, batch_size)]
    assert isinstance(task, ClassificationTask)
    examples = Examples(Dataset.from_list(task.encode(rows)))
    return [task.named(row) for row in predict_examples(accelerator, tuned, task, examples, batch_size)]
