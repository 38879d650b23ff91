"""What the training loop, the evaluation and the records ask of a task."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from inducer_bench.metrics.score import Scores
from inducer_bench.tasks import source
from inducer_bench.tasks.cache import Encoded, Examples, cached, tokenizer_fingerprint
from inducer_bench.tasks.options import TaskOptions

Batch = dict[str, Tensor]


class Task(ABC):
    """A task with its data and a PLM's tokenizer.

    Args:
        config: afterwards complete, with what only the data could tell.
        tokenizer: of the PLM.
        architecture: the PLM's sizes, as its transformers config names them.
    """

    def __init__(self, config: TaskOptions, tokenizer: PreTrainedTokenizerBase, architecture: dict[str, Any]) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.architecture = architecture

    @property
    def selection(self) -> tuple[str, int]:
        """The score that selects the epoch, and 1 if higher is better, else -1."""
        return self.config.metric, 1

    def examples(self, split: str) -> Examples:
        """A split, encoded, cut to its limit; tokenised only once for all runs that need the same.

        Raises:
            UserError: see `read`.
        """
        key = {"data": source.split_fingerprint(self.config, split), "limit": self.config.limit(split)}
        return cached({**key, **self.encoding_key()}, lambda: self.encode(self.read(split)))

    def encoding_key(self) -> dict[str, Any]:
        """What decides, with the data, what is encoded."""
        return {"options": self.config.encoding(), "tokenizer": self._tokenizer_fingerprint}

    def reported(self, split: str) -> Sequence[Any]:
        """What is scored at the end: the examples of a split, or whatever else a task predicts from.

        Raises:
            UserError: see `read`.
        """
        return self.examples(split)

    @cached_property
    def _tokenizer_fingerprint(self) -> str:
        return tokenizer_fingerprint(self.tokenizer)

    @abstractmethod
    def read(self, split: str) -> list[Any]:
        """The rows of a split, cut to its limit.

        Raises:
            UserError: its file is missing or damaged, or holds no examples.
        """

    @abstractmethod
    def new_row(self, values: dict[str, Any], place: str) -> Any:
        """A row of new input, for which nothing is known to be right.

        Args:
            values: by name, as a line of JSON gives them.
            place: of the input, for messages.

        Raises:
            UserError: a value is missing or of another type.
        """

    @abstractmethod
    def encode(self, rows: Sequence[Any]) -> list[Encoded]:
        """Rows as token ids, cut to `max_length`; not padded."""

    @abstractmethod
    def collate(self, examples: Sequence[Encoded]) -> Batch:
        """Examples padded to the longest, as tensors with B rows."""

    def widened(self, batch: Batch, multiple: int) -> Batch:
        """The rows of a batch (B, T) padded further, to the next multiple that `task.max_length` allows."""
        length = batch["input_ids"].shape[1]
        more = min(-(-length // multiple) * multiple, self.config.max_length) - length

        def padded(name: str, tensor: Tensor) -> Tensor:
            value = self.tokenizer.pad_token_id if name == "input_ids" else 0
            return F.pad(tensor, (0, more), value=value) if tensor.ndim == 2 else tensor

        return {name: padded(name, tensor) for name, tensor in batch.items()} if more > 0 else batch

    @abstractmethod
    def count(self, examples: Sequence[Encoded]) -> int:
        """How many terms the loss of these examples is a sum over."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """The loss summed over the batch."""

    @abstractmethod
    def predict(self, model: nn.Module, batch: Batch) -> list[dict[str, Any]]:
        """For each example what was wanted, what the model says, its `loss`, and `count` if that sums several."""

    @abstractmethod
    def score(self, predictions: Sequence[dict[str, Any]]) -> Scores:
        """The task's metrics over predictions as `predict` gives them."""

    def files(self, rows: Sequence[dict[str, Any]]) -> dict[str, bytes]:
        """Predictions in other formats, for the run's folder: name -> content."""
        return {}
