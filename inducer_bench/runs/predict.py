"""A finished run's model on new input."""

import math
from collections.abc import Iterable
from typing import Any

from inducer_bench.errors import UserError
from inducer_bench.plm.fetch import fetched_architecture
from inducer_bench.plm.load import load_tokenizer, match_padding
from inducer_bench.runs.finished import FinishedRun
from inducer_bench.tasks.registry import make_task
from inducer_bench.training.device import make_accelerator
from inducer_bench.training.evaluation import BatchedEngine


def predict(run: FinishedRun, inputs: Iterable[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """The model's prediction for each input, in their order.

    Args:
        run: a finished run.
        inputs: the position of each, for messages, and its values.

    Returns:
        `prediction`: a label's name, a number, or a text; with labels also `probabilities` by name.

    Raises:
        UserError: an input lacks a value, the files of the run or of the PLM are not there, or a prediction is not
            finite.
        TrainingDiverged: the model's numbers are not finite while it generates.
    """
    plm, trainer = run.config.plm, run.config.trainer
    tokenizer = load_tokenizer(plm)
    task = make_task(run.config.task, tokenizer, fetched_architecture(plm), run.record.labels, plm.layout)
    given = list(inputs)
    rows = [task.new_row(values, where) for where, values in given]
    if not rows:
        return []
    accelerator = make_accelerator(trainer)
    tuned = run.load().to(accelerator.device)
    match_padding(tuned.model, tokenizer)
    engine = BatchedEngine(accelerator, tuned, trainer.eval_batch_size)
    predictions = [task.shown(prediction) for prediction in task.answer(engine, task.new_data(rows))]
    for (where, _), prediction in zip(given, predictions, strict=True):
        numbers = [prediction["prediction"], *prediction.get("probabilities", {}).values()]
        if not all(math.isfinite(number) for number in numbers if isinstance(number, float)):
            raise UserError(f"{where}: the model's prediction is not finite: {prediction}")
    return predictions
