"""Accuracy against counting."""

import random

import pytest

from inducer_bench.metrics.classification import accuracy


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_is_the_share_of_equal_entries_in_percent(seed):
    rng = random.Random(seed)
    labels, predictions = ([rng.randrange(3) for _ in range(37)] for _ in range(2))
    right = sum(label == prediction for label, prediction in zip(labels, predictions, strict=True))
    assert accuracy(labels, predictions)["accuracy"]["value"] == pytest.approx(100 * right / 37, abs=1e-12)


def test_all_right_is_100_and_all_wrong_is_0():
    assert accuracy([0, 1, 2], [0, 1, 2])["accuracy"]["value"] == 100.0
    assert accuracy([0, 1, 2], [1, 2, 0])["accuracy"]["value"] == 0.0


def test_score_carries_what_computed_it():
    import sklearn

    score = accuracy([0], [0])["accuracy"]
    assert score["signature"] == f"accuracy|percent|scikit-learn {sklearn.__version__}"
    assert type(score["value"]) is float


def test_unequal_numbers_of_labels_and_predictions_are_an_error():
    with pytest.raises(ValueError, match="inconsistent numbers"):
        accuracy([0, 1], [0])
