"""CoQA's scores against cases computed by hand and against a second implementation, written the slow way."""

import itertools
import json
import random
from fractions import Fraction

import pytest
from helpers.scores import Turn, coqa_scores

from inducer_bench.metrics.coqa import official_predictions

_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


def _score(references, prediction):
    """(EM, F1) of one turn, in percent."""
    scores = coqa_scores([Turn("cnn", references, prediction)])
    return scores["em"].value, scores["f1"].value


# references, prediction, EM, F1
_CASES = {
    "equal": (["a white cat"], "White cat!", 100, 100),
    "half": (["white cat"], "black cat", 0, 50),
    "nothing in common": (["white cat"], "dog", 0, 0),
    "words count as often as they occur": (["no no no yes"], "no no", 0, 100 * 2 / 3),
    "order counts for EM only": (["cat white"], "white cat", 0, 100),
    "punctuation leaves no space": (["ana"], "an-A", 100, 100),
    "and two words become one": (["well known"], "well-known", 0, 0),
    "articles inside words stay": (["theatre another banana"], "The theatre, another a banana", 100, 100),
    "article by itself, capital": (["A"], "THE", 100, 100),
    "dotted article is no article once the dots are gone": (["am"], "a.m.", 100, 100),
    "curly quotes stay": (["“yes”"], "yes", 0, 0),
    "straight quotes go": (['"yes"'], "yes", 100, 100),
    "curly apostrophe ends a word, so its article goes": (["’s"], "a’s", 100, 100),
    "dash that is not ASCII stays and parts words": (["–cat"], "the–cat", 100, 100),
    "accents are letters": (["à la carte"], "a la carte", 0, 100 * 2 * (2 / 2 * 2 / 3) / (2 / 2 + 2 / 3)),
    "lower case of capitals beyond ASCII": (["ÜBER Straße"], "über straße", 100, 100),
    "any white space parts words": (["white cat"], " white\t\n cat ", 100, 100),
    "empty after normalisation, both": (["The..."], "a!", 100, 100),
    "empty after normalisation, prediction only": (["cat"], "the", 0, 0),
    "empty after normalisation, reference only": (["the"], "cat", 0, 0),
    "empty prediction": (["cat"], "", 0, 0),
    "missing prediction": (["cat"], None, 0, 0),
    "missing is not empty": (["the"], None, 0, 0),
    "unknown has no special case": (["unknown"], "unknown", 100, 100),
    # Four references; leaving each out in turn, a match with one only is lost once in four times.
    "one of four matches": (["cat", "dog", "cow", "pig"], "cat", 75, 75),
    "two of four match": (["cat", "a cat", "cow", "pig"], "cat", 100, 100),
    "none of four matches": (["cat", "dog", "cow", "pig"], "hen", 0, 0),
    "EM and F1 take their best apart": (["white cat", "cat", "dog", "dog"], "cat", 75, (3 + 2 / 3) / 4 * 100),
    "two references": (["cat", "dog"], "dog", 50, 50),
    "missing with four": (["cat"] * 4, None, 0, 0),
}


@pytest.mark.parametrize("case", _CASES)
def test_turn_scores_as_computed_by_hand(case):
    references, prediction, em, f1 = _CASES[case]
    assert _score(references, prediction) == (pytest.approx(em), pytest.approx(f1))


def _naive_words(text):
    kept = "".join(character for character in text.lower() if character not in _PUNCTUATION)
    runs = ["".join(run) for _, run in itertools.groupby(kept, key=lambda character: character.isalnum())]
    return "".join(" " if run in ("a", "an", "the") else run for run in runs).split()


def _naive_f1(reference, prediction):
    if not reference or not prediction:
        return Fraction(not reference and not prediction)
    left, common = list(reference), 0
    for word in prediction:
        if word in left:
            left.remove(word)
            common += 1
    return Fraction(2 * common, len(reference) + len(prediction))


