"""Unlabelled text about things with random facts: passages, restatements, interviews, lists of attributes.

A name in such a text can only be known from the text itself, so a model learns to look it up.
"""

from collections.abc import Callable, Sequence
from random import Random

from inducer_bench.mini.claims import claim
from inducer_bench.mini.facts import KINDS, Fact
from inducer_bench.mini.interview import UNKNOWN, interview
from inducer_bench.mini.reviews import capitalise
from inducer_bench.mini.telling import Told, clause, random_topics, tell


def fact_document(rng: Random) -> str:
    """One document of any of the kinds above."""
    make = rng.choices(tuple(_DOCUMENTS), weights=tuple(_DOCUMENTS.values()))[0]
    most, others = rng.randint(2, 6), rng.choice((0, 1, 1, 2, 3, 3))
    return make(rng, random_topics(rng, rng.choice(tuple(KINDS)), labelled=False, most=most, others=others))


def _passage(rng: Random, topics: Sequence[Told]) -> str:
    return " ".join(tell(rng, topics))


# ---- restatements ----

_SAME = ("In other words, {}.", "So {}.", "That means that {}.", "It follows that {}.", "It is true that {}.")
_FALSE = ("It is not true that {}.", "It is wrong to say that {}.", "It cannot be that {}.", "It is false that {}.")
_OPEN = ("It is not known whether {}.", "Perhaps {}.", "It may be that {}.", "Nothing tells whether {}.")


def _restated(rng: Random, topics: Sequence[Told]) -> str:
    texts = tell(rng, topics)
    for _ in range(rng.randint(1, 3)):
        record, told = rng.choice(topics)
        draw = rng.random()
        if draw < 0.3:
            texts.append(rng.choice(_SAME).format(clause(rng, record, rng.choice(told))))
        elif draw < 0.5 or len(told) == len(record.facts):
            texts.append(rng.choice(_SAME).format(claim(rng, record, told, "entailment", labelled=False)))
        elif draw < 0.75:
            texts.append(rng.choice(_FALSE).format(claim(rng, record, told, "contradiction", labelled=False)))
        else:
            texts.append(rng.choice(_OPEN).format(claim(rng, record, told, "neutral", labelled=False)))
    return " ".join(texts)


# ---- interviews ----

_UNANSWERED = ("unknown", "unknown", "nobody knows", "the text does not say")
_MANNERS = ("{q} {a}.", "Q: {q} A: {a}.", "Question: {q} Answer: {a}.", "- {q} - {a}.")


def _interviewed(rng: Random, topics: Sequence[Told]) -> str:
    manner = rng.choice(_MANNERS)
    texts = tell(rng, topics)
    for turn in interview(rng, topics, rng.randint(2, 8), labelled=False):
        answer = rng.choice(_UNANSWERED if turn.answers[0] == UNKNOWN else turn.answers).removesuffix(".")
        texts.append(manner.format(q=turn.question, a=capitalise(answer)))
    return " ".join(texts)


# ---- lists of attributes ----


def _listed(rng: Random, topics: Sequence[Told]) -> str:
    facts = [fact for _, told in topics for fact in told]
    attributes, prose = _attributes(rng, facts), " ".join(tell(rng, topics))
    return f"{attributes} {prose}" if rng.random() < 0.8 else f"{prose} {attributes}"


def _attributes(rng: Random, facts: Sequence[Fact]) -> str:
    """The facts as a table would have them: names plain or with underscores, properties in words or in camelCase."""
    joined, camel = rng.random() < 0.6, rng.random() < 0.6
    between, behind = rng.choice(((": ", "; "), (" : ", " ; "), (" | ", " || "), (" = ", ", "), (" ", " ; ")))
    rows = []
    for fact in facts:
        cells = [fact.subject, fact.property.name if camel else fact.property.words, fact.object]
        rows.append(between.join(cell.replace(" ", "_") if joined else cell for cell in cells))
    return behind.join(rows) + "."


_DOCUMENTS: dict[Callable[[Random, Sequence[Told]], str], float] = {  # with the share of each
    _passage: 0.1,
    _restated: 0.3,
    _interviewed: 0.25,
    _listed: 0.35,
}
