"""The base of generation tasks: trained on targets, selected by perplexity, scored on generated texts."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from inducer_bench.errors import UserError
from inducer_bench.methods.architectures import Layout
from inducer_bench.metrics.generation import PERPLEXITY
from inducer_bench.metrics.metric import compute
from inducer_bench.metrics.score import Scores
from inducer_bench.tasks.base import Batch, Columns, Engine, Prediction, Task
from inducer_bench.tasks.cache import Encoded
from inducer_bench.tasks.options import SPECIAL_TOKENS, GenerationOptions
from inducer_bench.tasks.sample import Sample
from inducer_bench.tasks.sequence import Frame, Segment, Sequences

IGNORED = -100  # the label of a term that has no part in the loss


class GenerationTask(Task):
    """A language model that continues a source with a text."""

    config: GenerationOptions
    frame: ClassVar[Frame]

    def __init__(
        self,
        config: GenerationOptions,
        tokenizer: PreTrainedTokenizerBase,
        architecture: dict[str, Any],
        labels: list[str] | None = None,
        layout: Layout | None = None,
    ) -> None:
        super().__init__(config, tokenizer, architecture, labels, layout)
        if "vocab_size" not in architecture:
            raise UserError("plm: the configuration has no vocab_size; allowed: the number of tokens that it embeds")
        self.first_special: int = architecture["vocab_size"]
        self.segments = self.layout is not None and self.layout.adds_segments
        self.sequences = Sequences(self.frame, tokenizer, self.first_special, config.max_length, config.source_tokens)

    @property
    def selection(self) -> tuple[str, int]:
        """Perplexity selects the epoch; lower is better."""
        return PERPLEXITY.name, PERPLEXITY.better

    def encoding_key(self) -> dict[str, Any]:
        """The ids of special tokens depend on the PLM."""
        return {**super().encoding_key(), "first_special": self.first_special}

    @abstractmethod
    def read(self, split: str) -> list[Sample]:
        """The samples of a split, cut to its limit."""

    def eval_data(self, split: str) -> list[Sample]:
        """Samples: the texts are generated for them.

        Raises:
            UserError: see `read`; or there is no room for a source, which must not show only after training.
        """
        samples = self.read(split)
        self.prompts([max((sample.source for sample in samples), key=len)])
        return samples

    def new_data(self, rows: Sequence[Sample]) -> Sequence[Sample]:
        """Samples."""
        return rows

    def encode(self, rows: Sequence[Sample]) -> list[Encoded]:
        """One sequence for each target of each sample, with the name of its origin as `source`."""
        pairs = [(sample, target) for sample in rows for target in sample.targets]
        encoded = self.sequences.encode([sample.source for sample, _ in pairs], [target for _, target in pairs])
        return [{**one, "source": self.origin(sample)} for one, (sample, _) in zip(encoded, pairs, strict=True)]

    def origin(self, sample: Sample) -> str:
        """What a sample is a part of, so that others of it are no new examples: by default, itself."""
        return sample.name

    def collate(self, examples: Sequence[Encoded], length: int | None = None, terms: int | None = None) -> Batch:
        """Padded on the right: input_ids, token_type_ids, attention_mask (B, T); logits_at and labels (n).

        `logits_at` has the positions, row T + column, whose next token is to be predicted: one of the target, or its
        end. Further terms are position 0 with the label -100, which a loss ignores.
        """
        lengths = torch.tensor([example["length"] for example in examples])
        prompts = torch.tensor([example["prompt_length"] for example in examples])
        length = int(lengths.max()) if length is None else length
        position = torch.arange(length)
        batch = {"input_ids": self._padded(examples, "input_ids", length)}
        if self.segments:
            batch["token_type_ids"] = self._padded(examples, "token_type_ids", length)
        wanted = (position >= prompts[:, None] - 1) & (position < lengths[:, None] - 1)
        logits_at = wanted.flatten().nonzero().squeeze(1)
        labels = batch["input_ids"].flatten()[logits_at + 1]
        more = 0 if terms is None else terms - len(labels)
        return {
            **batch,
            "attention_mask": (position < lengths[:, None]).long(),
            "logits_at": F.pad(logits_at, (0, more)),
            "labels": F.pad(labels, (0, more), value=IGNORED),
        }

    def count(self, examples: Sequence[Encoded]) -> int:
        """The tokens of targets, their ends included."""
        return sum(example["length"] - example["prompt_length"] for example in examples)

    def loss(self, model: nn.Module, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """Cross entropy summed over the tokens of targets, smoothed over the whole vocabulary."""
        return F.cross_entropy(
            self._logits(model, batch),
            batch["labels"],
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=label_smoothing,
        )

    def predict(self, model: nn.Module, batch: Batch) -> Columns:
        """The `loss` of each term, (n)."""
        losses = F.cross_entropy(self._logits(model, batch), batch["labels"], ignore_index=IGNORED, reduction="none")
        return {"loss": losses}

    def rows(self, columns: Columns, examples: Sequence[Encoded]) -> list[Prediction]:
        """Per sequence: `loss` summed over the `count` tokens of its target."""
        counts = [self.count([example]) for example in examples]
        losses = columns["loss"][: sum(counts)].split(counts)
        return [{"loss": part.sum().item(), "count": count} for part, count in zip(losses, counts, strict=True)]

    def score(self, predictions: Sequence[Prediction]) -> Scores:
        """Perplexity of the targets, per token of this tokenizer, their ends included."""
        return compute([PERPLEXITY], predictions)

    def answer(self, engine: Engine, data: Sequence[Sample]) -> list[Prediction]:
        """Per sample: its `id` and `group`, the generated text as `prediction`, and the `references`."""
        return self.predictions(data, self.generate(engine, [sample.source for sample in data]))

    def inputs(self, split: str, data: Sequence[Sample]) -> list[dict[str, Any]]:
        """The sources of samples, each as `source_of` has it."""
        return [self.source_of(sample) for sample in data]

    def source_of(self, sample: Sample) -> dict[str, Any]:
        """A source by name, for people: by default the texts of its segments."""
        return {"source": [text for _, text in sample.source]}

    def generate(self, engine: Engine, sources: Sequence[Sequence[Segment]]) -> list[str]:
        """The texts that the model generates for sources."""
        tokens = engine.generate(self.prompts(sources), self.config.decoding, self.first_special, self.segments)
        return [self.sequences.decode(ids) for ids in tokens]

    def prompts(self, sources: Sequence[Sequence[Segment]]) -> list[Encoded]:
        """Sources up to the token that opens the target, with room for the new tokens.

        Raises:
            UserError: there is no room even for the special tokens of a source.
        """
        return self.sequences.encode_prompts(sources, self.config.decoding.max_new_tokens)

    @staticmethod
    def predictions(samples: Sequence[Sample], texts: Sequence[str]) -> list[Prediction]:
        """Generated texts as they are stored."""
        return [
            {"id": sample.name, "group": sample.group, "prediction": text, "references": list(sample.references)}
            for sample, text in zip(samples, texts, strict=True)
        ]

    def _padded(self, examples: Sequence[Encoded], name: str, length: int) -> Tensor:
        """(B, T)"""
        pad = self.first_special + SPECIAL_TOKENS.index("<pad>")
        return torch.tensor([example[name] + [pad] * (length - example["length"]) for example in examples])

    @staticmethod
    def _logits(model: nn.Module, batch: Batch) -> Tensor:
        """(n, V) of the positions before labels, in float32 whatever precision the model computes in."""
        logits: Tensor = model(**{key: value for key, value in batch.items() if key != "labels"})
        return logits.float()
