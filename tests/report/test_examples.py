"""Scores made of weighted examples are those that the metrics compute, on whatever examples the weights stand for."""

import gzip
import json

import numpy as np
import pytest
from helpers.handmade import MINI, configuration, record_of
from helpers.scores import Turn, classification_scores, coqa_scores, generation_scores, metric_for

from inducer_bench.errors import UserError
from inducer_bench.report.examples import examples as examples_of
from inducer_bench.report.examples import read_predictions, same_examples, without_texts

WORDS = "the a film city river opened in was built by anna 's berlin long old , 1984 . cat-like".split()
TEXT_METRICS = ["bleu", "bleu_multi", "chrf", "ter", "rouge1", "rouge2", "rougeL"]
DRAW = np.random.default_rng(0)
WITHOUT_CHECKSUMS = record_of(configuration((*MINI, "method=lora")))


def labelled(pairs, split="dev"):
    return [
        {
            "split": split,
            "index": i,
            "label": label,
            "prediction": prediction,
            "loss": 0.1,
            "label_name": str(label),
            "prediction_name": str(prediction),
        }
        for i, (label, prediction) in enumerate(pairs)
    ]


def classes(number, count=60):
    labels = DRAW.integers(number, size=count)
    return labelled(zip(labels.tolist(), np.where(DRAW.random(count) < 0.6, labels, 0).tolist(), strict=True))


def numbers(count=60):
    labels = DRAW.integers(11, size=count) / 2  # many ties, as in STS-B
    return labelled(zip(labels.tolist(), (labels + DRAW.normal(0, 1.5, count)).round(1).tolist(), strict=True))


def sentence(length):
    return " ".join(DRAW.choice(WORDS, length))


def written(count=24):
    """Texts with one to three references; one is empty, one is far too short, one is right."""
    rows = []
    for i in range(count):
        references = [sentence(DRAW.integers(3, 14)) for _ in range(1 + i % 3)]
        kept = [word if DRAW.random() < 0.8 else DRAW.choice(WORDS) for word in references[-1].split()]
        text = {0: "", 1: "film", 2: references[0]}.get(i, " ".join(kept))
        group = ("seen", "unseen")[i % 2]
        rows.append({"split": "test", "index": i, "id": f"Id{i}", "group": group, "prediction": text,
                     "references": references})  # fmt: skip
    return rows


def answered():
    """Eight dialogues of CoQA's and of other sources, of three to five turns."""
    sources = ("mctest", "cnn", "reddit", "elsewhere")
    rows = []
    for dialogue in range(8):
        for turn in range(3 + dialogue % 3):
            references = [sentence(DRAW.integers(1, 4)) for _ in range(1 + dialogue % 4)]
            text = references[0] if DRAW.random() < 0.4 else sentence(3)
            rows.append({"split": "dev", "index": len(rows), "id": f"d{dialogue}/{turn + 1}",
                         "group": sources[dialogue % 4], "prediction": text, "references": references})  # fmt: skip
    return rows


def examples(name, rows):
    return examples_of(name, metric_for(name, rows), rows)


def expected(name, rows):
    """The score by the metric itself."""
    if "label" in rows[0]:
        scores = classification_scores([name], *([row[key] for row in rows] for key in ("label", "prediction")))
    elif name in TEXT_METRICS:
        scores = generation_scores(*([row[key] for row in rows] for key in ("prediction", "references")), [name])
    else:
        scores = coqa_scores(Turn(row["group"], row["references"], row["prediction"]) for row in rows)
    return scores[name].value


CASES = {
    **{name: classes(2) for name in ("accuracy", "f1")},
    **{name: classes(5, 12) for name in ("matthews", "f1_macro", "f1_weighted", "balanced_accuracy")},
    **{name: classes(5, 12) for name in ("precision_macro", "recall_macro", "f1:3", "precision:0", "recall:4")},
    **{name: numbers() for name in ("pearson", "spearman")},
    **dict.fromkeys(TEXT_METRICS, written()),
}
TURNS = answered()


def score(name, rows, weights=None):
    found = examples(name, rows)
    ones = np.ones(found.count()) if weights is None else np.asarray(weights, dtype=float)
    return found.scores(ones[None])[0]


