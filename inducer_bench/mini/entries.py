"""Sets of triples with reference texts in the style of WebNLG 2017; two categories occur only in the test set."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from inducer_bench.mini.facts import PEOPLE, Fact, Record, kind_of_object, random_record
from inducer_bench.mini.telling import Told, tell
from inducer_bench.mini.world import names

SEEN = {"film": 0.24, "actor": 0.2, "director": 0.2, "writer": 0.2, "building": 0.16}  # with the share of each
UNSEEN = {"composer": 0.5, "city": 0.5}
LARGEST = 4  # triples
CHAINED = 0.35  # of the entries with several triples: the last ones are about the object of another
NAMES = {"train": 0.7, "dev": 0.15, "test": 0.15}  # share of the names that the things of a split may bear
FLAWED = 0.02  # of the references: marked "toFix"


def entries_by_split(seed: int, sizes: dict[str, tuple[int, int]]) -> dict[str, list[dict[str, Any]]]:
    """Entries by split, in the layout of the published JSON.

    Args:
        sizes: for each of train, dev and test the number of entries of seen and of unseen categories.
    """
    taken: set[tuple[str, str]] = set()  # (subject, object): no two of a split occur together in another one
    result = {}
    for split, (seen, unseen) in sizes.items():
        rng = Random(f"{seed} {split}")
        made = [entry for kinds, count in ((SEEN, seen), (UNSEEN, unseen)) for kind, share in kinds.items()
                for entry in _entries(rng, split, kind, round(share * count), taken)]  # fmt: skip
        rng.shuffle(made)
        taken |= {combination for _, topics in made for combination in _combinations(topics)}
        result[split] = [_layout(rng, number, kind, topics) for number, (kind, topics) in enumerate(made, 1)]
    return result


def _entries(
    rng: Random, split: str, kind: str, count: int, taken: set[tuple[str, str]]
) -> Iterator[tuple[str, list[Told]]]:
    """Different sets of facts about a few things that are told of again and again, as in DBpedia's extracts."""
    pool = _names(split, kind)
    records = [random_record(rng, kind, True, name) for name in rng.sample(pool, min(len(pool), -(-count // 4)))]
    seen: set[frozenset[Fact]] = set()
    while len(seen) < count:
        topics = _topics(rng, rng.choice(records))
        facts = frozenset(fact for _, told in topics for fact in told)
        if facts not in seen and taken.isdisjoint(_combinations(topics)):
            seen.add(facts)
            yield kind, topics


def _names(split: str, kind: str) -> list[str]:
    """The names that things of this kind bear in this split and in no other; people's go by trade as well."""
    listed = list(names("person" if kind in PEOPLE else kind, labelled=True))
    Random(0).shuffle(listed)
    if kind in PEOPLE:
        listed = listed[PEOPLE.index(kind) :: len(PEOPLE)]
    if kind in UNSEEN:
        return listed
    shares = list(NAMES)
    first = round(sum(NAMES[before] for before in shares[: shares.index(split)]) * len(listed))
    return listed[first : first + round(NAMES[split] * len(listed))]


def _topics(rng: Random, record: Record) -> list[Told]:
    """One to four facts; the last one may be about another thing, one that a fact before leads to."""
    facts = rng.sample(record.facts, min(rng.randint(1, LARGEST), len(record.facts)))
    for bridge in facts:
        leads_to = kind_of_object(bridge.property.name)
        if len(facts) > 1 and leads_to is not None and leads_to not in UNSEEN and rng.random() < CHAINED:
            own = [fact for fact in facts if fact is not bridge][1:]
            other = random_record(Random(bridge.object), leads_to, True, bridge.object)  # the same wherever it occurs
            return [(record, [*own, bridge]), (other, [rng.choice(other.facts)])]
    return [(record, facts)]


def _combinations(topics: Sequence[Told]) -> set[tuple[str, str]]:
    return {(fact.subject, fact.object) for _, told in topics for fact in told}


def _layout(rng: Random, number: int, kind: str, topics: Sequence[Told]) -> dict[str, Any]:
    facts = [fact for _, told in topics for fact in told]
    triples = [
        {"object": _joined(fact.object), "property": fact.property.name, "subject": _joined(fact.subject)}
        for fact in facts
    ]
    references = [
        {"comment": comment, "lang": "", "lex": text, "xml_id": f"Id{place}"}
        for place, (text, comment) in enumerate(_references(rng, topics), 1)
    ]
    return {
        str(number): {
            "category": kind.capitalize(),
            "dbpedialinks": [],
            "lexicalisations": references,
            "links": [],
            "modifiedtripleset": triples,
            "originaltriplesets": {"originaltripleset": [triples]},
            "shape": "NA",
            "shape_type": "NA",
            "size": str(len(triples)),
            "xml_id": f"Id{number}",
        }
    }


def _references(rng: Random, topics: Sequence[Told]) -> list[tuple[str, str]]:
    """One to three different texts with their comments; at least the first one is good."""
    texts: dict[str, str] = {}
    for _ in range(rng.randint(1, 3)):
        text = " ".join(tell(rng, topics))
        if texts and rng.random() < FLAWED:
            texts[text.rstrip(".").lower()] = "toFix"
        else:
            texts[text] = "good"
    return list(texts.items())


def _joined(name: str) -> str:
    return name.replace(" ", "_")
