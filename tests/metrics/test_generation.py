"""Metrics of generated text against naive implementations and cases computed by hand, with references in any number."""

import logging
import math
import random
from collections import Counter
from importlib.metadata import version

import pytest
import sacrebleu
from helpers.scores import generation_scores, scores_of_parts
from sacrebleu.metrics.ter import TER, TERScore

from inducer_bench.metrics.table import metrics_of

WITHOUT_JAVA = tuple(metric.name for metric in metrics_of(["texts"]) if metric.name != "meteor")
_WORDS = "a the cat dog sat on mat in big red old box . ,".split()  # three letters at most: stems change none of them


def _value(name, hypotheses, references):
    return generation_scores(hypotheses, references, (name,))[name].value


def _random_corpus(seed, entries=25):
    """Hypotheses that resemble a reference, some empty, and one to five references each, some equal in length."""
    rng = random.Random(seed)
    hypotheses, references = [], []
    for _ in range(entries):
        texts = [[rng.choice(_WORDS) for _ in range(rng.randrange(4, 13))] for _ in range(rng.choice([1, 1, 2, 3, 5]))]
        words = list(rng.choice(texts))
        for _ in range(rng.randrange(4)):
            words[rng.randrange(len(words))] = rng.choice(_WORDS)
        words = words[: rng.choice([0, 3, 9, 99, 99])] + words[: rng.choice([0, 0, 2])]
        hypotheses.append(" ".join(words))
        references.append([" ".join(text) for text in texts])
    return hypotheses, references


# --- BLEU ---


def _grams(items, order):
    return Counter(tuple(items[i : i + order]) for i in range(len(items) - order + 1))


def _naive_bleu(hypotheses, references, smooth):
    """Corpus BLEU-4 of lists of words (Papineni et al. 2002); `smooth`: halve again for each order without a match."""
    matches, totals, length, reference_length = [0] * 4, [0] * 4, 0, 0
    for hypothesis, texts in zip(hypotheses, references, strict=True):
        length += len(hypothesis)
        reference_length += min((abs(len(text) - len(hypothesis)), len(text)) for text in texts)[1]
        for order in range(4):
            for gram, count in _grams(hypothesis, order + 1).items():
                totals[order] += count
                matches[order] += min(count, max(_grams(text, order + 1)[gram] for text in texts))
    precisions, halving = [], 1
    for match, total in zip(matches, totals, strict=True):
        if match == 0 and smooth and total:
            halving *= 2
            precisions.append(1 / (halving * total))
        else:
            precisions.append(match / total if total else 0.0)
    if not all(precisions) or not matches[0]:
        return 0.0
    brevity = math.exp(min(0.0, 1 - reference_length / length))
    return 100 * brevity * math.exp(sum(map(math.log, precisions)) / 4)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("name", "smooth"), [("bleu", True), ("bleu_multi", False)])
def test_bleu_equals_a_naive_one_on_any_number_of_references(name, smooth, seed):
    hypotheses, references = _random_corpus(seed)
    expected = _naive_bleu([text.split() for text in hypotheses], [[t.split() for t in r] for r in references], smooth)
    assert expected > 1
    assert _value(name, hypotheses, references) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("reference_lengths", "chosen"),
    [([6, 10], 6), ([10, 6], 6), ([3, 9, 20], 9), ([7, 12], 7), ([8], 8), ([30, 11], 11)],
)
def test_reference_length_is_the_closest_one_and_of_two_as_close_the_shorter(reference_lengths, chosen):
    hypothesis = [f"w{i}" for i in range(8)]
    references = [" ".join((hypothesis + ["x"] * 99)[:length]) for length in reference_lengths]
    expected = 100 * math.exp(min(0.0, 1 - chosen / 8)) if max(reference_lengths) >= 8 else None
    for name in ("bleu", "bleu_multi"):
        assert _value(name, [" ".join(hypothesis)], [references]) == pytest.approx(expected, abs=1e-9)


