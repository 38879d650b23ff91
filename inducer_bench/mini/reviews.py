"""Sentences of film reviews with a given polarity, and the labelled set made of them.

A sentence is a construction (contrast, comparison, reported opinion, ...) over clauses that may be negated themselves.
Each construction exists for praise and for blame with the same words around it wherever English allows, so that no
word alone tells the label. What counts is the verdict a reader would take away: the clause after "but", the opinion of
the writer and not the one reported, the film under review and not the one it is compared with.
"""

import re
from collections.abc import Callable, Iterator
from random import Random

from inducer_bench.mini.clauses import (
    PARTS,
    Subject,
    adjective,
    any_subject,
    clause,
    fill,
    film_subject,
    part_subject,
    predicate,
)
from inducer_bench.mini.lexicon import ATTITUDES, NOUNS, SUBSTANCES
from inducer_bench.mini.world import Film, the_world

NEGATION = 0.25  # of clauses that stand alone
INNER_NEGATION = 0.15  # of clauses inside a construction


def sentence(rng: Random, film: Film, polarity: bool) -> str:
    """One review sentence about the film that praises (True) or blames (False) it."""
    make = rng.choices(tuple(_CONSTRUCTIONS), weights=tuple(_CONSTRUCTIONS.values()))[0]
    return capitalise(make(rng, film, polarity)) + "."


def capitalise(text: str) -> str:
    """Puts the first letter in upper case."""
    return text[0].upper() + text[1:]


def labelled_sentences(seed: int) -> Iterator[tuple[str, int]]:
    """Endless distinct labelled sentences; positive and negative ones take turns."""
    rng, films = Random(seed), the_world().films
    seen: set[str] = set()
    label = 1
    while True:
        text = sentence(rng, rng.choice(films), bool(label))
        if text not in seen:
            seen.add(text)
            yield text, label
            label = 1 - label


# ---- simple statements ----


def _statement(rng: Random, film: Film, polarity: bool) -> str:
    return clause(rng, any_subject(rng, film), polarity, NEGATION)


_FRAGMENTS = (
    "a {c} {genre} {tail}",
    "a {c}, {c2} {genre} {tail}",
    "a {genre} {tail}, {c} and {c2}",
    "{c}, {c2} and full of {x}",
    "a {genre} {tail}, full of {x}",
)
_NEGATED_FRAGMENTS = (
    "a {genre} {tail}, without {x} or {x2}",
    "a {genre} without a single {c} scene",
    "a {genre} {tail}, and not a {c} moment in it",
    "not a {c} {genre}, nor a {c2} one",
    "a {genre} {tail} that is anything but {c}",
)


def _fragment(rng: Random, film: Film, polarity: bool) -> str:
    negated = rng.random() < NEGATION
    words = polarity != negated
    first, second = _distinct(2, lambda: adjective(rng, "film", words))
    x, x2 = _distinct(2, lambda: SUBSTANCES[words].pick(rng))
    tails = (
        f"set in {film.setting.name}", f"by {film.director.name}", f"from {film.year}",
        f"with {film.stars[0].name}", f"about a family in {film.setting.name}",
    )  # fmt: skip
    text = rng.choice(_NEGATED_FRAGMENTS if negated else _FRAGMENTS).format(
        c=first, c2=second, x=x, x2=x2, genre=film.genre, tail=rng.choice(tails)
    )
    return with_articles(text)


def _distinct(count: int, draw: Callable[[], str]) -> list[str]:
    """Draws until there are as many different words as wanted."""
    words: list[str] = []
    while len(words) < count:
        word = draw()
        if word not in words:
            words.append(word)
    return words


def with_articles(text: str) -> str:
    """a -> an before a vowel."""
    return re.sub(r"\ba (?=[aeiou]|honest)", "an ", text)


# ---- enumeration: several words of one polarity ----

_ENUMERATIONS = (
    "{parts[0]} {is0} {c[0]}, {parts[1]} {is1} {c[1]} and {parts[2]} {is2} {c[2]}",
    "from the {c[0]} {bare[0]} to the {c[1]} {bare[1]}, I {did} all of it",
    "I {did} the {c[0]} {bare[0]}, the {c[1]} {bare[1]} and the {c[2]} {bare[2]}",
    "{film} has {x[0]}, {x[1]} and {x[2]}",
    "what {x[0]}, what {x[1]}, and how {c[0]} {parts[0]} {is0}",
    "{film} is {f[0]}, {f[1]} and {f[2]}",
    "{f[0]}, {f[1]}, {f[2]}: {film} is {noun}",
)


