"""What one experiment computes: data + PLM -> method -> training -> evaluation -> record."""

import dataclasses
import gzip
import json
import logging
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from accelerate import Accelerator
from omegaconf import OmegaConf
from transformers import PreTrainedModel

from inducer_bench import distributed
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic
from inducer_bench.methods.attach import attach
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.metrics.score import Scores
from inducer_bench.plm import reuse
from inducer_bench.plm.load import load_tokenizer, match_padding
from inducer_bench.plm.location import architecture
from inducer_bench.plm.reuse import SharedPlm
from inducer_bench.runs import provenance
from inducer_bench.runs.identity import Identity
from inducer_bench.runs.record import Record
from inducer_bench.tasks.base import Task
from inducer_bench.tasks.registry import make_task
from inducer_bench.training import memory
from inducer_bench.training.checkpoint import Checkpoint, Progress
from inducer_bench.training.device import make_accelerator, set_seed
from inducer_bench.training.evaluation import Evaluation, evaluate_final
from inducer_bench.training.interruption import StopRequest
from inducer_bench.training.loop import Splits, add_gradients, make_optimizer, train, update
from inducer_bench.training.options import ProtocolOptions
from inducer_bench.training.tracking import Tracker
from inducer_bench.training.wandb_mirror import Mirror, open_mirror

log = logging.getLogger("inducer_bench")


@dataclass(frozen=True)
class Setting:
    """All that an experiment works with, built and on its device."""

    accelerator: Accelerator
    task: Task
    splits: Splits
    eval_data: dict[str, Sequence[Any]]  # split -> what the final model is evaluated on
    plm: SharedPlm
    tuned: TunedModel


def execute(config: ExperimentConfig, identity: Identity, folder: Path) -> Record:
    """Train, evaluate, and write everything but the record, which is returned.

    Raises:
        UserError: bad data or PLM, before any training.
        TrainingDiverged, Interrupted: see `training.train`.
    """
    reuse.free_memory()
    memory.reset_peak()
    write_config(folder, config)

    # -- data + PLM -> method --------------------------------------------------------------------------------------
    setting = distributed.raise_on_all(lambda: build(config))
    tuned = setting.tuned
    counts = tuned.parameter_counts()
    log.info("%s on %s: %s", config.method.name, config.plm.name, counts)

    # -- training --------------------------------------------------------------------------------------------------
    checkpoint = Checkpoint(folder / "checkpoint", tuned.trained_parameters(), make_optimizer(tuned, config.trainer))
    tracker = Tracker(folder, open_mirror(config, folder, identity.hash) if distributed.is_main_process() else Mirror())
    record = None
    try:
        with StopRequest() as stop:
            progress = train(
                setting.accelerator,
                tuned,
                setting.task,
                setting.splits,
                config.trainer,
                config.seed,
                checkpoint,
                tracker,
                stop,
            )

        # -- evaluation --------------------------------------------------------------------------------------------
        started = perf_counter()
        results = {
            split: evaluate_final(setting.accelerator, tuned, setting.task, data, config.trainer.eval_batch_size)
            for split, data in setting.eval_data.items()
        }
        eval_seconds = perf_counter() - started
        write_results(folder, setting, results)

        # -- record ------------------------------------------------------------------------------------------------
        record = describe(config, identity, "done") | outcome(setting, progress, results, eval_seconds)
        tuned.detach()
        reuse.give_back(setting.plm)
        return record
    finally:
        tracker.close(record)


def build(config: ExperimentConfig) -> Setting:
    """Read the data, load the PLM, attach the method; the seed decides every new weight."""
    accelerator = make_accelerator(config.trainer)
    tokenizer = load_tokenizer(config.plm)
    task = make_task(config.task, tokenizer, architecture(config.plm), layout=config.plm.layout)
    splits = select(task, config.protocol, config.seed)
    eval_data = {split: task.eval_data(split) for split in config.task.report}
    set_seed(config.seed)
    plm = reuse.take(config.plm, config.task.auto_class, config.task.outputs(task.labels))
    match_padding(plm.model, tokenizer)
    tuned = attach_method(config, plm.model).to(accelerator.device)
    if config.trainer.compile != "none":
        tuned.compile_layers(config.trainer.compile)
    return Setting(accelerator, task, splits, eval_data, plm, tuned)


def attach_method(config: ExperimentConfig, model: PreTrainedModel) -> TunedModel:
    """The configured method on a PLM, with the head and the special tokens that the task asks for."""
    return attach(
        model,
        config.method,
        train_head=config.protocol.train_head,
        special_tokens=config.task.special_tokens(),
        layout=config.plm.layout,
    )


