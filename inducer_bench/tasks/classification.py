"""Classification of one text or a pair, or regression: read, encode, collate, predict, score."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from inducer_bench.metrics.score import Scores
from inducer_bench.tasks.base import Batch, Encoded, Task
from inducer_bench.tasks.classification_rows import Row, read_rows, with_labels
from inducer_bench.tasks.options import ClassificationOptions
from inducer_bench.tasks.table_files import text_of


class ClassificationTask(Task):
    """A PLM with a classification head on a labelled text or text pair; for numbers, the head has one output.

    Raises:
        UserError: the labels are to be found in train, and train cannot be read.
    """

    config: ClassificationOptions

    def __init__(
        self, config: ClassificationOptions, tokenizer: PreTrainedTokenizerBase, architecture: dict[str, Any]
    ) -> None:
        super().__init__(with_labels(config), tokenizer, architecture)
        self.regression = config.labels == "number"

    def read(self, split: str) -> list[Row]:
        """The labelled rows of a split."""
        return read_rows(self.config, split)

    def new_row(self, values: dict[str, Any], place: str) -> Row:
        """`{"sentence": "..."}`: the task's text columns."""
        return Row(tuple(text_of(values, name, place) for name in self.config.text), 0)

    def encode(self, rows: Sequence[Row]) -> list[Encoded]:
        """Rows as token ids, cut to `max_length`; not padded."""
        texts = [list(column) for column in zip(*(row.texts for row in rows), strict=True)]
        tokens = self.tokenizer(*texts, truncation=True, max_length=self.config.max_length, return_attention_mask=False)
        return [
            {**{key: tokens[key][i] for key in tokens}, "labels": row.label, "length": len(tokens["input_ids"][i])}
            for i, row in enumerate(rows)
        ]

    def collate(self, examples: Sequence[Encoded]) -> Batch:
        """Examples padded to the longest: input_ids, attention_mask (B, T); labels (B)."""
        inputs = [
            {key: value for key, value in example.items() if key not in ("labels", "length")} for example in examples
        ]
        batch = self.tokenizer.pad(inputs, padding="longest", return_tensors="pt", return_attention_mask=True)
        return {**batch, "labels": torch.tensor([example["labels"] for example in examples])}

    def count(self, examples: Sequence[Encoded]) -> int:
        """Each example has one label."""
        return len(examples)

    def loss(self, model: nn.Module, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """Cross entropy, with labels smoothed over all, or squared error; summed over the batch."""
        return self._losses(self._logits(model, batch), batch["labels"], label_smoothing).sum()

    def predict(self, model: nn.Module, batch: Batch) -> list[dict[str, Any]]:
        """Per example: `label`, `prediction` (codes or numbers), `loss` and, with labels, `probabilities`."""
        logits, labels = self._logits(model, batch), batch["labels"]
        columns = {"label": labels, "prediction": logits[:, 0] if self.regression else logits.argmax(-1)}
        if not self.regression:
            columns["probabilities"] = logits.softmax(-1)
        columns["loss"] = self._losses(logits, labels)
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def named(self, row: dict[str, Any]) -> dict[str, Any]:
        """A prediction with the names of labels in place of their codes, without what was wanted."""
        if self.regression:
            return {"prediction": row["prediction"]}
        labels = self.config.labels
        probabilities = dict(zip(labels, row["probabilities"], strict=True))
        return {"prediction": labels[row["prediction"]], "probabilities": probabilities}

    def score(self, predictions: Sequence[dict[str, Any]]) -> Scores:
        """The task's metrics over predictions as `predict` gives them."""
        from inducer_bench.metrics.classification import classification_scores

        labels, predicted = ([row[name] for row in predictions] for name in ("label", "prediction"))
        return classification_scores(self.config.metrics, labels, predicted)

    def _losses(self, logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """(B, C) -> (B)"""
        if self.regression:
            return F.mse_loss(logits[:, 0], labels, reduction="none")
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)

    @staticmethod
    def _logits(model: nn.Module, batch: Batch) -> Tensor:
        """(B, C), in float32 whatever the model computes in."""
        return model(**{key: value for key, value in batch.items() if key != "labels"}).logits.float()
