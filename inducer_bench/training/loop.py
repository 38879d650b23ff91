"""The training loop: batches of similar length, AdamW over trained parameters, evaluation per epoch, exact resume."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator

from inducer_bench import distributed
from inducer_bench.errors import Interrupted, TrainingDiverged
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.tasks.base import Task
from inducer_bench.tasks.cache import Encoded, EncodedExamples
from inducer_bench.training import interruption
from inducer_bench.training.batching import training_batches
from inducer_bench.training.checkpoint import Checkpoint, Progress
from inducer_bench.training.evaluation import collate_to_device, evaluate
from inducer_bench.training.options import TrainerOptions
from inducer_bench.training.tracking import Tracker

COMPILED_LENGTHS = 8  # tokens; batch lengths are rounded up to a multiple for a compiled PLM: few shapes


@dataclass(frozen=True)
class Splits:
    """Encoded examples: to train on, and to select the epoch by."""

    train: EncodedExamples
    selection: EncodedExamples


@dataclass(frozen=True)
class Experiment:
    """Everything an experiment works with, built and on its device."""

    accelerator: Accelerator
    tuned: TunedModel
    task: Task
    splits: Splits
    eval_data: dict[str, Sequence[Any]]  # split -> input of the final evaluation


def train(
    experiment: Experiment,
    config: TrainerOptions,
    seed: int,
    checkpoint: Checkpoint,
    tracker: Tracker,
) -> Progress:
    """Train to the end, from the checkpoint if there is one; leaves the best epoch's weights in the model.

    With several processes each one computes its shard of every batch; all take the same steps and stop at the same one.

    A signal is to wait (`interruption.shielded`): a step is finished and saved; an evaluation stops at once, and a
    resumed run repeats it.

    Raises:
        TrainingDiverged: a loss or gradient norm is not finite, and its step is neither applied nor saved; or a loss or
            score of an epoch, or a weight at the end.
        Interrupted: a signal asked for it; the checkpoint holds the last finished step.
        KeyboardInterrupt: a signal came in an evaluation.
        DamagedError: the best epoch's weights were changed on disk.
    """
    accelerator, tuned, task, splits = experiment.accelerator, experiment.tuned, experiment.task, experiment.splits
    optimizer = checkpoint.optimizer
    trained = list(checkpoint.trained.values())
    steps_per_epoch = math.ceil(len(splits.train) / config.batch_size)
    total_steps = config.epochs * steps_per_epoch
    progress = checkpoint.resume()
    tracker.start(progress, total_steps)
    tuned.train()
    clock = Clock(progress)

    while progress.epoch < config.epochs and not out_of_patience(progress, config):
        # -- one epoch of steps --------------------------------------------------------------------------------
        batches = training_batches(splits.train.lengths, config.batch_size, seed, progress.epoch)
        for indices in batches[progress.batch :]:
            lr = learning_rate(config, progress.step, total_steps)
            set_lr(optimizer, lr)
            distributed.seed_other_ranks(seed, progress.step)
            examples = splits.train.take(indices)
            loss, padded_tokens = add_gradients(accelerator, tuned, task, examples, config)
            loss, padded, stopping = distributed.all_reduce_gradients(
                trained, loss, padded_tokens, interruption.requested()
            )
            where = f"{tuned.options.name}, epoch {progress.epoch + 1}, step {progress.step + 1}"
            update(trained, optimizer, loss, config.clip_norm, where)

            progress.step += 1
            progress.batch += 1
            progress.interval_loss += loss.item()
            progress.interval_count += task.count(examples)
            progress.padded_tokens += int(padded)
            progress.real_tokens += sum(example["length"] for example in examples)
            clock.update()
            tracker.step(progress)
            if progress.step % config.log_every == 0:
                tracker.interval(progress, progress.end_interval(), lr)
            if stopping or checkpoint.due(progress):
                progress.metrics = tracker.metrics
                checkpoint.save(progress)
            if stopping:
                raise Interrupted(f"stopped at step {progress.step} of {total_steps}")

        # -- evaluation and selection --------------------------------------------------------------------------
        progress.epoch, progress.batch = progress.epoch + 1, 0
        where = f"{tuned.options.name}, epoch {progress.epoch}, selection set"
        with interruption.exposed():
            evaluation = evaluate(accelerator, tuned, task, splits.selection, config.eval_batch_size, where)
        name, sign = task.selection
        score = evaluation.scores[name].value  # None: undefined, and worse than any score
        if progress.best_score is None or (score is not None and sign * score > sign * progress.best_score):
            progress.best_epoch, progress.best_score = progress.epoch, score
            checkpoint.save_best(progress.epoch)
        scores = {name: entry.value for name, entry in evaluation.scores.items()}
        progress.evaluations.append({"epoch": progress.epoch, "step": progress.step, "loss": evaluation.loss, **scores})
        tracker.evaluation(progress)
        clock.update()
        progress.metrics = tracker.metrics
        checkpoint.save(progress)

    if progress.best_epoch:
        checkpoint.load_best(progress.best_epoch)
    check_weights(tuned)
    return progress


def check_weights(tuned: TunedModel) -> None:
    """Check that the model can compute something.

    Raises:
        TrainingDiverged: a weight of the PLM, the method or the head is NaN or infinite.
    """
    for name, parameter in tuned.model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise TrainingDiverged(f"{tuned.options.name}: weight '{name}' is not finite")


def learning_rate(config: TrainerOptions, step: int, total_steps: int) -> float:
    """The learning rate of step `step`, counted from 0: linear warm-up, then linear decay to 0 or no decay."""
    warmup = config.warmup * total_steps if config.warmup < 1 else config.warmup
    if step < warmup:
        return config.lr * (step + 1) / (warmup + 1)
    if config.schedule == "constant":
        return config.lr
    return config.lr * max(0.0, (total_steps - step) / max(1.0, total_steps - warmup))


def make_optimizer(tuned: TunedModel, config: TrainerOptions) -> torch.optim.AdamW:
    """A fused AdamW over the trained parameters; biases and LayerNorms have no weight decay."""
    matrices: list[torch.nn.Parameter] = []
    vectors: list[torch.nn.Parameter] = []
    for parameter in tuned.trained_parameters().values():
        is_matrix = parameter.ndim >= 2 and parameter.shape[-2] > 1  # a bias per head has shape (H, 1, r)
        (matrices if is_matrix else vectors).append(parameter)
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    beta1, beta2 = config.betas
    return torch.optim.AdamW(groups, lr=config.lr, betas=(beta1, beta2), eps=config.eps, fused=True)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def micro_batches(examples: Sequence[Encoded], size: int | None) -> Iterator[Sequence[Encoded]]:
    """The parts of a batch whose gradients are accumulated; `size` None: the whole batch."""
    size = size or len(examples) or 1
    return (examples[start : start + size] for start in range(0, len(examples), size))


def add_gradients(
    accelerator: Accelerator, tuned: TunedModel, task: Task, examples: list[Encoded], config: TrainerOptions
) -> tuple[torch.Tensor, int]:
    """Accumulate the gradients of a batch's mean loss over this process's micro-batches.

    Args:
        examples: the whole batch; with several processes each one computes its shard.

    Returns:
        The loss, (), summed over this process's shard, and the tokens it computed, padding included.
    """
    multiple = COMPILED_LENGTHS if config.compile != "none" else 1
    count = task.count(examples)
    loss, padded_tokens = torch.zeros((), device=accelerator.device), 0
    for micro in micro_batches(distributed.shard(examples), config.micro_batch_size):
        batch = collate_to_device(accelerator, task, micro, multiple)
        with accelerator.autocast():
            loss_sum = task.loss(tuned, batch, config.label_smoothing)
        accelerator.backward(loss_sum / count)
        loss += loss_sum.detach()
        padded_tokens += batch["input_ids"].numel()
    return loss, padded_tokens


def update(
    trained: Sequence[torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    loss: torch.Tensor,
    clip_norm: float | None,
    where: str,
) -> None:
    """Clip the gradients to the norm `clip_norm`, take one optimiser step, and clear them.

    Raises:
        TrainingDiverged: the loss or the norm is not finite; the message starts with `where`, and nothing is updated.
    """
    norm = torch.nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])
    if not bool(torch.isfinite(loss + norm)):  # the only synchronisation with a GPU in a step
        raise TrainingDiverged(
            f"{where}: loss {loss.item():.4g}, gradient norm {norm.item():.4g}; "
            "lower trainer.lr or raise trainer.warmup"
        )
    if clip_norm is not None and norm > clip_norm:
        torch.nn.utils.clip_grads_with_norm_(trained, clip_norm, norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def out_of_patience(progress: Progress, config: TrainerOptions) -> bool:
    """Whether none of the last `patience` epochs improved the score."""
    return config.patience is not None and progress.epoch - progress.best_epoch >= config.patience


class Clock:
    """Adds elapsed seconds to `progress.train_seconds`, which sums over all attempts of a run."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._last = time.perf_counter()

    def update(self) -> None:
        """Add the time since the last call."""
        now = time.perf_counter()
        self._progress.train_seconds += now - self._last
        self._last = now
