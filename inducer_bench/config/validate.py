"""Checks without torch: types and ranges of every key, then what must hold between groups."""

import dataclasses
import math
import re
import unicodedata
from pathlib import Path
from typing import Any

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError, shown, unknown
from inducer_bench.methods.architectures import check_sizes, layout_of, positions, sizes
from inducer_bench.methods.attachable import check_attachable
from inducer_bench.methods.budget import check_ranks
from inducer_bench.options import LONGEST_NAME, check_name, typed
from inducer_bench.plm import gguf_files
from inducer_bench.plm.location import architecture, check_source, expected_architecture, plm_folder
from inducer_bench.plm.options import PlmOptions
from inducer_bench.tasks.options import ClassificationOptions, GenerationOptions, TaskOptions
from inducer_bench.training.options import ProtocolOptions, TrainerOptions


def validated(values: dict[str, Any]) -> ExperimentConfig:
    """The typed configuration from plain values.

    Raises:
        UserError: one line for the first key that is unknown, of the wrong type or impossible.
    """
    config = typed(ExperimentConfig, values)
    config = _with_true_suite(dataclasses.replace(config, plm=with_true_name(config.plm)))
    _check_splits(config.task)
    config.task.check()
    _check_plm(config)
    _check_method(config)
    _check_protocol(config)
    return config


def check_new(config: ExperimentConfig) -> None:
    """Check what is asked of a new run alone, and not of the records of earlier versions.

    Names are names, runs have a folder, and no value is without effect because of another one.

    Raises:
        UserError: one line for the first key that is impossible.
    """
    check_name("task.name", config.task.name)
    check_name("plm.name", config.plm.name)
    check_source(config.plm)
    _check_output_dir(config.output_dir)
    _check_objective(config)
    _check_effects(config.task, config.trainer, config.protocol)
    _check_seeds(config)


def _check_seeds(config: ExperimentConfig) -> None:
    """Check that several seeds can be trained side by side: on one frozen PLM, with batches of the same shapes."""
    if config.seeds is None:
        return
    if config.seed + config.seeds > 2**32:
        raise UserError(
            f"seeds: found {config.seeds}; allowed: at most {2**32 - config.seed} from seed={config.seed} on"
        )
    for key, found, allowed, possible in (
        ("method", config.method.name, "a method that leaves the PLM frozen", config.method.shares_plm),
        ("plm.weights", config.plm.weights, "pretrained", config.plm.weights == "pretrained"),
        ("protocol.select_on", config.protocol.select_on, "dev", config.protocol.select_on == "dev"),
        ("trainer.batches", config.trainer.batches, "buckets", config.trainer.batches == "buckets"),
        ("trainer.compile", config.trainer.compile, "none", config.trainer.compile == "none"),
        ("trainer.gradient_checkpointing", "true", "false", not config.trainer.gradient_checkpointing),
    ):
        if not possible:
            raise UserError(f"{key}: found '{found}'; allowed with seeds={config.seeds}: {allowed}")


def _check_output_dir(found: str) -> None:
    too_long = len(found) > 1000 or any(len(part.encode(errors="replace")) > 255 for part in Path(found).parts)
    if too_long or not found.strip() or not found.isprintable() or found.startswith("~"):
        raise UserError(
            f"output_dir: found '{shown(found)}'; allowed: the path of a folder, written in full (~ is not expanded)"
        )


def _check_effects(task: TaskOptions, trainer: TrainerOptions, protocol: ProtocolOptions) -> None:
    if trainer.micro_batch_size is not None and trainer.micro_batch_size > trainer.batch_size:
        raise UserError(
            f"trainer.micro_batch_size: found {trainer.micro_batch_size}; allowed: null, or at most "
            f"trainer.batch_size, {trainer.batch_size}"
        )
    if task.max_train is not None and protocol.held_out_of(task.max_train) == task.max_train:
        raise UserError(
            f"task.max_train: found {task.max_train}; allowed: more, of which protocol.held_out={protocol.held_out} "
            "leaves some to train on"
        )
    if protocol.select_on == "dev" and protocol.held_out:
        raise UserError(f"protocol.held_out: found {protocol.held_out}; allowed: 0.0 with protocol.select_on=dev")
    if isinstance(task, ClassificationOptions) and task.labels == "number" and trainer.label_smoothing:
        raise UserError(f"trainer.label_smoothing: found {trainer.label_smoothing}; allowed: 0.0 for numbers as labels")
    if isinstance(task, GenerationOptions):
        decoding = task.decoding
        for key, used, needed in (
            ("temperature", decoding.sample, "sample=true"),
            ("top_p", decoding.sample, "sample=true"),
            ("length_penalty", decoding.beams > 1, "beams > 1"),
        ):
            if not used and (value := getattr(decoding, key)) != 1.0:
                raise UserError(f"task.decoding.{key}: found {value}; allowed: 1.0 unless task.decoding.{needed}")


