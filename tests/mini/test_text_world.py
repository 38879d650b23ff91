"""The generator: its words, its grammar and its facts."""

from itertools import islice
from random import Random

import pytest

from inducer_bench.mini import lexicon
from inducer_bench.mini.clauses import Predicate, Subject, fill, gerund, participle, third_person
from inducer_bench.mini.prose import documents
from inducer_bench.mini.reviews import labelled_sentences, with_articles
from inducer_bench.mini.world import the_world

POLES = [
    lexicon.ANYTHING, *lexicon.ASPECTS.values(), lexicon.VERBS, lexicon.NOUNS, lexicon.SUBSTANCES, lexicon.ATTITUDES,
]  # fmt: skip


def words(polarity: bool) -> set[str]:
    return {word for poles in POLES for word in poles[polarity].entries}


def test_the_lexicon_is_large_and_no_word_both_praises_and_blames():
    assert min(len(words(True)), len(words(False))) >= 300
    assert words(True).isdisjoint(words(False))


def test_no_word_stands_twice_in_a_list():
    for poles in POLES:
        for listed in poles.values():
            assert len(set(listed.entries)) == len(listed.entries)


@pytest.mark.parametrize(
    ("verb", "forms"),
    [
        ("delight", ("delights", "delighting", "delighted")),
        ("satisfy", ("satisfies", "satisfying", "satisfied")),
        ("amuse", ("amuses", "amusing", "amused")),
        ("drag", ("drags", "dragging", "dragged")),
        ("miss", ("misses", "missing", "missed")),
        ("go", ("goes", "going", "gone")),
        ("annoy", ("annoys", "annoying", "annoyed")),
    ],
)
def test_verbs_are_inflected_as_english_wants(verb: str, forms: tuple[str, str, str]):
    assert (third_person(verb), gerund(verb), participle(verb)) == forms


def test_a_template_agrees_with_a_plural_subject():
    said = Predicate("verb", "fall flat")
    one, many = Subject("the plot", "plot"), Subject("the jokes", "words", plural=True)
    template = "{s} never fail[s] to {be}; {s} {isnt}"
    assert (
        fill(Random(0), template, one, said, False) == "the plot never fails to fall flat; the plot does not fall flat"
    )
    assert (
        fill(Random(0), template, many, said, False) == "the jokes never fail to fall flat; the jokes do not fall flat"
    )


def test_articles_fit_the_word_that_follows():
    assert with_articles("a awful drama without a honest or a original scene") == (
        "an awful drama without an honest or an original scene"
    )


def test_every_sentence_is_well_formed():
    sentences = [text for text, _ in islice(labelled_sentences(0), 20_000)] + list(documents(0, 5_000))
    for text in sentences:
        assert text.endswith((".", "?"))
        assert text[0].isupper()
        assert not set(text) & set('{}[]"\t\n_'), text
        assert not any(flaw in text for flaw in ("  ", " .", " ,", "..", " ;", ",,", "None")), text


def test_people_worked_on_films_as_adults():
    for film in the_world().films:
        for person in (film.director, film.composer, film.writer, *film.stars):
            assert film.year - person.born >= 20


def test_titles_and_names_are_unique():
    world = the_world()
    for named in (
        [film.title for film in world.films], [person.name for person in world.people],
        [city.name for city in world.cities],
    ):  # fmt: skip
        assert len(set(named)) == len(named)
