"""The scores of every method on every task, from the studies of equal effort that have ended."""

from collections.abc import Sequence
from statistics import fmean, stdev

from inducer_bench.report.studies import Study
from scripts.evidence.real.against import headline, parts_of, place, sides_of


def table(studies: Sequence[Study]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: mean ± sample standard deviation over seeds, their number in brackets; a column for each study.

    Scores of the parts of a test set follow that of the whole. The best mean of a column has a ▲. Methods are in order
    of their mean rank over the columns that have them.
    """
    ended = sorted((study for study in studies if not study.missing()), key=lambda one: (one.first.plm, place(one)))
    head, columns, ranked = ["method"], [], []
    for study, shown in ((one, each) for one in ended for each in (headline(one), *parts_of(one))):
        scores = {side.label: side.scores(shown) for side in sides_of(study) if side.runs}
        head.append(f"{place(study)}, {shown.label}, {study.first.plm}")
        columns.append(scores)
        ranked.append(sorted(scores, key=lambda label: -shown.better * fmean(scores[label])))
    labels = {label for column in columns for label in column}
    means = {label: fmean(ranks.index(label) for ranks in ranked if label in ranks) for label in labels}
    rows = [
        [label, *(_cell(scores.get(label), ranks[0] == label) for scores, ranks in zip(columns, ranked, strict=True))]
        for label in sorted(labels, key=lambda label: (means[label], label))
    ]
    return head, rows


def _cell(scores: Sequence[float] | None, best: bool) -> str:
    if not scores:
        return ""
    spread = f" ± {stdev(scores):.1f}" if len(scores) > 1 else ""
    mean = f"{fmean(scores):.1f}{spread}"
    return f"{mean} ({len(scores)}){' ▲' if best else ''}"