@pytest.mark.parametrize("name", CASES)
def test_score_of_examples_is_that_of_the_metric(name):
    assert score(name, CASES[name]) == pytest.approx(expected(name, CASES[name]), abs=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_counts_as_weights_give_the_score_of_a_bootstrap_sample(name):
    rows = CASES[name]
    drawn = np.random.default_rng(1).integers(len(rows), size=(3, len(rows)))
    weights = np.stack([np.bincount(sample, minlength=len(rows)) for sample in drawn]).astype(float)
    values = [expected(name, [rows[i] for i in sample]) for sample in drawn]
    assert examples(name, rows).scores(weights) == pytest.approx(values, abs=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_zeros_and_ones_on_pooled_examples_give_the_score_of_swapped_outputs(name):
    rows = CASES[name]
    predicted = [{key: row[key] for key in row if key.startswith("prediction")} for row in rows]
    others = [{**row, **other} for row, other in zip(rows, predicted[1:] + predicted[:1], strict=True)]
    swapped = np.arange(len(rows)) % 3 == 0
    mixed = [other if swap else row for row, other, swap in zip(rows, others, swapped, strict=True)]
    pooled = examples(name, rows).pooled(examples(name, others))
    assert pooled.scores(np.hstack([~swapped, swapped])[None] * 1.0)[0] == pytest.approx(
        expected(name, mixed), abs=1e-9
    )


@pytest.mark.parametrize("name", coqa_scores(Turn(row["group"], row["references"], row["prediction"]) for row in TURNS))
def test_every_score_of_coqa_has_its_turns_in_dialogues(name):
    found = examples(name, TURNS)
    assert score(name, TURNS) == pytest.approx(expected(name, TURNS), abs=1e-9)
    assert found.count() < len(found.statistics)


def test_weight_of_a_dialogue_is_that_of_each_of_its_turns():
    twice = [row for row in TURNS if row["id"].startswith("d3/")]
    weights = np.array([1, 1, 1, 2, 1, 1, 1, 1])
    assert score("f1", TURNS, weights) == pytest.approx(expected("f1", TURNS + twice), abs=1e-9)


def test_score_of_a_group_is_made_of_its_examples():
    rows = CASES["bleu"]
    seen = [row for row in rows if row["group"] == "seen"]
    assert score("bleu_seen", rows) == pytest.approx(expected("bleu", seen), abs=1e-9)
    assert score("bleu_multi_seen", rows) == pytest.approx(expected("bleu_multi", seen), abs=1e-9)


def test_score_of_another_split_is_made_of_its_examples():
    matched, mismatched = labelled([(0, 0), (1, 0)]), labelled([(1, 1)], "dev_mismatched")
    assert score("accuracy", matched + mismatched) == 50.0
    assert score("accuracy_mismatched", matched + mismatched) == 100.0
    assert score("accuracy_mismatched", mismatched) == 100.0
    both = [{**row, "split": "dev", "prediction": ""} for row in CASES["bleu"]] + CASES["bleu"]
    assert score("bleu_unseen", both) == 0.0
    assert score("bleu_unseen_test", both) == score("bleu_unseen", CASES["bleu"]) > 0


@pytest.mark.parametrize("name", ["meteor", "meteor_seen", "bleu_other", "perplexity", "f1_nowhere"])
def test_score_without_statistics_has_no_examples(name):
    assert examples(name, CASES["bleu"]) is None


def test_perplexity_of_labels_has_no_examples():
    assert examples("perplexity", CASES["accuracy"]) is None


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_correlation_with_a_constant_is_undefined(name):
    assert np.isnan(score(name, labelled([(1.0, 2.0), (3.0, 2.0), (2.0, 2.0)])))


def test_rows_are_of_the_same_examples_whatever_was_predicted():
    rows = labelled([(0, 0), (1, 1)])
    assert same_examples([rows, labelled([(0, 1), (1, 0)])])
    assert not same_examples([rows, labelled([(0, 0), (0, 1)])])
    assert not same_examples([rows, rows[:1]])
    assert not same_examples([rows, labelled([(0, 0), (1, 1)], "test")])


@pytest.mark.parametrize(("name", "rows"), [*CASES.items(), ("f1", TURNS)])
def test_predictions_without_texts_of_the_data_have_equal_examples(name, rows):
    given = [{**row, "input": {"sentence": "of the data set"}} for row in rows]
    metric = metric_for(name, rows)
    kept = json.loads(json.dumps(without_texts(given, metric)))
    assert all({"input", "references", "probabilities"}.isdisjoint(row) for row in kept)
    assert without_texts(kept, metric) == kept
    whole, passed_on = examples(name, rows), examples(name, kept)
    assert np.array_equal(passed_on.statistics, whole.statistics)
    assert np.array_equal(passed_on.units, whole.units)


def test_predictions_without_texts_have_no_examples_of_other_scores():
    kept = without_texts(CASES["bleu"], metric_for("bleu", CASES["bleu"]))
    assert examples("chrf", kept) is None


def test_predictions_are_read_as_they_were_written(tmp_path):
    lines = "".join(json.dumps(row) + "\n" for row in CASES["bleu"])
    (tmp_path / "predictions.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert read_predictions(tmp_path, WITHOUT_CHECKSUMS) == CASES["bleu"]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "missing"),
        (b"", "damaged"),
        (b"text", "damaged"),
        (gzip.compress(b'{"split": "dev"}\n', mtime=0)[:-9], "damaged"),
        (gzip.compress(b'{"split": "dev"}\n', mtime=0)[:12] + bytes(20), "damaged"),
        (gzip.compress(b'{"split": "dev"}\n{"split"', mtime=0), "line 2: not JSON"),
        (gzip.compress(b"\xff\n", mtime=0), "damaged"),
        (gzip.compress(b"[" * 100_000, mtime=0), "line 1: not JSON"),
        (gzip.compress(b'{"split": "dev", "loss": NaN}', mtime=0), "line 1: not JSON"),
        (gzip.compress(b"[1]\n", mtime=0), "line 1: not a prediction"),
        (gzip.compress(b'{"index": 0}\n', mtime=0), "line 1: not a prediction"),
    ],
    ids=[
        "missing",
        "empty",
        "text",
        "cut",
        "overwritten",
        "half a line",
        "not UTF-8",
        "deep",
        "NaN",
        "list",
        "no split",
    ],
)
def test_damaged_predictions_are_refused_in_one_line(tmp_path, content, part):
    if content is not None:
        (tmp_path / "predictions.jsonl.gz").write_bytes(content)
    with pytest.raises(UserError, match=part) as caught:
        read_predictions(tmp_path, WITHOUT_CHECKSUMS)
    assert "\n" not in str(caught.value)