def _naive_turn(references, prediction):
    """(EM, F1) as fractions of 1."""
    if prediction is None:
        return Fraction(0), Fraction(0)
    words, prediction = [_naive_words(reference) for reference in references], _naive_words(prediction)
    choices = list(itertools.combinations(words, len(words) - 1)) if len(words) > 1 else [words]
    em = [max(Fraction(reference == prediction) for reference in choice) for choice in choices]
    f1 = [max(_naive_f1(reference, prediction) for reference in choice) for choice in choices]
    return sum(em) / len(em), sum(f1) / len(f1)


def _random_answer(rng):
    words = ["the", "a", "An", "an-A", "cat", "Cat.", "white", "“white”", "a’s", "the–cat", "ß", "!", "no", "élan"]
    return " ".join(rng.choice(words) for _ in range(rng.choice([0, 1, 1, 2, 3, 5])))


@pytest.mark.parametrize("seed", range(20))
def test_scores_equal_a_second_implementation(seed):
    rng = random.Random(seed)
    turns = [
        Turn(
            rng.choice(["mctest", "gutenberg", "race", "cnn", "wikipedia", "reddit", "science"]),
            [_random_answer(rng) for _ in range(rng.choice([1, 2, 4, 4]))],
            rng.choice([None, *[_random_answer(rng) for _ in range(9)]]),
        )
        for _ in range(200)
    ]
    scores = coqa_scores(turns)
    groups = {
        "": lambda source: True,
        "_in_domain": lambda source: source not in ("reddit", "science"),
        "_out_domain": lambda source: source in ("reddit", "science"),
        "_children_stories": lambda source: source == "mctest",
        "_literature": lambda source: source == "gutenberg",
        "_mid-high_school": lambda source: source == "race",
        "_news": lambda source: source == "cnn",
        "_wikipedia": lambda source: source == "wikipedia",
        "_reddit": lambda source: source == "reddit",
        "_science": lambda source: source == "science",
    }
    assert scores.keys() == {metric + group for metric in ("em", "f1") for group in groups}
    for group, belongs in groups.items():
        found = [_naive_turn(turn.references, turn.prediction) for turn in turns if belongs(turn.source)]
        for metric, values in zip(("em", "f1"), zip(*found, strict=True), strict=True):
            expected = float(100 * sum(values) / len(values))
            assert scores[metric + group].value == pytest.approx(expected, abs=1e-10), metric + group


def test_domains_weigh_by_their_turns():
    turns = [Turn("cnn", ["yes"], "yes")] * 3 + [Turn("mctest", ["yes"], "no"), Turn("science", ["yes"], "no")]
    values = {name: score.value for name, score in coqa_scores(turns).items() if name.startswith("em")}
    assert values == pytest.approx(
        {"em": 60, "em_in_domain": 75, "em_out_domain": 0, "em_news": 100, "em_children_stories": 0, "em_science": 0}
    )


def test_unknown_source_is_its_own_domain_and_neither_in_nor_out_of_domain():
    scores = coqa_scores([Turn("cooking", ["salt"], "salt"), Turn("cnn", ["yes"], "no")])
    assert {name: score.value for name, score in scores.items() if name.startswith("f1")} == {
        "f1": 50.0,
        "f1_in_domain": 0.0,
        "f1_news": 0.0,
        "f1_cooking": 100.0,
    }


def test_values_are_not_rounded_and_say_so():
    score = coqa_scores([Turn("cnn", ["yes"], "yes"), Turn("cnn", ["yes"], "no"), Turn("cnn", ["yes"], "no")])["em"]
    assert score.value == pytest.approx(100 / 3, abs=1e-12)
    assert score.signature.startswith("CoQA em|percent|")
    assert "not rounded" in score.signature


def test_without_turns_there_are_no_scores():
    assert coqa_scores([]) == {}


def test_official_predictions_number_the_turns_from_1_and_leave_out_missing_answers():
    predictions = official_predictions({"first": ["yes", None, "näh"], "second": [""], "third": []})
    assert json.loads(json.dumps(predictions)) == [
        {"id": "first", "turn_id": 1, "answer": "yes"},
        {"id": "first", "turn_id": 3, "answer": "näh"},
        {"id": "second", "turn_id": 1, "answer": ""},
    ]
