"""Print the claims of the paper with what the records say about them, in plain words; part of `make results`.

python -m scripts.evidence.real.claims [RUNS START]     # default: of results/real
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from inducer_bench.report.store import Group
from scripts.evidence.real import against, budget, changes, initialisation
from scripts.evidence.real.changes import ABLATIONS, HABITS, Question
from scripts.evidence.real.differences import Difference, signed
from scripts.evidence.real.initialisation import MARGIN, OURS, WITHIN, Form, Sweep
from scripts.evidence.real.runs import REAL, START, Evidence, load

_NONE = "No records yet: `{}`."
_INTERVALS = (
    "Differences are in points of the task's main score, above zero where the first is better, with their own 95 % "
    "intervals. Better and worse are said where Holm's p-value over the comparisons of the section is below 0.05."
)


def main(runs: str = str(REAL / "runs"), measured: str = str(START)) -> None:
    """Print the page."""
    print("\n".join(page(load(Path(runs)), Path(measured))))


def page(evidence: Evidence, measured: Path) -> list[str]:
    """The lines of the page.

    Args:
        evidence: all records.
        measured: the file of `start.py`, which need not be there.
    """
    done = sum(run.record.status == "done" for _, run in evidence.store.runs.values())
    return [
        f"From {done:,} finished runs of {len(evidence.store.runs):,}. {_INTERVALS}",
        "",
        *_against(evidence),
        *_initialisation(evidence, measured),
        *_changes("(c) What is each part of the inducer worth?", evidence, ABLATIONS),
        "## (d) What does the gate do?",
        "",
        "`python -m scripts.evidence.gates` measures it; see README.md beside this page.",
        "",
        *_budget(evidence.of_experiment("real_budget")),
        *_changes("(f) What do the habits of the released code do?", evidence, HABITS),
    ]


# -- (a) ---------------------------------------------------------------------------------------------------------------


def _against(evidence: Evidence) -> Iterator[str]:
    yield from ("## (a) Does the inducer beat prefix-tuning, and does it reach fine-tuning and LoRA?", "")
    compared = against.compared(evidence.studies)
    found = against.per_task(compared)
    if not found:
        yield from (_NONE.format("inducer-bench tune experiment=real_nlu"), "")
        return
    for together in against.over_tasks(compared):
        if together.means:
            yield from (f"On {together.plm}, over {', '.join(together.tasks)}:", "")
            yield from (f"- {one.sentence()}" for one in together.means)
            yield ""
        if together.ranks:
            yield from _table(
                ["method", "mean rank", "95 %"],
                [[name, f"{rank.mean:.1f}", "" if rank.interval is None else "{:.1f} to {:.1f}".format(*rank.interval)]
                 for name, rank in together.ranks.items()],
            )  # fmt: skip
    yield from (f"- {one.sentence()}" for one in found)
    yield ""
    yield from _differences(found)


# -- (b) ---------------------------------------------------------------------------------------------------------------


def _initialisation(evidence: Evidence, measured: Path) -> Iterator[str]:
    yield from ("## (b) Is it the initialisation?", "")
    found = initialisation.sweeps(evidence.of_experiment("real_initialisation"))
    if not found:
        yield from (_NONE.format("inducer-bench -m experiment=real_initialisation"), "")
    for sweep in found:
        yield from _sweep(sweep)
    yield from _start(measured)


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
    times = f"{one.ratio.ratio:.2g} times the inducer's ({low:.2g} to {high:.2g})"
    if low <= 1 <= high:
        return f"{one.label} does not vary in a way that can be told apart from the inducer: the variance is {times}."
    return f"{one.label} varies {'more' if low > 1 else 'less'} with the seed: the variance is {times}."


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
        "" if ratio is None else "{:.2g} [{:.2g}, {:.2g}]".format(ratio.ratio, *ratio.interval),
        "" if ratio is None else f"{ratio.p_value:.3f}",
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


def _changes(title: str, evidence: Evidence, question: Question) -> Iterator[str]:
    yield from (f"## {title}", "")
    found = changes.differences(evidence.of_experiment(question.experiment), question)
    if not found:
        yield from (_NONE.format(f"inducer-bench -m experiment={question.experiment}"), "")
        return
    yield from (f"- {one.sentence()}" for one in found)
    yield ""
    yield from _differences(found)


def _budget(groups: Sequence[Group]) -> Iterator[str]:
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
    found = budget.differences(groups)
    apart = [one for one in found if one.verdict in ("better", "worse")]
    yield f"Of {len(found)} comparisons of the inducer with another method at one budget, {len(apart)} tell them apart:"
    yield from ("", *(f"- {one.sentence()}" for one in apart), "")
    yield from _differences(found)


# -- parts -------------------------------------------------------------------------------------------------------------


def _differences(found: Sequence[Difference]) -> Iterator[str]:
    rows = []
    for one in found:
        low, high = one.found.interval()
        rows.append([
            one.place, one.one, one.other, *(f"{mean:.1f}" for mean in one.means),
            f"{signed(one.found.difference)} [{signed(low)}, {signed(high)}]",
            f"{one.p_value:.3f}", one.verdict, one.over,
        ])  # fmt: skip
    head = ["where", "first", "second", "its mean", "its mean", "difference", "p (Holm)", "first is", "over"]
    yield from _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
