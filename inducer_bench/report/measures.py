"""The numbers of a run that a table's column can show, scores and costs, and how they are formatted."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from inducer_bench.errors import UserError
from inducer_bench.metrics.metric import Metric
from inducer_bench.report.store import DoneRun
from inducer_bench.tasks.options import TaskOptions

_MIB = 2**20


@dataclass(frozen=True)
class Measure:
    """One number of a run.

    Args:
        name: of the score in records, or of the cost.
        label: heading of its column.
        better: 1 if higher is better, -1 if lower is.
        decimals: shown in tables.
        score: whether it is a score and not a cost.
        metric: of the score, for a paired test over examples; None for a cost or an unknown score.
        spread: whether tables show the standard deviation over seeds.
        read: its value in a run, None if it has none.
        absent: why a finished run has no value, for a cost.
    """

    name: str
    label: str
    better: int
    decimals: int
    score: bool
    metric: Metric | None
    spread: bool
    read: Callable[[DoneRun], float | None]
    absent: Callable[[DoneRun], str] | None = None

    def reason(self, run: DoneRun) -> str | None:
        """Why a finished run has no value."""
        if self.read(run) is not None:
            return None
        if self.absent is not None:
            return self.absent(run)
        found = run.record.scores.get(self.name) if self.score else None
        return found.reason or "not computed" if found else "not among the numbers of the record"

    def format(self, number: float) -> str:
        """The number as tables show it."""
        return f"{number:,.{self.decimals}f}"


def measure(name: str, task: TaskOptions) -> Measure:
    """The cost, or the task's score, of that name; `headline` is the task's main score, `task.metric`.

    A score of a user's metric that is gone is shown by its name.
    """
    if name in COSTS:
        return COSTS[name]
    score = task.metric if name == "headline" else name
    try:
        metric = task.metric_of(score)
    except UserError:
        metric = None

    def read(run: DoneRun) -> float | None:
        found = run.record.scores.get(score)
        return None if found is None else found.value

    if metric is None:
        return Measure(score, score, 1, 1, True, None, True, read)
    label = metric.label if "." not in metric.label else metric.label.rpartition(".")[2]
    rest = score.removeprefix(metric.name).strip("_").replace("_", " ")
    return Measure(score, f"{label} {rest}".rstrip(), metric.better, metric.decimals, True, metric, True, read)


def memory(runs: Iterable[DoneRun]) -> Measure:
    """Peak memory as most of these runs measured it; of the others it is not shown beside it."""
    kinds = Counter(kind for run in runs if (kind := _memory_of(run)))
    usual = min(kinds.items(), key=lambda item: (-item[1], item[0]))[0] if kinds else None

    def read(run: DoneRun) -> float | None:
        return _mib(run) if usual and _memory_of(run) == usual else None

    def absent(run: DoneRun) -> str:
        if _memory_of(run) is not None:
            return f"memory was measured otherwise ({run.record.peak_memory_of}), and is not shown here"
        if run.record.peak_memory_bytes is None:
            return "memory was not measured"
        if run.record.side_by_side > 1:
            return "memory was measured for several seeds side by side, and is not shown"
        return "memory was measured for the whole process, which says little about a run, and is not shown"

    return replace(COSTS["peak_memory"], label=_MEMORY.get(usual or "", "peak memory, MiB"), read=read, absent=absent)


def _memory_of(run: DoneRun) -> str | None:
    """What was measured; None if it was not this run's own memory."""
    record = run.record
    own = record.own_memory is not None and record.side_by_side == 1
    return record.peak_memory_of if own else None


def _mib(run: DoneRun) -> float | None:
    size = run.record.peak_memory_bytes
    return None if size is None else size / _MIB


def _cost(
    name: str, label: str, decimals: int, read: Callable[[DoneRun], float | None], spread: bool = False
) -> Measure:
    return Measure(name, label, -1, decimals, False, None, spread, read)


_MEMORY = {"cuda_allocated": "peak GPU memory, MiB", "tensors_allocated": "peak memory of tensors, MiB"}
COSTS = {
    cost.name: cost
    for cost in (
        _cost("parameters", "parameters", 0, lambda run: run.record.parameters.method),
        _cost("percent", "% of model", 3, lambda run: run.record.parameters.percent),
        _cost("train_seconds", "training, s", 0, lambda run: run.record.train_seconds, spread=True),
        _cost("eval_seconds", "evaluation, s", 1, lambda run: run.record.eval_seconds, spread=True),
        _cost("peak_memory", "peak memory, MiB", 0, _mib),
        _cost("adapter_size", "adapter file, MiB", 2, lambda run: run.record.adapter_bytes / _MIB),
        _cost("train_examples", "training examples", 0, lambda run: run.record.examples["train"]),
    )
}
TIMES = ("train_seconds", "eval_seconds")
