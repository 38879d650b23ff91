"""The options of a task: what all kinds share and what each kind adds; `conf/task/*.yaml` holds the values.

A kind `x` of task is an options class here and a `Task` class in `tasks/x.py`. A kind of a user's own is one module
that defines both: `Options`, which inherits from one of these, and `Task`. Its `task.kind` is the module's dotted name.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator
from pydantic_core import PydanticCustomError

from inducer_bench.errors import UserError, listed, nearest, shown, unknown
from inducer_bench.metrics.classification import of_class
from inducer_bench.metrics.metric import Metric, Scored
from inducer_bench.metrics.table import fits, is_users, metric_of, metrics_of, user_metric
from inducer_bench.options import NonNegativeInt, PositiveInt, options, unknown_name, user_module

# In the order of the released code; their ids follow those of the PLM's own tokens.
SPECIAL_TOKENS = (
    "<pad>",
    "<bos_qa>", "<eos_qa>", "<question>", "<answer>", "<document>",
    "<bos_sm>", "<eos_sm>", "<source_sm>", "<target_sm>",
    "<bos_webnlg>", "<eos_webnlg>", "<subject>", "<property>", "<object>", "<target_webnlg>",
)  # fmt: skip


def _file_name(found: str) -> str:
    name = PurePath(found).name
    if not name.strip(". ") or not found.isprintable() or len(name.encode()) > 200:
        raise PydanticCustomError("file_name", "the name of a file, which may lack its extension")
    return found


SAMPLES = {"random": "a fixed random sample", "first": "those that the file begins with"}  # of `sample`, in words

FileName = Annotated[str, AfterValidator(_file_name)]


@options
class HubData:
    """A data set on the hub: `load_dataset(path, name, revision=revision, split=splits[split])`."""

    path: str  # the repository
    name: str | None  # the configuration of the data set
    revision: str  # branch, tag or commit
    splits: dict[str, str]  # our name of a split -> the hub's


@options
class TaskOptions:
    """The options that tasks of all kinds have: where the data are, how much of them is used, how they are scored.

    A kind says in class variables which model it needs, which files it reads and what its metrics score.
    """

    name: str  # names runs and rows of tables
    kind: str  # how data are read, encoded and scored; the dotted name of a module of your own
    family: Literal["nlu", "nlg"]  # understanding or generation; it decides PLM, trainer and recipe
    source: Literal["hub", "mini", "files"]  # where data come from if data_dir is not given; files: it must be given
    data_dir: str | None  # a folder of local files
    files: dict[str, FileName]  # split -> its file in that folder, with or without extension
    hub: HubData | None
    report: Annotated[list[str], Field(min_length=1)]  # splits scored at the end; the first one is the main one
    metric: str  # the main score; of classification, it also selects the epoch
    metrics: Annotated[list[str], Field(min_length=1)]  # names; a user's own by its dotted name
    max_length: PositiveInt  # tokens; longer inputs are cut
    max_train: PositiveInt | None  # only so many examples; see `sample`
    max_eval: PositiveInt | None  # only so many examples of each split that is scored
    keep_inputs: bool = True  # whether the stored predictions have the texts that they were made for
    title: str | None = None  # for people, in tables and figures; null: its name
    # Which examples these are: a random sample that is the same for every run, or those that the file begins with.
    sample: Literal["random", "first"] = "first"  # what older records did; the shipped tasks say random

    auto_class: ClassVar[str] = "AutoModelForCausalLM"  # of transformers: the PLM with the head that the task needs
    formats: ClassVar[tuple[str, ...]] = ()  # extensions of local files that this kind reads
    other_names: ClassVar[dict[str, tuple[str, ...]]] = {}  # file -> other names under which its publisher has it
    scored: ClassVar[tuple[Scored, ...]] = ()  # what its metrics score; see `Metric.of`
    families: ClassVar[tuple[str, ...]] = ("nlu", "nlg")  # what `family` may be

    # Keys that say where the data are or what they are called, and how they are used once they are encoded.
    PLACE: ClassVar = {"source", "data_dir", "files", "hub", "title"}
    _USE: ClassVar = {"name", "report", "metric", "metrics", "max_train", "max_eval", "sample", "keep_inputs"}

    def without_place(self) -> dict[str, Any]:
        """The keys that are part of a run's identity; the data's fingerprint stands for their location."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key not in self.PLACE}

    def encoding(self) -> dict[str, Any]:
        """The keys that decide, with a file and a tokenizer, how the file's rows are encoded."""
        return {key: value for key, value in self.without_place().items() if key not in self._USE}

    def splits(self) -> list[str]:
        """The splits that a run reads."""
        return list(dict.fromkeys(["train", "dev", *self.report]))

    def limit(self, split: str) -> int | None:
        """The largest number of examples of a split that are used; None for all."""
        return self.max_train if split == "train" else self.max_eval

    def unlimited(self) -> Self:
        """The same with all examples of every split."""
        return dataclasses.replace(self, max_train=None, max_eval=None)

    def outputs(self, labels: Sequence[str] | None = None) -> int | None:
        """The number of outputs of the classification head; None for a task that uses the PLM's language model head.

        Args:
            labels: those found in the data, if the options do not list them.
        """
        return None

    def special_tokens(self) -> int:
        """The number of new tokens that are trained with the method."""
        return 0

    def own_metrics(self) -> list[Metric]:
        """The metrics of `task.metrics`, in that order.

        Raises:
            UserError: a name is unknown, or is that of a metric that scores something else.
        """
        return [self._metric(f"task.metrics.{number}", name) for number, name in enumerate(self.metrics)]

    def metric_of(self, score: str) -> Metric | None:
        """The metric of a score in a record: of `f1_news`, `accuracy_mismatched`, `perplexity`; None if unknown.

        Raises:
            UserError: it is a user's metric, which cannot be imported.
        """
        users = [user_metric("task.metrics", name) for name in self.metrics if is_users(name) and fits(score, name)]
        return metric_of(score, [*metrics_of((*self.scored, "losses")), *users])

    def check(self) -> None:
        """Check what must hold between the keys.

        Raises:
            UserError: names the first key that does not fit the others.
        """
        if self.family not in self.families:
            raise UserError(f"task.family: found '{self.family}'; allowed for this kind: {listed(self.families)}")
        self.own_metrics()
        if self.metric not in self.metrics:
            raise unknown("task.metric", self.metric, self.metrics)

    def _metric(self, key: str, name: str) -> Metric:
        known = {metric.name: metric for metric in metrics_of(self.scored)}
        if name in known:
            return known[name]
        if not is_users(name):
            raise UserError(f"{key}: found '{name}'; {nearest(name, known)}allowed: {', '.join(known)}")
        metric = user_metric(key, name)
        if metric.of not in self.scored:
            raise UserError(f"{key}: '{name}' scores {metric.of}; allowed for this task: {', '.join(self.scored)}")
        return metric


