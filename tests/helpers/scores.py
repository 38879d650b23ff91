"""Scores of plain columns by the rows of the metrics table."""

from typing import NamedTuple

from inducer_bench.metrics import coqa
from inducer_bench.metrics.classification import of_class
from inducer_bench.metrics.metric import compute
from inducer_bench.metrics.table import metric_of, metrics_of

LABELS = ("labels", "numbers")


def metrics(names, scored):
    known = {metric.name: metric for metric in metrics_of(scored)}
    return [of_class(name) or known[name] for name in names]


def metric_for(score, rows):
    """The metric of a score, from what the rows are of."""
    scored = LABELS if not rows or "label" in rows[0] else ("turns",) if score.startswith(("em", "f1")) else ("texts",)
    return of_class(score) or metric_of(score, metrics_of([*scored, "losses"]))


def classification_scores(names, labels, predictions):
    rows = [
        {"label": label, "prediction": found, "label_name": str(label), "prediction_name": str(found)}
        for label, found in zip(labels, predictions, strict=True)
    ]
    return compute(metrics(names, LABELS), rows)


def text_rows(hypotheses, references):
    return [{"prediction": text, "references": texts} for text, texts in zip(hypotheses, references, strict=True)]


def generation_scores(hypotheses, references, names):
    return compute(metrics(names, ("texts",)), text_rows(hypotheses, references))


def scores_of_parts(hypotheses, references, names, parts):
    """The scores of each part, by their plain names."""
    rows = text_rows(hypotheses, references)
    found = compute(metrics(names, ("texts",)), rows, {str(number): part for number, part in enumerate(parts)})
    return [{name: found[f"{name}_{number}"] for name in names} for number in range(len(parts))]


class Turn(NamedTuple):
    source: str
    references: list[str]
    prediction: str | None


def coqa_scores(turns):
    rows = [{"id": "d/1", "group": source, "references": texts, "prediction": text} for source, texts, text in turns]
    return compute(metrics(("em", "f1"), ("turns",)), rows, coqa.parts(rows))
