"""Export of a finished run: adapter files and a model card, in PEFT's format where PEFT has the method."""

import json
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import save

from inducer_bench.config.schema import ExperimentConfig
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

    Raises:
        UserError: the PLM's files are missing, or are not those of the run.
    """
    tuned = run.load()
    folder.mkdir(parents=True, exist_ok=True)
    if peft_format.has_peft_form(tuned):
        library = "peft"
        config, tensors = peft_format.to_peft(tuned, base_model(run.config.plm))
        write_atomic(folder / peft_format.WEIGHTS_FILE, save(tensors, metadata={"format": "pt"}))
        write_atomic(folder / peft_format.CONFIG_FILE, (json.dumps(config, indent=2) + "\n").encode())
    else:
        library = "inducer-bench"
        tuned.save(folder)
    write_atomic(folder / "README.md", model_card(run, library).encode())
    return f"{library} format"


def base_model(plm: PlmOptions) -> str:
    """The PLM's folder, its id on the hub, or the name of the bundled one."""
    return plm.path or plm.hub or plm.name


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
    return f"""---
{yaml.safe_dump(header, sort_keys=False)}---

# {config.method.name} on {config.plm.name} for {config.task.name}

An adapter for the pre-trained language model `{base_model(config.plm)}`, tuned by the method `{config.method.name}`:
{counts.method:,} method parameters ({counts.percent:.2f} % of the {counts.plm:,} of the model) and
{counts.head:,} of the task's head, which is part of these files.

## Use

```python
{_usage(run, library)}
```

## Scores

Seed {config.seed}, protocol `{config.protocol.name}`: {_selection(config)}.

| score | value | signature |
|---|---|---|
{chr(10).join(scores)}

## How it was made

inducer-bench {record.code.version}, run `{record.config_hash}`, data `{record.data.fingerprint}`
(source: {record.data.source}), {record.train_seconds:.0f} s of training on {record.device.name}.

```yaml
{yaml.safe_dump({key: record.config[key] for key in ("method", "trainer")}, sort_keys=False)}```

## Limits

{_limits(config)}
"""


def _score_row(name: str, score: Score) -> str:
    value = "not computed" if score.value is None else f"{score.value:.2f}"
    signature = score.signature.replace("|", "\\|")  # which would end the cell
    return f"| {name} | {value} | {signature} |"


def _usage(run: FinishedRun, library: str) -> str:
    """The lines of Python that put the adapter on the PLM."""
    config = run.config
    auto, (library_import, call) = config.task.auto_class, _LOAD[library]
    bundled = config.plm.path is None and config.plm.hub is None
    plm = f'plm_dir("{config.plm.name}")' if bundled else f'"{base_model(config.plm)}"'
    num_labels = "" if run.outputs is None else f", num_labels={run.outputs}"
    lines = [
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
