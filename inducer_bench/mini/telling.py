"""Facts as running text: joined clauses, pronouns, and transitions from one thing to another."""

from collections.abc import Sequence
from random import Random

from inducer_bench.mini.facts import PEOPLE, Fact, Record, kind_of_object, random_record, word
from inducer_bench.mini.reviews import capitalise
from inducer_bench.mini.world import names

Told = tuple[Record, Sequence[Fact]]  # a thing, and the facts that the text states about it

JOINED = 0.45  # of facts that share a sentence with the previous fact
PRONOUN = 0.8  # of sentences about the same thing as the previous sentence
_BORN = "was born "


def random_topics(rng: Random, kind: str, labelled: bool, most: int, least: int = 1, others: int = 0) -> list[Told]:
    """A thing with `least` to `most` of its facts, and up to `others` more things that these facts lead to."""
    record = random_record(rng, kind, labelled)
    facts = rng.sample(record.facts, rng.randint(least, min(most, len(record.facts) - 1)))
    topics: list[Told] = [(record, facts)]
    for fact in facts:
        leads_to = kind_of_object(fact.property.name)
        if leads_to is None or (leads_to == "city" and fact.object not in names("city", labelled)):
            continue
        if len(topics) <= others:
            other = random_record(rng, leads_to, labelled, fact.object)
            topics.append((other, rng.sample(other.facts, rng.randint(1, 3))))
    return topics


def tell(rng: Random, topics: Sequence[Told]) -> list[str]:
    """Sentences that tell the facts in order; each thing is first called by its name."""
    return [text for record, facts in topics for text in _sentences(rng, record, facts)]


def clause(rng: Random, record: Record, fact: Fact, pronoun: bool = False) -> str:
    """One way to say the fact."""
    return word(rng.choice(fact.property.says), record, fact.object, pronoun)


def as_sentence(text: str) -> str:
    """Capital letter and full stop."""
    return capitalise(text) + "."


def _sentences(rng: Random, record: Record, facts: Sequence[Fact]) -> list[str]:
    result: list[str] = []
    rest = list(facts)
    while rest:
        pronoun = bool(result) and rng.random() < PRONOUN
        if len(rest) > 1 and rng.random() < JOINED:
            text = _joined(rng, record, rest.pop(0), rest.pop(0), pronoun)
        else:
            text = clause(rng, record, rest.pop(0), pronoun)
        result.append(as_sentence(text))
    return result


def _joined(rng: Random, record: Record, first: Fact, second: Fact, pronoun: bool) -> str:
    """Two facts in one sentence: "and", or a relative clause where the thing is called by its name."""
    subject = record.pronouns[0] if pronoun else record.name
    one, two = (_verb_phrase(rng, record, fact) for fact in (first, second))
    if one.startswith(_BORN) and two.startswith(_BORN):
        return f"{subject} {one} {two.removeprefix(_BORN)}"
    if not pronoun and rng.random() < 0.5:
        return f"{subject}, {'who' if record.kind in PEOPLE else 'which'} {one}, {two}"
    return f"{subject} {one} and {two}"


def _verb_phrase(rng: Random, record: Record, fact: Fact) -> str:
    templates = [template for template in fact.property.says if template.startswith("{s} ")]
    return word(rng.choice(templates).removeprefix("{s} "), record, fact.object)
