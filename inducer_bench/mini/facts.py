"""Facts as triples, and the templates that state, deny and ask them.

A `Record` is one thing (a person, a film, a building, a city) with a fact for each property of its kind, all drawn at
random, so that what is true of it can only be read in the text. Templates have these slots: {s} the thing as a subject,
{m} as an object, {p} as a possessive (its name or its pronoun), {o} the object of the fact, {ao} the same with an
article.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from inducer_bench.mini.world import COUNTRIES, GENRES, RIVERS, is_woman, names

PEOPLE = ("actor", "director", "writer", "composer")


@dataclass(frozen=True)
class Property:
    """What one thing can be to another, named as WebNLG names it."""

    name: str
    says: tuple[str, ...]  # clauses; those that begin with "{s} " can be joined
    denies: tuple[str, ...]
    asks: tuple[str, ...]  # questions for the object
    checks: tuple[str, ...]  # questions answered by yes or no
    brief: str = "{o}"  # a short answer in words
    unique: bool = True  # whether one object excludes any other

    @property
    def words(self) -> str:
        """birthPlace -> birth place."""
        return re.sub("[A-Z]", lambda capital: " " + capital[0].lower(), self.name)


@dataclass(frozen=True)
class Fact:
    """One triple; names are in plain spelling, with spaces."""

    subject: str
    property: Property
    object: str


@dataclass(frozen=True)
class Record:
    """A thing with one fact for each property of its kind, in the order of `KINDS`."""

    kind: str
    name: str
    facts: tuple[Fact, ...]

    @property
    def pronouns(self) -> tuple[str, str, str]:
        """The thing as a subject, as an object and as a possessive."""
        if self.kind not in PEOPLE:
            return "it", "it", "its"
        return ("she", "her", "her") if is_woman(self.name) else ("he", "him", "his")

    def fact(self, name: str) -> Fact:
        """The fact of the property of this name."""
        return next(fact for fact in self.facts if fact.property.name == name)


# ---- properties ----

PROPERTIES = {
    made.name: made
    for made in (
        # films
        Property(
            "genre",
            ("{s} is {ao}", "{s} belongs to the genre of {o}", "{p} genre is {o}"),
            ("{s} is not {ao}",),
            ("What kind of film is {m}?", "What is {p} genre?"),
            ("Is {s} {ao}?",),
            "{ao}",
        ),
        Property(
            "director",
            ("{s} was directed by {o}", "{o} directed {m}", "{p} director is {o}"),
            ("{s} was not directed by {o}", "{o} did not direct {m}"),
            ("Who directed {m}?", "Who is {p} director?"),
            ("Was {s} directed by {o}?", "Did {o} direct {m}?"),
        ),
        Property(
            "scriptWriter",
            ("{s} was written by {o}", "{o} wrote {m}", "{p} writer is {o}"),
            ("{s} was not written by {o}", "{o} did not write {m}"),
            ("Who wrote {m}?", "Who is {p} writer?"),
            ("Was {s} written by {o}?", "Did {o} write {m}?"),
        ),
        Property(
            "musicComposer",
            ("{s} has music by {o}", "{o} composed {p} music", "{p} music is by {o}"),
            ("{s} does not have music by {o}", "{p} music is not by {o}"),
            ("Who composed {p} music?", "Who is {p} music by?"),
            ("Is {p} music by {o}?", "Did {o} compose {p} music?"),
        ),
        Property(
            "starring",
            ("{s} stars {o}", "{o} plays the leading role in {m}", "{p} star is {o}"),
            ("{s} does not star {o}", "{o} does not play the leading role in {m}"),
            ("Who stars in {m}?", "Who plays the leading role in {m}?"),
            ("Does {s} star {o}?", "Does {o} play the leading role in {m}?"),
        ),
        Property(
            "releaseYear",
            ("{s} came out in {o}", "{s} was released in {o}", "{p} release was in {o}"),
            ("{s} did not come out in {o}", "{s} was not released in {o}"),
            ("When did {s} come out?", "When was {s} released?"),
            ("Did {s} come out in {o}?", "Was {s} released in {o}?"),
            "in {o}",
        ),
        Property(
            "setting",
            ("{s} is set in {o}", "{s} takes place in {o}", "{p} story takes place in {o}"),
            ("{s} is not set in {o}", "{s} does not take place in {o}"),
            ("Where is {s} set?", "Where does {s} take place?"),
            ("Is {s} set in {o}?", "Does {s} take place in {o}?"),
            "in {o}",
        ),
        # people
        Property(
            "birthPlace",
            ("{s} was born in {o}", "{s} comes from {o}", "{p} birthplace is {o}"),
            ("{s} was not born in {o}", "{s} does not come from {o}"),
            ("Where was {s} born?", "In which city was {s} born?"),
            ("Was {s} born in {o}?", "Does {s} come from {o}?"),
            "in {o}",
        ),
        Property(
            "birthYear",
            ("{s} was born in {o}", "{p} birth was in {o}", "{p} year of birth is {o}"),
            ("{s} was not born in {o}", "{p} year of birth is not {o}"),
            ("When was {s} born?", "In which year was {s} born?"),
            ("Was {s} born in {o}?",),
            "in {o}",
        ),
        Property(
            "residence",
            ("{s} lives in {o}", "{s} has a house in {o}", "{p} home is in {o}"),
            ("{s} does not live in {o}", "{p} home is not in {o}"),
            ("Where does {s} live?", "Where is {p} home?"),
            ("Does {s} live in {o}?", "Is {p} home in {o}?"),
            "in {o}",
            unique=False,
        ),
        Property(
            "spouse",
            ("{s} is married to {o}", "{s} married {o}", "{p} spouse is {o}"),
            ("{s} is not married to {o}", "{s} did not marry {o}"),
            ("Who is {s} married to?", "Who did {s} marry?"),
            ("Is {s} married to {o}?", "Did {s} marry {o}?"),
        ),
        Property(
            "award",
            ("{s} won the {o}", "{s} received the {o}", "the {o} went to {m}"),
            ("{s} did not win the {o}", "the {o} did not go to {m}"),
            ("Which prize did {s} win?", "Which prize went to {m}?"),
            ("Did {s} win the {o}?", "Did the {o} go to {m}?"),
            "the {o}",
            unique=False,
        ),
        Property(
            "almaMater",
            ("{s} studied at the {o}", "{s} is a graduate of the {o}", "{p} university is the {o}"),
            ("{s} did not study at the {o}", "{s} is not a graduate of the {o}"),
            ("Where did {s} study?", "At which university did {s} study?"),
            ("Did {s} study at the {o}?", "Is {s} a graduate of the {o}?"),
            "at the {o}",
            unique=False,
        ),
        Property(
            "instrument",
            ("{s} plays the {o}", "{s} performs on the {o}", "{p} instrument is the {o}"),
            ("{s} does not play the {o}", "{p} instrument is not the {o}"),
            ("What does {s} play?", "What is {p} instrument?"),
            ("Does {s} play the {o}?", "Is the {o} {p} instrument?"),
            "the {o}",
            unique=False,
        ),
        Property(
            "notableWork",
            ("{s} is known for {o}", "{s} became famous with {o}", "{p} best work is {o}"),
            ("{s} is not known for {o}", "{s} did not become famous with {o}"),
            ("What is {s} known for?", "What is {p} best work?"),
            ("Is {s} known for {o}?", "Did {s} become famous with {o}?"),
            unique=False,
        ),
        # buildings
        Property(
            "location",
            ("{s} stands in {o}", "{s} is located in {o}", "{p} address is in {o}"),
            ("{s} does not stand in {o}", "{s} is not located in {o}"),
            ("Where does {s} stand?", "Where is {s} located?"),
            ("Does {s} stand in {o}?", "Is {s} located in {o}?"),
            "in {o}",
        ),
        Property(
            "architect",
            ("{s} was designed by {o}", "{o} designed {m}", "{p} architect is {o}"),
            ("{s} was not designed by {o}", "{o} did not design {m}"),
            ("Who designed {m}?", "Who is {p} architect?"),
            ("Was {s} designed by {o}?", "Did {o} design {m}?"),
        ),
        Property(
            "openingYear",
            ("{s} opened in {o}", "{s} was opened in {o}", "{p} opening was in {o}"),
            ("{s} did not open in {o}", "{s} was not opened in {o}"),
            ("When did {s} open?", "When was {s} opened?"),
            ("Did {s} open in {o}?", "Was {s} opened in {o}?"),
            "in {o}",
        ),
        Property(
            "owner",
            ("{s} is owned by {o}", "{o} owns {m}", "{p} owner is {o}"),
            ("{s} is not owned by {o}", "{o} does not own {m}"),
            ("Who owns {m}?", "Who is {p} owner?"),
            ("Is {s} owned by {o}?", "Does {o} own {m}?"),
        ),
        # cities
        Property(
            "country",
            ("{s} is a city in {o}", "{s} is in {o}", "{p} country is {o}"),
            ("{s} is not a city in {o}", "{s} is not in {o}"),
            ("In which country is {s}?", "In which country does {s} lie?"),
            ("Is {s} in {o}?", "Is {s} a city in {o}?"),
            "in {o}",
        ),
        Property(
            "river",
            ("{s} lies on the river {o}", "the river {o} flows through {m}", "{p} river is the {o}"),
            ("{s} does not lie on the river {o}", "the river {o} does not flow through {m}"),
            ("On which river does {s} lie?", "Which river flows through {m}?"),
            ("Does {s} lie on the river {o}?", "Does the river {o} flow through {m}?"),
            "the {o}",
        ),
        Property(
            "leaderName",
            ("{s} is led by {o}", "{o} is the mayor of {m}", "{p} mayor is {o}"),
            ("{s} is not led by {o}", "{o} is not the mayor of {m}"),
            ("Who is {p} mayor?", "Who leads {m}?"),
            ("Is {s} led by {o}?", "Is {o} the mayor of {m}?"),
        ),
        Property(
            "foundingYear",
            ("{s} was founded in {o}", "{s} dates from {o}", "{p} foundation was in {o}"),
            ("{s} was not founded in {o}", "{s} does not date from {o}"),
            ("When was {s} founded?", "In which year was {s} founded?"),
            ("Was {s} founded in {o}?", "Does {s} date from {o}?"),
            "in {o}",
        ),
        Property(
            "twinTown",
            ("{s} is twinned with {o}", "{s} has a partner town in {o}", "{p} twin town is {o}"),
            ("{s} is not twinned with {o}", "{p} twin town is not {o}"),
            ("With which city is {s} twinned?", "What is {p} twin town?"),
            ("Is {s} twinned with {o}?",),
            unique=False,
        ),
    )
}

# ---- kinds and how their facts are drawn ----

_AWARDS = tuple(f"{metal} {thing}" for metal in ("Golden", "Silver", "Crystal") for thing in (
    "Lantern", "Compass", "Violin", "Mirror", "Swan", "Anchor"))  # fmt: skip
_INSTRUMENTS = ("piano", "violin", "cello", "flute", "organ", "guitar", "harp", "trumpet", "clarinet", "oboe")

Draw = Callable[[Random, bool], str]  # with whether the names are those kept for labelled sets


def _name(kind: str, rng: Random, labelled: bool) -> str:
    return rng.choice(names(kind, labelled))


def _any_city(rng: Random, labelled: bool) -> str:
    return rng.choice(names("city", labelled=rng.random() < 0.3))


def _year(first: int, last: int, step: int, rng: Random, labelled: bool) -> str:
    return str(rng.randrange(first, last, step))


def _of(listed: tuple[str, ...], rng: Random, labelled: bool) -> str:
    return rng.choice(listed)


_person, _film = partial(_name, "person"), partial(_name, "film")
_LIFE: dict[str, Draw] = {
    "birthPlace": _any_city,
    "birthYear": partial(_year, 1930, 1986, 1),
    "residence": _any_city,
    "spouse": _person,
    "award": partial(_of, _AWARDS),
    "almaMater": lambda rng, labelled: f"University of {_any_city(rng, labelled)}",
}
KINDS: dict[str, dict[str, Draw]] = {
    "film": {
        "genre": partial(_of, GENRES),
        "director": _person,
        "scriptWriter": _person,
        "musicComposer": _person,
        "starring": _person,
        "releaseYear": partial(_year, 1970, 2021, 1),
        "setting": _any_city,
    },
    "actor": _LIFE,
    "director": {**_LIFE, "notableWork": _film},
    "writer": {**_LIFE, "notableWork": _film},
    "composer": {
        "instrument": partial(_of, _INSTRUMENTS), "birthPlace": _LIFE["birthPlace"],
        "birthYear": _LIFE["birthYear"], "notableWork": _film, "residence": _any_city, "award": _LIFE["award"],
    },
    "building": {
        "location": _any_city,
        "architect": _person,
        "openingYear": partial(_year, 1900, 2000, 1),
        "owner": _person,
    },
    "city": {
        "country": partial(_of, COUNTRIES),
        "river": partial(_of, RIVERS),
        "leaderName": _person,
        "foundingYear": partial(_year, 1200, 1900, 10),
        "twinTown": _any_city,
    },
}  # fmt: skip


def random_record(rng: Random, kind: str, labelled: bool, name: str | None = None) -> Record:
    """A thing of the kind with random facts, whose objects all differ from each other and from its name."""
    name = name or _name("person" if kind in PEOPLE else kind, rng, labelled)
    seen, facts = {name}, []
    for property_name, draw in KINDS[kind].items():
        value = draw(rng, labelled)
        while value in seen:
            value = draw(rng, labelled)
        seen.add(value)
        facts.append(Fact(name, PROPERTIES[property_name], value))
    return Record(kind, name, tuple(facts))


def other_object(rng: Random, kind: str, fact: Fact, labelled: bool) -> str:
    """An object that the fact could have had instead of its own."""
    draw = KINDS[kind][fact.property.name]
    value = draw(rng, labelled)
    while value in (fact.object, fact.subject):
        value = draw(rng, labelled)
    return value


_LED_TO = {  # what kind of thing an object is, where more could be told of it
    "director": "director", "scriptWriter": "writer", "musicComposer": "composer", "starring": "actor",
    "setting": "city", "birthPlace": "city", "location": "city", "notableWork": "film",
}  # fmt: skip


def kind_of_object(property_name: str) -> str | None:
    """The kind of the thing that a property leads to, or None where there is no more to tell of it."""
    return _LED_TO.get(property_name)


# ---- wording ----


def article(noun: str) -> str:
    """The noun with a or an."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def word(template: str, record: Record, value: str, pronoun: bool = False) -> str:
    """Fills a template of a property with the record's name or pronoun and the object's value."""
    s, m, p = record.pronouns if pronoun else (record.name, record.name, f"{record.name}'s")
    return template.format(s=s, m=m, p=p, o=value, ao=article(value))
