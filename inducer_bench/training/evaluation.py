"""Predict a whole split and score it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from inducer_bench import distributed
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.metrics.score import Scores
from inducer_bench.tasks.base import Task
from inducer_bench.tasks.cache import Encoded, Examples
from inducer_bench.tasks.generation import GenerationTask
from inducer_bench.tasks.sample import Sample
from inducer_bench.training.batching import evaluation_batches
from inducer_bench.training.decoding import generate


@dataclass(frozen=True)
class Evaluation:
    """Predictions in the order of the examples, their scores, and their mean loss if they have one."""

    predictions: list[dict[str, Any]]
    scores: Scores
    loss: float | None


def evaluate(accelerator: Accelerator, model: nn.Module, task: Task, examples: Examples, batch_size: int) -> Evaluation:
    """Score `model` on `examples`."""
    predictions = predict(accelerator, model, task, examples, batch_size)
    loss = sum(row["loss"] for row in predictions) / sum(row.get("count", 1) for row in predictions)
    return Evaluation(predictions, distributed.broadcast_from_main(lambda: task.score(predictions)), loss)


def predict(
    accelerator: Accelerator, model: nn.Module, task: Task, examples: Examples, batch_size: int
) -> list[dict[str, Any]]:
    """What `task.predict` gives for each example, without dropout and gradients; the model's mode is restored."""
    was_training = model.training
    model.eval()
    predictions: dict[int, dict[str, Any]] = {}
    with torch.inference_mode(), uncompiled():
        for indices in distributed.shard(evaluation_batches(examples.lengths, batch_size)):
            batch = accelerator_batch(accelerator, task, examples.take(indices))
            with accelerator.autocast():
                outputs = task.predict(model, batch)
            predictions |= zip(indices, outputs, strict=True)
    model.train(was_training)
    everywhere = dict(distributed.all_gather(list(predictions.items())))
    return [everywhere[index] for index in range(len(examples))]


def report(accelerator: Accelerator, tuned: TunedModel, task: Task, data: Sequence[Any], batch_size: int) -> Evaluation:
    """Score the final model on what `task.reported` gave: texts are generated where the task is to generate."""
    if not isinstance(task, GenerationTask):
        assert isinstance(data, Examples)
        return evaluate(accelerator, tuned, task, data, batch_size)
    rows = write(accelerator, tuned, task, data, batch_size)
    return Evaluation(rows, distributed.broadcast_from_main(lambda: task.score_texts(rows)), None)


def write(
    accelerator: Accelerator, tuned: TunedModel, task: GenerationTask, samples: Sequence[Sample], batch_size: int
) -> list[dict[str, Any]]:
    """What `task.write` gives for samples: the texts that the model generates."""
    tuned.eval()
    decoding = partial(generate, accelerator, tuned, decoding=task.config.decoding, batch_size=batch_size)
    with uncompiled():
        return task.write(samples, partial(decoding, first_special=task.first_special, segments=task.segments))


def uncompiled() -> AbstractContextManager[Any]:
    """Without `trainer.compile`: one pass over a split is over before its shapes are compiled."""
    return torch.compiler.set_stance("force_eager")


def accelerator_batch(
    accelerator: Accelerator, task: Task, examples: Sequence[Encoded], multiple: int = 1
) -> dict[str, Any]:
    """Collated examples on the accelerator's device, padded to a multiple of a length."""
    batch = task.widened(task.collate(examples), multiple)
    return {key: tensor.to(accelerator.device, non_blocking=True) for key, tensor in batch.items()}