def _one_or_two(found: Any) -> Any:
    return found if isinstance(found, list) else [found]


def _labels(found: Any) -> Any:
    if found in ("auto", "number"):
        return found
    names = [str(name) for name in found if isinstance(name, str | int | float)] if isinstance(found, list) else []
    if names and 2 <= len(found) == len({name.strip() for name in names}):
        return names
    raise PydanticCustomError("labels", "auto, number, or a list of two or more different names")


Labels = Annotated[list[str] | Literal["auto", "number"], PlainValidator(_labels)]


@options
class ClassificationOptions(TaskOptions):
    """Texts, or pairs of texts, each with a label or a number."""

    text: Annotated[list[str], Field(min_length=1, max_length=2), BeforeValidator(_one_or_two)]  # columns
    label: str  # column
    labels: Labels  # names in the order of their codes; auto: those found in train, sorted; number: regression
    published: dict[str, str]  # column -> its name in the publisher's files
    header: list[str] | None  # columns of tsv and csv files that have no header line

    auto_class: ClassVar[str] = "AutoModelForSequenceClassification"
    formats: ClassVar[tuple[str, ...]] = ("tsv", "csv", "jsonl", "json", "parquet")
    scored: ClassVar[tuple[Scored, ...]] = ("labels", "numbers")
    families: ClassVar[tuple[str, ...]] = ("nlu",)

    def outputs(self, labels: Sequence[str] | None = None) -> int:
        """One for each label, one for a number; two if the labels are not known yet."""
        if self.labels == "number":
            return 1
        known = labels or self.labels
        return 2 if known == "auto" else len(known)

    def check(self) -> None:
        """Check that columns differ, that the metrics are those of labels or of numbers, and F1 that of two labels."""
        if len({*self.text, self.label}) <= len(self.text):
            raise UserError(
                f"task.text: found {listed(self.text)} with task.label={self.label}; allowed: different columns"
            )
        regression = self.labels == "number"
        scored: Scored = "numbers" if regression else "labels"
        for metric in self.own_metrics():
            if metric.of != scored:
                allowed = ", ".join(other.name for other in metrics_of([scored]))
                labels = self.labels if isinstance(self.labels, str) else f"[{listed(self.labels)}]"
                raise UserError(f"task.metrics: found '{metric.name}'; allowed where task.labels={labels}: {allowed}")
        if isinstance(self.labels, list):
            self.check_labels(self.labels)
        super().check()

    def check_labels(self, labels: Sequence[str]) -> None:
        """Check that the metrics are defined for these labels.

        Raises:
            UserError: one is defined for two labels only, and there are more; or it is that of another label.
        """
        for metric in self.own_metrics():
            if metric.binary and len(labels) != 2:
                allowed = [other.name for other in metrics_of(["labels"]) if not other.binary]
                near = nearest(f"{metric.name}_macro", allowed)
                raise UserError(
                    f"task.metrics: found '{metric.name}'; {near}allowed with {len(labels)} labels: {listed(allowed)}"
                )
            of, _, label = metric.name.partition(":")
            if of_class(metric.name) and label not in labels:
                near = nearest(label, labels)
                raise UserError(f"task.metrics: found '{of}:{shown(label)}'; {near}allowed: {of}: and {listed(labels)}")

    def _metric(self, key: str, name: str) -> Metric:
        return of_class(name) or super()._metric(key, name)

    def metric_of(self, score: str) -> Metric | None:
        """As of any task; also that of `f1:LABEL`, of a label that `task.metrics` names."""
        named = [metric for name in self.metrics if (metric := of_class(name))]
        return metric_of(score, named) or super().metric_of(score)


