"""The seconds of a run, projected from a few of its steps. Nothing is recorded, and nothing is left of the training.

Steps of the longest batch come first: they warm up, and find out whether there is memory. Then come batches from all
lengths, each of which stands for as many others: the first of k is in the middle of the shortest k-th part.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from inducer_bench import distributed, hub
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.options import typed
from inducer_bench.runs import header, provenance
from inducer_bench.runs.experiment import build, memory_of_step
from inducer_bench.runs.header import tell_no_one
from inducer_bench.runs.record import Parameters
from inducer_bench.runs.timing import Timing
from inducer_bench.runs.words import Rows
from inducer_bench.tasks.cache import EncodedExamples
from inducer_bench.tasks.registry import make_task
from inducer_bench.training import memory
from inducer_bench.training.batching import PlannedBatch, epoch_batches, evaluation_batches
from inducer_bench.training.checkpoint import Progress
from inducer_bench.training.evaluation import BatchedEngine, predict
from inducer_bench.training.loop import Experiment, add_gradients, make_optimizer, update
from inducer_bench.training.watch import account

TRAIN, EVAL = 2_000, 500  # examples that are read at most; the others are only counted
_STEPS, _BATCHES = 8, 3  # that are timed
_SHARES = {"training": 0.5, "scoring": 0.15, "answering": 0.35}  # of the seconds
Item = TypeVar("Item")


def timed(
    config: ExperimentConfig, seconds: float, *, whole: bool = False, show: Callable[[Rows], None] = tell_no_one
) -> Timing:
    """Time a run of one seed for about so many seconds, after its data and PLM are loaded.

    Args:
        config: of the run.
        seconds: of steps, where they do not take longer.
        whole: read all of the data, so that the longest batch is among them, and not only a sample.
        show: is given what is known once data and model are there.

    Raises:
        UserError: bad data or PLM.
        TrainingDiverged: a step's loss is not finite.
    """
    task = config.task
    less = (
        task
        if whole
        else dataclasses.replace(
            task, max_train=min(task.max_train or TRAIN, TRAIN), max_eval=min(task.max_eval or EVAL, EVAL)
        )
    )
    with hub.offline(True), build(dataclasses.replace(config, task=less)) as experiment:
        if whole:  # of a part of the data, these are not the run's steps
            header.announce(config, experiment, show)
        examples = _examples(config, experiment)
        steps = _training(experiment, config, _SHARES["training"] * seconds)
        training = steps.each
        scoring = _scoring(experiment, config, _SHARES["scoring"] * seconds)
        trial = config.protocol.score == "held_out"
        answering = scoring if trial else _answering(experiment, config, _SHARES["answering"] * seconds)
        scored = examples["selection"] if trial else sum(examples[split] for split in task.report)
        device = experiment.accelerator.device
        return Timing(
            train_seconds=config.trainer.epochs * (training * examples["train"] + scoring * examples["selection"]),
            eval_seconds=answering * scored,
            examples=examples,
            device=provenance.device(device),
            precision="tf32" if config.trainer.precision == "tf32" else experiment.accelerator.mixed_precision,
            parameters=typed(Parameters, experiment.tuned.parameter_counts(), "parameters"),
            trained=sum(parameter.numel() for parameter in experiment.tuned.trained_parameters().values()),
            loss=steps.loss,
            step_seconds=training * examples["train"] / math.ceil(examples["train"] / config.trainer.batch_size),
            longest_seconds=steps.longest,
            memory=memory.gpu_peak(device) if device.type == "cuda" else steps.memory,
        )


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many items, from the middles of equal parts of a sequence."""
    count = min(most, len(items))
    return [items[(2 * part + 1) * len(items) // (2 * count)] for part in range(count)]


def _examples(config: ExperimentConfig, experiment: Experiment) -> dict[str, int]:
    """The examples of the whole run: of train, of the selection set, and of each reported split."""
    task, protocol = experiment.task, config.protocol
    complete = make_task(config.task, task.tokenizer, task.architecture, task.labels, config.plm.layout)
    whole = {split: sum(1 for _ in complete.read(split)) for split in config.task.splits()}
    read = {split: sum(1 for _ in task.read(split)) for split in ("train", "dev")}
    encoded = {"train": len(experiment.splits.train), "dev": len(experiment.splits.selection)}
    if protocol.select_on == "held_out":
        every = round((encoded["train"] / (1 - protocol.held_out)) * whole["train"] / read["train"])
        selection = round(protocol.held_out * every)
        train = every - selection
    else:
        train = round(encoded["train"] * whole["train"] / read["train"])
        selection = round(len(task.examples("dev")) * whole["dev"] / read["dev"])
    selection = min(selection, protocol.select_first or selection)
    return {"train": train, "selection": selection, **{split: whole[split] for split in config.task.report}}


class _Steps(NamedTuple):
    """What some steps took: the loss of the first, seconds of the longest and for each example, and bytes on a CPU."""

    loss: float
    longest: float
    each: float
    memory: int | None


def _training(experiment: Experiment, config: ExperimentConfig, seconds: float) -> _Steps:
    trainer, tuned, splits = config.trainer, experiment.tuned.train(), experiment.splits
    optimizer, trained = make_optimizer(tuned, trainer), list(tuned.trained_parameters().values())
    batches = epoch_batches(trainer.batches, splits.train.lengths, trainer.batch_size, config.seed, 0)
    batches.sort(key=lambda batch: max(splits.train.lengths[index] for index in batch.indices))

    def step(indices: list[int], length: int | None) -> tuple[float, float]:
        begun = perf_counter()
        examples = splits.train.take(indices)
        loss = add_gradients(experiment.accelerator, tuned, experiment.task, examples, trainer, length)
        (loss,) = distributed.all_reduce_gradients(trained, loss)
        norm = update(trained, optimizer, trainer.clip_norm)
        progress = Progress(step=1, interval_count=experiment.task.count(examples))
        account(progress, [(loss.item(), norm.item())], config.method.name)  # waits for the device
        return progress.end_interval(), perf_counter() - begun

    ranked = sorted(range(len(splits.train)), key=splits.train.lengths.__getitem__)
    longest = PlannedBatch(ranked[-trainer.batch_size :], None)
    (loss, first), (_, second) = step(*longest), step(*longest)
    count = max(2, min(_STEPS, int((seconds - first - second) / second)))
    some = spread(batches, distributed.broadcast_from_main(lambda: count))
    each = sum(step(*batch)[1] for batch in some) / sum(len(batch.indices) for batch in some)
    return _Steps(loss, second, each, memory_of_step(experiment, config, optimizer, longest))


def _scoring(experiment: Experiment, config: ExperimentConfig, seconds: float) -> float:
    """Seconds of scoring an example of the selection set by a forward pass."""
    data, size = experiment.splits.selection, config.trainer.eval_batch_size
    batches = evaluation_batches(data.lengths, size)

    def score(some: EncodedExamples) -> object:
        return predict(experiment.accelerator, experiment.tuned, experiment.task, some, size)

    first = _seconds(score, data.select(batches[len(batches) // 2]))
    count = max(1, min(_BATCHES, int((seconds - first) / first)))
    some = spread(batches, distributed.broadcast_from_main(lambda: count))
    return sum(_seconds(score, data.select(batch)) for batch in some) / sum(map(len, some))


def _answering(experiment: Experiment, config: ExperimentConfig, seconds: float) -> float:
    """Seconds of answering an example of the first reported split: of generating a text, where the task does that."""
    size = config.trainer.eval_batch_size
    engine = BatchedEngine(experiment.accelerator, experiment.tuned, size)
    data = experiment.eval_data[config.task.report[0]]
    count, taken = min(4, size, len(data)), 0.0
    while True:
        some = data[:count]
        last = _seconds(lambda some: experiment.task.answer(engine, some), some)
        taken += last
        more = min(2 * count, size, len(data))
        over = taken + 2 * last > seconds
        if more == count or distributed.broadcast_from_main(lambda over=over: over):  # type: ignore[misc]
            return last / count
        count = more


def _seconds(work: Callable[[Any], object], data: Any) -> float:
    begun = perf_counter()
    work(data)
    return perf_counter() - begun
