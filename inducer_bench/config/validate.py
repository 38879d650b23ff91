"""Checks without torch: types and ranges of every key, then what must hold between groups."""

import dataclasses
from pathlib import Path
from typing import Any

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError, unknown
from inducer_bench.methods.architectures import layout_of, sizes
from inducer_bench.methods.budget import value_of
from inducer_bench.options import typed
from inducer_bench.plm.location import architecture
from inducer_bench.tasks.options import TaskOptions


def validated(values: dict[str, Any]) -> ExperimentConfig:
    """The typed configuration from plain values.

    Raises:
        UserError: one line for the first key that is unknown, of the wrong type or impossible.
    """
    config = _with_true_name(typed(ExperimentConfig, values))
    _check_splits(config.task)
    config.task.check()
    _check_plm(config)
    _check_method(config)
    _check_protocol(config)
    _check_objective(config)
    return config


def _with_true_name(config: ExperimentConfig) -> ExperimentConfig:
    """A PLM from a folder whose sizes are not those of the chosen name goes by the name of the folder."""
    named, found = config.plm.architecture, architecture(config.plm)
    if all(found.get(key, value) == value for key, value in named.items()):
        return config
    plm = dataclasses.replace(config.plm, name=Path(str(config.plm.path)).resolve().name)
    return dataclasses.replace(config, plm=plm)


def _check_splits(task: TaskOptions) -> None:
    for split in task.splits():
        if split not in task.files:
            raise unknown("task.report" if split in task.report else "task.files", split, task.files)
        if task.source == "hub" and (task.hub is None or split not in task.hub.splits):
            raise UserError(f"task.hub: names no split '{split}' for '{task.name}'; or task.source=files")


def _check_plm(config: ExperimentConfig) -> None:
    found = architecture(config.plm)
    layout = config.plm.layout or layout_of(found.get("model_type"))
    if config.task.family == "nlg" and layout is not None and layout.encoder:
        raise UserError(
            f"plm: '{config.plm.name}' is an encoder, but task '{config.task.name}' generates text; allowed: a decoder"
        )
    longest = next((found[key] for key in ("n_positions", "max_position_embeddings") if key in found), None)
    if longest is not None and layout is not None:
        longest -= layout.first_position
    if longest is not None and config.task.max_length > longest:
        raise UserError(f"task.max_length: found {config.task.max_length}; allowed: at most {longest} for this PLM")


def _check_method(config: ExperimentConfig) -> None:
    method = config.method
    for rank in (rank for rank in method.ranks if rank.within_head):
        value, head_width = value_of(method, rank), sizes(architecture(config.plm), config.plm.layout).head_width
        if value > head_width:
            key = ".".join(("method", *rank.path))
            raise UserError(f"{key}: found {value}; allowed: 0 to {head_width}, the head width of this PLM")
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
