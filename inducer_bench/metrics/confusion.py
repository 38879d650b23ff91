"""Confusion matrices: how often each label was predicted as each other one, and the scores of each class."""

from collections.abc import Sequence
from typing import NamedTuple

from inducer_bench.metrics.metric import Row

MOST_LABELS = 30  # a record keeps no matrix of more

Matrix = list[list[int]]  # C rows, one for each label; C columns, one for each prediction


class OfClass(NamedTuple):
    """The scores of one class in percent; None where undefined. `labelled`: the examples with this label."""

    precision: float | None
    recall: float | None
    f1: float | None
    labelled: int


def confusion(rows: Sequence[Row], classes: int) -> Matrix:
    """The matrix of predictions: `label` and `prediction` are codes below the number of classes."""
    found = [[0] * classes for _ in range(classes)]
    for row in rows:
        found[row["label"]][row["prediction"]] += 1
    return found


def by_class(matrix: Matrix) -> list[OfClass]:
    """The scores of each class, in the order of the codes."""
    predicted = [sum(column) for column in zip(*matrix, strict=True)]
    labelled = [sum(row) for row in matrix]
    return [
        OfClass(
            _percent(matrix[code][code], predicted[code]),
            _percent(matrix[code][code], labelled[code]),
            _percent(2 * matrix[code][code], labelled[code] + predicted[code]),
            labelled[code],
        )
        for code in range(len(matrix))
    ]


def table(matrix: Matrix, labels: Sequence[str]) -> list[tuple[str, ...]]:
    """Scores and predictions of each class as cells of text, the first row being the header."""
    header = ("label", "precision", "recall", "F1", "examples", *(f"predicted {label}" for label in labels))
    rows = [
        (label, *map(_shown, scores[:3]), f"{scores.labelled:,}", *(f"{count:,}" for count in counts))
        for label, scores, counts in zip(labels, by_class(matrix), matrix, strict=True)
    ]
    return [header, *rows]


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
