"""GLUE's metrics against counting, textbook formulas and naive ranks."""

import math
import random
import warnings

import pytest
import scipy
import sklearn
from helpers.scores import LABELS, classification_scores, metrics

from inducer_bench.metrics import confusion
from inducer_bench.metrics.classification import of_class
from inducer_bench.metrics.metric import compute


def _value(name, labels, predictions):
    return classification_scores((name,), labels, predictions)[name].value


def _random_codes(seed, classes=2, count=37):
    rng = random.Random(seed)
    return [[rng.randrange(classes) for _ in range(count)] for _ in range(2)]


def _random_numbers(seed, count=23):
    """Labels on a grid, with ties; predictions near them, some of them tied too."""
    rng = random.Random(seed)
    labels = [rng.randrange(11) / 2 for _ in range(count)]
    return labels, [round(label + rng.gauss(0, 1), 1) for label in labels]


def _pearson(xs, ys):
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return covariance / math.sqrt(sum((x - mean_x) ** 2 for x in xs) * sum((y - mean_y) ** 2 for y in ys))


def _ranks(values):
    """Mean rank of ties."""
    return [sum(other < value for other in values) + (values.count(value) + 1) / 2 for value in values]


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_is_the_share_of_equal_entries_in_percent(seed):
    labels, predictions = _random_codes(seed, classes=3)
    right = sum(label == prediction for label, prediction in zip(labels, predictions, strict=True))
    assert _value("accuracy", labels, predictions) == pytest.approx(100 * right / 37, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_f1_and_matthews_follow_from_the_table_of_counts(seed):
    labels, predictions = _random_codes(seed)
    pairs = list(zip(labels, predictions, strict=True))
    tn, fp, fn, tp = (pairs.count(pair) for pair in ((0, 0), (0, 1), (1, 0), (1, 1)))
    assert _value("f1", labels, predictions) == pytest.approx(100 * 2 * tp / (2 * tp + fp + fn), abs=1e-12)
    matthews = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert _value("matthews", labels, predictions) == pytest.approx(100 * matthews, abs=1e-12)


def test_f1_is_of_the_positive_class():
    assert _value("f1", [1, 0, 0, 0], [1, 1, 0, 0]) == pytest.approx(200 / 3)  # of class 0 it would be 80


AVERAGES = ("f1_macro", "f1_weighted", "precision_macro", "recall_macro", "balanced_accuracy")


@pytest.mark.parametrize("seed", range(12))
def test_averages_over_classes_follow_from_the_counts_of_each(seed):
    """Counted by hand; some seeds have classes without labels, without predictions, or without both."""
    labels, predictions = _random_codes(seed, classes=2 + seed % 5, count=3 + seed)
    pairs = list(zip(labels, predictions, strict=True))
    found = {"precision": {}, "recall": {}, "f1": {}}
    for code in {*labels, *predictions}:
        both, labelled, predicted = pairs.count((code, code)), labels.count(code), predictions.count(code)
        found["precision"][code] = both / predicted if predicted else 0.0
        found["recall"][code] = both / labelled if labelled else 0.0
        found["f1"][code] = 2 * both / (labelled + predicted)
    expected = {f"{score}_macro": sum(each.values()) / len(each) for score, each in found.items()}
    expected["f1_weighted"] = sum(found["f1"][label] for label in labels) / len(labels)
    expected["balanced_accuracy"] = sum(found["recall"][code] for code in {*labels}) / len({*labels})
    scores = classification_scores(AVERAGES, labels, predictions)
    assert {name: score.value for name, score in scores.items()} == pytest.approx(
        {name: 100 * expected[name] for name in AVERAGES}, abs=1e-10
    )


NAMES = ["yes", "no: 1.5, really", "no", "", "f1:yes"]  # whatever a label may be called


def _named_rows(seed, classes):
    rows = [
        {"label": label, "prediction": found, "label_name": NAMES[label], "prediction_name": NAMES[found]}
        for label, found in zip(*_random_codes(seed, classes, 19), strict=True)
    ]
    return rows, [row["label"] for row in rows], [row["prediction"] for row in rows]


@pytest.mark.parametrize("classes", [1, 2, 3, 5])
def test_scores_of_one_class_are_those_of_scikit_learn_for_its_code(classes):
    rows, labels, predictions = _named_rows(classes, classes)
    by_class = sklearn.metrics.precision_recall_fscore_support(labels, predictions, labels=range(5), zero_division=0)
    for code, name in enumerate(NAMES):
        for score, values in zip(("precision", "recall", "f1"), by_class, strict=False):
            found = compute([of_class(f"{score}:{name}")], rows)[f"{score}:{name}"]
            assert found.value == pytest.approx(100 * values[code], abs=1e-10)
            assert found.signature == f"{score}|percent|one class|scikit-learn {sklearn.__version__}"


def test_names_of_other_forms_are_no_metric_of_a_class():
    assert [of_class(name) for name in ("f1", "f1_macro", "accuracy:yes", ":yes", "my.module.f1")] == [None] * 5


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_confusion_matrix_and_scores_of_its_classes_are_those_of_scikit_learn(classes):
    rows, labels, predictions = _named_rows(7 + classes, classes)
    matrix = confusion.confusion(rows, classes + 1)  # of the last class there is nothing
    assert matrix == sklearn.metrics.confusion_matrix(labels, predictions, labels=range(classes + 1)).tolist()
    expected = sklearn.metrics.precision_recall_fscore_support(
        labels, predictions, labels=range(classes + 1), zero_division=math.nan
    )
    for code, found in enumerate(confusion.by_class(matrix)):
        for value, reference in zip(found, expected, strict=True):
            reference = reference[code] if value is found.labelled else 100 * reference[code]
            assert (value is None and math.isnan(reference)) or value == pytest.approx(reference, abs=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_correlations_follow_from_the_definitions(seed):
    labels, predictions = _random_numbers(seed)
    assert _value("pearson", labels, predictions) == pytest.approx(100 * _pearson(labels, predictions), abs=1e-10)
    by_ranks = _pearson(_ranks(labels), _ranks(predictions))
    assert _value("spearman", labels, predictions) == pytest.approx(100 * by_ranks, abs=1e-10)


def test_all_right_is_100_and_all_wrong_is_0():
    assert _value("accuracy", [0, 1, 2], [0, 1, 2]) == 100.0
    assert _value("accuracy", [0, 1, 2], [1, 2, 0]) == 0.0


@pytest.mark.parametrize("predictions", [[0, 0, 0], [1, 1, 1]])
@pytest.mark.parametrize("labels", [[0, 1, 1], [1, 1, 1]])
def test_matthews_of_constant_predictions_is_0_without_a_warning(labels, predictions):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _value("matthews", labels, predictions) == 0.0


def test_f1_is_0_where_nothing_is_positive():
    assert _value("f1", [0, 0], [0, 0]) == 0.0


@pytest.mark.parametrize("name", ["pearson", "spearman"])
@pytest.mark.parametrize(
    ("labels", "predictions"),
    [
        pytest.param([1.0, 2.0, 3.0], [2.5, 2.5, 2.5], id="constant predictions"),
        pytest.param([2.5, 2.5, 2.5], [1.0, 2.0, 3.0], id="constant labels"),
        pytest.param([1.0], [1.0], id="one example"),
        pytest.param([1.0, 2.0, 3.0], [1.0, math.nan, 2.0], id="not a number"),
    ],
)
def test_undefined_correlation_says_so_and_is_neither_a_number_nor_a_warning(name, labels, predictions):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = classification_scores((name,), labels, predictions)[name]
    assert score.value is None
    assert score.reason.startswith("not computed: undefined")
    assert score.signature.startswith(name)


def test_scores_carry_what_computed_them():
    scores = classification_scores(("accuracy", "f1", "matthews", "pearson", "spearman"), [0, 1, 1], [0, 1, 0])
    assert {name: score.signature for name, score in scores.items()} == {
        "accuracy": f"accuracy|percent|scikit-learn {sklearn.__version__}",
        "f1": f"f1|percent|positive class 1|scikit-learn {sklearn.__version__}",
        "matthews": f"matthews|percent|scikit-learn {sklearn.__version__}",
        "pearson": f"pearson|percent|scipy {scipy.__version__}",
        "spearman": f"spearman|percent|scipy {scipy.__version__}",
    }
    assert all(type(score.value) is float for score in scores.values())


def test_only_the_named_metrics_are_computed_in_the_order_of_the_names():
    assert list(classification_scores(("matthews", "accuracy"), [0, 1], [0, 1])) == ["matthews", "accuracy"]


@pytest.mark.parametrize("name", ["accuracy", "f1", "matthews", "pearson", "spearman"])
def test_label_without_a_prediction_is_an_error(name):
    with pytest.raises(KeyError, match="prediction"):
        compute(metrics([name], LABELS), [{"label": 0, "prediction": 0}, {"label": 1}])
