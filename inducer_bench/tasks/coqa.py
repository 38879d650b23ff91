"""CoQA: questions about a passage, asked in a conversation (Reddy et al. 2019, https://arxiv.org/abs/1808.07042).

Read from JSON as published, or from rows as on the hub.
"""

import json
import reprlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from inducer_bench.errors import UserError, shown
from inducer_bench.metrics import coqa as metrics
from inducer_bench.metrics.metric import Row
from inducer_bench.tasks import source
from inducer_bench.tasks.base import Engine, Prediction
from inducer_bench.tasks.files import ending, find, read_json
from inducer_bench.tasks.generation import GenerationTask
from inducer_bench.tasks.options import CoqaOptions
from inducer_bench.tasks.sample import Sample
from inducer_bench.tasks.sequence import Frame, Segment
from inducer_bench.tasks.table_files import InputColumn, text_of

FRAME = Frame("<bos_qa>", "<document>", "<answer>", "<eos_qa>")

# Columns of the hub's rows. Only some copies have `id`; for the others, `source` is read in its stead.
_COLUMNS = [
    InputColumn("task", names) for names in (("id", "source"), ("source",), ("story",), ("questions",), ("answers",))
]
_STORY = _COLUMNS[2]


@dataclass(frozen=True)
class Dialogue:
    """A passage and its turns; `references[i]` are the answers to question i, that of the dialogue first."""

    name: str
    source: str
    story: str
    questions: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]


class CoqaTask(GenerationTask):
    """Answers to questions with earlier turns as history, whose answers are those of the data or the model's own."""

    config: CoqaOptions
    frame = FRAME

    def read(self, split: str) -> list[Sample]:
        """One sample for each turn, in the order of the dialogues, with the dialogue's own answers as history.

        A limit counts turns. It takes whole dialogues, of the last one the first turns, for later turns need the
        answers to earlier ones.

        Raises:
            UserError: the file is missing, damaged or of another layout.
        """
        samples = []
        for dialogue in read_dialogues(self.config, split):
            answers = [references[0] for references in dialogue.references]
            for turn, references in enumerate(dialogue.references):
                asked = segments(dialogue, turn, answers, self.config.history_turns)
                samples.append(
                    Sample(f"{dialogue.name}/{turn + 1}", asked, references[:1], references, dialogue.source)
                )
        return source.limited(self.config, split, samples, unit=self.origin)

    def origin(self, sample: Sample) -> str:
        """The name of a turn's dialogue."""
        return sample.name.rpartition("/")[0]

    def new_row(self, values: dict[str, Any], where: str) -> Sample:
        """`{"story": "...", "questions": [...], "answers": [...]}`: the last question has no answer yet."""
        story = text_of(values, _STORY, where)
        questions, answers = values.get("questions"), values.get("answers", [])
        if not _are_texts(questions) or not questions or not _are_texts(answers) or len(answers) != len(questions) - 1:
            raise UserError(f"{where}: expected lists of texts, with one answer fewer than questions")
        dialogue = Dialogue(where, "", story, tuple(questions), ())
        return Sample(where, segments(dialogue, len(answers), answers, self.config.history_turns), (), ())

    def answer(self, engine: Engine, data: Sequence[Sample]) -> list[Prediction]:
        """All turns at once; with the model's own answers as history, turn by turn, all dialogues together.

        New input brings its history with it.
        """
        if self.config.history == "gold" or not any(sample.references for sample in data):
            return super().answer(engine, data)
        dialogues = [list(turns) for _, turns in groupby(data, key=self.origin)]
        answers: list[list[str]] = [[] for _ in dialogues]
        for turn in range(max(map(len, dialogues))):
            unfinished = [number for number, turns in enumerate(dialogues) if turn < len(turns)]
            sources = [with_answers(dialogues[number][turn].source, answers[number]) for number in unfinished]
            for number, text in zip(unfinished, self.generate(engine, sources), strict=True):
                answers[number].append(text)
        return self.predictions(data, [text for texts in answers for text in texts])

    def source_of(self, sample: Sample) -> dict[str, Any]:
        """The question alone: the passage and the history are those of the dialogue that its id names."""
        return {"question": sample.source[-1][1]}

    def parts(self, predictions: Sequence[Row]) -> dict[str, Sequence[int]]:
        """All turns, those in and out of domain, and those of each domain."""
        return {**metrics.parts(predictions)}

    def files(self, predictions: Sequence[Prediction]) -> dict[str, bytes]:
        """The predictions as the official scorer reads them."""
        answers: dict[str, list[str | None]] = {}
        for row in predictions:
            answers.setdefault(metrics.dialogue(row), []).append(row["prediction"])
        return {"coqa_predictions.json": json.dumps(metrics.official_predictions(answers), indent=1).encode()}


