"""One experiment: data + PLM -> method -> training -> evaluation -> record. Reads top to bottom."""

import dataclasses
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from inducer_bench import distributed
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError, first_line, lacks_memory, shown
from inducer_bench.methods.attach import attach
from inducer_bench.methods.finite import first_not_finite
from inducer_bench.methods.frozen import keep_frozen
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.plm import reuse
from inducer_bench.plm.fetch import fetched_architecture
from inducer_bench.plm.load import embedded_tokens, load_tokenizer, match_padding, quiet_libraries
from inducer_bench.plm.options import PlmOptions
from inducer_bench.runs import files, header, places, recording, words
from inducer_bench.runs.header import tell_no_one
from inducer_bench.runs.identity import Identity, setting_key
from inducer_bench.runs.record import FinishedRecord
from inducer_bench.runs.splits import select_splits
from inducer_bench.runs.words import Rows
from inducer_bench.tasks.base import Task
from inducer_bench.tasks.cache import EncodedExamples
from inducer_bench.tasks.registry import make_task
from inducer_bench.training import interruption, memory
from inducer_bench.training.batching import PlannedBatch
from inducer_bench.training.checkpoint import Checkpoint, Progress
from inducer_bench.training.decoding import inference
from inducer_bench.training.device import make_accelerator, set_seed, settings
from inducer_bench.training.evaluation import evaluate, evaluate_final
from inducer_bench.training.loop import Experiment, add_gradients, longest_batch, make_optimizer, train
from inducer_bench.training.mirrors import Mirrors, open_mirrors
from inducer_bench.training.recompute import recompute_activations
from inducer_bench.training.sink import Start
from inducer_bench.training.tracking import Tracker

log = logging.getLogger("inducer_bench")

MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids")  # of a batch
_PADDING = 0.05  # a change of an output by padding, relative to the largest, that rounding does not explain


def execute(
    config: ExperimentConfig, identity: Identity, folder: Path, show: Callable[[Rows], None] = tell_no_one
) -> FinishedRecord:
    """Train, evaluate, and write every file but the record, which is returned.

    Args:
        config, identity, folder: of the run.
        show: is given what is known once data and model are there.

    Raises:
        UserError: bad data or PLM, or a folder that cannot be used, before any training.
        TrainingDiverged, Interrupted, KeyboardInterrupt, DamagedError: see `training.loop.train`.
    """
    distributed.broadcast_from_main(lambda: places.prepare(folder, config))
    with ExitStack() as stack:
        # -- data + PLM -> method --------------------------------------------------------------------------------------
        experiment = distributed.raise_on_all(lambda: stack.enter_context(build(config)))
        tuned = experiment.tuned
        log_parameters(config, tuned)
        header.announce(config, experiment, show)

        # -- training --------------------------------------------------------------------------------------------------
        optimizer = make_optimizer(tuned, config.trainer)
        checkpoint = checkpoint_of(config, identity, folder, tuned.trained_parameters(), optimizer)
        tracker = Tracker(folder, mirrors(config, identity, folder))
        with closed(tracker):
            with interruption.shielded(), checkpoint:
                progress = train(experiment, config.trainer, config.seed, checkpoint, tracker)
            step_memory = memory_of_step(experiment, config, optimizer) if progress.step else None
            return conclude(config, identity, folder, experiment, progress, tracker, step_memory)


def log_parameters(config: ExperimentConfig, tuned: TunedModel, note: str = "") -> None:
    """Say in the log what is trained on what."""
    counts = words.parameters(tuned.parameter_counts())
    log.info("%s on %s: %s%s", config.method.name, config.plm.name, counts, note)


