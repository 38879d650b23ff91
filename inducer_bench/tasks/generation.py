"""What generation tasks have in common: train on targets, select by perplexity, write texts, and score them."""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from inducer_bench.metrics.score import Scores
from inducer_bench.tasks.base import Batch, Encoded, Task
from inducer_bench.tasks.options import SPECIAL_TOKENS, GenerationOptions
from inducer_bench.tasks.sample import Sample
from inducer_bench.tasks.sequence import Frame, Segment, Sequences

Writer = Callable[[Sequence[Encoded]], list[list[int]]]  # prompts -> the tokens that a model writes behind them


class GenerationTask(Task):
    """A language model that writes a text behind a source."""

    config: GenerationOptions
    frame: ClassVar[Frame]

    def __init__(
        self, config: GenerationOptions, tokenizer: PreTrainedTokenizerBase, architecture: dict[str, Any]
    ) -> None:
        super().__init__(config, tokenizer, architecture)
        self.first_special: int = architecture["vocab_size"]
        # Of the supported architectures, GPT-2 adds embeddings of `token_type_ids` to those of its tokens.
        self.segments = architecture["model_type"] == "gpt2"
        self.sequences = Sequences(self.frame, tokenizer, self.first_special, config.max_length, config.source_tokens)

    @property
    def selection(self) -> tuple[str, int]:
        """Perplexity selects the epoch; lower is better."""
        return "perplexity", -1

    def encoding_key(self) -> dict[str, Any]:
        """The ids of special tokens depend on the PLM."""
        return {**super().encoding_key(), "first_special": self.first_special}

    @abstractmethod
    def read(self, split: str) -> list[Sample]:
        """The samples of a split, cut to its limit."""

    def reported(self, split: str) -> list[Sample]:
        """Texts are written for samples.

        Raises:
            UserError: see `read`; or a source has no room, which must not be found out only after training.
        """
        samples = self.read(split)
        self.texts([max((sample.source for sample in samples), key=len)], lambda prompts: [[] for _ in prompts])
        return samples

    def encode(self, rows: Sequence[Sample]) -> list[Encoded]:
        """One sequence for each target of each sample."""
        pairs = [(sample.source, target) for sample in rows for target in sample.targets]
        return self.sequences.encode([source for source, _ in pairs], [target for _, target in pairs])

    def collate(self, examples: Sequence[Encoded]) -> Batch:
        """Padded on the right: input_ids, token_type_ids, attention_mask, logits_at (B, T); labels (n) at n positions.

        `logits_at` is true where the following token is to be predicted: in target and end.
        """
        lengths = torch.tensor([example["length"] for example in examples])
        prompts = torch.tensor([example["prompt_length"] for example in examples])
        place = torch.arange(int(lengths.max()))
        batch = {"input_ids": self._padded(examples, "input_ids")}
        if self.segments:
            batch["token_type_ids"] = self._padded(examples, "token_type_ids")
        logits_at = (place >= prompts[:, None] - 1) & (place < lengths[:, None] - 1)
        labels = batch["input_ids"].roll(-1, dims=1)[logits_at]
        mask = (place < lengths[:, None]).long()
        return {**batch, "attention_mask": mask, "logits_at": logits_at, "labels": labels}

    def count(self, examples: Sequence[Encoded]) -> int:
        """Tokens of targets, with their ends."""
        return sum(example["length"] - example["prompt_length"] for example in examples)

    def loss(self, model: nn.Module, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """Cross entropy summed over the tokens of targets; smoothing spreads over the whole vocabulary."""
        return F.cross_entropy(
            self._logits(model, batch), batch["labels"], reduction="sum", label_smoothing=label_smoothing
        )

    def predict(self, model: nn.Module, batch: Batch) -> list[dict[str, Any]]:
        """Per sequence: `loss` summed over the `count` tokens of its target."""
        losses = F.cross_entropy(self._logits(model, batch), batch["labels"], reduction="none")
        counts = batch["logits_at"].sum(1).tolist()
        return [
            {"loss": part.sum().item(), "count": count}
            for part, count in zip(losses.split(counts), counts, strict=True)
        ]

    def score(self, predictions: Sequence[dict[str, Any]]) -> Scores:
        """Perplexity of the targets, per token of this tokenizer, their ends counted."""
        mean = sum(row["loss"] for row in predictions) / sum(row["count"] for row in predictions)
        value = math.exp(mean) if mean < 700 else math.inf
        return {"perplexity": {"value": value, "signature": "perplexity|per token of the target and its end"}}

    def write(self, samples: Sequence[Sample], write: Writer) -> list[dict[str, Any]]:
        """Per sample: its `id` and `group`, the `prediction` and the `references`."""
        return self.rows(samples, self.texts([sample.source for sample in samples], write))

    def texts(self, sources: Sequence[Sequence[Segment]], write: Writer) -> list[str]:
        """What a model writes behind sources."""
        prompts = self.sequences.encode_prompts(sources, self.config.decoding.max_new_tokens)
        return [self.sequences.decode(tokens) for tokens in write(prompts)]

    @staticmethod
    def rows(samples: Sequence[Sample], texts: Sequence[str]) -> list[dict[str, Any]]:
        """Predictions as they are stored."""
        return [
            {"id": sample.name, "group": sample.group, "prediction": text, "references": list(sample.references)}
            for sample, text in zip(samples, texts, strict=True)
        ]

    @abstractmethod
    def score_texts(self, rows: Sequence[dict[str, Any]]) -> Scores:
        """The task's metrics over what `write` returns."""

    def _padded(self, examples: Sequence[Encoded], name: str) -> Tensor:
        """(B, T)"""
        pad = self.first_special + SPECIAL_TOKENS.index("<pad>")
        rows = [torch.tensor(example[name]) for example in examples]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)

    @staticmethod
    def _logits(model: nn.Module, batch: Batch) -> Tensor:
        """(n, V) of the positions before labels, in float32 whatever the model computes in."""
        logits: Tensor = model(**{key: value for key, value in batch.items() if key != "labels"})
        return logits.float()
