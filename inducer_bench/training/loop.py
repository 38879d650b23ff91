"""The training loop: batches of similar length, AdamW over trained parameters, evaluation per epoch, exact resume."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator

from inducer_bench import distributed
from inducer_bench.errors import Interrupted, TrainingDiverged
from inducer_bench.methods.finite import first_not_finite
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.tasks.base import Task
from inducer_bench.tasks.cache import Encoded, EncodedExamples
from inducer_bench.training import interruption
from inducer_bench.training.batching import PlannedBatch, epoch_batches, micro_batches, padded_tokens
from inducer_bench.training.checkpoint import Checkpoint, Progress
from inducer_bench.training.evaluation import Evaluation, collate_to_device, evaluate
from inducer_bench.training.options import TrainerOptions
from inducer_bench.training.schedule import learning_rates
from inducer_bench.training.tracking import Tracker
from inducer_bench.training.watch import Watch, account

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

    Losses and norms stay on the device. The loop waits for them every `log_every` steps, and before it saves or
    evaluates: so a run that diverges may go on for some steps, of which nothing is logged or saved.

    A signal is to wait (`interruption.shielded`): a step is finished and saved; an evaluation stops at once, and a
    resumed run repeats it. With several processes the signal of one is noticed when the next line is logged.

    Raises:
        TrainingDiverged: a loss or gradient norm is not finite: the first such step is named, and neither it nor a
            later one is saved; or a loss or score of an epoch, or a weight at the end.
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
    clock, watch, method = Clock(progress), Watch(), tuned.options.name
    rate = learning_rates(config, total_steps)

    while progress.epoch < config.epochs and not out_of_patience(progress, config):
        # -- one epoch of steps --------------------------------------------------------------------------------
        batches = epoch_batches(config.batches, splits.train.lengths, config.batch_size, seed, progress.epoch)
        for indices, length in batches[progress.batch :]:
            lr = rate(progress.step)
            set_lr(optimizer, lr)
            distributed.seed_other_ranks(seed, progress.step)
            examples = splits.train.take(indices)
            loss = add_gradients(accelerator, tuned, task, examples, config, length)
            loss, signalled = distributed.all_reduce_gradients(trained, loss, interruption.requested())
            watch.add(loss, update(trained, optimizer, config.clip_norm))

            padded = padded_tokens(task, examples, config.micro_batch_size, multiple_of_lengths(config), length)
            progress.count_step(task.count(examples), sum(example["length"] for example in examples), padded)
            clock.update()
            tracker.step(progress)
            logs, ends = progress.step % config.log_every == 0, progress.batch == len(batches)
            saves = checkpoint.due(progress)
            if logs or ends or saves or signalled is True:
                account(progress, watch.read().tolist(), method)
                stops = signalled is True or ((logs or ends) and bool(signalled))  # where all processes look
                if logs:
                    tracker.interval(progress, progress.end_interval(), lr)
                if saves or stops:
                    progress.metrics = tracker.metrics
                    checkpoint.save(progress)
                if stops:
                    raise Interrupted(f"stopped at step {progress.step} of {total_steps}")

        # -- evaluation and selection --------------------------------------------------------------------------
        progress.epoch, progress.batch = progress.epoch + 1, 0
        where = f"{tuned.options.name}, epoch {progress.epoch}, selection set"
        with interruption.exposed():
            evaluation = evaluate(accelerator, tuned, task, splits.selection, config.eval_batch_size, where)
        clock.update()
        end_epoch(progress, evaluation, task, checkpoint, tracker)

    if progress.best_epoch:
        checkpoint.load_best(progress.best_epoch)
    check_weights(tuned)
    return progress


def end_epoch(progress: Progress, evaluation: Evaluation, task: Task, checkpoint: Checkpoint, tracker: Tracker) -> None:
    """Keep the weights if the epoch that ended is the best one so far; log it, and save the state."""
    name, sign = task.selection
    score = evaluation.scores[name].value  # None: undefined, and worse than any score
    if progress.best_score is None or (score is not None and sign * score > sign * progress.best_score):
        progress.best_epoch, progress.best_score = progress.epoch, score
        checkpoint.save_best(progress.epoch)
    scores = {name: entry.value for name, entry in evaluation.scores.items()}
    progress.evaluations.append({"epoch": progress.epoch, "step": progress.step, "loss": evaluation.loss, **scores})
    tracker.evaluation(progress)
    progress.metrics = tracker.metrics
    checkpoint.save(progress)


def check_weights(tuned: TunedModel) -> None:
    """Check that the model can compute something.

    Raises:
        TrainingDiverged: a weight of the PLM, the method or the head is NaN or infinite.
    """
    if (name := first_not_finite(tuned.model.named_parameters())) is not None:
        raise TrainingDiverged(f"{tuned.options.name}: weight '{name}' is not finite")


def make_optimizer(tuned: TunedModel, config: TrainerOptions) -> torch.optim.AdamW:
    """The optimizer of the trained parameters."""
    return optimizer_of(list(tuned.trained_parameters().values()), config)


def optimizer_of(trained: Sequence[torch.nn.Parameter], config: TrainerOptions) -> torch.optim.AdamW:
    """A fused AdamW over these parameters; biases and LayerNorms have no weight decay.

    On a GPU its learning rate is a tensor there, so that a captured step can be replayed with another one.
    """
    matrices: list[torch.nn.Parameter] = []
    vectors: list[torch.nn.Parameter] = []
    for parameter in trained:
        is_matrix = parameter.ndim >= 2 and parameter.shape[-2] > 1  # a bias per head has shape (H, 1, r)
        (matrices if is_matrix else vectors).append(parameter)
    device, cuda = trained[0].device, trained[0].is_cuda
    groups = [
        {"params": group, "weight_decay": decay, "lr": torch.full((), config.lr, device=device) if cuda else config.lr}
        for group, decay in ((matrices, config.weight_decay), (vectors, 0.0))
    ]
    beta1, beta2 = config.betas
    return torch.optim.AdamW(groups, lr=config.lr, betas=(beta1, beta2), eps=config.eps, fused=True, capturable=cuda)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


def multiple_of_lengths(config: TrainerOptions) -> int:
    """The lengths of training batches are multiples of this."""
    return COMPILED_LENGTHS if config.compile != "none" else 1


def add_gradients(
    accelerator: Accelerator,
    tuned: TunedModel,
    task: Task,
    examples: list[Encoded],
    config: TrainerOptions,
    length: int | None = None,
) -> torch.Tensor:
    """Accumulate the gradients of a batch's mean loss over this process's micro-batches.

    Args:
        examples: the whole batch; with several processes each one computes its shard.
        length: that they are padded to; None for the longest of a micro-batch.

    Returns:
        The loss, (), summed over this process's shard.
    """
    count = task.count(examples)
    loss = torch.zeros((), device=accelerator.device)
    for micro in micro_batches(distributed.shard(examples), config.micro_batch_size):
        batch = collate_to_device(accelerator, task, micro, multiple_of_lengths(config), length)
        with accelerator.autocast():
            loss_sum = task.loss(tuned, batch, config.label_smoothing)
        accelerator.backward(loss_sum / count)
        loss += loss_sum.detach()
    return loss


def update(
    trained: Sequence[torch.nn.Parameter], optimizer: torch.optim.Optimizer, clip_norm: float | None
) -> torch.Tensor:
    """Clip the gradients to the norm `clip_norm`, take one optimiser step, and clear them.

    Returns:
        The norm of the gradients before clipping, (). If it is not finite, neither are the weights any more.
    """
    norm = torch.nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])
    # A factor of 1 changes nothing. A CPU saves the pass over the gradients; a GPU does it rather than wait for `norm`.
    if clip_norm is not None and (norm.is_cuda or not norm <= clip_norm):
        torch.nn.utils.clip_grads_with_norm_(trained, clip_norm, norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm


def longest_batch(config: TrainerOptions, lengths: Sequence[int], seed: int) -> PlannedBatch:
    """The batch of the first epoch with the most tokens, padding included."""
    batches = epoch_batches(config.batches, lengths, config.batch_size, seed, 0)
    return max(batches, key=lambda batch: len(batch.indices) * max(lengths[index] for index in batch.indices))


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