def checkpoint_of(
    config: ExperimentConfig,
    identity: Identity,
    folder: Path,
    trained: dict[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
) -> Checkpoint:
    """The checkpoint of a run; that of parameters on a GPU is written beside the steps."""
    return Checkpoint(
        folder / files.CHECKPOINT,
        identity.hash,
        trained,
        optimizer,
        minutes=config.trainer.checkpoint_minutes,
        every=config.trainer.checkpoint_every,
        background=any(parameter.is_cuda for parameter in trained.values()),
    )


def conclude(
    config: ExperimentConfig,
    identity: Identity,
    folder: Path,
    experiment: Experiment,
    progress: Progress,
    tracker: Tracker,
    step_memory: int | None,
) -> FinishedRecord:
    """Evaluate the trained model, and write every file but the record, which is returned.

    Args:
        step_memory: see `memory_of_step`.

    Raises:
        TrainingDiverged: a loss, a score or a token's score is not finite.
    """
    # -- evaluation ----------------------------------------------------------------------------------------------------
    accelerator, tuned, task = experiment.accelerator, experiment.tuned, experiment.task
    started = perf_counter()
    trial, size = config.protocol.score == "held_out", config.trainer.eval_batch_size
    if trial:
        held_out = experiment.splits.selection
        evaluations = {
            "held_out": evaluate(accelerator, tuned, task, held_out, size, f"{config.method.name}, held out")
        }
    else:
        evaluations = {
            split: evaluate_final(accelerator, tuned, task, data, size, f"{config.method.name}, {split}")
            for split, data in experiment.eval_data.items()
        }
    eval_seconds = perf_counter() - started
    inputs = {}
    if config.task.keep_inputs and distributed.is_main_process():
        inputs = {split: task.inputs(split, data) for split, data in experiment.eval_data.items()}
    checksums = files.write_results(folder, tuned, task, evaluations, inputs, trial)

    # -- record --------------------------------------------------------------------------------------------------------
    adapter = files.adapter_bytes(folder)
    record = recording.finished(
        config, identity, experiment, progress, evaluations, eval_seconds, step_memory, adapter, checksums
    )
    for line in [*record.remarks, *record.class_lines()]:
        log.info("%s", line)
    summary: dict[str, Any] = {name: score.value for name, score in record.scores.items()}
    tracker.close({**summary, "parameters": dataclasses.asdict(record.parameters)})
    return record


def memory_of_step(
    experiment: Experiment,
    config: ExperimentConfig,
    optimizer: torch.optim.Optimizer,
    batch: PlannedBatch | None = None,
) -> int | None:
    """The bytes of tensors at the peak of a training step, which is taken once more, on a CPU.

    None on a GPU, whose allocator counts by itself, and where layers are compiled: what they do cannot be seen.

    Args:
        experiment, config: of the run.
        optimizer: with the state that it has in training.
        batch: by default the longest one of the first epoch.
    """
    if experiment.accelerator.device.type != "cpu" or config.trainer.compile != "none":
        return None
    batch = batch or longest_batch(config.trainer, experiment.splits.train.lengths, config.seed)
    length, tuned = batch.length, experiment.tuned
    examples = experiment.splits.train.take(batch.indices)

    def step() -> None:
        add_gradients(experiment.accelerator, tuned, experiment.task, examples, config.trainer, length)

    return memory.of_step(step, tuned, list(tuned.trained_parameters().values()), optimizer)


@contextmanager
def closed(*trackers: Tracker) -> Iterator[None]:
    """A block at whose end each tracker is closed; as that of a run that has not finished, if it was not closed yet."""
    try:
        yield
    finally:
        for tracker in trackers:
            tracker.close(None)


@contextmanager
def build(config: ExperimentConfig) -> Iterator[Experiment]:
    """Read the data, load the PLM and attach the method; the seed decides every new weight.

    A block that ends normally detaches the method and leaves the PLM to the next job of the process.

    Raises:
        UserError: bad data or PLM, one with a weight that is not finite, or a device that is not there.
    """
    quiet_libraries()
    accelerator = make_accelerator(config.trainer)
    reuse.free_memory()
    memory.reset_gpu_peak()
    tokenizer = load_tokenizer(config.plm)
    task = make_task(config.task, tokenizer, fetched_architecture(config.plm), layout=config.plm.layout)
    splits = select_splits(task, config.protocol, config.seed)
    reported = config.task.report if config.protocol.score == "reported" else []
    eval_data = {split: task.eval_data(split) for split in reported}
    set_seed(config.seed)
    outputs = config.task.outputs(task.labels)
    with settings(config.trainer), reuse.borrowed(config.plm, config.task.auto_class, outputs) as model:
        check_finite(config.plm, model)
        match_padding(model, tokenizer)
        check_forward(config.plm, model, task, splits.train)
        tuned = attach_method(config, model).to(accelerator.device)
        if config.trainer.compile != "none":
            tuned.compile_layers(config.trainer.compile)
        if config.trainer.gradient_checkpointing:
            recompute_activations(tuned)
        yield Experiment(accelerator, tuned, task, splits, eval_data)
        tuned.detach()


def check_finite(plm: PlmOptions, model: PreTrainedModel) -> None:
    """Check that a PLM can compute something.

    Raises:
        UserError: a weight is NaN or infinite.
    """
    if (name := first_not_finite(model.named_parameters())) is not None:
        raise UserError(
            f"plm: tensor '{name}' of '{plm.path or plm.name}' is not finite; allowed: weights without NaN and infinity"
        )


def check_forward(plm: PlmOptions, model: PreTrainedModel, task: Task, examples: EncodedExamples) -> None:
    """Check that a PLM by itself computes something from an example, the longest one, and that padding changes nothing.

    A config.json can fit every weight and yet describe a model that cannot run. And a classifier may read the last
    position, whatever stands there, as XLNet's does: its predictions would depend on the batch.

    Raises:
        UserError: it fails, what it computes is not finite, or depends on padding.
    """
    tokens = embedded_tokens(model)

    def outputs(*numbers: int) -> Tensor:
        batch = task.collate(examples.take([*numbers]))
        inputs = {name: batch[name].to(model.device) for name in MODEL_INPUTS if name in batch}
        inputs = {name: ids.where(ids < tokens, 0) for name, ids in inputs.items()}  # a task's own tokens come later
        with inference(model):
            found: Tensor = model(**inputs)[0]
        return found

    shortest, longest = (choose(range(len(examples)), key=examples.lengths.__getitem__) for choose in (min, max))
    of_texts = task.config.family == "nlu"  # one output for each, and not for each token
    try:
        found = outputs(longest, shortest) if of_texts else outputs(longest)
        alone = outputs(shortest) if of_texts else found
    except Exception as error:  # transformers and torch raise all kinds of errors
        if lacks_memory(error) or interruption.requested():
            raise
        raise _cannot_run(plm, f"{type(error).__name__}: {shown(first_line(error), 200)}") from None
    if not found.isfinite().all():
        raise _cannot_run(plm, "its outputs are not finite")
    if (alone[-1] - found[-1]).abs().max() > _PADDING * alone.abs().max():
        raise UserError(
            f"plm: '{plm.path or plm.name}' predicts otherwise for a text that is padded at its end; allowed: a PLM "
            "whose predictions do not depend on the batch"
        )


def _cannot_run(plm: PlmOptions, why: str) -> UserError:
    return UserError(
        f"plm: '{plm.path or plm.name}' cannot compute the longest training example ({why}); allowed: a PLM whose "
        "config.json describes the model that was saved"
    )


def attach_method(config: ExperimentConfig, model: PreTrainedModel) -> TunedModel:
    """The configured method on a PLM, with the head and the special tokens that the task needs.

    Raises:
        UserError: the PLM does not suit the method or the task, or `trainer.frozen` the method.
    """
    tuned = attach(
        model,
        config.method,
        train_head=config.protocol.train_head,
        special_tokens=config.task.special_tokens(),
        layout=config.plm.layout,
    )
    if config.trainer.frozen == "bf16":
        keep_frozen(tuned, torch.bfloat16)
    return tuned


def mirrors(config: ExperimentConfig, identity: Identity, folder: Path) -> Mirrors:
    """The mirrors of a run, grouped with its other seeds; none in all but the main process."""
    if not distributed.is_main_process():
        return Mirrors()
    task, plm, method = config.task.name, config.plm.name, config.method.name
    start = Start(
        folder,
        run_id=identity.hash,
        name=f"{task}/{method}/{config.seed}",
        group=f"{config.suite}/{task}/{plm}/{method}/{setting_key(config)[:8]}",
        config=dataclasses.asdict(config),
    )
    return open_mirrors(config.tracker, start)
