"""The model card of an exported run: use, scores, origin and limits, as Markdown with the hub's metadata."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.escape import code_block, markdown
from inducer_bench.metrics.confusion import table
from inducer_bench.metrics.score import Score
from inducer_bench.plm.gguf_files import rounded_to
from inducer_bench.plm.location import architecture
from inducer_bench.runs.finished import FinishedRun
from inducer_bench.runs.snippet import MERGED, base_model, usage
from inducer_bench.tasks.options import ClassificationOptions, TaskOptions


def model_card(run: FinishedRun, library: str, repository: str | None = None) -> str:
    """The card.

    Args:
        run: that is exported.
        library: that loads what is exported: peft, inducer-bench or, for a merged model, transformers.
        repository: on the hub, if it is pushed there.
    """
    record, config = run.record, run.config
    counts = record.parameters
    method, plm, task = (markdown(name) for name in (config.method.name, config.plm.name, config.task.name))
    made_with = {key: without_places(record.config[key]) for key in ("method", "trainer")}
    what = "A merged model: the weights of" if library == MERGED else "An adapter for"
    return f"""---
{_metadata(run, library)}
---

# {method} on {plm} for {task}

{what} the pre-trained language model {markdown(base_model(config.plm))}, tuned by the method {method}:
{counts.method:,} method parameters ({counts.percent:.2f} % of the {counts.plm:,} of the model) and
{counts.head:,} of the task's head, which is part of these files.

## Use

{_block("python", usage(run, library, repository))}

## Data

{_data(run)}

## Scores

Seed {config.seed}, protocol {markdown(config.protocol.name)}: {_selection(config)}.

| score | value | signature |
|---|---|---|
{chr(10).join(_score_row(name, score) for name, score in record.scores.items())}
{_classes(run)}
## How it was made

inducer-bench {markdown(record.code.version)}, run {record.config_hash},
{record.train_seconds:.0f} s of training on {markdown(record.device.name)}.

{_block("yaml", yaml.safe_dump(made_with, sort_keys=False))}

## Limits

{_limits(run)}
"""


def without_places(value: Any) -> Any:
    """Plain values with the last part of each absolute path: a stranger has no use for the rest."""
    if isinstance(value, Mapping):
        return {key: without_places(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_places(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _metadata(run: FinishedRun, library: str) -> str:
    """What the hub reads: base model, tags, and each score with what computed it."""
    from huggingface_hub import EvalResult, ModelCardData

    record, config = run.record, run.config
    kind = "text-classification" if config.task.family == "nlu" else "text-generation"
    data = _dataset(config.task)
    results = [
        EvalResult(
            task_type=kind,
            dataset_type=data or config.task.name,
            dataset_name=config.task.name,
            dataset_config=config.task.hub.name if data and config.task.hub else None,
            metric_type=name,
            metric_value=round(score.value, 4),
            metric_args={"signature": score.signature},
        )
        for name, score in record.scores.items()
        if score.value is not None
    ]
    metadata = ModelCardData(
        library_name=library,
        base_model=base_model(config.plm),
        pipeline_tag=kind,
        datasets=[data] if data else None,
        tags=[config.method.name, config.task.name, *(["mini-suite"] if config.suite == "mini" else [])],
        model_name=f"{config.method.name} on {config.plm.name} for {config.task.name}" if results else None,
        eval_results=results or None,
    )
    return metadata.to_yaml()


def _dataset(task: TaskOptions) -> str | None:
    """The id of the data on the hub."""
    return task.hub.path if task.source == "hub" and task.hub is not None and task.data_dir is None else None


def _data(run: FinishedRun) -> str:
    """Whose data it was trained and scored on."""
    config, record = run.config, run.record
    task, dataset = config.task, _dataset(config.task)
    files = ", ".join(markdown(task.files[split]) for split in task.splits())
    whose = f"local files of whoever made this run ({files})"
    if config.suite == "mini":
        whose = "data that inducer-bench generates, its mini suite"
    elif dataset:
        whose = f"{markdown(dataset)} from the hub"
    sizes = ", ".join(f"{split} {count:,}" for split, count in record.examples.items())
    lines = [
        f"Trained and scored on {whose}; examples: {markdown(sizes)}.",
        f"Fingerprint: {markdown(record.data.fingerprint)}.",
    ]
    if isinstance(task, ClassificationOptions):
        lines.append(f"Text: {markdown(', '.join(task.text))}; label: {markdown(task.label)}.")
    if record.labels is not None:
        lines.append(f"Labels, in the order of their codes: {markdown(', '.join(record.labels))}.")
    return "\n".join(lines)


def _classes(run: FinishedRun) -> str:
    """A table of the scores and predictions of each class, of each split that has one."""
    parts = []
    for split, matrix in run.record.confusion.items():
        header, *rows = table(matrix, run.record.labels or [])
        lines = [f"\nBy class, {markdown(split)}:\n", _row(header), "|---" * len(header) + "|", *map(_row, rows)]
        parts += ["\n".join(lines), ""]
    return "\n".join(parts)


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(markdown, cells))} |"


def _score_row(name: str, score: Score) -> str:
    value = "not computed" if score.value is None else f"{score.value:.2f}"
    return f"| {markdown(name)} | {value} | {markdown(score.signature)} |"


def _block(language: str, text: str) -> str:
    """A fenced block of Markdown."""
    first, *rest = code_block(text.rstrip().split("\n"))
    return "\n".join([f"{first}{language}", *rest])


def _selection(config: ExperimentConfig) -> str:
    on = {"dev": "the dev set", "held_out": "a held-out slice of the training set"}[config.protocol.select_on]
    first = config.protocol.select_first
    return f"the epoch was selected on {on}" + (f", its first {first:,} examples" if first else "")


def _limits(run: FinishedRun) -> str:
    config = run.config
    lines = [f"In its predictions: {markdown(remark)}." for remark in run.record.remarks]
    if config.suite == "mini":
        return "\n".join([
            *lines,
            "Trained on the generated data of the mini suite: it shows that the pipeline works, and knows nothing "
            "about the world.",
        ])  # fmt: skip
    lines.append("One seed of one configuration; not evaluated beyond the scores above.")
    if rounded := rounded_to(architecture(config.plm)):
        lines.append(
            f"The weights of the base model had been rounded to {markdown(rounded)}, and were made float32 again."
        )
    if config.plm.path is None and config.plm.hub is None:
        lines.append("The base model is a small one, pre-trained on generated text alone.")
    return "\n".join(lines)
