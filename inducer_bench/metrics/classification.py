"""Scores of classification tasks, by scikit-learn."""

from collections.abc import Sequence

import sklearn
from sklearn.metrics import accuracy_score

Scores = dict[str, dict[str, float | str]]  # name -> {"value", "signature"}


def accuracy(labels: Sequence[int], predictions: Sequence[int]) -> Scores:
    """Share of equal entries, in percent."""
    value = 100.0 * float(accuracy_score(labels, predictions))
    return {"accuracy": {"value": value, "signature": f"accuracy|percent|scikit-learn {sklearn.__version__}"}}
