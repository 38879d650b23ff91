"""The small world that every mini task speaks of: cities, people and films, and how they are related.

All names are invented. One seed fixes the world, so each task and the unlabelled text tell the same facts.
"""

from dataclasses import dataclass
from functools import cache
from random import Random

WORLD_SEED = 20221
CITY_COUNT, FILM_COUNT = 36, 120
ROLES = {"director": 30, "actor": 60, "composer": 20, "writer": 20}  # how many people of each trade

_COUNTRIES = ("Arvenia", "Belmora", "Corvania", "Dalmere", "Estavia", "Norland", "Palonia", "Tirassia")
_CITY_HEADS = (
    "Alder", "Bran", "Castle", "Dun", "East", "Fair", "Glen", "Harrow",
    "Kings", "Lime", "Mar", "North", "Oak", "Port", "Raven", "Stone",
)  # fmt: skip
_CITY_TAILS = ("bridge", "bury", "dale", "field", "ford", "ham", "haven", "mouth", "stead", "ton")
_RIVERS = ("Aln", "Brede", "Calder", "Dorn", "Esk", "Ister", "Lune", "Meda", "Orin", "Sarre", "Tarn", "Vell")
_SIGHTS = (
    "its old harbour", "its university", "its glass market", "its stone bridges", "its opera house", "its gardens",
    "its paper mills", "its clock tower", "its salt mines", "its film festival", "its canals", "its observatory",
)  # fmt: skip
_WOMEN = (
    "Ada", "Bella", "Clara", "Dora", "Elena", "Freya", "Greta", "Hana", "Irene",
    "Julia", "Lena", "Mira", "Nora", "Olga", "Petra", "Rosa", "Tessa", "Vera",
)  # fmt: skip
_MEN = (
    "Adam", "Bruno", "Carl", "Daniel", "Emil", "Felix", "Georg", "Hugo", "Ivan",
    "Jonas", "Karel", "Leo", "Marek", "Noel", "Oscar", "Paul", "Tomas", "Victor",
)  # fmt: skip
_SURNAMES = (
    "Abbot", "Barlow", "Brandt", "Carver", "Castell", "Denholm", "Draper", "Ellery", "Falk", "Farrow",
    "Garland", "Hale", "Harding", "Holt", "Ingram", "Jarvis", "Keller", "Kemp", "Lambert", "Lindqvist",
    "Marsh", "Mercer", "Novak", "Orlov", "Pascoe", "Quill", "Ramsey", "Reyes", "Sandoval", "Sorel",
    "Thorne", "Tolland", "Ulrich", "Vance", "Varga", "Wexler", "Whitlock", "Yardley", "Zeller", "Ashby",
)  # fmt: skip
_GENRES = ("drama", "comedy", "thriller", "western", "musical", "romance", "mystery", "adventure")
_TITLE_COLOURS = (
    "Blue", "Green", "Red", "Silver", "White", "Second", "Seventh", "Hidden", "Northern", "Paper", "Glass", "Wooden",
)  # fmt: skip
_TITLE_NOUNS = (
    "Harbour", "Winter", "Lantern", "Orchard", "River", "Bridge", "Garden", "Letter", "Station", "Mirror",
    "Island", "Window", "Mountain", "Train", "Door", "Staircase", "Summer", "Kitchen", "Compass", "Violin",
)  # fmt: skip


@dataclass(frozen=True)
class City:
    name: str
    country: str
    river: str
    known_for: str


@dataclass(frozen=True)
class Person:
    name: str
    role: str
    woman: bool
    born_in: City
    born: int

    @property
    def she(self) -> str:
        """The pronoun as a subject."""
        return "she" if self.woman else "he"

    @property
    def her(self) -> str:
        """The pronoun as a possessive."""
        return "her" if self.woman else "his"


@dataclass(frozen=True)
class Film:
    title: str
    genre: str
    year: int
    director: Person
    stars: tuple[Person, Person]
    composer: Person
    writer: Person
    setting: City


@dataclass(frozen=True)
class World:
    cities: tuple[City, ...]
    people: tuple[Person, ...]
    films: tuple[Film, ...]


@cache
def the_world() -> World:
    """Builds the one world of the suite."""
    rng = Random(WORLD_SEED)
    cities = _cities(rng)
    people = _people(rng, cities)
    return World(cities, people, _films(rng, cities, people))


def _cities(rng: Random) -> tuple[City, ...]:
    names = rng.sample([head + tail for head in _CITY_HEADS for tail in _CITY_TAILS], CITY_COUNT)
    return tuple(City(name, rng.choice(_COUNTRIES), rng.choice(_RIVERS), rng.choice(_SIGHTS)) for name in names)


def _people(rng: Random, cities: tuple[City, ...]) -> tuple[Person, ...]:
    roles = [role for role, count in ROLES.items() for _ in range(count)]
    names = rng.sample([(first, last) for first in _WOMEN + _MEN for last in _SURNAMES], len(roles))
    return tuple(
        Person(f"{first} {last}", role, first in _WOMEN, rng.choice(cities), rng.randint(1930, 1985))
        for role, (first, last) in zip(roles, names, strict=True)
    )


def _films(rng: Random, cities: tuple[City, ...], people: tuple[Person, ...]) -> tuple[Film, ...]:
    titles = [f"The {colour} {noun}" for colour in _TITLE_COLOURS for noun in _TITLE_NOUNS]
    titles += [f"{noun} in {city.name}" for noun in _TITLE_NOUNS for city in cities[:6]]
    films = []
    for title in rng.sample(titles, FILM_COUNT):
        year = rng.randint(1970, 2020)
        adults = {role: [p for p in people if p.role == role and p.born <= year - 20] for role in ROLES}
        first, second = rng.sample(adults["actor"], 2)
        film = Film(
            title, rng.choice(_GENRES), year, rng.choice(adults["director"]), (first, second),
            rng.choice(adults["composer"]), rng.choice(adults["writer"]), rng.choice(cities),
        )  # fmt: skip
        films.append(film)
    return tuple(films)
