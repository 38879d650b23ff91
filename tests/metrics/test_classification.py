"""GLUE's metrics against counting, textbook formulas and naive ranks."""

import math
import random
import warnings

import pytest
import scipy
import sklearn
from helpers.scores import LABELS, classification_scores, metrics

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
