"""Classification of one text or a pair of texts, or regression."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inducer_bench.errors import UserError, listed
from inducer_bench.metrics.classification import F1_MACRO
from inducer_bench.metrics.confusion import MOST_LABELS, Matrix, confusion
from inducer_bench.metrics.metric import compute
from inducer_bench.metrics.score import Scores
from inducer_bench.tasks.base import Batch, Columns, Prediction, Task
from inducer_bench.tasks.cache import Encoded, EncodedExamples
from inducer_bench.tasks.classification_rows import LabelledTexts, find_labels, read_rows, text_columns
from inducer_bench.tasks.options import ClassificationOptions
from inducer_bench.tasks.table_files import text_of


class ClassificationTask(Task):
    """A PLM with a classification head on labelled texts or pairs of texts; for numbers, the head has one output."""

    config: ClassificationOptions

    def find_labels(self) -> list[str] | None:
        """The labels that the options list, or those found in train, sorted; None for numbers.

        Raises:
            UserError: train cannot be read, or has fewer than two labels, or too many for a metric.
        """
        return find_labels(self.config)

    @property
    def regression(self) -> bool:
        """Whether numbers are predicted."""
        return self.labels is None

    def read(self, split: str) -> Iterator[LabelledTexts]:
        """The labelled rows of a split, one after another."""
        return read_rows(self.config, split, self.labels)

    def new_row(self, values: dict[str, Any], where: str) -> LabelledTexts:
        """`{"sentence": "..."}`: the task's text columns."""
        return LabelledTexts(tuple(text_of(values, column, where) for column in text_columns(self.config)), 0)

    def encode(self, rows: Sequence[LabelledTexts]) -> list[Encoded]:
        """Rows as token ids, cut to `max_length`; not padded. Each has at least one.

        Raises:
            UserError: `max_length` leaves no room for a word.
        """
        texts = [list(column) for column in zip(*(row.texts for row in rows), strict=True)]
        self._check_room(len(texts))
        tokens = self._tokens(*texts, truncation=True, max_length=self.config.max_length)
        encoded = []
        for i, row in enumerate(rows):
            inputs = {key: tokens[key][i] for key in tokens} if tokens["input_ids"][i] else self._blank
            encoded.append({**inputs, "labels": row.label, "length": len(inputs["input_ids"])})
        return encoded

    def _check_room(self, texts: int) -> None:
        special = self.tokenizer.num_special_tokens_to_add(pair=texts == 2)
        if self.config.max_length <= special:
            raise UserError(
                f"task.max_length: found {self.config.max_length}; allowed: at least {special + 1}, for this PLM's "
                f"tokenizer adds {special} special tokens to {'a pair' if texts == 2 else 'a text'}"
            )

    @cached_property
    def _blank(self) -> dict[str, list[int]]:
        """The inputs of an empty text where the tokenizer adds no special tokens, as a decoder's: those of a blank."""
        tokens = self._tokens(" ")
        return {key: tokens[key] or [self.tokenizer.pad_token_id] for key in tokens}

    def _tokens(self, *texts: Any, **options: Any) -> Any:
        """What the tokenizer makes of texts; a model that takes segments for tokens is given none."""
        segments = None if self._has_segments else False  # None: as the tokenizer says
        return self.tokenizer(*texts, return_attention_mask=False, return_token_type_ids=segments, **options)

    @property
    def _has_segments(self) -> bool:
        return self.layout is None or not self.layout.adds_segments

    def encoding_key(self) -> dict[str, Any]:
        """A model may take no segments, whatever its tokenizer gives."""
        return {**super().encoding_key(), **({} if self._has_segments else {"segments": False})}

    def collate(self, examples: Sequence[Encoded], length: int | None = None, terms: int | None = None) -> Batch:
        """Examples padded to one length: input_ids, attention_mask (B, T); labels (B), which are all terms."""
        inputs = [
            {key: value for key, value in example.items() if key not in ("labels", "length")} for example in examples
        ]
        batch = self.tokenizer.pad(
            inputs,
            padding="longest" if length is None else "max_length",
            max_length=length,
            return_tensors="pt",
            return_attention_mask=True,
        )
        return {**batch, "labels": torch.tensor([example["labels"] for example in examples])}

    def count(self, examples: Sequence[Encoded]) -> int:
        """Each example has one label."""
        return len(examples)

    def loss(self, model: nn.Module, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """Cross entropy, smoothed over all labels, or squared error; summed over the batch."""
        return self._losses(self._logits(model, batch), batch["labels"], label_smoothing).sum()

    def predict(self, model: nn.Module, batch: Batch) -> Columns:
        """Per example: `label`, `prediction` (codes or numbers), `loss` and, with labels, `probabilities`."""
        logits, labels = self._logits(model, batch), batch["labels"]
        columns = {"label": labels, "prediction": logits[:, 0] if self.regression else logits.argmax(-1)}
        if not self.regression:
            columns["probabilities"] = logits.softmax(-1)
        return {**columns, "loss": self._losses(logits, labels)}

    def rows(self, columns: Columns, examples: Sequence[Encoded]) -> list[Prediction]:
        """Per example what `predict` gives, and the names of the labels."""
        rows = super().rows(columns, examples)
        if self.labels is None:
            return rows
        return [
            {**row, "label_name": self.labels[row["label"]], "prediction_name": self.labels[row["prediction"]]}
            for row in rows
        ]

    def score(self, predictions: Sequence[Prediction]) -> Scores:
        """The task's metrics select the epoch, too."""
        return compute(self.config.own_metrics(), predictions)

    def score_answers(self, predictions: Sequence[Prediction]) -> Scores:
        """The task's metrics; of data of one's own with more than two labels, macro F1 as well."""
        scores = self.score(predictions)
        many = self.labels is not None and len(self.labels) > 2
        if many and self.config.hub is None and F1_MACRO.name not in scores:
            scores |= compute([F1_MACRO], predictions)
        return scores

    def inputs(self, split: str, data: Any) -> list[dict[str, Any]]:
        """The texts of each row by column; they are read once more, and must be there still."""
        try:
            return [dict(zip(self.config.text, row.texts, strict=True)) for row in self.read(split)]
        except UserError:
            return []

    def untaught(self, train: EncodedExamples) -> list[str]:
        """That a label is missing, as one may be in a small sample or a held-out part."""
        if self.labels is None:
            return []
        there = set(train.values("labels"))
        missing = [label for code, label in enumerate(self.labels) if code not in there]
        if not missing:
            return []
        limit = f"; task.max_train={self.config.max_train}" if self.config.max_train is not None else ""
        return [
            f"task.labels: none of the {len(train):,} training examples has label {listed(missing)}, which the model "
            f"cannot learn{limit}"
        ]

    def confusion(self, predictions: Sequence[Prediction]) -> Matrix | None:
        """Labels in rows, predictions in columns; None for numbers, and for more labels than a record should hold."""
        if self.labels is None or len(self.labels) > MOST_LABELS:
            return None
        return confusion(predictions, len(self.labels))

    def shown(self, prediction: Prediction) -> dict[str, Any]:
        """The name of the predicted label and the probabilities by name; or the number."""
        if self.labels is None:
            return super().shown(prediction)
        probabilities = dict(zip(self.labels, prediction["probabilities"], strict=True))
        return {"prediction": self.labels[prediction["prediction"]], "probabilities": probabilities}

    def _losses(self, logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """(B, C) -> (B)"""
        if self.regression:
            return F.mse_loss(logits[:, 0], labels, reduction="none")
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)

    @staticmethod
    def _logits(model: nn.Module, batch: Batch) -> Tensor:
        """(B, C), in float32 whatever precision the model computes in."""
        logits: Tensor = model(**{key: value for key, value in batch.items() if key != "labels"}).logits
        return logits.float()