def enumeration(rng: Random, film: Film, polarity: bool) -> str:
    """Several parts or qualities, all praised or all blamed."""
    parts = rng.sample(PARTS, 3)
    copulas = {f"is{i}": "are" if part.plural else "is" for i, part in enumerate(parts)}
    return rng.choice(_ENUMERATIONS).format(
        film=film_subject(rng, film).text,
        parts=[part.text for part in parts],
        bare=[part.text.removeprefix("the ") for part in parts],
        c=[adjective(rng, part.aspect, polarity) for part in parts],
        f=_distinct(3, lambda: adjective(rng, "film", polarity)),
        x=_distinct(3, lambda: SUBSTANCES[polarity].pick(rng)),
        noun=NOUNS[polarity].pick(rng),
        did=ATTITUDES[polarity].pick(rng).split("/")[1],
        **copulas,
    )


# ---- contrast: the main clause, or the one after "but", wins ----

_CONTRASTS = (
    "{minor}, but {major}", "{minor}, yet {major}", "although {minor}, {major}", "{major}, although {minor}",
    "while {minor}, {major}", "{major}, even if {minor}", "{minor}; even so, {major}",
    "it may be that {minor}, but {major}",
    "{major}, and it hardly matters that {minor}", "{minor}, which does not change the fact that {major}",
)  # fmt: skip


def _contrast(rng: Random, film: Film, polarity: bool) -> str:
    minor = clause(rng, part_subject(rng, film), not polarity, INNER_NEGATION)
    major = clause(rng, film_subject(rng, film), polarity, INNER_NEGATION)
    return rng.choice(_CONTRASTS).format(minor=minor, major=major)


def _accord(rng: Random, film: Film, polarity: bool) -> str:
    one = clause(rng, part_subject(rng, film), polarity, INNER_NEGATION)
    two = clause(rng, any_subject(rng, film), polarity, INNER_NEGATION)
    return rng.choice(("{one}, and {two}", "{one}; {two}", "{one}, so {two}")).format(one=one, two=two)


# ---- comparison: another film may be better, worse or alike ----

_UNLIKE = (  # the other film is of the other polarity
    "unlike {other}, which {theirs}, {ours}", "{ours}, unlike {other}, which {theirs}",
    "{other} {theirs}, but {ours}", "{other} {theirs}; {ours}", "where {other} {theirs}, {ours}",
    "{ours}; the same cannot be said of {other}", "unlike {other}, {ours}",
)  # fmt: skip
_ALIKE = (  # the other film is of the same polarity
    "like {other}, which {theirs}, {ours}", "{other} {theirs}, and {this} is no different",
    "{other} {theirs}, and so it goes with {this}", "{other} {theirs}; {this} is more of the same",
    "{this} has everything in common with {other}, which {theirs}",
)  # fmt: skip
_TURNED = (  # only the other film is described, and this one is its opposite
    "{other} {theirs}; the same cannot be said of {this}", "{this} has nothing in common with {other}, which {theirs}",
    "{other} {theirs}, and {this} is the very opposite", "{other} {theirs}, unlike {this}",
)  # fmt: skip
_ENDOWED = {  # by what the other film has or lacks, of one polarity of words
    True: (
        "{this} has all the {x} that {other} lacked", "{this} has the {x} of {other}",
        "{this} shares the {x} of {other}",
    ),
    False: ("{this} has none of the {x} of {other}", "{this} lacks the {x} of {other}", "gone is the {x} of {other}"),
}  # fmt: skip


def _comparison(rng: Random, film: Film, polarity: bool) -> str:
    other = rng.choice([other for other in the_world().films if other is not film]).title
    this = rng.choice(("this one", "this film", "the new film", film.title))
    form = rng.choice((_UNLIKE, _UNLIKE, _ALIKE, _TURNED, None, "degrees"))
    if form is None:
        kept = rng.random() < 0.5
        x = SUBSTANCES[polarity == kept].pick(rng)
        return rng.choice(_ENDOWED[kept]).format(this=this, other=other, x=x)
    if form == "degrees":
        ours, theirs = adjective(rng, "film", polarity), adjective(rng, "film", not polarity)
        return f"{this} is as {ours} as {other} was {theirs}"
    their_polarity = polarity if form is _ALIKE else not polarity
    said = predicate(rng, Subject(other, "film"), their_polarity)
    theirs = f"was {said.text}" if said.kind != "verb" else said.slots(plural=False)["is"]
    ours = clause(rng, Subject(this, "film"), polarity, INNER_NEGATION)
    return rng.choice(form).format(this=this, other=other, theirs=theirs, ours=ours)


# ---- reported opinion: refuted or endorsed ----