def test_multi_bleu_is_0_where_an_order_has_no_match_and_sacrebleus_default_is_not():
    hypotheses, references = ["the cat sat in mat"], [["the cat sat on a mat"]]  # no four words in a row match
    assert _value("bleu_multi", hypotheses, references) == 0.0
    assert _value("bleu", hypotheses, references) > 10


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The U.S.-based (1.5 km) Café", "the u . s . - based ( 1 . 5 km ) café"),
        ("Don't stop_now…", "don ' t stop_now …"),
        ("東京\u00a0–\nÜBER 7", "東京 – über 7"),
        ("10,000,000%", "10 , 000 , 000 %"),
        ("İzmir is old", "i \u0307 zmir is old"),  # lower case first: the capital's dot becomes a symbol
    ],
)
def test_multi_bleu_lower_cases_and_takes_every_symbol_as_a_token(text, tokens):
    assert _value("bleu_multi", [text], [[tokens]]) == pytest.approx(100.0)
    length = len(tokens.split())
    longer = f"{tokens} {' '.join(['x'] * length)}"  # twice as long, so the brevity penalty tells the number of tokens
    assert _value("bleu_multi", [text], [[longer]]) == pytest.approx(100 * math.exp(1 - 2))


# --- chrF ---


def _chrf_counts(hypothesis, reference):
    counts = []
    hypothesis, reference = "".join(hypothesis.split()), "".join(reference.split())
    for order in range(1, 7):
        ours, theirs = _grams(hypothesis, order), _grams(reference, order)
        counts.append((ours.total() if theirs else 0, theirs.total(), (ours & theirs).total()))
    return counts


def _f2(counts):
    """chrF's F-score of (hypothesis, reference, common) per order: mean precision and recall over orders both have."""
    used = [entry for entry in counts if entry[0] and entry[1]]
    if not used:
        return 0.0
    precision = sum(common / ours for ours, _, common in used) / len(used)
    recall = sum(common / theirs for _, theirs, common in used) / len(used)
    return 100 * 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("seed", range(10))
def test_chrf_sums_the_counts_of_each_entrys_best_reference(seed):
    hypotheses, references = _random_corpus(seed)
    best = [
        max((_chrf_counts(hypothesis, text) for text in texts), key=_f2)
        for hypothesis, texts in zip(hypotheses, references, strict=True)
    ]
    summed = [tuple(map(sum, zip(*order, strict=True))) for order in zip(*best, strict=True)]
    assert _value("chrf", hypotheses, references) == pytest.approx(_f2(summed), abs=1e-9)


# --- TER ---


@pytest.mark.parametrize(
    ("hypothesis", "references", "expected"),
    [
        ("the cat sat", ["the cat sat"], 0),
        ("the Cat sat", ["the cat Sat"], 0),  # lower-cased
        ("the dog sat", ["the cat sat"], 100 / 3),  # one word replaced
        ("cat sat", ["the cat sat"], 100 / 3),  # one inserted
        ("the cat sat on", ["the cat sat"], 100 / 3),  # one deleted
        ("sat on the cat", ["the cat sat on"], 100 / 4),  # two words moved together: one edit
        ("", ["the cat sat on"], 100),
        ("the cat", [""], 100),
        ("", [""], 0),
        ("the cat", ["the cat", "the cat sat on"], 0),  # the fewest edits
        ("the big", ["the cat", "the cat sat on"], 100 / 3),  # over the mean length of references
        ("", ["", "the cat"], 0),  # an empty reference is one
    ],
)
def test_ter_of_one_entry_as_computed_by_hand(hypothesis, references, expected):
    assert _value("ter", [hypothesis], [references]) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_ter_sums_the_fewest_edits_over_the_mean_reference_length_of_each_entry(seed):
    hypotheses, references = _random_corpus(seed)
    edits, lengths = 0.0, 0.0
    for hypothesis, texts in zip(hypotheses, references, strict=True):
        alone = [_value("ter", [hypothesis], [[text]]) / 100 * len(text.split()) for text in texts]
        edits += min(alone)
        lengths += sum(len(text.split()) for text in texts) / len(texts)
    assert _value("ter", hypotheses, references) == pytest.approx(100 * edits / lengths, abs=1e-9)


