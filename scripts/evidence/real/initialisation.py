"""(b) Is it the initialisation? How scores vary with the seed, which runs fail to learn, which learning rates work."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from inducer_bench.errors import UserError
from inducer_bench.report.marks import predictions_of
from inducer_bench.report.measures import Measure, measure
from inducer_bench.report.naming import task_title
from inducer_bench.report.robustness import Workable, workable
from inducer_bench.report.spreads import VarianceRatio, share_interval, variance_ratio
from inducer_bench.report.store import DoneRun, Group, Run
from scripts.evidence.real.runs import alone, by_task, form

OURS = "Inducer"
# Above a constant guess, in points: about three standard errors of an accuracy of 50 % on 872 examples. A run that has
# learned anything on SST-2 lies above it; a frozen PLM with a trained head does.
MARGIN = 5.0
WITHIN = 2.0  # points of the best mean, of learning rates that work


@dataclass(frozen=True)
class Rate:
    """The runs at one learning rate.

    Args:
        rate: the learning rate.
        scores: of each run; None where it failed to learn.
        all_scores: of each run that has one, whether it failed to learn or not.
        chosen_by: the mean score of the runs on the examples that select epochs; -inf if a run has none.
    """

    rate: float
    scores: tuple[float | None, ...]
    all_scores: tuple[float, ...]
    chosen_by: float

    @property
    def failed(self) -> int:
        """The number of runs that failed to learn."""
        return sum(score is None for score in self.scores)


@dataclass(frozen=True)
class Form:
    """A method, or a form of it, over all learning rates.

    Args:
        label: for people.
        method: its name in records.
        rates: by learning rate.
        best: the one of the best selection score.
        failures: 95 % interval of the share of failures over all rates, in [0, 1].
        failures_at_best: the same at the best rate.
        workable: the range of rates that work; None of a single rate.
        ratio: of its variance at its best rate to the inducer's at its own; None where either has none.
    """

    label: str
    method: str
    rates: tuple[Rate, ...]
    best: Rate
    failures: tuple[float, float]
    failures_at_best: tuple[float, float]
    workable: Workable | None
    ratio: VarianceRatio | None

    @property
    def runs(self) -> int:
        """Of all rates."""
        return sum(len(rate.scores) for rate in self.rates)

    @property
    def failed(self) -> int:
        """The number of runs that failed to learn, over all rates."""
        return sum(rate.failed for rate in self.rates)

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the scores at the best rate; None of fewer than two."""
        return stdev(self.best.all_scores) if len(self.best.all_scores) > 1 else None


@dataclass(frozen=True)
class Sweep:
    """All forms on one task and PLM, and the score of a constant guess."""

    place: str
    label: str  # of the score
    guess: float
    forms: list[Form]


def sweeps(groups: Sequence[Group]) -> list[Sweep]:
    """The sweep of seeds and learning rates of each task and PLM.

    Raises:
        UserError: two settings differ in more than the learning rate, or the score of a constant guess is not known.
    """
    found = []
    for (_, plm), own in sorted(by_task(groups).items()):
        of = measure("headline", own[0].config.task)
        done = [run for group in own for run in group.done]
        if done:
            guess = guessed(of, done[0])
            found.append(Sweep(f"{task_title(own[0].config.task)} on {plm}", of.label, guess, _forms(own, of, guess)))
    return found


def guessed(of: Measure, run: DoneRun) -> float:
    """The score of always guessing the most frequent label, on the examples that a run reports.

    Raises:
        UserError: that is not known of this score.
    """
    if of.name == "matthews":
        return 0.0
    if of.name != "accuracy":
        raise UserError(f"{of.name}: the score of a constant guess is not known; allowed: accuracy, matthews")
    matrix = next(iter(run.record.confusion.values()), None)  # of the first split, whose score headlines
    counts = list(map(sum, matrix)) if matrix else [*Counter(row["label"] for row in predictions_of(run)).values()]
    return 100 * max(counts) / sum(counts)


def _forms(groups: Sequence[Group], of: Measure, guess: float) -> list[Form]:
    by_label: dict[str, dict[float, list[Group]]] = {}
    for group in groups:
        by_label.setdefault(form(group.config), {}).setdefault(group.config.trainer.lr, []).append(group)
    rates = {
        label: [_rate(alone(some, f"{label} at {rate:g}"), of, guess) for rate, some in sorted(by_rate.items())]
        for label, by_rate in by_label.items()
    }
    ours = _best(rates[OURS]) if OURS in rates else None
    names = {form(group.config): group.config.method.name for group in groups}
    return [_form(label, names[label], rates[label], ours, of.better) for label in sorted(rates)]


def _form(label: str, method: str, rates: Sequence[Rate], ours: Rate | None, better: int) -> Form:
    best = _best(rates)
    failed, runs = sum(rate.failed for rate in rates), sum(len(rate.scores) for rate in rates)
    compared = ours is not None and label != OURS
    return Form(
        label=label,
        method=method,
        rates=tuple(rates),
        best=best,
        failures=share_interval(failed, runs),
        failures_at_best=share_interval(best.failed, len(best.scores)),
        workable=workable({rate.rate: rate.scores for rate in rates}, better, WITHIN),
        ratio=variance_ratio(best.all_scores, ours.all_scores) if compared and ours else None,
    )


def _rate(group: Group, of: Measure, guess: float) -> Rate:
    runs = [run for run in group.runs if run.record.status != "interrupted"]
    chosen_by = [_selected(run) for run in runs]
    scores = [of.read(run) for run in runs if isinstance(run, DoneRun)]
    return Rate(
        rate=group.config.trainer.lr,
        scores=tuple(_learned(run, of, guess) for run in runs),
        all_scores=tuple(score for score in scores if score is not None),
        chosen_by=float("-inf") if None in chosen_by else fmean(score for score in chosen_by if score is not None),
    )


def _learned(run: Run, of: Measure, guess: float) -> float | None:
    """The score of a run; None if it ended without one, or failed to learn."""
    score = of.read(run) if isinstance(run, DoneRun) else None
    return None if score is None or of.better * (score - guess) <= MARGIN else score


def _selected(run: Run) -> float | None:
    return run.record.selection_score if isinstance(run, DoneRun) else None


def _best(rates: Sequence[Rate]) -> Rate:
    """The rate of the best selection score, which is not the score that is compared where epochs are held out."""
    return max(rates, key=lambda rate: rate.chosen_by)
