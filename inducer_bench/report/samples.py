"""What runs took: finished ones, or some of their steps that were timed; and how much work another run has."""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.runs import artefacts, checksummed
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import flat
from inducer_bench.runs.record import Device, FinishedRecord, Parameters
from inducer_bench.runs.timing import Timing

SCORING = 1 / 3  # of an example's training step is its forward pass, which costs as much as each half of the backward
# Settings that decide how long an example takes.
_TRAINER = (
    "batch_size", "micro_batch_size", "eval_batch_size", "batches", "compile", "frozen", "gradient_checkpointing",
    "deterministic",
)  # fmt: skip
_ONE_EACH = ("classification", "coqa", "text_to_text")  # kinds of task whose limits count what is encoded


@dataclass(frozen=True)
class Sample:
    """What one run took."""

    suite: str
    method: str
    data: str  # fingerprint
    config: dict[str, Any]  # plain values
    examples: dict[str, int]  # of train, of the selection set, and of each reported split
    train_seconds: float
    eval_seconds: float
    device: Device
    precision: str  # no, tf32 or bf16
    side_by_side: int
    parameters: Parameters
    trained: int  # parameters
    further: int  # bytes of the files that it left, without the adapter
    memory: int  # bytes, at its peak
    timed: bool = False  # by some of its steps, and not finished
    settings: dict[str, str] = field(init=False)  # that decide how long an example takes

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", settings(self.config))

    @property
    def is_trial(self) -> bool:
        """Whether it is scored on a held-out part of train alone, and keeps no adapter."""
        return bool(self.config["protocol"].get("score") == "held_out")

    @property
    def train_work(self) -> float:
        """Examples trained on, over all epochs that were asked for, with those that selected the epoch."""
        trainer = self.config["trainer"]
        return float(trainer["epochs"] * (self.examples["train"] + SCORING * self.examples["selection"]))

    @property
    def eval_work(self) -> float:
        """Examples scored at the end."""
        names = ["selection"] if self.is_trial else self.config["task"]["report"]
        return float(sum(self.examples.get(name, 0) for name in names))


def of_record(folder: Path, record: FinishedRecord) -> Sample | None:
    """The sample of a finished run; None if its configuration lacks what is needed, as one that was edited may."""
    config, padded = record.config, record.tokens.padded
    try:
        float(config["trainer"]["epochs"])
        [str(split) for split in config["task"]["report"]]
    except (KeyError, TypeError, ValueError):
        return None
    # `train_flops` is made of these; see `runs/recording.py`.
    trained = (record.train_flops / padded - 4 * record.parameters.plm) / 2 if padded else record.parameters.method
    return Sample(
        suite=record.suite,
        method=record.method,
        data=record.data.fingerprint,
        config=config,
        examples=record.examples,
        train_seconds=record.train_seconds,
        eval_seconds=record.eval_seconds,
        device=record.device,
        precision=record.precision,
        side_by_side=record.side_by_side,
        parameters=record.parameters,
        trained=max(round(trained), 0),
        further=_further(folder),
        memory=record.peak_memory_bytes,
    )


def of_timing(config: ExperimentConfig, timing: Timing, data: str | None) -> Sample:
    """The sample of a run that was timed, whose data have this fingerprint."""
    return Sample(
        suite=config.suite,
        method=config.method.name,
        data=data or "",
        config=dataclasses.asdict(config),
        examples=timing.examples,
        train_seconds=timing.train_seconds,
        eval_seconds=timing.eval_seconds,
        device=timing.device,
        precision=timing.precision,
        side_by_side=1,
        parameters=timing.parameters,
        trained=timing.trained,
        further=0,
        memory=timing.memory,
        timed=True,
    )