# --- ROUGE ---


def _common_subsequence(ours, theirs):
    row = [0] * (len(theirs) + 1)
    for word in ours:
        previous, row = row, [0]
        for i, other in enumerate(theirs):
            row.append(previous[i] + 1 if word == other else max(row[i], previous[i + 1]))
    return row[-1]


def _naive_rouge(kind, hypothesis, reference):
    ours, theirs = ([w for w in text.split() if w.isalnum()] for text in (hypothesis, reference))
    if kind == "rougeL":
        common, sizes = _common_subsequence(ours, theirs), len(ours) + len(theirs)
    else:
        ours, theirs = _grams(ours, int(kind[-1])), _grams(theirs, int(kind[-1]))
        common, sizes = (ours & theirs).total(), ours.total() + theirs.total()
    return 2 * common / sizes if sizes else 0.0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["rouge1", "rouge2", "rougeL"])
def test_rouge_is_the_mean_over_entries_of_the_best_f1(kind, seed):
    hypotheses, references = _random_corpus(seed)
    best = [max(_naive_rouge(kind, h, text) for text in texts) for h, texts in zip(hypotheses, references, strict=True)]
    assert _value(kind, hypotheses, references) == pytest.approx(100 * sum(best) / len(best), abs=1e-9)


def test_rouge_compares_lower_cased_stems_of_ascii_words():
    assert _value("rougeL", ["Running dogs!"], [["runs (dog)"]]) == pytest.approx(100.0)
    assert _value("rougeL", ["東京"], [["東京"]]) == 0.0


# --- all of them ---


def _filled_up(references):
    return [[*texts, *[texts[-1]] * (5 - len(texts))] for texts in references]


@pytest.mark.parametrize("name", [name for name in WITHOUT_JAVA if name != "ter"])
def test_repeating_a_reference_changes_nothing(name):
    """TER is the exception by definition: the mean reference length moves."""
    hypotheses, references = _random_corpus(0)
    filled_up = _value(name, hypotheses, _filled_up(references))
    assert _value(name, hypotheses, references) == pytest.approx(filled_up, abs=1e-9)


@pytest.mark.parametrize("name", WITHOUT_JAVA)
def test_order_of_references_changes_nothing(name):
    """Where something is said: chrF of an empty output takes the length of the first reference."""
    hypotheses, references = _random_corpus(1)
    hypotheses = [hypothesis or "the mat" for hypothesis in hypotheses]
    turned = [texts[::-1] for texts in references]
    assert _value(name, hypotheses, references) == pytest.approx(_value(name, hypotheses, turned), abs=1e-9)


@pytest.mark.parametrize("name", WITHOUT_JAVA)
@pytest.mark.parametrize(
    ("hypotheses", "references"),
    [
        pytest.param([""], [["the cat sat"]], id="empty output"),
        pytest.param(["", "", " \n"], [["the cat"], ["a", "b"], ["c"]], id="only empty outputs"),
        pytest.param(["the cat"], [[""]], id="empty reference"),
        pytest.param(["🙂 naïve\u2028東京\x00 \ud800 |||"], [["🙂 naïve 東京", "Zürich"]], id="unicode"),
        pytest.param(["the " * 10_000], [["the cat sat on the mat in the box"] * 3], id="one word 10,000 times"),
        pytest.param(["the cat sat on " * 2_500], [["the mat the cat sat on is red"]], id="loop of 10,000 words"),
        pytest.param(["x" * 10_000], [["the cat"]], id="one word of 10,000 letters"),
        pytest.param(["."], [["..."]], id="punctuation only"),
    ],
)
def test_odd_outputs_get_a_finite_score(name, hypotheses, references):
    score = generation_scores(hypotheses, references, (name,))[name]
    assert type(score.value) is float
    assert math.isfinite(score.value)
    assert score.value >= 0


