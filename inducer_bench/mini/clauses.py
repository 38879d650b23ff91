"""Clauses with a polarity: a film, or an aspect of it, is praised or criticised, directly or through a negation.

A clause template has these slots, filled from a subject and a predicate:
{s} subject · {is} predicate in the present · {isnt} its negation · {never} the same with "never" · {be}, {being},
{been} its base form, gerund and participle · {c} the complement after "be" · {c2} a second adjective · {x} what
something is full of · {very} an intensifier · {is1} the present for a singular subject.
[s], [is], [does] and [was] agree with the subject.
"""

import re
from dataclasses import dataclass
from random import Random

from inducer_bench.mini.lexicon import ANYTHING, ASPECTS, INTENSIFIERS, NOUNS, SUBSTANCES, VERBS
from inducer_bench.mini.world import Film


@dataclass(frozen=True)
class Subject:
    """The subject of a clause; `aspect` is a key of `lexicon.ASPECTS`."""

    text: str
    aspect: str
    plural: bool = False


@dataclass(frozen=True)
class Predicate:
    """What is said of a subject: a verb phrase, or a complement of "be" (an adjective, a noun, "full of" something)."""

    kind: str  # verb | adjective | noun | substance
    text: str

    def slots(self, plural: bool) -> dict[str, str]:
        """All forms of the predicate for a singular or plural subject."""
        if self.kind == "verb":
            first, _, rest = self.text.partition(" ")
            rest = f" {rest}" if rest else ""
            present = first if plural else third_person(first)
            return {
                "is": present + rest,
                "isnt": f"{'do' if plural else 'does'} not {self.text}",
                "never": f"never {present}{rest}",
                "be": self.text,
                "being": gerund(first) + rest,
                "been": participle(first) + rest,
            }
        copula = "are" if plural else "is"
        return {
            "is": f"{copula} {self.text}",
            "isnt": f"{copula} not {self.text}",
            "never": f"{copula} never {self.text}",
            "be": f"be {self.text}",
            "being": f"being {self.text}",
            "been": f"been {self.text}",
            "c": self.text,
        }


# ---- word forms ----

_PARTICIPLES = {
    "win": "won", "hold": "held", "shine": "shone", "hit": "hit", "ring": "rung", "cast": "cast", "take": "taken",
    "keep": "kept", "leave": "left", "come": "come", "strike": "struck", "sweep": "swept", "set": "set",
    "steal": "stolen", "fall": "fallen", "go": "gone", "run": "run", "lose": "lost", "put": "put", "sink": "sunk",
    "send": "sent", "make": "made", "get": "got", "wear": "worn",
}  # fmt: skip
_DOUBLING = ("drag", "plod", "sag", "flop", "repel", "win", "hit", "run", "get", "set", "put", "excel")


def third_person(verb: str) -> str:
    """delight -> delights, miss -> misses, go -> goes, satisfy -> satisfies."""
    if verb.endswith(("s", "sh", "ch", "x", "z", "go")):
        return verb + "es"
    return verb[:-1] + "ies" if re.search("[^aeiou]y$", verb) else verb + "s"


def gerund(verb: str) -> str:
    """delight -> delighting, amuse -> amusing, drag -> dragging."""
    if verb in _DOUBLING:
        return verb + verb[-1] + "ing"
    return verb[:-1] + "ing" if verb.endswith("e") else verb + "ing"


def participle(verb: str) -> str:
    """delight -> delighted, amuse -> amused, drag -> dragged, satisfy -> satisfied, take -> taken."""
    if verb in _PARTICIPLES:
        return _PARTICIPLES[verb]
    if verb in _DOUBLING:
        return verb + verb[-1] + "ed"
    if verb.endswith("e"):
        return verb + "d"
    return verb[:-1] + "ied" if re.search("[^aeiou]y$", verb) else verb + "ed"


# ---- subjects and predicates ----

PARTS = tuple(
    Subject(text, aspect, plural)
    for aspect, plural, texts in (
        ("plot", False, ("the plot", "the story", "the ending")),
        ("acting", False, ("the acting", "the cast")),
        ("acting", True, ("the performances",)),
        ("music", False, ("the music", "the score")),
        ("music", True, ("the songs",)),
        ("look", False, ("the photography", "the camerawork")),
        ("look", True, ("the costumes", "the sets")),
        ("words", False, ("the dialogue", "the script", "the humour")),
        ("words", True, ("the jokes",)),
        ("pace", False, ("the pacing", "the editing", "the direction")),
        ("people", False, ("the heroine",)),
        ("people", True, ("the characters", "the supporting roles")),
    )
    for text in texts
)


def film_subject(rng: Random, film: Film) -> Subject:
    """The film under review."""
    names = ("the film", "this film", "the movie", "the whole thing", f"this {film.genre}", film.title,
             f"{film.director.name}'s film", f"this {film.genre} by {film.director.name}")  # fmt: skip
    return Subject(rng.choice(names), "film")


def part_subject(rng: Random, film: Film) -> Subject:
    """One aspect of the film under review, now and then by the name of who is behind it."""
    if rng.random() < 0.25:
        star = rng.choice(film.stars).name
        owned = ((f"{star}'s performance", "acting"), (f"{film.composer.name}'s score", "music"),
                 (f"{film.writer.name}'s script", "words"), (f"{film.director.name}'s direction", "pace"))  # fmt: skip
        return Subject(*rng.choice(owned))
    return rng.choice(PARTS)


def any_subject(rng: Random, film: Film) -> Subject:
    """The film or one of its aspects."""
    return film_subject(rng, film) if rng.random() < 0.4 else part_subject(rng, film)