@options
class Decoding:
    """How texts are generated: greedily unless beams or sampling are chosen."""

    max_new_tokens: PositiveInt  # of each text; shorter where the model ends it
    beams: Annotated[int, Field(gt=0, le=100)]  # above 1: beam search
    length_penalty: Annotated[float, Field(ge=-10.0, le=10.0)]  # of beam search: above 0 prefers longer texts
    no_repeat_ngram: NonNegativeInt  # no n-gram of this size occurs twice; 0: no such rule
    sample: bool  # draw each token instead of taking the most likely one
    temperature: Annotated[float, Field(ge=0.01, le=100.0)]  # of sampling
    top_p: Annotated[float, Field(gt=0.0, le=1.0)]  # of sampling: draw from the most likely tokens of this total mass


@options
class GenerationOptions(TaskOptions):
    """Texts to be generated from a source; dev perplexity selects the epoch."""

    source_tokens: PositiveInt | None  # a source's first segment (document, passage) is cut after so many tokens
    decoding: Decoding

    scored: ClassVar[tuple[Scored, ...]] = ("texts",)
    families: ClassVar[tuple[str, ...]] = ("nlg",)
    _USE: ClassVar = {*TaskOptions._USE, "decoding"}

    def special_tokens(self) -> int:
        """The tokens that open segments and end texts."""
        return len(SPECIAL_TOKENS)

    def check(self) -> None:
        """Check that new tokens leave room for the source."""
        super().check()
        if self.decoding.max_new_tokens >= self.max_length:
            raise UserError(
                f"task.decoding.max_new_tokens: found {self.decoding.max_new_tokens}; allowed: less than "
                f"task.max_length, {self.max_length}, which holds the source as well; "
                f"type task.decoding.max_new_tokens={max(self.max_length // 4, 1)}"
            )


@options
class WebNlgOptions(GenerationOptions):
    """WebNLG 2017: texts from sets of RDF triples."""

    formats: ClassVar[tuple[str, ...]] = ("json", "xml")
    # As published; files next to it repeat parts of it.
    other_names: ClassVar[dict[str, tuple[str, ...]]] = {"test": ("testdata_with_lex", "test/testdata_with_lex")}


@options
class CoqaOptions(GenerationOptions):
    """CoQA: answers in a conversation about a passage."""

    history_turns: NonNegativeInt  # earlier turns that precede a question in the input
    history: Literal["gold", "model"]  # whose answers these turns have when the model is scored

    formats: ClassVar[tuple[str, ...]] = ("json", "jsonl", "parquet")
    scored: ClassVar[tuple[Scored, ...]] = ("turns",)  # the official scorer's, overall and by domain
    _USE: ClassVar = {*GenerationOptions._USE, "history"}


@options
class TextToTextOptions(GenerationOptions):
    """Any table with a source and a target column, such as documents and their summaries."""

    text: str  # column
    target: str  # column

    formats: ClassVar[tuple[str, ...]] = ("tsv", "csv", "jsonl", "json", "parquet")

    def check(self) -> None:
        """Check that source and target are different columns."""
        super().check()
        if self.text == self.target:
            raise UserError(f"task.target: found '{self.target}', which is task.text as well; allowed: another column")


KINDS: dict[str, type[TaskOptions]] = {
    "classification": ClassificationOptions,
    "webnlg": WebNlgOptions,
    "coqa": CoqaOptions,
    "text_to_text": TextToTextOptions,
}


def options_class(kind: str) -> type[TaskOptions]:
    """The options class of a kind: one of this package, or `Options` of the user's module with that dotted name.

    Raises:
        UserError: there is no such kind or module, or its `Options` is no options class of a task.
    """
    if "." not in kind:
        if kind not in KINDS:
            raise unknown_name("task.kind", kind, KINDS)
        return KINDS[kind]
    found = user_module("task.kind", kind, "Options", "Task").Options
    if not (isinstance(found, type) and issubclass(found, TaskOptions)):
        raise UserError(f"task.kind: '{kind}.Options' is not an options class; allowed: a subclass of TaskOptions")
    return found
