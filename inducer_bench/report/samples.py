"""What runs took: finished ones, or some of their steps that were timed; and how much work another run has."""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.options import typed
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
_TASK = ("max_length", "source_tokens", "history_turns", "decoding")
_LONGEST = 1e9  # seconds
_ONE_EACH = ("classification", "coqa", "text_to_text")  # kinds of task whose limits count what is encoded


@dataclass(frozen=True)
class Sample:
    """What one run took."""

    config: ExperimentConfig  # of a recorded run without its method, which may be gone
    method: dict[str, Any]  # its options, as plain values
    data: str  # fingerprint
    examples: dict[str, int]  # of train, of the selection set, and of each reported split
    train_seconds: float
    eval_seconds: float
    device: Device
    precision: str  # no, tf32 or bf16
    side_by_side: int
    parameters: Parameters
    trained: int  # parameters
    further: int  # bytes of the files that it left, without the adapter
    memory: int | None  # bytes, at its peak
    timed: bool = False  # by some of its steps, and not finished
    settings: dict[str, str] = field(init=False)  # that decide how long an example takes

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", settings(self.config, self.method))

    @property
    def is_trial(self) -> bool:
        """Whether it is scored on a held-out part of train alone, and keeps no adapter."""
        return self.config.protocol.score == "held_out"

    @property
    def train_work(self) -> float:
        """Examples trained on, over all epochs that were asked for, with those that selected the epoch."""
        return self.config.trainer.epochs * (self.examples["train"] + SCORING * self.examples["selection"])

    @property
    def eval_work(self) -> float:
        """Examples scored at the end."""
        names = ["selection"] if self.is_trial else self.config.task.report
        return sum(self.examples.get(name, 0) for name in names)


def of_record(folder: Path, record: FinishedRecord) -> Sample:
    """The sample of a finished run.

    Raises:
        UserError: its configuration is of another release, or its times are beyond all measure.
    """
    try:
        config = typed(ExperimentConfig, {**record.config, "method": {"name": "head_only"}})  # a method without options
    except UserError as error:
        raise UserError(f"its configuration is of another release ({error})") from None
    if max(record.train_seconds, record.eval_seconds) > _LONGEST:
        raise UserError(f"train_seconds, eval_seconds: found more than {_LONGEST:g}")
    padded = record.tokens.padded
    # `train_flops` is made of these; see `runs/recording.py`.
    trained = (record.train_flops / padded - 4 * record.parameters.plm) / 2 if padded else record.parameters.method
    return Sample(
        config=config,
        method=record.config["method"],
        data=record.data.fingerprint,
        examples=record.examples,
        train_seconds=record.train_seconds,
        eval_seconds=record.eval_seconds,
        device=record.device,
        precision=record.precision,
        side_by_side=record.side_by_side,
        parameters=record.parameters,
        trained=max(round(trained), 0),
        further=_further(folder),
        memory=record.own_memory,
    )


def of_timing(config: ExperimentConfig, timing: Timing, data: str | None) -> Sample:
    """The sample of a run that was timed, whose data have this fingerprint."""
    return Sample(
        config=config,
        method=dataclasses.asdict(config.method),
        data=data or "",
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
    folder, found, left_out = root / task / plm, list[Sample](), list[str]()
    if not folder.is_dir():
        return found, left_out
    try:
        runs = checksummed.folders(folder, 2, left_out)
    except UserError as error:
        return found, [str(error)]
    for run in runs:
        try:
            record = records.read_in_place(run.absolute())
            if isinstance(record, FinishedRecord):
                found.append(of_record(run, record))
        except UserError as error:
            left_out.append(str(error) if str(run) in str(error) else f"{run / records.FILE}: {error}")
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
    task, protocol = config.task, config.protocol
    whole = _count([_of_train(sample) for sample in samples], task.max_train, one_each)
    if whole is None:
        return None
    if protocol.select_on == "held_out":
        held_out = math.ceil(protocol.held_out * whole)
        train, selection = whole - held_out, float(min(held_out, protocol.select_first or held_out))
    else:
        others = [
            (
                float(sample.examples["selection"]),
                _least(sample.config.task.max_eval, sample.config.protocol.select_first),
            )
            for sample in samples
            if sample.config.protocol.select_on == "dev"
        ]
        found = _count(others, _least(task.max_eval, protocol.select_first), one_each)
        if found is None:
            return None
        train, selection = whole, found
    if protocol.score == "held_out":
        return Amount(train, selection, selection)
    scored = [
        _count(
            [(s.examples[split], s.config.task.max_eval) for s in samples if split in s.examples], task.max_eval, True
        )
        for split in task.report
    ]
    numbers = [number for number in scored if number is not None]
    return Amount(train, selection, sum(numbers)) if len(numbers) == len(scored) else None


def settings(config: ExperimentConfig, method: dict[str, Any]) -> dict[str, str]:
    """The settings of a configuration that decide how long an example takes."""
    task = {key: getattr(config.task, key) for key in _TASK if hasattr(config.task, key)}
    trainer = {key: getattr(config.trainer, key) for key in _TRAINER}
    plain = {key: dataclasses.asdict(value) if key == "decoding" else value for key, value in task.items()}
    return flat({"method": method, "trainer": trainer, "task": plain})


def _of_train(sample: Sample) -> tuple[float, int | None]:
    """The examples of train that a run read, and the limit that was set."""
    protocol = sample.config.protocol
    held_out = protocol.held_out if protocol.select_on == "held_out" else 0.0
    return round(sample.examples["train"] / (1 - held_out)), sample.config.task.max_train


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
