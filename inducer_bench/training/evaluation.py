"""Predict a whole split and score it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from torch import nn

from inducer_bench import distributed
from inducer_bench.errors import TrainingDiverged
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.metrics.score import Scores
from inducer_bench.tasks.base import Batch, Columns, Prediction, Task
from inducer_bench.tasks.cache import Encoded, EncodedExamples
from inducer_bench.tasks.options import Decoding
from inducer_bench.training import interruption
from inducer_bench.training.batching import evaluation_batches
from inducer_bench.training.decoding import generate, inference

TOGETHER = 16  # batches whose results are copied from a GPU together
Row = TypeVar("Row")


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
    return scored(predict(accelerator, model, task, examples, batch_size), task.score, where)


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
    return scored(task.answer(BatchedEngine(accelerator, tuned, batch_size), data), task.score_answers, where)


def predict(
    accelerator: Accelerator, model: nn.Module, task: Task, examples: EncodedExamples, batch_size: int
) -> list[Prediction]:
    """`task.predict` and `task.rows` of every example, in their order, without dropout and gradients."""
    return in_batches(accelerator, model, task, examples, batch_size, partial(task.predict, model), task.rows)


def in_batches(
    accelerator: Accelerator,
    model: nn.Module,
    task: Task,
    examples: EncodedExamples,
    batch_size: int,
    columns_of: Callable[[Batch], Columns],
    rows_of: Callable[[Columns, Sequence[Encoded]], list[Row]],
) -> list[Row]:
    """One row for every example, in their order, without dropout and gradients.

    Args:
        model: computes in `columns_of`.
        columns_of: as `task.predict` of a model.
        rows_of: as `task.rows`.
        accelerator, task, examples, batch_size: decide what a batch is.
    """
    batches = distributed.shard(evaluation_batches(examples.lengths, batch_size))
    rows: dict[int, Row] = {}
    with inference(model):
        for some in (batches[start : start + TOGETHER] for start in range(0, len(batches), TOGETHER)):
            columns, taken = [], []
            for indices in some:
                interruption.check()
                taken.append(examples.take(indices))
                batch = collate_to_device(accelerator, task, taken[-1])
                with accelerator.autocast():
                    columns.append(columns_of(batch))
            for indices, members, fetched in zip(some, taken, on_cpu(columns), strict=True):
                rows |= zip(indices, rows_of(fetched, members), strict=True)
    gathered = dict(distributed.all_gather(list(rows.items())))
    return [gathered[index] for index in range(len(examples))]


def on_cpu(batches: Sequence[Columns]) -> Iterator[Columns]:
    """The columns of several batches on the CPU, by one copy of each column."""
    pieces = {}
    for name in batches[0]:
        tensors = [columns[name] for columns in batches]
        pieces[name] = torch.cat(tensors).cpu().split([len(tensor) for tensor in tensors])
    return (dict(zip(pieces, parts, strict=True)) for parts in zip(*pieces.values(), strict=True))


def collate_to_device(
    accelerator: Accelerator, task: Task, examples: Sequence[Encoded], multiple: int = 1, length: int | None = None
) -> Batch:
    """Collated examples on the accelerator's device, padded to a length or the longest, rounded up to a multiple."""
    if multiple == 1 and length is None:
        return to_device(accelerator.device, task.collate(examples))
    return to_device(accelerator.device, task.collate(examples, task.padded_length(examples, multiple, length)))


def to_device(device: torch.device, batch: Batch) -> Batch:
    """A batch on a device.

    To a GPU it is copied from pinned memory: the CPU goes on meanwhile, and makes the next batch while the GPU works
    at the last ones.
    """
    if device.type == "cuda":
        batch = {name: tensor.pin_memory() for name, tensor in batch.items()}
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def scored(predictions: list[Prediction], score: Callable[[Sequence[Prediction]], Scores], where: str) -> Evaluation:
    """Predictions with their scores, computed once for all processes, and their mean loss.

    Raises:
        TrainingDiverged: a loss or score is not finite; the message starts with `where`.
    """
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