def segments(dialogue: Dialogue, turn: int, answers: Sequence[str], history_turns: int) -> tuple[Segment, ...]:
    """The passage, the last turns with their answers, and the question of this turn."""
    first = max(0, turn - history_turns)
    history = [
        segment
        for earlier in range(first, turn)
        for segment in (("<question>", dialogue.questions[earlier]), ("<answer>", answers[earlier]))
    ]
    return (("<document>", dialogue.story), *history, ("<question>", dialogue.questions[turn]))


def with_answers(asked: Sequence[Segment], answers: Sequence[str]) -> list[Segment]:
    """A turn's segments with other answers (those to all earlier questions) in its history."""
    kept = sum(opening == "<answer>" for opening, _ in asked)
    following = iter(answers[len(answers) - kept :])
    return [(opening, next(following) if opening == "<answer>" else text) for opening, text in asked]


def read_dialogues(task: CoqaOptions, split: str) -> list[Dialogue]:
    """The dialogues of a split.

    Raises:
        UserError: the file is missing, damaged or of another layout; or two dialogues have the same id.
    """
    folder = source.data_folder(task)
    path = None if folder is None else find(task, folder, split)
    found = list(_official(read_json(path), str(path)) if path and ending(path) == "json" else _rows(task, split))
    for name, count in Counter(dialogue.name for dialogue in found).most_common(1):
        if count > 1:
            raise UserError(f"{source.where(task, split)}: {count} dialogues have the id '{shown(name)}'; allowed: one")
    return found


def _official(content: Any, path: str) -> Iterator[Dialogue]:
    """Dialogues as published: {"data": [{"id", "source", "story", "questions", "answers", "additional_answers"}]}."""
    try:
        dialogues = list(content["data"])
    except (KeyError, TypeError):
        raise UserError(f"{path}: not in CoQA's layout; expected an object with a list 'data'") from None
    for number, entry in enumerate(dialogues, start=1):
        where = f"{path}, dialogue {number}"
        try:
            others = [_texts(turns, where) for turns in entry.get("additional_answers", {}).values()]
            questions, answers = _texts(entry["questions"], where), [_texts(entry["answers"], where), *others]
            yield _checked(entry["id"], entry["source"], entry["story"], questions, answers, where)
        except (KeyError, TypeError, AttributeError) as error:
            problem = f"no {error}" if isinstance(error, KeyError) else "not in CoQA's layout"
            expected = "id, source, story, questions and answers: [{turn_id, input_text}, ...]"
            raise UserError(f"{where}: {problem}; expected {expected}") from None


def _rows(task: CoqaOptions, split: str) -> Iterator[Dialogue]:
    """Dialogues as on the hub: `questions` a list of texts, `answers` {"input_text": texts}; numbered without `id`."""
    for number, (where, cells) in enumerate(source.rows(task, split, _COLUMNS)):
        identifier, domain, story, questions, answers = cells
        texts = answers.get("input_text") if isinstance(answers, dict) else None
        if not isinstance(questions, list) or not isinstance(texts, list):
            raise UserError(
                f"{where}: not in CoQA's layout; expected questions: [text, ...], answers: input_text: [...]"
            )
        yield _checked(str(number) if identifier == domain else identifier, domain, story, questions, [texts], where)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _texts(turns: list[dict[str, Any]], where: str) -> list[Any]:
    """The texts of turns, in the order of their numbers.

    Raises:
        UserError: the numbers are not 1, 2, ..., whatever their order.
    """
    texts = {str(turn["turn_id"]): turn["input_text"] for turn in turns}
    numbers = [str(number) for number in range(1, len(turns) + 1)]
    if texts.keys() != set(numbers):
        found = reprlib.repr([turn["turn_id"] for turn in turns])
        raise UserError(f"{where}: found the turn_ids {found}; expected each of 1 to {len(turns)} once")
    return [texts[number] for number in numbers]


def _checked(
    name: str, domain: str, story: str, questions: list[str], answers: list[list[str]], where: str
) -> Dialogue:
    if any(len(texts) != len(questions) for texts in answers):
        raise UserError(
            f"{where}: found {len(questions)} questions and {[len(texts) for texts in answers]} answers; "
            "expected as many answers as questions"
        )
    if not all(isinstance(text, str) for text in (name, domain, story, *questions, *(t for ts in answers for t in ts))):
        raise UserError(f"{where}: expected text in id, source, story, questions and answers")
    if not all(text.strip() for text in answers[0]):  # the official scorer takes empty ones among the additional ones
        turn = next(turn for turn, text in enumerate(answers[0], start=1) if not text.strip())
        raise UserError(f"{where}: the answer of turn {turn} is empty; expected a text")
    return Dialogue(name, domain, story, tuple(questions), tuple(zip(*answers, strict=True)))
