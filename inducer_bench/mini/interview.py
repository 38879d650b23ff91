"""Questions and answers about a text, in which each turn relies on earlier ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from inducer_bench.mini.facts import PEOPLE, Fact, Record, other_object, word
from inducer_bench.mini.telling import Told, as_sentence, clause

UNKNOWN = "unknown"
POLAR, OPEN = 0.25, 0.12  # of turns: answered by yes or no; not answered by the text

BRIDGE = 0.7  # of topics: the last question leads to the next one


@dataclass(frozen=True)
class Turn:
    """A question, its answers in different words (the commonest first), and the fact that answers it, if one does."""

    question: str
    answers: tuple[str, ...]
    fact: Fact | None


def interview(rng: Random, topics: Sequence[Told], count: int, labelled: bool) -> list[Turn]:
    """Up to `count` turns through the topics in order; a thing that is clear from the turn before gets a pronoun."""
    asked: list[tuple[Record, Sequence[Fact], Fact]] = []
    for number, (record, told) in enumerate(topics):
        facts = [*told, *(fact for fact in record.facts if fact not in told and rng.random() < OPEN)]
        facts = rng.sample(facts, len(facts))
        if number + 1 < len(topics) and rng.random() < BRIDGE:
            following = topics[number + 1][0].name
            facts.sort(key=lambda fact: fact.object == following)  # the question that leads on comes last
        asked += [(record, told, fact) for fact in facts]
    turns: list[Turn] = []
    current: Record | None = None
    for record, told, fact in asked[:count]:
        clear = record is current or (current is not None and _leads_to(turns[-1], current, record))
        turns.append(_turn(rng, record, told, fact, clear, labelled))
        current = record
    return turns


def _leads_to(turn: Turn, current: Record, following: Record) -> bool:
    """Whether the answer names a person where no other is spoken of, so that "she" can only be that person."""
    named = turn.fact is not None and turn.fact.object == following.name and len(turn.answers) > 1
    return named and following.kind in PEOPLE and current.kind not in PEOPLE


def _turn(rng: Random, record: Record, told: Sequence[Fact], fact: Fact, pronoun: bool, labelled: bool) -> Turn:
    known = fact in told
    polar = rng.random() < POLAR and (fact.property.unique or not known)
    if not polar:
        question = word(rng.choice(fact.property.asks), record, fact.object, pronoun)
        return _capital(
            Turn(question, _answers(rng, record, fact), fact) if known else Turn(question, (UNKNOWN,), None)
        )
    true = rng.random() < 0.5
    value = fact.object if true else other_object(rng, record.kind, fact, labelled)
    question = word(rng.choice(fact.property.checks), record, value, pronoun)
    if not known:
        return _capital(Turn(question, (UNKNOWN,), None))
    return _capital(Turn(question, ("yes" if true else "no",), fact))


def _answers(rng: Random, record: Record, fact: Fact) -> tuple[str, ...]:
    brief = word(fact.property.brief, record, fact.object)
    return brief, fact.object, as_sentence(clause(rng, record, fact, pronoun=True))


def _capital(turn: Turn) -> Turn:
    question = turn.question[0].upper() + turn.question[1:]
    return Turn(question, turn.answers, turn.fact)
