"""The seconds of a run, projected from a few of its steps. Nothing is recorded, and nothing is left of the training.

Steps of the longest batch come first: they warm up, and find out whether there is memory. Then come batches from all
lengths, each of which stands for as many others: the first of k is in the middle of the shortest k-th part.
"""

import dataclasses
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, TypeVar

from inducer_bench import hub
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.options import typed
from inducer_bench.runs import provenance
from inducer_bench.runs.experiment import build
from inducer_bench.runs.record import Parameters
from inducer_bench.runs.timing import Timing
from inducer_bench.tasks.cache import EncodedExamples
from inducer_bench.tasks.registry import make_task
from inducer_bench.training import memory
from inducer_bench.training.batching import epoch_batches, evaluation_batches
from inducer_bench.training.evaluation import BatchedEngine, predict
from inducer_bench.training.loop import Experiment, add_gradients, make_optimizer, update

TRAIN, EVAL = 2_000, 500  # examples that are read at most; the others are only counted
_STEPS, _BATCHES = 8, 3  # that are timed
_SHARES = {"training": 0.5, "scoring": 0.15, "answering": 0.35}  # of the seconds
Item = TypeVar("Item")


def timed(config: ExperimentConfig, seconds: float) -> Timing:
    """Time a run of one seed for about so many seconds, after its data and PLM are loaded.

    Raises:
        UserError: bad data or PLM.
    """
    task = config.task
    less = dataclasses.replace(
        task, max_train=min(task.max_train or TRAIN, TRAIN), max_eval=min(task.max_eval or EVAL, EVAL)
    )
    started = perf_counter()
    with hub.offline(True), build(dataclasses.replace(config, task=less)) as experiment:
        built = perf_counter() - started
        examples = _examples(config, experiment)
        training = _training(experiment, config, _SHARES["training"] * seconds)
        scoring = _scoring(experiment, config, _SHARES["scoring"] * seconds)
        trial = config.protocol.score == "held_out"
        answering = scoring if trial else _answering(experiment, config, _SHARES["answering"] * seconds)
        scored = examples["selection"] if trial else sum(examples[split] for split in task.report)
        device = experiment.accelerator.device
        return Timing(
            train_seconds=config.trainer.epochs * (training * examples["train"] + scoring * examples["selection"]),
            eval_seconds=answering * scored,
            build_seconds=built,
            examples=examples,
            device=provenance.device(device),
            precision="tf32" if config.trainer.precision == "tf32" else experiment.accelerator.mixed_precision,
            parameters=typed(Parameters, experiment.tuned.parameter_counts(), "parameters"),
            trained=sum(parameter.numel() for parameter in experiment.tuned.trained_parameters().values()),
            memory=memory.peak(device)[0],
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


def _training(experiment: Experiment, config: ExperimentConfig, seconds: float) -> float:
    """Seconds of training for each example."""
    trainer, tuned, splits = config.trainer, experiment.tuned.train(), experiment.splits
    optimizer, trained = make_optimizer(tuned, trainer), list(tuned.trained_parameters().values())
    batches = epoch_batches(trainer.batches, splits.train.lengths, trainer.batch_size, config.seed, 0)
    batches.sort(key=lambda batch: max(splits.train.lengths[index] for index in batch.indices))

    def step(indices: list[int], length: int | None) -> float:
        begun = perf_counter()
        loss = add_gradients(
            experiment.accelerator, tuned, experiment.task, splits.train.take(indices), trainer, length
        )
        norm = update(trained, optimizer, trainer.clip_norm)
        (loss + norm).item()  # waits for the device
        return perf_counter() - begun

    warm = [step(*batches[-1]) for _ in range(2)]
    some = spread(batches, max(2, min(_STEPS, int((seconds - sum(warm)) / warm[-1]))))
    return sum(step(*batch) for batch in some) / sum(len(batch.indices) for batch in some)


def _scoring(experiment: Experiment, config: ExperimentConfig, seconds: float) -> float:
    """Seconds of scoring an example of the selection set by a forward pass."""
    data, size = experiment.splits.selection, config.trainer.eval_batch_size
    batches = evaluation_batches(data.lengths, size)

    def score(some: EncodedExamples) -> object:
        return predict(experiment.accelerator, experiment.tuned, experiment.task, some, size)

    first = _seconds(score, data.select(batches[len(batches) // 2]))
    some = spread(batches, max(1, min(_BATCHES, int((seconds - first) / first))))
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
        if more == count or taken + 2 * last > seconds:
            return last / count
        count = more


def _seconds(work: Callable[[Any], object], data: Any) -> float:
    begun = perf_counter()
    work(data)
    return perf_counter() - begun
