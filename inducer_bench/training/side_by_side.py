"""The training loop of several seeds side by side: that of `loop.py` for lanes of a `Stack`.

The runs of a stack are at the same step. Each has its own batches, loss, norm, best epoch, patience, log and
checkpoint. A run that diverges or runs out of patience leaves, and the others go on.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from inducer_bench.errors import Interrupted, TrainingDiverged, UserError, first_line, lacks_memory
from inducer_bench.tasks.base import Columns, Prediction
from inducer_bench.tasks.cache import Encoded
from inducer_bench.training import interruption
from inducer_bench.training.batching import epoch_batches, micro_batches
from inducer_bench.training.checkpoint import Checkpoint, Progress
from inducer_bench.training.evaluation import in_batches, scored, to_device
from inducer_bench.training.generators import Generators
from inducer_bench.training.loop import Experiment, end_epoch, out_of_patience, set_lr
from inducer_bench.training.options import TrainerOptions
from inducer_bench.training.schedule import learning_rates
from inducer_bench.training.stack import Lane, Stack
from inducer_bench.training.tracking import Tracker
from inducer_bench.training.watch import Watch, account


@dataclass
class Run:
    """One of the runs that are trained side by side.

    Attributes:
        generators: the states of the global generators as the run would have them alone; dropout goes on in the lane's.
        diverged: what ended it.
    """

    seed: int
    lane: Lane
    checkpoint: Checkpoint
    tracker: Tracker
    progress: Progress
    generators: Generators
    diverged: TrainingDiverged | None = None

    @classmethod
    def begin(cls, seed: int, lane: Lane, checkpoint: Checkpoint, tracker: Tracker) -> "Run":
        """A run as it is once its model is built: new, or resumed from the checkpoint of the lane's weights."""
        progress = checkpoint.resume()
        generators = Generators.now()
        lane.generator.set_state(generators.of_device(lane.generator.device))
        return cls(seed, lane, checkpoint, tracker, progress, generators)

    def goes_on(self, config: TrainerOptions) -> bool:
        """Whether there is an epoch left to train."""
        ended = self.progress.epoch >= config.epochs or out_of_patience(self.progress, config)
        return not ended and self.diverged is None

    def random_state(self) -> Generators:
        """The states of the global generators as the run would have them alone, now."""
        state = self.lane.generator.get_state()
        if self.lane.generator.device.type == "cuda":
            return replace(self.generators, of_cuda=state)
        return replace(self.generators, of_torch=state)

    def save(self) -> None:
        """Write the run's checkpoint, which it could resume from alone."""
        self.progress.metrics = self.tracker.metrics
        with self.random_state().in_place():
            self.checkpoint.save(self.progress)


def train_side_by_side(experiment: Experiment, config: TrainerOptions, runs: Sequence[Run]) -> None:
    """Train each run to its end, from its checkpoint if there is one; its progress says how far it came.

    Runs that are not at the same step, because some were started earlier, are trained in groups one after another.

    Raises:
        UserError: the model does something that `torch.vmap` cannot do for several lanes.
        Interrupted: a signal asked for it; the checkpoints hold the last finished step.
        KeyboardInterrupt: a signal came in an evaluation.
    """
    steps_per_epoch = math.ceil(len(experiment.splits.train) / config.batch_size)
    groups: dict[tuple[int, int], list[Run]] = {}
    for run in runs:
        run.tracker.start(run.progress, config.epochs * steps_per_epoch)
        if run.goes_on(config):
            groups.setdefault((run.progress.epoch, run.progress.batch), []).append(run)
    for group in groups.values():
        check_stacks(experiment, config, group)
        _train(experiment, config, group)


def check_stacks(experiment: Experiment, config: TrainerOptions, runs: Sequence[Run]) -> None:
    """Compute the loss of one example for each run, and forget it.

    Raises:
        UserError: that cannot be done for several lanes.
    """
    before = [run.lane.generator.get_state() for run in runs]
    examples = [experiment.splits.train.take([0])] * len(runs)
    try:
        add_gradients_of_each(experiment, config, _stack(experiment, runs), examples, None)
    except Exception as error:
        if lacks_memory(error):
            raise
        name = experiment.tuned.options.name
        raise UserError(
            f"seeds: '{name}' on {type(experiment.tuned.model).__name__} cannot be trained side by side "
            f"({first_line(error)}); allowed: seeds=null, and a sweep: -m seed=0,1,2"
        ) from error
    for run, state in zip(runs, before, strict=True):
        run.lane.generator.set_state(state)


def _train(experiment: Experiment, config: TrainerOptions, runs: Sequence[Run]) -> None:
    """Train runs that are at the same step."""
    clock = _SharedClock()
    while runs:
        runs = _epoch_of_steps(experiment, config, runs, clock)
        if not runs:
            return
        stack = _stack(experiment, runs)
        for run in runs:
            run.progress.epoch, run.progress.batch = run.progress.epoch + 1, 0
        with interruption.exposed():
            predictions = _predictions(experiment, config, stack)
        clock.update(runs)
        for run, own in zip(runs, predictions, strict=True):
            where = f"{experiment.tuned.options.name}, epoch {run.progress.epoch}, selection set"
            try:
                evaluation = scored(own, experiment.task.score, where)
                with run.random_state().in_place():
                    end_epoch(run.progress, evaluation, experiment.task, run.checkpoint, run.tracker)
            except TrainingDiverged as error:
                run.diverged = error
        clock.update(runs)
        runs = [run for run in runs if run.goes_on(config)]


