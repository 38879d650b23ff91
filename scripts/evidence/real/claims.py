"""Print the claims of the paper with what the records say about them, in plain words; part of `make results`.

python -m scripts.evidence.real.claims [FOLDER]     # default: results/real
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from inducer_bench.report.statistics import written_p_value
from inducer_bench.report.store import Group
from scripts.evidence.markdown import table
from scripts.evidence.real import against, budget, changes, gate, initialisation, scores
from scripts.evidence.real.changes import ABLATIONS, GATE, HABITS, Question
from scripts.evidence.real.differences import Difference, adjusted, signed
from scripts.evidence.real.gate import HARDLY, OPEN, Mean, Measured, number
from scripts.evidence.real.initialisation import MARGIN, OURS, WITHIN, Form, Sweep
from scripts.evidence.real.layers import COLUMNS, NOTES, cells
from scripts.evidence.real.runs import REAL, START, Evidence, load

_FIGURES = {  # the beginning of a file's name -> what it shows
    "against": "Inducers against other methods, with 95 % intervals",
    "rates": "Scores by learning rate, a panel for each method",
    "ablations": "Inducers without a part against the whole one",
    "gates": "Mean gate by layer, before and after training",
    "other_gates": "Inducers with other gates against the paper's",
    "budget": "Scores by the number of parameters",
    "habits": "Each habit of the released code against none",
}
_NONE = "No records yet: `{}`."
_INTERVALS = (
    "Differences are in points of the task's main score, above zero where the first is better, with their own 95 % "
    "intervals. 'Better' and 'worse' mean p < 0.05 after Holm's correction over the comparisons of one table."
)


def main(folder: str = str(REAL)) -> None:
    """Print the page."""
    print("\n".join(page(load(Path(folder, "runs")), Path(folder))))


def page(evidence: Evidence, real: Path) -> list[str]:
    """The lines of the page.

    Args:
        evidence: all records.
        real: the folder of the figures and of what `start.py` and `measure.py` measured; they need not be there.
    """
    done = sum(run.record.status == "done" for _, run in evidence.store.runs.values())
    return [
        f"From {done:,} finished runs of {len(evidence.store.runs):,}. {_INTERVALS}",
        "",
        *_scores(evidence),
        *_against(evidence, real),
        *_with_more_data(evidence.of_experiment("real_whole")),
        *_initialisation(evidence, real),
        *_changes("(c) What is each part of the inducer worth?", evidence, ABLATIONS, real, "ablations"),
        *_gate(evidence, real),
        *_budget(evidence.of_experiment("real_budget"), real),
        *_changes("(f) What do the habits of the released code do?", evidence, HABITS, real, "habits"),
    ]


def _scores(evidence: Evidence) -> Iterator[str]:
    head, rows = scores.table(evidence.studies)
    if rows:
        note = "Mean ± sample standard deviation over seeds, their number in brackets. ▲: the best mean of a column."
        yield from ("## Scores", "", note, "", *_table(head, rows))


# -- (a) ---------------------------------------------------------------------------------------------------------------


def _against(evidence: Evidence, real: Path) -> Iterator[str]:
    yield from ("## (a) Does the inducer beat prefix-tuning, and does it reach fine-tuning and LoRA?", "")
    compared = against.compared(evidence.studies)
    found = against.per_task(compared)
    if not found:
        yield from (_NONE.format("inducer-bench tune experiment=real_nlu"), "")
        return
    for together in against.over_tasks(compared):
        if together.means:
            yield from (f"On {together.plm}, over {', '.join(together.tasks)}:", "")
            yield from _told(together.means)
        if together.ranks:
            yield from _table(
                ["method", "mean rank", "95 %"],
                [[name, f"{rank.mean:.1f}", "" if rank.interval is None else "{:.1f} to {:.1f}".format(*rank.interval)]
                 for name, rank in together.ranks.items()],
            )  # fmt: skip
    yield from (*_told(found), *_figures(real, "against"))
    if parts := against.per_part(evidence.studies):
        yield from ("### On the parts of a test set", "", *_told(parts))


def _with_more_data(groups: Sequence[Group]) -> Iterator[str]:
    if found := against.with_more_data(groups):
        yield from ("### With all training data", "", *_told(found))


# -- (b) ---------------------------------------------------------------------------------------------------------------


def _initialisation(evidence: Evidence, real: Path) -> Iterator[str]:
    yield from ("## (b) Is it the initialisation?", "")
    found = initialisation.sweeps(evidence.of_experiment("real_initialisation"))
    if not found:
        yield from (_NONE.format("inducer-bench -m experiment=real_initialisation"), "")
    for sweep in found:
        yield from _sweep(sweep)
    yield from (*_figures(real, "rates"), *_start(real / START))


def _sweep(sweep: Sweep) -> Iterator[str]:
    yield from (f"### {sweep.place}", "")
    yield (
        f"A run fails to learn if it ends without a score, or at most {MARGIN:g} points above a constant guess "
        f"({sweep.guess:.1f}). The best learning rate of a method is that of the best mean score on the examples that "
        "select epochs; its spread is that of all runs there, failures included. A learning rate works if none of its "
        f"runs fails and its mean is within {WITHIN:g} points of the method's best."
    )
    yield ""
    yield from (f"- {_spread(one)}" for one in sweep.forms if one.label != OURS)
    yield from (f"- {_width(one)}" for one in sweep.forms)
    yield ""
    yield from _table(
        ["method", "best rate", f"{sweep.label} there", "variance to the inducer's", "Brown-Forsythe p",
         "failures there", "failures, all rates", "rates that work", "decades"],
        [_row(one) for one in sweep.forms],
    )  # fmt: skip
    rates = sorted({rate.rate for one in sweep.forms for rate in one.rates})
    yield from (f"Mean {sweep.label} by learning rate, in brackets the runs that failed to learn:", "")
    rows = []
    for one in sweep.forms:
        by_rate = {rate.rate: rate for rate in one.rates}
        rows.append([one.label, *(_cell(by_rate[rate]) if rate in by_rate else "" for rate in rates)])
    yield from _table(["method", *(f"{rate:g}" for rate in rates)], rows)


def _spread(one: Form) -> str:
    if one.ratio is None:
        return f"{one.label}: its spread cannot be compared with the inducer's (too few runs, or equal scores)."
    low, high = one.ratio.interval
    times = f"{one.ratio.ratio:.2g} times the inducer's ({_times(low)} to {_times(high)})"
    if low <= 1 <= high:
        return f"{one.label} does not vary in a way that can be told apart from the inducer: the variance is {times}."
    return f"{one.label} varies {'more' if low > 1 else 'less'} with the seed: the variance is {times}."


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}"


def _width(one: Form) -> str:
    failed = f"{one.failed} of {one.runs} runs fail to learn"
    if one.workable is None or one.workable.range is None:
        return f"{one.label}: no learning rate works; {failed}."
    low, high = one.workable.interval
    most = "at least " if one.workable.range.open_ends else ""
    width = f"{most}{one.workable.range.decades:.1f} decades of learning rates work ({low:.1f} to {high:.1f})"
    return f"{one.label}: {width}; {failed}."


def _row(one: Form) -> list[str]:
    ratio, good = one.ratio, one.workable.range if one.workable else None
    spread = "" if one.deviation is None else f" ± {one.deviation:.1f}"
    return [
        one.label,
        f"{one.best.rate:g}",
        f"{fmean(one.best.all_scores):.1f}{spread} ({len(one.best.all_scores)})" if one.best.all_scores else "none",
        "" if ratio is None else f"{ratio.ratio:.2g} [{', '.join(map(_times, ratio.interval))}]",
        "" if ratio is None else written_p_value(ratio.p_value),
        _share(one.best.failed, len(one.best.scores), one.failures_at_best),
        _share(one.failed, one.runs, one.failures),
        "none" if good is None else f"{good.low:.1e} to {good.high:.1e}",
        "" if one.workable is None or good is None
        else "{}{:.1f} [{:.1f}, {:.1f}]".format("≥ " if good.open_ends else "", good.decades, *one.workable.interval),
    ]  # fmt: skip


def _share(count: int, of: int, interval: tuple[float, float]) -> str:
    low, high = (100 * end for end in interval)
    return f"{count} of {of} [{low:.0f} %, {high:.0f} %]"


def _cell(rate: initialisation.Rate) -> str:
    mean = f"{fmean(rate.all_scores):.1f}" if rate.all_scores else "none"
    return f"{mean} ({rate.failed})" if rate.failed else mean


def _start(measured: Path) -> Iterator[str]:
    yield from ("### Before the first step", "")
    if not measured.is_file():
        yield from (_NONE.format("python -m scripts.evidence.real.start task=sst2 plm=minilm"), "")
        return
    found = json.loads(measured.read_text(encoding="utf-8"))
    yield (
        f"What a method changes on {found['plm']} when it is put on, before any training: means over {found['seeds']} "
        f"seeds, the same head for all methods, {found['sentences']} sentences of {found['task']}'s {found['split']}. "
        "Hidden states: the norm of the change over their own norm."
    )
    yield ""
    rows = []
    for label, seeds in found["changes"].items():
        loss, logits, hidden = ([seed[key] for seed in seeds] for key in ("loss", "logits", "hidden"))
        span = f"{signed(fmean(loss), 4)} [{signed(min(loss), 4)}, {signed(max(loss), 4)}]"
        rows.append([label, span, f"{fmean(logits):.4f}", f"{100 * fmean(hidden):.2f} %"])
    yield from _table(
        ["method", "change of the loss [least, most]", "of logits, root mean square", "of hidden states"], rows
    )


# -- (c), (e), (f) -----------------------------------------------------------------------------------------------------


def _changes(title: str, evidence: Evidence, question: Question, real: Path, figure: str) -> Iterator[str]:
    yield from (f"## {title}", "")
    found = changes.differences(evidence.of_experiment(question.experiment), question)
    if not found:
        yield from (_NONE.format(f"inducer-bench -m experiment={question.experiment}"), "")
        return
    yield from (*_told(found), *_figures(real, figure))


def _budget(groups: Sequence[Group], real: Path) -> Iterator[str]:
    yield from ("## (e) What does a budget of parameters buy?", "")
    points = budget.points(groups)
    if not points:
        yield from (_NONE.format("inducer-bench -m experiment=real_budget"), "")
        return
    yield from _table(
        ["task", "method", "budget", "% of the PLM", "score", "95 %", "seeds"],
        [[point.place, point.label, f"{point.budget:g} %", f"{point.percent:.3f}", f"{point.score:.1f}",
          "" if point.interval is None else "{:.1f} to {:.1f}".format(*point.interval), str(point.seeds)]
         for point in points],
    )  # fmt: skip
    yield from _figures(real, "budget_")
    found = budget.differences(groups)
    apart = [one for one in found if one.verdict in ("better", "worse")]
    yield from (f"{len(apart)} of {len(found)} comparisons at one budget tell the inducer and the other apart.", "")
    if apart:
        yield from (*(f"- {one.sentence()}" for one in apart), "")
    yield from _differences(found)


# -- (d) ---------------------------------------------------------------------------------------------------------------


def _gate(evidence: Evidence, real: Path) -> Iterator[str]:
    found = gate.load(real / gate.FOLDER, evidence)
    yield from ("## (d) What does the gate do in real models?", "")
    trained = changes.differences(evidence.of_experiment(GATE.experiment), GATE)
    if found:
        examples = " or ".join(sorted({str(run["examples"]) for one in found for run in one.runs}))
        yield (
            f"{NOTES} Hardly: less than {HARDLY:g} times as far. Gates and gradients are of {examples} examples of "
            "dev; [layers.md](layers.md) has them layer by layer."
        )
        yield ""
        yield from (f"- {sentence}" for one in found for sentence in _of_gates(one))
        yield from (f"- {sentence}" for sentence in _of_eps(found))
        yield ""
        rows = [[one.label, str(len(one.runs)), *cells(one)] for one in found]
        yield from _table(["setting", "seeds", *COLUMNS], rows)
        yield from (*_losses(found), *_figures(real, "gates"))
    else:
        yield from (_NONE.format("python -m scripts.evidence.real.measure RUNS"), "")
    if not trained:
        yield from (_NONE.format(f"inducer-bench -m experiment={GATE.experiment}, with the changes in its file"), "")
    if family := adjusted([*trained, *gate.after_training(found)]):
        yield from ("### Does it matter for the score?", "")
        yield from (*_told(family), *_figures(real, "other_gates"))


def _of_gates(one: Measured) -> Iterator[str]:
    means = [one.over("before", "mean", layer=layer).mean for layer in range(one.layers)]
    yield (
        f"{one.label}: before training the mean gate is {one.over('before', 'mean').text()}, and "
        f"{one.over('before', 'open').text(100)} % of gates are open; the mean of a layer is above {OPEN:g} in "
        f"{sum(value > OPEN for value in means)} of {one.layers} layers, and {min(means):.3g} where it is least."
    )
    change, said = one.change(), "does not move the mean gate in a way that can be told"
    if change.interval and not change.interval[0] <= 0 <= change.interval[1]:
        said = f"{'raises' if change.mean > 0 else 'lowers'} the mean gate"
    yield f"{one.label}: training {said}: {change.text()}, to {number(one.over('after', 'mean').mean)}."
    if not one.published:
        return
    rms, eps = one.over("gradients", "A_k", "rms"), one.config.trainer.eps
    yield (
        f"{one.label}: at the start the gradient of A_k is {rms.text()} (root mean square), {rms.mean / eps:.2g} times "
        f"eps and {one.ratio(('gradients', 'A_k', 'rms'), ('gradients', 'A_v', 'rms')).text()} times that of A_v."
    )
    ratio = one.ratio(("norms", "A_k", "across"), ("norms", "A_v", "across"))
    hardly = (ratio.interval or (ratio.mean, ratio.mean))[1] < HARDLY
    yield (
        f"{one.label}: training moves A_k by {one.over('norms', 'A_k', 'moved').text(100)} % of its start, and A_v by "
        f"{one.over('norms', 'A_v', 'moved').text(100)} %. The key side {'hardly moves' if hardly else 'moves, too'}: "
        f"{ratio.text()} times as far as the value side, across."
    )


def _of_eps(found: Sequence[Measured]) -> Iterator[str]:
    for one, other in gate.eps_pairs(found):
        across = ("norms", "A_k", "across")
        times = gate.divided(other.each(*across), one.each(*across))
        yield (
            f"{one.place}: with eps {other.config.trainer.eps:g} instead of {one.config.trainer.eps:g} A_k moves "
            f"{times.text()} times as far (across)."
        )


def _losses(found: Sequence[Measured]) -> Iterator[str]:
    rows = []
    for one in found:
        changed = [gate.losses_after(one, change) for change in gate.AFTER]
        cells = ["" if change is None else f"{signed(change.mean, 4)} {_span(change)}" for change in changed]
        rows.append([one.label, str(one.runs[0]["scored"]), *cells])
    yield from ("What the loss changes by if trained models are changed, on examples of dev:", "")
    yield from _table(["setting", "examples", *gate.AFTER.values()], rows)


def _span(found: Mean) -> str:
    return "" if found.interval is None else "[{}, {}]".format(*(signed(end, 4) for end in found.interval))


# -- parts -------------------------------------------------------------------------------------------------------------


def _told(found: Sequence[Difference]) -> Iterator[str]:
    """A sentence for each comparison, then the table of all."""
    yield from (*(f"- {one.sentence()}" for one in found), "", *_differences(found))


def _differences(found: Sequence[Difference]) -> Iterator[str]:
    rows = []
    for one in found:
        low, high = one.found.interval()
        rows.append([
            one.place, one.one, one.other, *(f"{mean:.1f}" for mean in one.means),
            f"{signed(one.found.difference)} [{signed(low)}, {signed(high)}]",
            written_p_value(one.p_value), one.verdict, one.over,
        ])  # fmt: skip
    head = ["where", "first", "second", "mean of first", "mean of second", "difference", "p (Holm)", "first is", "over"]
    yield from _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield from (table(head, rows), "")


def _figures(real: Path, name: str) -> Iterator[str]:
    """Those that have been drawn, by the beginning of their names."""
    for path in sorted((real / "figures").glob(f"{name}*.png")):
        yield from (f"![{_FIGURES[path.stem.rstrip('_0123456789')]}](figures/{path.name})", "")


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
