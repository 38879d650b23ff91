"""The options of a task: what all kinds share and what each kind adds; `conf/task/*.yaml` holds the values.

A kind `x` of task is a class here and a class in `tasks/x.py`. A kind from outside is one module that defines both: a
class `Options` that inherits from one of these, and a class `Task`; its dotted name is its name.
"""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainValidator
from pydantic_core import PydanticCustomError

from inducer_bench.errors import UserError, nearest, unknown
from inducer_bench.options import NonNegativeInt, PositiveFloat, PositiveInt, options, user_module

# In the order of the released code; their ids follow those of the PLM's embedding.
SPECIAL_TOKENS = (
    "<pad>",
    "<bos_qa>", "<eos_qa>", "<question>", "<answer>", "<document>",
    "<bos_sm>", "<eos_sm>", "<source_sm>", "<target_sm>",
    "<bos_webnlg>", "<eos_webnlg>", "<subject>", "<property>", "<object>", "<target_webnlg>",
)  # fmt: skip

_FOR_NUMBERS = ("pearson", "spearman")  # metrics
TEXT_METRICS = ("bleu", "bleu_multi", "chrf", "ter", "meteor", "rouge1", "rouge2", "rougeL")


@options
class HubData:
    """A data set on the hub: `load_dataset(path, name, revision=revision, split=splits[split])`."""

    path: str
    name: str | None
    revision: str
    splits: dict[str, str]  # our name of a split -> the hub's


@options
class TaskOptions:
    """What tasks of all kinds have in common: where data are, and how much of them is used."""

    name: str
    kind: str
    family: Literal["nlu", "nlg"]
    source: Literal["hub", "mini", "files"]  # where data come from when data_dir is not given; files: nowhere else
    data_dir: str | None  # a folder of local files
    files: dict[str, str]  # split -> its file in that folder, with or without ending
    hub: HubData | None
    report: Annotated[list[str], Field(min_length=1)]  # splits scored at the end; the first one headlines
    metric: str  # the score that selects the epoch and headlines tables
    metrics: Annotated[list[str], Field(min_length=1)]
    max_length: PositiveInt  # tokens; longer inputs are cut
    max_train: PositiveInt | None  # first so many examples only
    max_eval: PositiveInt | None

    formats: ClassVar[tuple[str, ...]] = ()  # endings of local files that this kind of task reads
    allowed_metrics: ClassVar[tuple[str, ...]] = ()

    # Keys that say where data are, and how they are used once they are encoded.
    _PLACE: ClassVar = {"source", "data_dir", "files", "hub"}
    _USE: ClassVar = {"name", "report", "metric", "metrics", "max_train", "max_eval"}

    def without_place(self) -> dict[str, Any]:
        """The keys that count in a run's identity, where the data's fingerprint stands for their place."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key not in self._PLACE}

    def encoding(self) -> dict[str, Any]:
        """The keys that decide, with a file and a tokenizer, what tokens the file's rows become."""
        return {key: value for key, value in self.without_place().items() if key not in self._USE}

    def splits(self) -> list[str]:
        """The splits that a run reads."""
        return list(dict.fromkeys(["train", "dev", *self.report]))

    def limit(self, split: str) -> int | None:
        """How many examples of a split are used at most."""
        return self.max_train if split == "train" else self.max_eval

    def outputs(self) -> int | None:
        """Outputs of the classification head; None where the PLM's own language model head is used."""
        return None

    def special_tokens(self) -> int:
        """New tokens that are trained with the method."""
        return 0

    def check(self) -> None:
        """Check what must hold between the keys.

        Raises:
            UserError: names the first key that does not fit the others.
        """
        for number, metric in enumerate(self.metrics):
            if metric not in self.allowed_metrics:
                near, allowed = nearest(metric, self.allowed_metrics), ", ".join(self.allowed_metrics)
                raise UserError(f"task.metrics.{number}: found '{metric}'; {near}allowed: {allowed}")
        if self.metric not in self.metrics:
            raise unknown("task.metric", self.metric, self.metrics)


def _one_or_two(found: Any) -> Any:
    return [found] if isinstance(found, str) else found


def _labels(found: Any) -> Any:
    names = [str(name) for name in found] if isinstance(found, list) else []
    if found in ("auto", "number") or len(names) == len(set(names)) >= 2:
        return names or found
    raise PydanticCustomError("labels", "auto, number, or a list of two or more different names")


Labels = Annotated[list[str] | Literal["auto", "number"], PlainValidator(_labels)]


