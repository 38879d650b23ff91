"""The small world that every mini task is about: cities, people and films, and how they are related.

All names are invented. One seed fixes the world, so all tasks and the unlabelled text agree on the facts.
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
_MORE_COLOURS = (  # of titles outside the one world
    "Last", "Long", "Empty", "Golden", "Quiet", "Broken", "Distant", "Little", "Old", "Frozen", "Third", "Secret",
)  # fmt: skip
_TITLE_NOUNS = (
    "Harbour", "Winter", "Lantern", "Orchard", "River", "Bridge", "Garden", "Letter", "Station", "Mirror",
    "Island", "Window", "Mountain", "Train", "Door", "Staircase", "Summer", "Kitchen", "Compass", "Violin",
)  # fmt: skip
_BUILDING_TYPES = ("Gallery", "Hall", "Library", "Museum", "Station", "Theatre", "Tower")
COUNTRIES, RIVERS, GENRES = _COUNTRIES, _RIVERS, _GENRES


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


def is_woman(name: str) -> bool:
    """Whether a person of this name is a woman; each first name belongs to one sex."""
    return name.split()[0] in _WOMEN


@cache
def names(kind: str, labelled: bool) -> tuple[str, ...]:
    """Names for things outside the one world: `kind` is city, person, film or building.

    A third of all names is kept for labelled sets, and the unlabelled text never speaks of a thing that bears one: so
    no labelled sentence, pair or entry occurs in it. The names of the one world belong to neither.
    """
    world = the_world()
    grid = {"city": _city_grid, "person": _person_grid, "film": _all_titles, "building": _building_grid}[kind]()
    taken = {city.name for city in world.cities} | {person.name for person in world.people}
    taken |= {film.title for film in world.films}
    return tuple(name for name in grid if name not in taken and (_kept(name) == labelled))


def _kept(name: str) -> bool:
    return sum(map(ord, name)) % 3 == 0


def _city_grid() -> list[str]:
    return [head + tail for head in _CITY_HEADS for tail in _CITY_TAILS]


def _person_grid() -> list[str]:
    return [f"{first} {last}" for first in _WOMEN + _MEN for last in _SURNAMES]


def _title_grid(colours: tuple[str, ...] = _TITLE_COLOURS) -> list[str]:
    return [f"The {colour} {noun}" for colour in colours for noun in _TITLE_NOUNS]


def _all_titles() -> list[str]:
    return _title_grid(_TITLE_COLOURS + _MORE_COLOURS)


def _building_grid() -> list[str]:
    return [f"{last} {building}" for last in _SURNAMES for building in _BUILDING_TYPES]


def _cities(rng: Random) -> tuple[City, ...]:
    chosen = rng.sample(_city_grid(), CITY_COUNT)
    return tuple(City(name, rng.choice(_COUNTRIES), rng.choice(_RIVERS), rng.choice(_SIGHTS)) for name in chosen)


def _people(rng: Random, cities: tuple[City, ...]) -> tuple[Person, ...]:
    roles = [role for role, count in ROLES.items() for _ in range(count)]
    chosen = rng.sample(_person_grid(), len(roles))
    return tuple(
        Person(name, role, is_woman(name), rng.choice(cities), rng.randint(1930, 1985))
        for role, name in zip(roles, chosen, strict=True)
    )


def _films(rng: Random, cities: tuple[City, ...], people: tuple[Person, ...]) -> tuple[Film, ...]:
    titles = _title_grid()
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
