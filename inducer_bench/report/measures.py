"""What a column of a table can show of a run: a score, or a cost; and how it is written."""

from collections.abc import Callable
from dataclasses import dataclass

from inducer_bench.report.store import DoneRun
from inducer_bench.tasks.options import TaskOptions

_MIB = 2**20
_LOWER_IS_BETTER = ("ter", "perplexity")
_NAMES = {
    "accuracy": "accuracy", "f1": "F1", "em": "exact match", "matthews": "Matthews", "pearson": "Pearson",
    "spearman": "Spearman", "bleu": "BLEU", "bleu_multi": "BLEU (multi-bleu)", "meteor": "METEOR", "ter": "TER",
    "chrf": "chrF", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "perplexity": "perplexity",
}  # fmt: skip


@dataclass(frozen=True)
class Measure:
    """One number of a run.

    Args:
        better: 1 if higher is better, -1 if lower is.
        score: whether it is one, so that a paired test over examples can be made.
        spread: whether the standard deviation over seeds is worth showing.
        read: its value in a run, None if it has none.
    """

    name: str
    label: str
    better: int
    decimals: int
    score: bool
    spread: bool
    read: Callable[[DoneRun], float | None]

    def reason(self, run: DoneRun) -> str | None:
        """Why a finished run has no value."""
        if self.read(run) is not None:
            return None
        if self.name == "adapter_size":
            return "the adapter's files are gone from the run's folder"
        found = run.record.scores.get(self.name) if self.score else None
        return found.reason or "not computed" if found else "not among the numbers of the record"

    def write(self, number: float) -> str:
        """The number as tables show it."""
        return f"{number:,.{self.decimals}f}"


def measure(name: str, task: TaskOptions) -> Measure:
    """The cost, or the task's score, of that name; `headline` is the score that the task is known by."""
    if name in _COSTS:
        return _COSTS[name]
    score = task.metric if name == "headline" else name

    def read(run: DoneRun) -> float | None:
        found = run.record.scores.get(score)
        return None if found is None else found.value

    better = -1 if score.split("_")[0] in _LOWER_IS_BETTER else 1
    return Measure(score, _NAMES.get(score, score), better, 1, True, True, read)


def _adapter_bytes(run: DoneRun) -> float | None:
    """The files may have been deleted, or never been copied with the record."""
    sizes = [path.stat().st_size for path in (run.folder / "adapter").glob("*.safetensors")]
    return sum(sizes) / _MIB if sizes else None


def _cost(
    name: str, label: str, decimals: int, read: Callable[[DoneRun], float | None], spread: bool = False
) -> Measure:
    return Measure(name, label, -1, decimals, False, spread, read)


_COSTS = {
    cost.name: cost
    for cost in (
        _cost("parameters", "parameters", 0, lambda run: run.record.parameters.method),
        _cost("percent", "% of PLM", 3, lambda run: run.record.parameters.percent),
        _cost("train_seconds", "training, s", 0, lambda run: run.record.train_seconds, spread=True),
        _cost("eval_seconds", "evaluation, s", 1, lambda run: run.record.eval_seconds, spread=True),
        _cost("peak_memory", "peak memory, MiB", 0, lambda run: run.record.peak_memory_bytes / _MIB),
        _cost("adapter_size", "adapter file, MiB", 2, _adapter_bytes),
        _cost("train_examples", "training examples", 0, lambda run: run.record.examples["train"]),
    )
}
