"""Claims that follow from a text, contradict it, or are neutral to it.

Each kind of claim occurs with and without a negation, about the same properties, exactly or loosely ("in the 1980s",
"by a woman"), and with things that the text names elsewhere. A negation hints at a contradiction, as in MNLI
(Gururangan et al. 2018); but neither a claim's own words nor those that it shares with the text settle the matter.
"""

import re
from collections.abc import Sequence
from random import Random
from typing import Literal

from inducer_bench.mini.facts import KINDS, Fact, Record, other_object, word
from inducer_bench.mini.world import is_woman, names

Relation = Literal["entailment", "neutral", "contradiction"]
RELATIONS: tuple[Relation, ...] = ("entailment", "neutral", "contradiction")

DENIED: dict[Relation, float] = {"entailment": 0.2, "neutral": 0.3, "contradiction": 0.6}  # those with a negation
LOOSE = 0.15  # of claims about people and years
BORROWED = 0.3  # of claims with a wrong object, those whose object the text names elsewhere


def claim(rng: Random, record: Record, told: Sequence[Fact], relation: Relation, labelled: bool) -> str:
    """A clause about the record that stands in this relation to the facts told of it.

    Args:
        told: at least one, and not all, of the record's facts.
    """
    while True:
        denied, loose = rng.random() < DENIED[relation], rng.random() < LOOSE
        right = (relation == "entailment") != denied  # whether the object is the fact's own
        open_facts = [fact for fact in record.facts if fact not in told]
        fact = rng.choice(open_facts if relation == "neutral" else list(told))
        if relation == "neutral":
            value = _wrong_object(rng, record, fact, told, labelled) if rng.random() < 0.7 else fact.object
        elif right:
            value = fact.object
        elif fact.property.unique:
            value = _wrong_object(rng, record, fact, told, labelled)
        else:
            continue
        template = rng.choice(fact.property.denies if denied else fact.property.says)
        if loose:
            vague = loosened(value, template)
            if vague is None or (relation != "neutral" and not right and vague == loosened(fact.object, template)):
                continue
            value = vague
        return word(template, record, value)


def loosened(value: str, template: str) -> str | None:
    """The decade of a year, the sex of a person; None where the object has neither or the template does not take it."""
    if re.fullmatch(r"\d{4}", value) and "in {o}" in template:
        return f"the {value[:3]}0s"
    if value in names("person", True) or value in names("person", False):
        return "a woman" if is_woman(value) else "a man"
    return None


def _wrong_object(rng: Random, record: Record, fact: Fact, told: Sequence[Fact], labelled: bool) -> str:
    """An object of the right type that is not the fact's own, where possible one that the text gives to another."""
    draws = KINDS[record.kind]
    draw = draws[fact.property.name]
    named = [other.object for other in told if other is not fact and draws[other.property.name] is draw]
    if named and rng.random() < BORROWED:
        return rng.choice(named)
    return other_object(rng, record.kind, fact, labelled)