@pytest.mark.parametrize("name", WITHOUT_JAVA)
def test_perfect_output_is_100_and_for_ter_0(name):
    text = "The big red dog sat on an old mat."
    assert _value(name, [text], [["Nothing of the kind.", text]]) == pytest.approx(0 if name == "ter" else 100)


def test_signatures_name_implementation_version_tokenisation_case_and_number_of_references():
    def signatures(references):
        scores = generation_scores(["the cat", "a dog"], references, WITHOUT_JAVA)
        return {name: score.signature for name, score in scores.items()}

    ours, rouge = sacrebleu.__version__, f"rouge-score {version('rouge-score')}"
    assert signatures([["the cat"], ["a dog", "the dog"]]) == {
        "bleu": f"BLEU|nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:{ours}",
        "bleu_multi": f"multi-BLEU|nrefs:var|case:lc|eff:no|tok:words-and-symbols|smooth:none|version:{ours}",
        "chrf": f"chrF2|nrefs:var|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{ours}",
        "ter": f"TER|nrefs:var|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:{ours}",
        "rouge1": f"rouge1|percent|F1 of best reference, mean|tok:a-z0-9|stemmer:porter|{rouge}",
        "rouge2": f"rouge2|percent|F1 of best reference, mean|tok:a-z0-9|stemmer:porter|{rouge}",
        "rougeL": f"rougeL|percent|F1 of best reference, mean|tok:a-z0-9|stemmer:porter|{rouge}",
    }
    assert "nrefs:1|" in signatures([["the cat"], ["a dog"]])["bleu"]
    assert "nrefs:2|" in signatures([["the cat", "cat"], ["a dog", "dog"]])["ter"]


def test_tokenised_text_brings_no_warnings(caplog):
    with caplog.at_level(logging.WARNING):
        generation_scores(["the cat sat ."] * 150, [["the cat sat ."]] * 150, WITHOUT_JAVA)
    assert not caplog.records


def test_without_entries_nothing_is_computed_and_the_reason_says_so():
    score = generation_scores([], [], ("bleu",))["bleu"]
    assert (score.value, score.reason) == (None, "not computed: no entries")


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_parts_are_those_of_each_part_by_itself_with_its_signature(seed):
    hypotheses, references = _random_corpus(seed)
    numbers = random.Random(seed).sample(range(25), 25)
    single = [i for i in numbers if len(references[i]) == 1]  # whose signature names one reference
    parts = [range(25), numbers[:10], numbers[10:], [], single, numbers[:1]]
    alone = [
        generation_scores([hypotheses[i] for i in part], [references[i] for i in part], WITHOUT_JAVA) for part in parts
    ]
    assert scores_of_parts(hypotheses, references, WITHOUT_JAVA, parts) == alone
    assert "nrefs:1|" in alone[4]["ter"].signature
    assert scores_of_parts([], [], ("ter",), [[], []]) == [generation_scores([], [], ("ter",))] * 2


def test_edits_of_an_entry_are_searched_once_whatever_parts_it_belongs_to(monkeypatch):
    searched = []
    monkeypatch.setattr(TER, "sentence_score", lambda self, text, texts: searched.append(text) or TERScore(0, 1, 2))
    scores = scores_of_parts(["a", "b", "c"], [["x"]] * 3, ("ter",), [range(3), [0, 1], [2]])
    assert searched == ["a", "b", "c"]
    assert [part["ter"].value for part in scores] == [50.0, 50.0, 50.0]


def test_entry_without_references_is_an_error():
    with pytest.raises(ValueError, match="without references"):
        generation_scores(["a", "b"], [["a"], []], ("bleu",))
