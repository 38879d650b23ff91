"""Export of a finished run: adapter files and a model card, in PEFT's format where PEFT has the method."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import save

from inducer_bench import strict_json
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError, shown
from inducer_bench.escape import code_block, markdown
from inducer_bench.files import write_atomic
from inducer_bench.methods import peft_format
from inducer_bench.metrics.score import Score
from inducer_bench.plm.options import PlmOptions
from inducer_bench.runs.finished import FinishedRun

_LOAD = {  # library -> (import, call that puts the adapter on a model)
    "peft": ("from peft import PeftModel", "PeftModel.from_pretrained(model, FOLDER)"),
    "inducer-bench": ("import inducer_bench as ib", "ib.load(model, FOLDER)"),
}


def export(run: FinishedRun, folder: Path) -> str:
    """Write the run's method parameters, head and model card into `folder`; returns the name of the format.

    Args:
        run: a finished run.
        folder: new or empty.

    Raises:
        UserError: the files of the run or the PLM are missing, or are not those of the run; or `folder` cannot be
            written, and then it is left empty.
    """
    tuned = run.load()
    library, files = "inducer-bench", {}
    if peft_format.has_peft_form(tuned):
        library = "peft"
        config, tensors = peft_format.to_peft(tuned, base_model(run.config.plm))
        files[peft_format.WEIGHTS_FILE] = save(tensors, metadata={"format": "pt"})
        files[peft_format.CONFIG_FILE] = (strict_json.dumps(_without_places(config), indent=2) + "\n").encode()
    files["README.md"] = model_card(run, library).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if library != "peft":
            tuned.save(folder)
        for name, content in files.items():
            write_atomic(folder / name, content)
    except OSError as error:
        with suppress(OSError):
            for path in folder.iterdir():  # a part of an export is of no use
                path.unlink()
        raise UserError(f"DIR: '{folder}' cannot be written ({shown(error.strerror)}); give another folder") from None
    return f"{library} format"


def base_model(plm: PlmOptions) -> str:
    """The name of the PLM's folder, its id on the hub, or the name of the bundled one."""
    return Path(plm.path).resolve().name if plm.path else plm.hub or plm.name


def model_card(run: FinishedRun, library: str) -> str:
    """The model card, as Markdown with a YAML header: use, scores, origin and limits of the adapter."""
    record, config = run.record, run.config
    header: dict[str, Any] = {
        "library_name": library,
        "base_model": base_model(config.plm),
        "tags": [config.method.name, config.task.name, *(["mini-suite"] if config.suite == "mini" else [])],
    }
    scores = [_score_row(name, score) for name, score in record.scores.items()]
    counts = record.parameters
    method, plm, task = (markdown(name) for name in (config.method.name, config.plm.name, config.task.name))
    made_with = {key: _without_places(record.config[key]) for key in ("method", "trainer")}
    return f"""---
{yaml.safe_dump(header, sort_keys=False)}---

# {method} on {plm} for {task}

An adapter for the pre-trained language model {markdown(base_model(config.plm))}, tuned by the method {method}:
{counts.method:,} method parameters ({counts.percent:.2f} % of the {counts.plm:,} of the model) and
{counts.head:,} of the task's head, which is part of these files.

## Use

{_block("python", _usage(run, library))}

## Scores

Seed {config.seed}, protocol {markdown(config.protocol.name)}: {_selection(config)}.

| score | value | signature |
|---|---|---|
{chr(10).join(scores)}

## How it was made

inducer-bench {markdown(record.code.version)}, run {record.config_hash}, data {markdown(record.data.fingerprint)}
(source: {markdown(record.data.source)}), {record.train_seconds:.0f} s of training on {markdown(record.device.name)}.

{_block("yaml", yaml.safe_dump(made_with, sort_keys=False))}

## Limits

{_limits(config)}
"""


def _score_row(name: str, score: Score) -> str:
    value = "not computed" if score.value is None else f"{score.value:.2f}"
    return f"| {markdown(name)} | {value} | {markdown(score.signature)} |"


def _block(language: str, text: str) -> str:
    """A fenced block of Markdown."""
    first, *rest = code_block(text.rstrip().split("\n"))
    return "\n".join([f"{first}{language}", *rest])


def _without_places(value: Any) -> Any:
    """Plain values with the last part of each absolute path: a stranger has no use for the rest."""
    if isinstance(value, Mapping):
        return {key: _without_places(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_places(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _usage(run: FinishedRun, library: str) -> str:
    """The lines of Python that put the adapter on the PLM."""
    config = run.config
    auto, (library_import, call) = config.task.auto_class, _LOAD[library]
    bundled = config.plm.path is None and config.plm.hub is None
    plm = f"plm_dir({config.plm.name!r})" if bundled else "PLM" if config.plm.path else repr(config.plm.hub)
    num_labels = "" if run.outputs is None else f", num_labels={run.outputs}"
    lines = [
        f"# FOLDER: the path of this folder{'; PLM: that of the PLM' if plm == 'PLM' else ''}",
        library_import,
        *(["from inducer_bench.mini.suite import plm_dir"] if bundled else []),
        f"from transformers import {auto}",
        "",
        f"model = {auto}.from_pretrained({plm}{num_labels})",
        f"model = {call}",
    ]
    return "\n".join(lines)


def _selection(config: ExperimentConfig) -> str:
    on = {"dev": "the dev set", "held_out": "a held-out slice of the training set"}[config.protocol.select_on]
    return f"the epoch was selected on {on}"


def _limits(config: ExperimentConfig) -> str:
    if config.suite == "mini":
        return (
            "Trained on the generated data of the mini suite: it shows that the pipeline works, and knows nothing "
            "about the world."
        )
    return "One seed of one configuration; not evaluated beyond the scores above."