def adjective(rng: Random, aspect: str, polarity: bool) -> str:
    """An evaluative adjective that fits the aspect."""
    return (ASPECTS[aspect] if rng.random() < 0.55 else ANYTHING)[polarity].pick(rng)


def predicate(rng: Random, subject: Subject, polarity: bool) -> Predicate:
    """Something that praises (True) or blames (False) the subject."""
    draw = rng.random()
    if draw < 0.55:
        return Predicate("adjective", adjective(rng, subject.aspect, polarity))
    if draw < 0.75:
        verb = VERBS[polarity].pick(rng)
        return Predicate("verb", verb.replace("its ", "their ") if subject.plural else verb)
    if subject.aspect == "film" and draw < 0.9:
        return Predicate("noun", NOUNS[polarity].pick(rng))
    if subject.aspect in ("film", "plot", "words"):
        return Predicate("substance", "full of " + SUBSTANCES[polarity].pick(rng))
    return Predicate("adjective", adjective(rng, subject.aspect, polarity))


# ---- templates; by the kinds of predicate that they take ----

Templates = dict[str, tuple[str, ...]]

_PLAIN: Templates = {
    "all": ("{s} {is}", "{s} {is}", "{s} {is}", "{s} manage[s] to {be}", "{s} {is} from start to finish",
            "{s} never stop[s] {being}"),
    "complement": ("{s} turn[s] out to be {c}", "{s} remain[s] {c} to the end"),
    "adjective": ("{s} [is] {very} {c}", "{s} [is] {very} {c}", "{s} [is] both {c} and {c2}"),
}  # fmt: skip
_TWICE_NEGATED: Templates = {  # two negations that cancel
    "all": ("{s} never fail[s] to {be}", "{s} [does] not fail to {be}", "nobody could say that {s} {isnt}",
            "it is not true that {s} {isnt}", "it would be wrong to say that {s} {isnt}",
            "there is no denying that {s} {is}"),
    "adjective": ("{s} could not be more {c}", "{s} could hardly be more {c}", "it is hard not to find {s} {c}"),
}  # fmt: skip
_NEGATED: Templates = {  # one negation: the polarity of the predicate is turned over
    "all": ("{s} {isnt}", "{s} {isnt}", "{s} {never}", "nobody could say that {s} {is}", "it is not true that {s} {is}",
            "it would be wrong to say that {s} {is}", "nothing about {s} {is1}"),
    "complement": ("{s} [is] anything but {c}", "{s} [is] far from {c}", "{s} [is] by no means {c}",
                   "nobody could call {s} {c}", "{s} could never be called {c}"),
    "adjective": ("there is nothing {c} about {s}", "{s} [is] neither {c} nor {c2}", "{s} [is] not in the least {c}",
                  "it is hard to find {s} {c}"),
}  # fmt: skip
_NEGATED_PRAISE: Templates = {
    "all": ("{s} fail[s] to {be}", "{s} hardly ever {is}"),
    "adjective": ("{s} [is] less than {c}", "{s} [is] not {c} enough", "{s} could be more {c}"),
    "substance": ("{s} could do with more {x}", "{s} lack[s] {x}", "{s} [is] without {x}"),
}  # fmt: skip
_NEGATED_BLAME: Templates = {
    "all": ("{s} avoid[s] {being}", "{s} manage[s] not to {be}", "{s} refuse[s] to {be}"),
    "adjective": ("{s} could not be less {c}",),
    "substance": ("{s} [is] free of {x}", "{s} steer[s] clear of {x}", "{s} [is] without {x}"),
}  # fmt: skip


def clause(rng: Random, subject: Subject, polarity: bool, negation: float) -> str:
    """A clause about the subject whose meaning has the polarity.

    Args:
        negation: probability of each of one negation (then the words have the other polarity) and half of it of two.
    """
    draw = rng.random()
    if draw < negation:
        word_polarity = not polarity
        groups = [_NEGATED, _NEGATED_PRAISE if word_polarity else _NEGATED_BLAME]
    else:
        word_polarity = polarity
        groups = [_TWICE_NEGATED if draw < 1.5 * negation else _PLAIN]
    said = predicate(rng, subject, word_polarity)
    return fill(rng, rng.choice(_fitting(groups, said)), subject, said, word_polarity)


def _fitting(groups: list[Templates], said: Predicate) -> list[str]:
    """The templates that take this kind of predicate."""
    kinds = {"all", said.kind} | ({"complement"} if said.kind in ("adjective", "noun") else set())
    return [template for group in groups for kind in group if kind in kinds for template in group[kind]]


def fill(rng: Random, template: str, subject: Subject, said: Predicate, word_polarity: bool) -> str:
    """Fills a clause template; the slots are listed at the top of this module."""
    slots = said.slots(subject.plural)
    if "{c2}" in template:
        slots["c2"] = said.text
        while slots["c2"] == said.text:
            slots["c2"] = adjective(rng, subject.aspect, word_polarity)
    if "{very}" in template:
        slots["very"] = rng.choice(INTENSIFIERS)
    slots["is1"] = said.slots(plural=False)["is"]
    slots["x"] = said.text.removeprefix("full of ")
    return agree(template, subject.plural).format(s=subject.text, **slots)


def agree(template: str, plural: bool) -> str:
    """Resolves the endings in square brackets."""
    endings = {"[s]": "", "[is]": "are", "[does]": "do", "[was]": "were"} if plural else {
        "[s]": "s", "[is]": "is", "[does]": "does", "[was]": "was"}  # fmt: skip
    for mark, ending in endings.items():
        template = template.replace(mark, ending)
    return template
