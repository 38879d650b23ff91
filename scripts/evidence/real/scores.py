"""The scores of every method on every task, from the studies of equal effort that have ended."""

from collections.abc import Sequence
from statistics import fmean, stdev

from inducer_bench.report.studies import Study
from scripts.evidence.real.against import headline, place, sides_of


def table(studies: Sequence[Study]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: mean ± sample standard deviation over seeds, their number in brackets; a column for each study.

    The best mean of a column is bold. Methods are in order of their mean rank over the columns that have them.
    """
    ended = sorted((study for study in studies if not study.missing()), key=lambda one: (one.first.plm, place(one)))
    head = ["method", *(f"{place(study)}, {headline(study).label}, {study.first.plm}" for study in ended)]
    columns = [{side.label: side.scores(headline(study)) for side in sides_of(study) if side.runs} for study in ended]
    ranked = [_ranked(scores, headline(study).better) for scores, study in zip(columns, ended, strict=True)]
    labels = {label for column in columns for label in column}
    means = {label: fmean(ranks.index(label) for ranks in ranked if label in ranks) for label in labels}
    rows = [
        [label, *(_cell(scores.get(label), ranks[0] == label) for scores, ranks in zip(columns, ranked, strict=True))]
        for label in sorted(labels, key=lambda label: (means[label], label))
    ]
    return head, rows


def _ranked(scores: dict[str, list[float]], better: int) -> list[str]:
    return sorted(scores, key=lambda label: -better * fmean(scores[label]))


def _cell(scores: Sequence[float] | None, best: bool) -> str:
    if not scores:
        return ""
    spread = f" ± {stdev(scores):.1f}" if len(scores) > 1 else ""
    mean = f"{fmean(scores):.1f}{spread}"
    return f"{f'**{mean}**' if best else mean} ({len(scores)})"