def _epoch_of_steps(
    experiment: Experiment, config: TrainerOptions, runs: Sequence[Run], clock: "_SharedClock"
) -> Sequence[Run]:
    """Train to the end of the epoch; returns the runs that have not diverged."""
    task, train = experiment.task, experiment.splits.train
    stack, watch = _stack(experiment, runs), Watch()
    start, batch_size = runs[0].progress, config.batch_size
    plans = {run.seed: epoch_batches("buckets", train.lengths, batch_size, run.seed, start.epoch) for run in runs}
    steps = len(plans[runs[0].seed])
    total_steps = config.epochs * steps
    rate = learning_rates(config, total_steps)
    experiment.tuned.train()
    for number in range(start.batch, steps):
        step = runs[0].progress.step
        lr = rate(step)
        set_lr(stack.optimizer, lr)
        length = plans[runs[0].seed][number].length
        examples = [train.take(plans[run.seed][number].indices) for run in runs]
        losses = add_gradients_of_each(experiment, config, stack, examples, length)
        watch.add(losses, stack.update(config.clip_norm))

        for run, own in zip(runs, examples, strict=True):
            real = sum(example["length"] for example in own)
            run.progress.count_step(task.count(own), real, len(own) * (length or 0))
            run.tracker.step(run.progress)
        clock.update(runs)
        step, stopping = step + 1, interruption.requested()
        logs, saves = step % config.log_every == 0, any(run.checkpoint.due(run.progress) for run in runs)
        if logs or saves or stopping or number + 1 == steps:
            sound = _account(runs, watch.read(), experiment.tuned.options.name)
            stack.share()
            for run in sound:
                if logs:
                    run.tracker.interval(run.progress, run.progress.end_interval(), lr)
                if saves or stopping:
                    run.save()
            if stopping:
                raise Interrupted(f"stopped at step {step} of {total_steps}")
            if not sound:
                return []
            if len(sound) < len(runs):
                runs, stack = sound, _stack(experiment, sound)
    return runs


def _stack(experiment: Experiment, runs: Sequence[Run]) -> Stack:
    return Stack(experiment.tuned, experiment.task, [run.lane for run in runs])


def add_gradients_of_each(
    experiment: Experiment,
    config: TrainerOptions,
    stack: Stack,
    examples: Sequence[list[Encoded]],
    length: int | None,
) -> Tensor:
    """Accumulate gradients over micro-batches of the lanes' batches, all padded to `length`; the summed losses (N,)."""
    task, accelerator = experiment.task, experiment.accelerator
    counts = [float(task.count(own)) for own in examples]
    divisors = torch.tensor(counts).to(accelerator.device, non_blocking=True)
    losses = torch.zeros(len(examples), device=accelerator.device)
    for micros in zip(*(micro_batches(own, config.micro_batch_size) for own in examples), strict=True):
        terms = max(task.count(micro) for micro in micros)
        batches = [task.collate(micro, length or task.padded_length(micro), terms) for micro in micros]
        batch = {name: torch.stack([batch[name] for batch in batches]) for name in batches[0]}
        with accelerator.autocast():
            micro_losses = stack.losses(to_device(accelerator.device, batch), config.label_smoothing)
        accelerator.backward((micro_losses / divisors).sum())
        losses += micro_losses.detach()
    return losses


def _account(runs: Sequence[Run], steps: Tensor, method: str) -> list[Run]:
    """Account for the steps (n, 2, N) of each run; returns the runs that have not diverged."""
    for run, own in zip(runs, steps.unbind(-1), strict=True):
        try:
            account(run.progress, own.tolist(), method)
        except TrainingDiverged as error:
            run.diverged = error
    return [run for run in runs if run.diverged is None]


def _predictions(experiment: Experiment, config: TrainerOptions, stack: Stack) -> list[list[Prediction]]:
    """Each run's predictions on the selection set."""
    task = experiment.task

    def rows(columns: Columns, examples: Sequence[Encoded]) -> list[tuple[Prediction, ...]]:
        lanes = [{name: column[:, i] for name, column in columns.items()} for i in range(len(stack.lanes))]
        return list(zip(*(task.rows(lane, examples) for lane in lanes), strict=True))

    together = in_batches(
        experiment.accelerator, experiment.tuned, task, experiment.splits.selection, config.eval_batch_size,
        stack.predict, rows,
    )  # fmt: skip
    return [list(own) for own in zip(*together, strict=True)]


class _SharedClock:
    """Divides elapsed seconds among the runs that shared them."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def update(self, runs: Sequence[Run]) -> None:
        """Give each run its part of the time since the last call."""
        now = time.perf_counter()
        for run in runs:
            run.progress.train_seconds += (now - self._last) / len(runs)
            run.progress.side_by_side = max(run.progress.side_by_side, len(runs))
        self._last = now
