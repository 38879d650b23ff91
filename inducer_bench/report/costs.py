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
from inducer_bench.errors import UserError, listed
from inducer_bench.methods.architectures import sizes
from inducer_bench.plm.location import architecture
from inducer_bench.report import samples
from inducer_bench.report.samples import Amount, Sample, amount, of_timing
from inducer_bench.runs.record import Device
from inducer_bench.runs.timing import Timing

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
        self._known: dict[str, Cost | None] = {}
        self.left_out: list[str] = []

    def add(self, config: ExperimentConfig, timing: Timing, data: str | None) -> None:
        """Use what was timed of a run as well."""
        self._of(config.task.name, config.plm.name).append(of_timing(config, timing, data))
        self._known.clear()

    def of(self, config: ExperimentConfig, data: str | None) -> Cost | None:
        """The cost of a run; None if no run of this task and PLM says anything about it.

        Args:
            config: of the run, for one seed.
            data: the fingerprint of its data, if they are there.
        """
        trainer = dataclasses.replace(config.trainer, lr=1.0)
        key = repr((dataclasses.replace(config, seed=0, trainer=trainer, search=None), data))
        if key not in self._known:
            self._known[key] = self._cost_of(config, data)
        return self._known[key]

    def _cost_of(self, config: ExperimentConfig, data: str | None) -> Cost | None:
        found = self._of(config.task.name, config.plm.name)
        size = amount(config, [sample for sample in found if data in (None, sample.data)])
        if size is None:
            return None
        if own := [sample for sample in found if sample.method["name"] == config.method.name]:
            return self._from(config, size, own)
        each = {
            method: self._ratio(config, method, [sample for sample in found if sample.method["name"] == method])
            for method in sorted({sample.method["name"] for sample in found})
        }
        measured = {method: ratio for method, (ratio, task) in each.items() if task}
        ratios = measured or {method: ratio for method, (ratio, _) in each.items()}
        costs = [
            self._from(config, size, [sample for sample in found if sample.method["name"] == method], ratio)
            for method, ratio in ratios.items()
        ]
        how = f"in the ratio that they have on {each[next(iter(ratios))][1]}" if measured else "by operations"
        return dataclasses.replace(
            costs[0],
            seconds=fmean(cost.seconds for cost in costs),
            low=min(cost.low for cost in costs),
            high=max(cost.high for cost in costs),
            source=f"finished runs of {listed(ratios, 3)}, {how}",
        )

    def _from(
        self, config: ExperimentConfig, size: Amount, found: Sequence[Sample], ratio: float | None = None
    ) -> Cost:
        """The cost by samples of one method: the run's own, or another one, of whose time the run's is `ratio`."""
        training = self._nearest(config, [sample for sample in found if sample.train_work] or found)
        scoring = self._nearest(config, self._scoring(config, found))
        work, factor = size.train_work(config.trainer.epochs), 1.0 if ratio is None else ratio
        train = [factor * s.train_seconds * work / s.train_work if s.train_work else 0.0 for s in training]
        score = [factor * s.eval_seconds * size.scored / s.eval_work for s in scoring if s.eval_work] or [0.0]
        deployed = self._deployed(config, training[0])
        trained = deployed if ratio is not None else training[0].trained
        adapter = 0 if _is_trial(config) else deployed and deployed * _BYTES
        further = round(fmean(s.further * size.scored / s.eval_work if s.eval_work else s.further for s in scoring))
        return Cost(
            seconds=fmean(train) + fmean(score),
            low=min(train) + min(score),
            high=max(train) + max(score),
            source=self._source(config, training),
            left=None if adapter is None else adapter + further,
            checkpoint=None if trained is None else trained * _BYTES * _CHECKPOINT,
            memory=None if ratio is not None else max((s.memory for s in training if s.memory), default=None),
        )

    def _scoring(self, config: ExperimentConfig, found: Sequence[Sample]) -> Sequence[Sample]:
        """Samples that were scored as the run will be: of these, else of another method; if there are none, these."""
        every = self._of(config.task.name, config.plm.name)
        alike = ([s for s in some if s.is_trial == _is_trial(config)] for some in (found, every))
        return next(filter(None, alike), found)

    def _source(self, config: ExperimentConfig, found: Sequence[Sample]) -> str:
        if found[0].timed:
            return "timed steps"
        text = f"{len(found)} finished run{'s' if len(found) > 1 else ''}"
        if (where := {str(sample.device) for sample in found}) != {str(self._device)}:
            text += f" on {listed(sorted(where), 3)}"
        other = self._other(config, found[0])
        return f"{text}, with other {listed(other, 3)}" if other else text

    def _other(self, config: ExperimentConfig, sample: Sample) -> list[str]:
        """The settings that a sample has and differ; of another method, not its own. Old records lack some settings."""
        ours, theirs = samples.settings(config, dataclasses.asdict(config.method)), sample.settings
        own = sample.method["name"] == config.method.name
        return [
            key for key in ours if ours[key] != theirs.get(key, ours[key]) and (own or not key.startswith("method."))
        ]

    def _nearest(self, config: ExperimentConfig, found: Sequence[Sample]) -> list[Sample]:
        """Those of the samples that are nearest to a run."""
        ranked = [(self._distance(config, sample), sample) for sample in found]
        least = min(distance for distance, _ in ranked)
        return [sample for distance, sample in ranked if distance == least]

    def _distance(self, config: ExperimentConfig, sample: Sample) -> tuple[float, ...]:
        device, auto = sample.device, "bf16" if self._device.type == "cuda" else "no"
        precision = {"auto": auto, "fp32": "no"}.get(config.trainer.precision, config.trainer.precision)
        threads = abs(log2(max(device.threads, 1) / self._device.threads)) if device.type == "cpu" else 0.0
        return (
            device.type != self._device.type,
            device.name != self._device.name,
            sample.precision != precision,
            sample.config.suite != config.suite,
            sample.side_by_side > 1,
            threads,
            len(self._other(config, sample)),
        )

    def _ratio(self, config: ExperimentConfig, other: str, found: Sequence[Sample]) -> tuple[float, str]:
        """The time of a run's method over that of another one, and the task on which both have run; else "".

        Without such a task it is that of floating-point operations, as records count them.
        """
        for task in self._tasks():
            speeds = []
            for method in (config.method.name, other):
                some = [s for s in self._of(task, config.plm.name) if s.method["name"] == method and s.train_work]
                speeds.append(fmean(s.train_seconds / s.train_work for s in some) if some else 0.0)
            if all(speeds):
                return speeds[0] / speeds[1], task
        plm, trained = found[0].parameters.plm, self._deployed(config, found[0]) or 0
        return (4 * plm + 2 * trained) / (4 * plm + 2 * found[0].trained), ""

    def _deployed(self, config: ExperimentConfig, sample: Sample) -> int | None:
        """The parameters that a run leaves; of another method's sample, head and special tokens count."""
        counts = sample.parameters
        if sample.method["name"] == config.method.name:
            own = counts.method
        elif not config.method.shares_plm:
            own = counts.plm
        elif config.method.only_head:
            own = 0
        else:
            try:
                own = config.method.parameters(sizes(architecture(config.plm), config.plm.layout))
            except UserError:  # the method does not declare them
                return None
        return own + counts.head + counts.tokens

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