_SOURCES = (
    "the critics say that", "my friends told me that", "some people insist that", "the poster claims that",
    "everyone says that", "my sister swears that", "you may have heard that", "one reviewer wrote that",
)  # fmt: skip
_ENDORSED = (
    "and that is true", "and I agree", "and I cannot disagree", "and I could not agree more", "and they are right",
    "; I agree", "; believe them", "; it is no lie", "and I will not argue", "; how right they are",
)  # fmt: skip
_REFUTED = (
    "and that is not true", "but I disagree", "and I cannot agree", "but I could not disagree more",
    "but they are wrong", "; I disagree", "; do not believe them", "; it is a lie", "and I beg to differ",
    "; how wrong they are",
)  # fmt: skip
_NAMED = {
    True: (
        "they were right to call {s} {c}", "those who call {s} {c} have a point", "believe anyone who calls {s} {c}",
    ),
    False: (
        "they were wrong to call {s} {c}", "those who call {s} {c} have no point",
        "never believe anyone who calls {s} {c}",
    ),
}  # fmt: skip


def _report(rng: Random, film: Film, polarity: bool) -> str:
    endorsed = rng.random() < 0.4
    subject = any_subject(rng, film)
    if rng.random() < 0.25:
        words = polarity == endorsed
        name = NOUNS[words].pick(rng) if subject.aspect == "film" else adjective(rng, subject.aspect, words)
        return rng.choice(_NAMED[endorsed]).format(s=subject.text, c=name)
    said = clause(rng, subject, polarity == endorsed, INNER_NEGATION)
    comment = rng.choice(_ENDORSED if endorsed else _REFUTED)
    return f"{rng.choice(_SOURCES)} {said}{'' if comment.startswith(';') else ', '}{comment}"


# ---- expectation and unreality ----

_UNREAL = {  # by the polarity of the words
    True: (
        "{s} should have {been}", "{s} ought to have {been}", "{s} [was] meant to {be}", "if only {s} could {be}",
        "{s} might have {been} in other hands", "I wish I could say that {s} {is}",
        "I hoped in vain that {s} would {be}", "{s} want[s] to {be}, and that is all",
        "I am still waiting for {s} to {be}",
    ),
    False: (
        "{s} could easily have {been}", "{s} might have {been} in other hands", "I feared in vain that {s} would {be}",
        "nothing could make {s} {be}", "it would take more than that for {s} to {be}",
    ),
}  # fmt: skip
_COME_TRUE = (
    "I expected {s} to {be}, and I was right", "I thought that {s} would {be}, and so it turned out",
    "{s} looked set to {be}, and that is what happened",
)  # fmt: skip
_NOT_COME_TRUE = (
    "I expected {s} to {be}, and I was wrong", "I thought that {s} would {be}, and it was not so",
    "{s} looked set to {be}, and nothing of the kind happened",
)  # fmt: skip


def _expectation(rng: Random, film: Film, polarity: bool) -> str:
    subject = any_subject(rng, film)
    form = rng.choice(("unreal", "unreal", "true", "false"))
    words = polarity if form == "true" else not polarity
    templates = {"unreal": _UNREAL[words], "true": _COME_TRUE, "false": _NOT_COME_TRUE}[form]
    return fill(rng, rng.choice(templates), subject, predicate(rng, subject, words), words)


# ---- the viewer's own feelings ----

_FELT = (
    "I {did} {s}",
    "everyone around me {did} {s}",
    "nobody could fail to {do} {s}",
    "it is impossible not to {do} {s}",
    "I did not expect to {do} {s}, but I did",
    "I cannot pretend that I did not {do} {s}",
    "it is easy to {do} {s}",
)
_UNFELT = ("I did not {do} {s}", "nobody around me {did} {s}", "I fail to see how anyone could {do} {s}",
           "it is impossible to {do} {s}", "I expected to {do} {s}, but I did not", "I cannot pretend that I {did} {s}",
           "it is hard to {do} {s}")  # fmt: skip


def _feeling(rng: Random, film: Film, polarity: bool) -> str:
    felt = rng.random() < 0.5
    do, did = ATTITUDES[polarity == felt].pick(rng).split("/")
    subject = any_subject(rng, film)
    return rng.choice(_FELT if felt else _UNFELT).format(s=subject.text, do=do, did=did)


_CONSTRUCTIONS: dict[Callable[[Random, Film, bool], str], float] = {  # with the share of each
    _statement: 0.28,
    enumeration: 0.08,
    _fragment: 0.1,
    _contrast: 0.14,
    _accord: 0.08,
    _comparison: 0.1,
    _report: 0.1,
    _expectation: 0.06,
    _feeling: 0.06,
}
