"""What a run is going to take: from finished runs of the same kind, from those of another method, or from timed steps.

Of finished runs those count that are nearest to the one that is asked about: on the same device, in the same precision,
with the fewest other settings. Their seconds are multiplied by the ratio of the work, which is epochs x examples.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from statistics import fmean

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.methods.architectures import sizes
from inducer_bench.plm.location import architecture
from inducer_bench.report import samples
from inducer_bench.report.samples import Amount, Sample, amount
from inducer_bench.runs.record import Device

_BYTES = 4  # of a parameter in an adapter or a checkpoint
# A state holds weights and two moments; while one is written, there are two of them, and the best weights twice.
_CHECKPOINT = 2 * 3 + 2


@dataclass(frozen=True)
class Cost:
    """What a run takes."""

    seconds: float  # of training and evaluation
    low: float  # of the runs that this comes from
    high: float
    source: str  # where it comes from
    left: int | None  # bytes that it leaves; None: not known
    checkpoint: int | None  # bytes at most while it goes on
    memory: int | None  # bytes at the peak


class Costs:
    """Costs of runs, from the finished ones in an output folder and from timed ones.

    Args:
        root: the output folder, which need not exist.
        device: that the runs are going to use.

    Attributes:
        left_out: a line for each record that is not used.
    """

    def __init__(self, root: Path, device: Device) -> None:
        self._root, self._device = root, device
        self._read: dict[tuple[str, str], list[Sample]] = {}
        self.left_out: list[str] = []

    def add(self, config: ExperimentConfig, sample: Sample) -> None:
        """Use what was timed of a run as well."""
        self._of(config.task.name, config.plm.name).append(sample)

    def of(self, config: ExperimentConfig, data: str | None) -> Cost | None:
        """The cost of a run; None if no run of this task and PLM says anything about it.

        Args:
            config: of the run, for one seed.
            data: the fingerprint of its data, if they are there.
        """
        found = self._of(config.task.name, config.plm.name)
        own = [sample for sample in found if sample.method == config.method.name]
        size = amount(config, [sample for sample in found if data in (None, sample.data)])
        if size is None:
            return None
        if own:
            return self._cost(config, size, own, 1.0, "")
        nearest = self._nearest(config, found)
        ratio, why = self._ratio(config, nearest[0].method)
        same = [sample for sample in found if sample.method == nearest[0].method]
        return self._cost(config, size, same, ratio, f" of {nearest[0].method} x {ratio:.2f} ({why})")

    def _cost(
        self, config: ExperimentConfig, size: Amount, found: Sequence[Sample], ratio: float, method: str
    ) -> Cost:
        training = self._nearest(config, [sample for sample in found if sample.train_work] or found)
        scoring = self._nearest(config, self._scoring(config, found))
        work = size.train_work(config.trainer.epochs)
        train = [ratio * s.train_seconds * work / s.train_work if s.train_work else 0.0 for s in training]
        score = [ratio * s.eval_seconds * size.scored / s.eval_work for s in scoring if s.eval_work] or [0.0]
        parameters = self._parameters(config, training[0], bool(method))
        adapter = 0 if _is_trial(config) else parameters
        if not method and not _is_trial(config) and (kept := [s.adapter for s in scoring if s.adapter]):
            adapter = round(fmean(kept))
        trained = None if parameters is None else parameters // _BYTES if method else training[0].trained
        return Cost(
            seconds=fmean(train) + fmean(score),
            low=min(train) + min(score),
            high=max(train) + max(score),
            source=self._source(config, training, method),
            left=None if adapter is None else adapter + round(fmean(s.further for s in scoring)),
            checkpoint=None if trained is None else trained * _BYTES * _CHECKPOINT,
            memory=None if method else max(s.memory for s in training),
        )

    def _scoring(self, config: ExperimentConfig, found: Sequence[Sample]) -> Sequence[Sample]:
        """The samples that were scored as the run will be: of its method, or else of another one; if there is none, all."""
        every = self._of(config.task.name, config.plm.name)
        return next(
            (alike for some in (found, every) if (alike := [s for s in some if s.is_trial == _is_trial(config)])), found
        )

    def _source(self, config: ExperimentConfig, found: Sequence[Sample], method: str) -> str:
        if found[0].timed:
            return f"timed steps{method}"
        text = f"{len(found)} finished run{'s' if len(found) > 1 else ''}{method}"
        where = {str(sample.device) for sample in found}
        if where != {str(self._device)}:
            text += f" on {', '.join(sorted(where))}"
        other = samples.differences(dataclasses.asdict(config), found[0].config)
        other = [key for key in other if not (method and key.startswith("method."))]
        return f"{text}, other {', '.join(other[:3])}{' ...' if len(other) > 3 else ''}" if other else text

    def _nearest(self, config: ExperimentConfig, found: Sequence[Sample]) -> list[Sample]:
        """Those of the samples that are nearest to a run."""
        ranked = [(self._distance(config, sample), sample) for sample in found]
        least = min(distance for distance, _ in ranked)
        return [sample for distance, sample in ranked if distance == least]

    def _distance(self, config: ExperimentConfig, sample: Sample) -> tuple[float, ...]:
        device, wanted = sample.device, {"auto": None, "fp32": "no"}.get(config.trainer.precision, config.trainer.precision)
        if wanted is None:
            wanted = "bf16" if self._device.type == "cuda" else "no"
        threads = abs(log2(max(device.threads, 1) / self._device.threads)) if device.type == "cpu" else 0.0
        plain = dataclasses.asdict(config)
        other = samples.differences(plain, sample.config)
        if sample.method != config.method.name:
            other = [key for key in other if not key.startswith("method.")]
        return (
            device.type != self._device.type,
            device.name != self._device.name,
            sample.precision != wanted,
            sample.suite != config.suite,
            sample.side_by_side > 1,
            threads,
            len(other),
        )

    def _ratio(self, config: ExperimentConfig, other: str) -> tuple[float, str]:
        """The time of a run's method over that of another one, and what this comes from."""
        for task in self._tasks():
            found = self._of(task, config.plm.name)
            speeds = {}
            for method in (config.method.name, other):
                per_work = [s.train_seconds / s.train_work for s in found if s.method == method and s.train_work]
                speeds[method] = fmean(per_work) if per_work else 0.0
            if all(speeds.values()):
                return speeds[config.method.name] / speeds[other], f"as on {task}"
        found = self._of(config.task.name, config.plm.name)
        sample = next(sample for sample in found if sample.method == other)
        parameters = self._parameters(config, sample, True)
        plm, trained = sample.parameters.plm, (parameters or 0) / _BYTES
        return (4 * plm + 2 * trained) / (4 * plm + 2 * sample.trained), "by operations"

    def _parameters(self, config: ExperimentConfig, sample: Sample, other: bool) -> int | None:
        """The bytes of a run's deployed parameters; of another method's sample, head and special tokens count."""
        counts = sample.parameters
        if not other:
            return (counts.method + counts.head + counts.tokens) * _BYTES
        if not config.method.shares_plm:
            own = counts.plm
        elif config.method.only_head:
            own = 0
        else:
            try:
                own = config.method.parameters(sizes(architecture(config.plm), config.plm.layout))
            except UserError:
                return None
        return (own + counts.head + counts.tokens) * _BYTES

    def _of(self, task: str, plm: str) -> list[Sample]:
        if (task, plm) not in self._read:
            self._read[task, plm], left_out = samples.read(self._root, task, plm)
            self.left_out += left_out
        return self._read[task, plm]

    def _tasks(self) -> list[str]:
        try:
            return sorted(path.name for path in self._root.iterdir() if path.is_dir())
        except OSError:
            return []


def _is_trial(config: ExperimentConfig) -> bool:
    return config.protocol.score == "held_out"
