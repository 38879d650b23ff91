"""The interface of a task: reading and encoding data, the loss, predictions, and their scores."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Protocol, Self

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from inducer_bench.errors import shown
from inducer_bench.methods.architectures import Layout, layout_of
from inducer_bench.metrics.confusion import Matrix
from inducer_bench.metrics.metric import Row, compute
from inducer_bench.metrics.score import Scores
from inducer_bench.tasks import source
from inducer_bench.tasks.cache import Encoded, EncodedExamples, cached, tokenizer_fingerprint
from inducer_bench.tasks.options import Decoding, TaskOptions

PIECE = 2_000  # rows that are encoded at a time

Batch = dict[str, Tensor]
Columns = dict[str, Tensor]  # what a model gave for a batch
Prediction = dict[str, Any]


class Engine(Protocol):
    """A tuned model that predicts for a task, without dropout and gradients; see `training/evaluation.py`."""

    def predict(self, task: "Task", examples: EncodedExamples) -> list[Prediction]:
        """`task.predict` and `task.rows` of every example, in their order."""

    def generate(
        self, prompts: Sequence[Encoded], decoding: Decoding, first_special: int, segments: bool
    ) -> list[list[int]]:
        """The tokens generated after each prompt, up to the special token that ends them.

        Args:
            prompts: `input_ids`, `token_type_ids` and `length` of each.
            decoding: how.
            first_special: id of the first special token; any of them ends a text.
            segments: whether the model takes `token_type_ids`.
        """


class Task(ABC):
    """A task with its data and a PLM's tokenizer.

    Args:
        config: the task's options; they are never changed.
        tokenizer: of the PLM.
        architecture: the PLM's sizes, as its transformers config names them.
        labels: of a finished run; by default they are those that the options list, or that the data have.
        layout: of an architecture that this package does not know.

    Attributes:
        labels: names of labels in the order of their codes; None if the task has none.
    """

    def __init__(
        self,
        config: TaskOptions,
        tokenizer: PreTrainedTokenizerBase,
        architecture: dict[str, Any],
        labels: list[str] | None = None,
        layout: Layout | None = None,
    ) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.architecture = architecture
        self.labels = self.find_labels() if labels is None else labels
        self.layout = layout or layout_of(architecture.get("model_type"))

    def find_labels(self) -> list[str] | None:
        """The labels that the options list, or that the data have; None if the task has no labels.

        Raises:
            UserError: the data cannot be read.
        """
        return None

    @property
    def selection(self) -> tuple[str, int]:
        """The score that selects the epoch, and 1 if higher is better, else -1."""
        metric = self.config.metric_of(self.config.metric)
        return self.config.metric, metric.better if metric else 1

    # -- data ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def read(self, split: str) -> Iterable[Any]:
        """The rows of a split, cut to its limit; a large file is best read row by row.

        Raises:
            UserError: its file is missing or damaged, or holds no examples.
        """

    @abstractmethod
    def new_row(self, values: dict[str, Any], where: str) -> Any:
        """A row of new input, without the right answer.

        Args:
            values: by name, as a line of JSON gives them.
            where: the position of the input, for messages.

        Raises:
            UserError: a value is missing or of another type.
        """

    @abstractmethod
    def encode(self, rows: Sequence[Any]) -> list[Encoded]:
        """Rows as token ids, cut to `max_length`; not padded."""

    def encoding_key(self) -> dict[str, Any]:
        """The values that decide, together with the data, how the data are encoded."""
        return {"options": self.config.encoding(), "labels": self.labels, "tokenizer": self._tokenizer_fingerprint}

    def examples(self, split: str) -> EncodedExamples:
        """A split, encoded, cut to its limit; it is tokenised only once for all runs that need the same.

        Raises:
            UserError: see `read`.
        """
        limit = self.config.limit(split)
        key = {"data": source.split_fingerprint(self.config, split), "limit": limit}
        if limit is not None:
            key["sample"] = self.config.sample
        return cached({**key, **self.encoding_key()}, lambda: self._encoded(split))

    def unlimited(self) -> Self:
        """The same task on all examples of every split."""
        return type(self)(self.config.unlimited(), self.tokenizer, self.architecture, self.labels, self.layout)

    def _encoded(self, split: str) -> Iterator[list[Encoded]]:
        """A split, encoded in pieces, so that a large one is never in memory as Python objects."""
        rows = iter(self.read(split))
        while piece := list(islice(rows, PIECE)):
            yield self.encode(piece)

    def eval_data(self, split: str) -> Sequence[Any]:
        """The data of a split that the final model is evaluated on, as `answer` takes them.

        Raises:
            UserError: see `read`.
        """
        return self.examples(split)

    def new_data(self, rows: Sequence[Any]) -> Sequence[Any]:
        """New rows as `answer` takes them."""
        return EncodedExamples.from_list(self.encode(rows))

    # -- training ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def collate(self, examples: Sequence[Encoded], length: int | None = None, terms: int | None = None) -> Batch:
        """Examples padded to one length, as tensors with B rows.

        Args:
            examples: encoded, not padded.
            length: T; None for the longest.
            terms: of the loss; more than `count` gives are padded by some that have no part in it. None for `count`.
        """

    def padded_length(self, examples: Sequence[Encoded], multiple: int = 1, least: int | None = None) -> int:
        """The longest of some examples, or `least`, rounded up to a multiple as far as `task.max_length` allows."""
        longest: int = least or max(example["length"] for example in examples)
        return max(longest, min(-(-longest // multiple) * multiple, self.config.max_length))

    @abstractmethod
    def count(self, examples: Sequence[Encoded]) -> int:
        """The number of terms that the loss of these examples is a sum over."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """The loss summed over the batch, a scalar ()."""

    @abstractmethod
    def predict(self, model: nn.Module, batch: Batch) -> Columns:
        """What one forward pass gives for a batch, on its device: `loss` and more, as `rows` needs it.

        Nothing here waits for a GPU: the tensors of many batches are copied to the CPU together.
        """

    def rows(self, columns: Columns, examples: Sequence[Encoded]) -> list[Prediction]:
        """Per example: its `loss`, its `count` if that is a sum over several terms, and more.

        Args:
            columns: of `predict`, on the CPU; unless a task says otherwise, tensors (B, ...) of one entry per example.
            examples: the batch.
        """
        values = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in values]

    @abstractmethod
    def score(self, predictions: Sequence[Prediction]) -> Scores:
        """The scores that select the epoch, of predictions as `rows` gives them."""

    # -- final evaluation ----------------------------------------------------------------------------------------------

    def answer(self, engine: Engine, data: Any) -> list[Prediction]:
        """The final model's predictions, in the order of the data; these are stored.

        Args:
            engine: the model.
            data: from `eval_data` or `new_data`.
        """
        return engine.predict(self, data)

    def score_answers(self, predictions: Sequence[Prediction]) -> Scores:
        """The task's metrics over predictions as `answer` gives them, of all of them and of each part."""
        return compute(self.config.own_metrics(), predictions, self.parts(predictions))

    def parts(self, predictions: Sequence[Row]) -> dict[str, Sequence[int]]:
        """The parts that have scores of their own: name -> indices of predictions; all of them are the part ""."""
        return {"": range(len(predictions))}

    def inputs(self, split: str, data: Any) -> list[dict[str, Any]]:
        """What each prediction of a split was made for, by name; empty where that is not known.

        Args:
            split: its name.
            data: from `eval_data`.
        """
        return []

    def confusion(self, predictions: Sequence[Prediction]) -> Matrix | None:
        """How often each label was predicted as each other one; None of a task without labels, or with many."""
        return None

    def untaught(self, train: EncodedExamples) -> list[str]:
        """What no training example shows, though the task asks for it, in one line each."""
        return []

    def remarks(self, predictions: Sequence[Prediction]) -> list[str]:
        """What is odd about predictions, in one line each: that they are all the same, or mostly empty texts."""
        found = [row.get("prediction_name", row.get("prediction")) for row in predictions]
        if None in found or len(found) < 2:
            return []
        empty = sum(isinstance(text, str) and not text.strip() for text in found)
        if 2 * empty > len(found):
            return [f"{empty:,} of {len(found):,} predicted texts are empty"]
        alike = all(value == found[0] for value in found)
        if alike and len({str(row.get("label", number)) for number, row in enumerate(predictions)}) > 1:
            return [f"all {len(found):,} predictions are '{shown(found[0])}'"]
        return []

    def shown(self, prediction: Prediction) -> dict[str, Any]:
        """A prediction for new input as a user sees it."""
        return {"prediction": prediction["prediction"]}

    def files(self, predictions: Sequence[Prediction]) -> dict[str, bytes]:
        """Predictions in other formats, for the run's folder: name -> content."""
        return {}

    @cached_property
    def _tokenizer_fingerprint(self) -> str:
        return tokenizer_fingerprint(self.tokenizer)