def with_true_name(plm: PlmOptions) -> PlmOptions:
    """A PLM from a folder whose sizes are not those of the chosen name goes by the name of the folder.

    One whose weights were rounded says so in its name, so that it stands beside no other as if it were the same.

    Raises:
        UserError: nothing of that name can be part of a name.
    """
    named, found = expected_architecture(plm), architecture(plm)
    name = plm.name if all(_same(found.get(key, value), value) for key, value in named.items()) else None
    if name is None:
        folder = Path(plm.path or str(plm_folder(plm))).resolve()
        file_name = folder.stem if gguf_files.is_named_so(folder) else folder.name
        name = re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFC", file_name)).lstrip(".-")[:LONGEST_NAME]
        if not name:
            raise UserError(
                f"plm.path: found '{folder}'; allowed: a folder whose name has letters or digits, as it names runs"
            )
    rounded = gguf_files.rounded_to(found)
    if rounded and rounded not in name.lower():
        name = f"{name[: LONGEST_NAME - len(rounded) - 1]}-{rounded}"
    return dataclasses.replace(plm, name=name)


def _same(found: Any, named: Any) -> bool:
    """Whether two values of an architecture are equal; a number in a GGUF file has single precision."""
    both_float = isinstance(found, float) and isinstance(named, float)
    return math.isclose(found, named, rel_tol=1e-6) if both_float else bool(found == named)


def _with_true_suite(config: ExperimentConfig) -> ExperimentConfig:
    """A run on data of the mini suite is one of that suite, and no other is, whatever a preset says.

    So own data with `preset=mini` are not taken for it. A PLM has tables of its own.
    """
    mini_data = config.task.source == "mini" and config.task.data_dir is None
    return dataclasses.replace(config, suite="mini" if mini_data else "full")


def _check_splits(task: TaskOptions) -> None:
    for split in task.splits():
        if split not in task.files:
            raise unknown("task.report" if split in task.report else "task.files", split, task.files)
        if task.source == "hub" and (task.hub is None or split not in task.hub.splits):
            found = ", ".join(map(str, task.hub.splits)) if task.hub else "none"
            raise UserError(
                f"task.hub.splits: found {found}; '{task.name}' needs '{split}': add it, or give task.source=files and "
                "task.data_dir=FOLDER"
            )


def _check_plm(config: ExperimentConfig) -> None:
    found = architecture(config.plm)
    layout = config.plm.layout or layout_of(found.get("model_type"))
    if config.task.family == "nlg" and layout is not None and layout.encoder:
        raise UserError(
            f"plm: '{config.plm.name}' is an encoder, but task '{config.task.name}' generates text; allowed: a decoder"
        )
    check_sizes(found)
    longest = positions(found, config.plm.layout)
    if longest is not None and longest < 1:
        raise UserError(
            f"plm: '{config.plm.name}' has room for {longest} tokens, by its config.json; allowed: at least 1"
        )
    if longest is not None and config.task.max_length > longest:
        raise UserError(
            f"task.max_length: found {config.task.max_length}; allowed: at most {longest} for this PLM; "
            f"type task.max_length={longest}"
        )


def _check_method(config: ExperimentConfig) -> None:
    method, found = config.method, architecture(config.plm)
    check_attachable(method, found, config.plm.layout)
    if found and method.ranks:  # of a PLM on the hub, the sizes may not be known
        check_ranks(method, sizes(found, config.plm.layout))
    if method.only_head and not config.protocol.train_head:
        raise UserError(
            f"protocol: '{config.protocol.name}' freezes the head, so method={method.name} would train nothing; "
            "allowed: a protocol with train_head=true"
        )


def _check_objective(config: ExperimentConfig) -> None:
    """The score for a searching sweeper is one that a run of this task computes."""
    found, task = config.optimized_metric, config.task
    names, (first, *others) = [metric.name for metric in task.own_metrics()], task.report
    computed = names + [f"{name}_{split.removeprefix(f'{first}_')}" for name in names for split in others]
    # A generated text has scores of parts, too, which the data name: `bleu_seen`.
    of_a_part = task.family == "nlg" and any(str(found).startswith(f"{name}_") for name in names)
    if found is not None and found not in computed and not of_a_part:
        raise unknown("optimized_metric", found, computed)


def _check_protocol(config: ExperimentConfig) -> None:
    if config.protocol.select_on == "held_out" and config.protocol.held_out == 0.0:
        raise UserError("protocol.held_out: found 0.0; allowed: above 0 and below 1 when protocol.select_on=held_out")
    if config.protocol.score == "held_out" and config.protocol.select_on != "held_out":
        raise UserError("protocol.score: found 'held_out'; allowed: reported, unless protocol.select_on=held_out")