def read(root: Path, task: str, plm: str) -> tuple[list[Sample], list[str]]:
    """The finished runs of a task and PLM in an output folder, and one line for each record that is left out."""
    folder, left_out = root / task / plm, list[str]()
    if not folder.is_dir():
        return [], []
    found = []
    for run in checksummed.folders(folder, 2, left_out):
        try:
            record = records.read_in_place(run.absolute())
        except UserError as error:
            left_out.append(str(error))
            continue
        if isinstance(record, FinishedRecord) and (sample := of_record(run, record)):
            found.append(sample)
    return found, left_out


@dataclass(frozen=True)
class Amount:
    """The examples of a run that has not run yet."""

    train: float
    selection: float
    scored: float

    def train_work(self, epochs: int) -> float:
        """As `Sample.train_work`."""
        return epochs * (self.train + SCORING * self.selection)


def amount(config: ExperimentConfig, samples: Iterable[Sample]) -> Amount | None:
    """How many examples a run has, from what is known of others on the same data; None if that does not say."""
    samples, one_each = list(samples), config.task.kind in _ONE_EACH
    whole = _count([_of_train(sample) for sample in samples], config.task.max_train, one_each)
    if whole is None:
        return None
    first, protocol = config.protocol.select_first, config.protocol
    if protocol.select_on == "held_out":
        held_out = math.ceil(protocol.held_out * whole)
        selection = float(min(held_out, first or held_out))
        if protocol.score == "held_out":
            return Amount(whole - held_out, selection, selection)
        train = whole - held_out
    else:
        chosen = [s for s in samples if s.config["protocol"].get("select_on") == "dev"]
        found = [(float(s.examples["selection"]), _least(_limit(s), s.config["protocol"].get("select_first")))
                 for s in chosen]  # fmt: skip
        known = _count(found, _least(config.task.max_eval, first), one_each)
        if known is None:
            return None
        train, selection = whole, known
    scored = [
        _count([(s.examples[split], _limit(s)) for s in samples if split in s.examples], config.task.max_eval, True)
        for split in config.task.report
    ]
    numbers = [number for number in scored if number is not None]
    return Amount(train, selection, sum(numbers)) if len(numbers) == len(scored) else None


def settings(config: dict[str, Any]) -> dict[str, str]:
    """The settings of a configuration, as plain values, that decide how long an example takes."""
    trainer = {key: config["trainer"][key] for key in _TRAINER if key in config["trainer"]}
    task = {key: config["task"].get(key) for key in ("max_length", "decoding", "source_tokens", "history_turns")}
    return flat({"method": config["method"], "trainer": trainer, "task": task})


def _of_train(sample: Sample) -> tuple[float, int | None]:
    """The examples of train that a run read, and the limit that was set."""
    protocol = sample.config["protocol"]
    held_out = float(protocol.get("held_out") or 0.0) if protocol.get("select_on") == "held_out" else 0.0
    return round(sample.examples["train"] / (1 - held_out)), sample.config["task"].get("max_train")


def _limit(sample: Sample) -> int | None:
    limit: int | None = sample.config["task"].get("max_eval")
    return limit


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _count(found: Iterable[tuple[float, int | None]], limit: int | None, one_each: bool) -> float | None:
    """The examples below a limit.

    Args:
        found: numbers of examples, and the limit of each.
        limit: the one that is asked about.
        one_each: whether a limit counts these examples, and not what they are made of.
    """
    found = list(found)
    whole = next((count for count, most in found if most is None or (one_each and count < most)), None)
    if limit is None or (whole is not None and limit >= whole):
        return whole
    if one_each:
        known = whole is not None or any(most is not None and most >= limit for _, most in found)
        return float(limit) if known else None
    cut = {most: count for count, most in found if most is not None and most >= limit}
    return cut[min(cut)] * limit / min(cut) if cut else None


def _further(folder: Path) -> int:
    """The bytes of the files in a run's folder, without the adapter and the checkpoint."""
    names = {"log.txt", "metrics.jsonl", "config.yaml", records.FILE, artefacts.PREDICTIONS}
    try:
        return sum(path.stat().st_size for path in folder.iterdir() if path.name in names)
    except OSError:
        return 0
