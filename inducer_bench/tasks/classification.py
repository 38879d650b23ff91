"""Classification of one text or a pair: read, encode, collate, predict, score."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from inducer_bench.config.schema import TaskConfig
from inducer_bench.metrics.classification import Scores, accuracy
from inducer_bench.tasks.source import Row

Encoded = dict[str, Any]  # input_ids (and token types where the PLM has them): list[int]; labels: int
Batch = dict[str, Tensor]


class ClassificationTask:
    """A PLM with a classification head on a labelled text or text pair."""

    def __init__(self, config: TaskConfig, tokenizer: PreTrainedTokenizerBase) -> None:
        self.config = config
        self.tokenizer = tokenizer

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

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """Cross entropy summed over the batch, and the number of examples it is a sum over."""
        logits = self._logits(model, batch)
        return F.cross_entropy(logits.float(), batch["labels"], reduction="sum"), len(logits)

    def predict(self, model: nn.Module, batch: Batch) -> list[dict[str, Any]]:
        """Per example: `label`, `prediction` (codes), `probabilities` and `loss`."""
        logits = self._logits(model, batch).float()
        losses = F.cross_entropy(logits, batch["labels"], reduction="none")
        columns = (batch["labels"], logits.argmax(-1), logits.softmax(-1), losses)
        names = ("label", "prediction", "probabilities", "loss")
        return [dict(zip(names, row, strict=True)) for row in zip(*(c.tolist() for c in columns), strict=True)]

    def score(self, predictions: Sequence[dict[str, Any]]) -> Scores:
        """The task's metrics over predictions as `predict` gives them."""
        labels = [prediction["label"] for prediction in predictions]
        return accuracy(labels, [prediction["prediction"] for prediction in predictions])

    @staticmethod
    def _logits(model: nn.Module, batch: Batch) -> Tensor:
        return model(**{key: value for key, value in batch.items() if key != "labels"}).logits  # (B, C)
