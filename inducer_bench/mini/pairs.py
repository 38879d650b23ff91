"""Pairs of premise and hypothesis in the style of MNLI: entailment, contradiction, or neutral."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from inducer_bench.mini.claims import RELATIONS, Relation, claim
from inducer_bench.mini.telling import as_sentence, random_topics, tell

GENRES = {  # genre -> kinds of things that its texts are about
    "films": ("film",),
    "people": ("actor", "director", "writer", "composer"),
    "buildings": ("building",),
    "cities": ("city",),
}
MATCHED = ("films", "people", "buildings")
MISMATCHED = ("cities",)


@dataclass(frozen=True)
class Pair:
    genre: str
    premise: str
    hypothesis: str
    label: Relation


def pairs(seed: int, genres: tuple[str, ...]) -> Iterator[Pair]:
    """Endless labelled pairs, no two with the same premise; the three labels take turns."""
    rng = Random(seed)
    seen: set[str] = set()
    number = 0
    while True:
        genre = rng.choice(genres)
        topics = random_topics(rng, rng.choice(GENRES[genre]), labelled=True, most=2)
        premise = " ".join(tell(rng, topics))
        if premise in seen:
            continue
        seen.add(premise)
        label = RELATIONS[number % len(RELATIONS)]
        [(record, told)] = topics
        yield Pair(genre, premise, as_sentence(claim(rng, record, told, label, labelled=True)), label)
        number += 1