@options
class ClassificationOptions(TaskOptions):
    """Texts, or pairs of texts, with a label or a number each."""

    kind: Literal["classification"] = "classification"
    text: Annotated[list[str], Field(min_length=1, max_length=2), BeforeValidator(_one_or_two)]  # columns
    label: str  # column
    labels: Labels  # names in the order of their codes; auto: those found in train, sorted; number: regression
    published: dict[str, str]  # column -> its name in the files as their publisher distributes them
    header: list[str] | None  # columns of tsv and csv files that have no header line

    formats: ClassVar[tuple[str, ...]] = ("tsv", "csv", "jsonl", "json", "parquet")
    allowed_metrics: ClassVar[tuple[str, ...]] = ("accuracy", "f1", "matthews", "pearson", "spearman")

    def outputs(self) -> int:
        """One for each label, one for a number; two as long as the labels are still to be found."""
        if self.labels == "number":
            return 1
        return 2 if self.labels == "auto" else len(self.labels)

    def check(self) -> None:
        """Check that the metrics suit the labels, too."""
        numbers = self.labels == "number"
        for metric in self.metrics:
            if metric in self.allowed_metrics and (metric in _FOR_NUMBERS) != numbers:
                allowed = ", ".join(_FOR_NUMBERS) if numbers else "accuracy, f1, matthews"
                labels = self.labels if isinstance(self.labels, str) else f"[{', '.join(self.labels)}]"
                raise UserError(f"task.metrics: found '{metric}'; allowed where task.labels={labels}: {allowed}")
        if "f1" in self.metrics and self.outputs() != 2:
            raise UserError(f"task.metrics: found 'f1'; allowed with {self.outputs()} labels: accuracy, matthews")
        super().check()


@options
class Decoding:
    """How texts are generated; greedy unless something else is asked for."""

    max_new_tokens: PositiveInt
    beams: PositiveInt
    length_penalty: float  # of beams: above 0 prefers longer texts
    no_repeat_ngram: NonNegativeInt  # no n-gram of this size occurs twice; 0: no such rule
    sample: bool  # draw each token instead of taking the likeliest
    temperature: PositiveFloat  # of sampling
    top_p: Annotated[float, Field(gt=0.0, le=1.0)]  # of sampling: from the likeliest tokens of this total probability


@options
class GenerationOptions(TaskOptions):
    """Texts to be written from a source; dev perplexity selects the epoch."""

    source_tokens: PositiveInt | None  # a source's first segment (document, passage) is cut behind so many
    decoding: Decoding

    allowed_metrics: ClassVar[tuple[str, ...]] = TEXT_METRICS
    _USE: ClassVar = {*TaskOptions._USE, "decoding"}

    def special_tokens(self) -> int:
        """The rows that open segments and end texts."""
        return len(SPECIAL_TOKENS)

    def check(self) -> None:
        """Check that a source leaves room for what is generated, too."""
        super().check()
        if self.decoding.max_new_tokens >= self.max_length:
            raise UserError(
                f"task.decoding.max_new_tokens: found {self.decoding.max_new_tokens}; allowed: less than "
                f"task.max_length, {self.max_length}, which holds the source as well"
            )


@options
class WebNlgOptions(GenerationOptions):
    """WebNLG 2017: texts from sets of RDF triples."""

    kind: Literal["webnlg"] = "webnlg"

    formats: ClassVar[tuple[str, ...]] = ("json", "xml")


@options
class CoqaOptions(GenerationOptions):
    """CoQA: answers in a conversation about a passage."""

    kind: Literal["coqa"] = "coqa"
    history_turns: NonNegativeInt  # earlier turns that a question comes with
    history: Literal["gold", "model"]  # whose answers these have when the model is scored

    allowed_metrics: ClassVar[tuple[str, ...]] = ("f1", "em")  # the official scorer's, overall and by domain
    _USE: ClassVar = {*GenerationOptions._USE, "history"}

    formats: ClassVar[tuple[str, ...]] = ("json", "jsonl", "parquet")


@options
class TextToTextOptions(GenerationOptions):
    """Any table with a source and a target column, such as documents and their summaries."""

    kind: Literal["text_to_text"] = "text_to_text"
    text: str  # column
    target: str  # column

    formats: ClassVar[tuple[str, ...]] = ("tsv", "csv", "jsonl", "json", "parquet")


KINDS: dict[str, type[TaskOptions]] = {
    "classification": ClassificationOptions,
    "webnlg": WebNlgOptions,
    "coqa": CoqaOptions,
    "text_to_text": TextToTextOptions,
}


def options_class(kind: str) -> type[TaskOptions]:
    """The options class of a kind of this package, or of the module outside it that a dotted name stands for.

    Raises:
        UserError: there is no such kind or module.
    """
    if "." not in kind:
        if kind not in KINDS:
            raise unknown("task.kind", kind, KINDS)
        return KINDS[kind]
    found: type[TaskOptions] = user_module("task.kind", kind, "Options", "Task").Options
    return found