def dry_run(config: ExperimentConfig) -> float:
    """Build everything and take one step on the longest examples, which need the most memory; returns its loss."""
    setting = build(config)
    tuned = setting.tuned.train()
    optimizer, trained = make_optimizer(tuned, config.trainer), list(tuned.trained_parameters().values())
    lengths = setting.splits.train.lengths
    longest = sorted(range(len(lengths)), key=lengths.__getitem__)[-config.trainer.batch_size :]
    examples = setting.splits.train.take(longest)
    part, _ = add_gradients(setting.accelerator, tuned, setting.task, examples, config.trainer)
    loss, *_ = distributed.all_reduce_gradients(trained, part)
    update(trained, optimizer, loss, config.trainer.clip_norm, step=1)
    return float(loss) / setting.task.count(examples)


def select(task: Task, protocol: ProtocolOptions, seed: int) -> Splits:
    """Which examples are trained on and which select the epoch, by protocol.

    Raises:
        UserError: the data are bad, or the held-out slice leaves nothing to train on.
    """
    train = task.examples("train")
    if protocol.select_on == "dev":
        return Splits(train, task.examples("dev")[: protocol.select_first])
    order = list(range(len(train)))
    random.Random(seed).shuffle(order)
    size = math.ceil(protocol.held_out * len(train))
    if size >= len(train):
        raise UserError(f"protocol.held_out: found {protocol.held_out}; leaves no example of {len(train)} to train on")
    return Splits(train.select(sorted(order[size:])), train.select(order[:size])[: protocol.select_first])


def describe(config: ExperimentConfig, identity: Identity, status: str) -> Record:
    """The part of a record that is known however the run ends."""
    return {
        "status": status,
        "suite": config.suite,
        "task": config.task.name,
        "plm": config.plm.name,
        "plm_weights": config.plm.weights,
        "method": config.method.name,
        "protocol": config.protocol.name,
        "seed": config.seed,
        "config": dataclasses.asdict(config),
        "config_hash": identity.hash,
        "data": {"source": (config.task.data_dir and "local") or config.task.source, "fingerprint": identity.data},
        "plm_fingerprint": identity.plm,
        "code": provenance.code(),
        "versions": provenance.versions(),
        "command": provenance.command_line(),
    }


def outcome(setting: Setting, progress: Progress, results: dict[str, Evaluation], eval_seconds: float) -> Record:
    """The part of a record that a finished run adds: scores and costs."""
    counts = setting.tuned.parameter_counts()
    peak, kind = memory.peak(setting.accelerator.device)
    trained = sum(p.numel() for p in setting.tuned.trained_parameters().values())
    return {
        "labels": setting.task.labels,
        "scores": named_by_split(results),
        "losses": {split: result.loss for split, result in results.items() if result.loss is not None},
        "best_epoch": progress.best_epoch,
        "selection_score": progress.best_score,
        "evaluations": progress.evaluations,
        "steps": progress.step,
        "examples": {
            "train": len(setting.splits.train),
            "selection": len(setting.splits.selection),
            **{split: len(data) for split, data in setting.eval_data.items()},
        },
        "parameters": counts,
        "train_seconds": progress.train_seconds,
        "eval_seconds": eval_seconds,
        "peak_memory_bytes": peak,
        "peak_memory_of": kind,
        "tokens": {"real": progress.real_tokens, "padded": progress.padded_tokens},
        # Estimate: 2 per parameter and token forward, 2 for the gradients of activations, 2 for those of weights.
        "train_flops": (4 * counts["plm"] + 2 * trained) * progress.padded_tokens,
        "device": provenance.device(setting.accelerator.device),
        "precision": setting.accelerator.mixed_precision,
        "processes": distributed.world_size(),
    }


def named_by_split(results: dict[str, Evaluation]) -> Scores:
    """The scores of all splits: the first split's by their plain names, `accuracy_mismatched` for dev_mismatched."""
    first = next(iter(results))
    return {
        name if split == first else f"{name}_{split.removeprefix(f'{first}_')}": score
        for split, result in results.items()
        for name, score in result.scores.items()
    }


@distributed.on_main_process
def write_config(folder: Path, config: ExperimentConfig) -> None:
    """The resolved configuration."""
    write_atomic(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(dataclasses.asdict(config))).encode())


@distributed.on_main_process
def write_results(folder: Path, setting: Setting, results: dict[str, Evaluation]) -> None:
    """The adapter; and predictions, one JSON line per example, in the order of the data.

    What else a task writes, such as the file that an official scorer reads, is of the first reported split.
    """
    lines = "".join(
        json.dumps({"split": split, "index": i, **prediction}) + "\n"
        for split, result in results.items()
        for i, prediction in enumerate(result.predictions)
    )
    setting.tuned.save(folder / "adapter")
    write_atomic(folder / "predictions.jsonl.gz", gzip.compress(lines.encode(), mtime=0))  # equal bytes for equal lines
    for name, content in setting.task.files(next(iter(results.values())).predictions).items():
        write_atomic(folder / name, content)
