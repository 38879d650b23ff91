"""CoQA's exact match and F1 (Reddy, Chen and Manning 2019, https://arxiv.org/abs/1808.07042).

They equal those of the official scorer to its one decimal. Answers are compared as words: lower case, without ASCII
punctuation (nothing is put in its place: "an-A" becomes "ana"), without the words a, an and the. A turn has several
references. Each is left out in turn, the best match among the others is taken, and these maxima are averaged, so that
people can be scored against each other by the same rule. With a single reference, that one counts. A missing prediction
scores 0. Scores are means over turns, not over dialogues.
"""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from inducer_bench.metrics.metric import Metric, Row, each_part, mean
from inducer_bench.metrics.score import Score

_IN_DOMAIN = ("children_stories", "literature", "mid-high_school", "news", "wikipedia")
_OUT_DOMAIN = ("reddit", "science")
_DOMAINS = {  # by the source that the data files name
    "mctest": "children_stories",
    "gutenberg": "literature",
    "race": "mid-high_school",
    "cnn": "news",
    "wikipedia": "wikipedia",
    "reddit": "reddit",
    "science": "science",
}
_SIGNATURE = "CoQA {}|percent|lower case, no ASCII punctuation, no articles|leave-one-out|mean over turns, not rounded"
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(a|an|the)\b")


# -- which turns belong together ---------------------------------------------------------------------------------------


def groups(row: Row) -> tuple[str, ...]:
    """The groups that a turn is scored in: its domain, and `in_domain` or `out_domain`.

    A source that CoQA does not have is a domain of its own name, neither in nor out of domain.
    """
    domain = _domain(row)
    sides = {"in_domain": _IN_DOMAIN, "out_domain": _OUT_DOMAIN}
    return (domain, *(side for side, domains in sides.items() if domain in domains))


def dialogue(row: Row) -> str:
    """The dialogue of a turn. Turns of one dialogue are not independent, so dialogues are what is resampled."""
    return str(row["id"]).rpartition("/")[0]


def parts(rows: Sequence[Row]) -> dict[str, list[int]]:
    """The turns of each group that has any: all of them "", in and out of domain, then each domain."""
    found: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        for group in ("", *groups(row)):
            found.setdefault(group, []).append(index)
    order = ["", "in_domain", "out_domain", *_IN_DOMAIN, *_OUT_DOMAIN]
    return {group: found[group] for group in dict.fromkeys([*order, *found]) if group in found}


def _domain(row: Row) -> str:
    source = str(row["group"])
    return _DOMAINS.get(source, source)


# -- scores ------------------------------------------------------------------------------------------------------------


def _score(metric: str, rows: Sequence[Row]) -> Score:
    """The mean over turns, summed domain by domain as the official scorer does."""
    by_domain: dict[str, list[float]] = {domain: [] for domain in (*_IN_DOMAIN, *_OUT_DOMAIN)}
    for row in rows:
        by_domain.setdefault(_domain(row), []).extend(_statistics(metric, row))
    value = sum(map(sum, by_domain.values())) / len(rows) * 100
    return Score(value=value, signature=_SIGNATURE.format(metric))


def _statistics(metric: str, row: Row) -> tuple[float]:
    """The score of one turn, in [0, 1]."""
    exact, f1 = _of_turn(tuple(row["references"]), row["prediction"])
    return (exact if metric == "em" else f1,)


@lru_cache(maxsize=1 << 17)  # a run is scored for every group and compared with several other runs
def _of_turn(references: tuple[str, ...], answer: str | None) -> tuple[float, float]:
    """Exact match and F1 of one turn, in [0, 1]; 0 for a missing answer (None)."""
    if answer is None:
        return 0.0, 0.0
    prediction = _words(answer)
    wanted = [_words(reference) for reference in references]
    exact = [float(words == prediction) for words in wanted]
    return _leave_one_out(exact), _leave_one_out([_f1(words, prediction) for words in wanted])


def _leave_one_out(scores: Sequence[float]) -> float:
    """The mean, over the references, of the best score among the other ones; a single score is itself."""
    if len(scores) == 1:
        return scores[0]
    return sum(max(*scores[:i], *scores[i + 1 :], 0.0) for i in range(len(scores))) / len(scores)


def _f1(reference: list[str], prediction: list[str]) -> float:
    """Overlap of words counted with multiplicity; if a side is empty, 1 if both are and else 0."""
    if not reference or not prediction:
        return float(reference == prediction)
    common = (Counter(reference) & Counter(prediction)).total()
    if not common:
        return 0.0
    precision, recall = common / len(prediction), common / len(reference)
    return 2 * precision * recall / (precision + recall)


def _words(answer: str) -> list[str]:
    return _ARTICLE.sub(" ", answer.lower().translate(_NO_PUNCTUATION)).split()


def official_predictions(answers: Mapping[str, Sequence[str | None]]) -> list[dict[str, Any]]:
    """The content of the official scorer's prediction file.

    Args:
        answers: id of a dialogue -> its answers, turn by turn; missing ones (None) are left out.
    """
    return [
        {"id": dialogue, "turn_id": turn_id, "answer": answer}
        for dialogue, texts in answers.items()
        for turn_id, answer in enumerate(texts, start=1)
        if answer is not None
    ]


# -- the rows ----------------------------------------------------------------------------------------------------------

METRICS = (
    Metric(
        name="f1",
        label="F1",
        of="turns",
        score=each_part(partial(_score, "f1")),
        statistics=partial(_statistics, "f1"),
        corpus=mean,
    ),
    Metric(
        name="em",
        label="exact match",
        of="turns",
        score=each_part(partial(_score, "em")),
        statistics=partial(_statistics, "em"),
        corpus=mean,
    ),
)
