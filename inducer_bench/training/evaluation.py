"""Predict a whole split and score it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from inducer_bench import distributed
from inducer_bench.errors import TrainingDiverged
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.metrics.score import Scores
from inducer_bench.tasks.base import Columns, Prediction, Task
from inducer_bench.tasks.cache import Encoded, EncodedExamples
from inducer_bench.tasks.options import Decoding
from inducer_bench.training import interruption
from inducer_bench.training.batching import evaluation_batches
from inducer_bench.training.decoding import generate, inference

TOGETHER = 16  # batches whose results are copied from a GPU together


@dataclass(frozen=True)
class Evaluation:
    """Predictions in the order of the examples, their scores, and their mean loss if they have one."""

    predictions: list[Prediction]
    scores: Scores
    loss: float | None


@dataclass(frozen=True)
class BatchedEngine:
    """The `tasks.base.Engine` of a tuned model: batches of similar length, shared by all processes."""

    accelerator: Accelerator
    tuned: TunedModel
    batch_size: int

    def predict(self, task: Task, examples: EncodedExamples) -> list[Prediction]:
        """`task.predict` and `task.rows` of every example, in their order."""
        return predict(self.accelerator, self.tuned, task, examples, self.batch_size)

    def generate(
        self, prompts: Sequence[Encoded], decoding: Decoding, first_special: int, segments: bool
    ) -> list[list[int]]:
        """The tokens generated after each prompt, up to the special token that ends them."""
        return generate(self.accelerator, self.tuned, prompts, decoding, first_special, segments, self.batch_size)


def evaluate(
    accelerator: Accelerator,
    model: nn.Module,
    task: Task,
    examples: EncodedExamples,
    batch_size: int,
    where: str = "evaluation",
) -> Evaluation:
    """Score `model` on `examples` by forward passes, to select an epoch.

    Raises:
        TrainingDiverged: a loss or score is not finite; the message starts with `where`.
    """
    return _scored(predict(accelerator, model, task, examples, batch_size), task.score, where)


def evaluate_final(
    accelerator: Accelerator,
    tuned: TunedModel,
    task: Task,
    data: Sequence[Any],
    batch_size: int,
    where: str = "final evaluation",
) -> Evaluation:
    """Score the final model on `task.eval_data`; a task may generate texts for that.

    Raises:
        TrainingDiverged: a loss or score is not finite; the message starts with `where`.
    """
    return _scored(task.answer(BatchedEngine(accelerator, tuned, batch_size), data), task.score_answers, where)


def predict(
    accelerator: Accelerator, model: nn.Module, task: Task, examples: EncodedExamples, batch_size: int
) -> list[Prediction]:
    """`task.predict` and `task.rows` of every example, in their order, without dropout and gradients."""
    batches = distributed.shard(evaluation_batches(examples.lengths, batch_size))
    predictions: dict[int, Prediction] = {}
    with inference(model):
        for some in (batches[start : start + TOGETHER] for start in range(0, len(batches), TOGETHER)):
            columns, taken = [], []
            for indices in some:
                interruption.check()
                taken.append(examples.take(indices))
                batch = collate_to_device(accelerator, task, taken[-1])
                with accelerator.autocast():
                    columns.append(task.predict(model, batch))
            for indices, members, fetched in zip(some, taken, on_cpu(columns), strict=True):
                predictions |= zip(indices, task.rows(fetched, members), strict=True)
    gathered = dict(distributed.all_gather(list(predictions.items())))
    return [gathered[index] for index in range(len(examples))]


def on_cpu(batches: Sequence[Columns]) -> Iterator[Columns]:
    """The columns of several batches on the CPU, by one copy of each column."""
    pieces = {}
    for name in batches[0]:
        tensors = [columns[name] for columns in batches]
        pieces[name] = torch.cat(tensors).cpu().split([len(tensor) for tensor in tensors])
    return (dict(zip(pieces, parts, strict=True)) for parts in zip(*pieces.values(), strict=True))


def collate_to_device(
    accelerator: Accelerator, task: Task, examples: Sequence[Encoded], multiple: int = 1
) -> dict[str, Any]:
    """Collated examples on the accelerator's device, padded to a multiple of a length.

    To a GPU they are copied from pinned memory: the CPU goes on meanwhile, and makes the next batch while the GPU works
    at the last ones.
    """
    device = accelerator.device
    length = task.padded_length(examples, multiple) if multiple > 1 else None
    batch = task.collate(examples) if length is None else task.collate(examples, length)
    if device.type == "cuda":
        batch = {name: tensor.pin_memory() for name, tensor in batch.items()}
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def _scored(predictions: list[Prediction], score: Callable[[Sequence[Prediction]], Scores], where: str) -> Evaluation:
    """Predictions with their scores, computed once for all processes, and their mean loss."""
    undefined = [row["loss"] for row in predictions if not math.isfinite(row.get("loss", 0.0))]
    if undefined:
        raise TrainingDiverged(f"{where}: loss {undefined[0]} on {len(undefined)} of {len(predictions)} examples")
    scores = distributed.broadcast_from_main(lambda: score(predictions))
    for name, entry in scores.items():
        if entry.value is not None and not math.isfinite(entry.value):
            raise TrainingDiverged(f"{where}: {name} {entry.value}")
    if "loss" not in predictions[0]:
        return Evaluation(predictions, scores, None)
    loss = sum(row["loss"] for row in predictions) / sum(row.get("count", 1) for row in predictions)
    return Evaluation(predictions, scores, loss)
