"""CoQA: questions about a passage, asked in a conversation (Reddy et al. 2019); JSON as published, or hub rows."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from inducer_bench.errors import UserError
from inducer_bench.metrics.coqa import Turn, coqa_scores, official_predictions
from inducer_bench.metrics.score import Scores
from inducer_bench.tasks import source
from inducer_bench.tasks.files import ending, find, read_json
from inducer_bench.tasks.generation import GenerationTask, Writer
from inducer_bench.tasks.options import CoqaOptions
from inducer_bench.tasks.sample import Sample
from inducer_bench.tasks.sequence import Frame, Segment
from inducer_bench.tasks.table_files import Column, text_of

FRAME = Frame("<bos_qa>", "<document>", "<answer>", "<eos_qa>")

# Columns of the hub's rows. `id` is there in some copies only: where it is not, it is read as `source`.
_COLUMNS = (("id", "source"), ("source",), ("story",), ("questions",), ("answers",))


@dataclass(frozen=True)
class Dialogue:
    """A passage and its turns; `references[i]` are the answers to question i, the first one that of the dialogue."""

    name: str
    source: str
    story: str
    questions: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]


class CoqaTask(GenerationTask):
    """Answers, one turn after another; the history that a question comes with is the data's or the model's own."""

    config: CoqaOptions
    frame = FRAME

    def read(self, split: str) -> list[Sample]:
        """One sample for each turn, in the order of the dialogues, with the dialogue's own answers as history.

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
        return source.limited(self.config, split, samples)

    def new_row(self, values: dict[str, Any], place: str) -> Sample:
        """`{"story": "...", "questions": [...], "answers": [...]}`: the last question has no answer yet."""
        story = text_of(values, "story", place)
        questions, answers = values.get("questions"), values.get("answers", [])
        if not _are_texts(questions) or not questions or not _are_texts(answers) or len(answers) != len(questions) - 1:
            raise UserError(f"{place}: expected lists of texts, questions and one fewer answers")
        dialogue = Dialogue(place, "", story, tuple(questions), ())
        return Sample(place, segments(dialogue, len(answers), answers, self.config.history_turns), (), ())

    def write(self, samples: Sequence[Sample], write: Writer) -> list[dict[str, Any]]:
        """With a history of the model's own answers, the first turns of all dialogues are answered, then the second."""
        if self.config.history == "gold":
            return super().write(samples, write)
        dialogues = [list(turns) for _, turns in groupby(samples, key=lambda sample: sample.name.rpartition("/")[0])]
        answers: list[list[str]] = [[] for _ in dialogues]
        for turn in range(max(map(len, dialogues))):
            going_on = [number for number, turns in enumerate(dialogues) if turn < len(turns)]
            sources = [with_answers(dialogues[number][turn].source, answers[number]) for number in going_on]
            for number, text in zip(going_on, self.texts(sources, write), strict=True):
                answers[number].append(text)
        return self.rows(samples, [text for texts in answers for text in texts])

    def score_texts(self, rows: Sequence[dict[str, Any]]) -> Scores:
        """The official scorer's, overall and by domain."""
        return coqa_scores(Turn(row["group"], row["references"], row["prediction"]) for row in rows)

    def files(self, rows: Sequence[dict[str, Any]]) -> dict[str, bytes]:
        """The predictions as the official scorer reads them."""
        answers: dict[str, list[str | None]] = {}
        for row in rows:
            answers.setdefault(row["id"].rpartition("/")[0], []).append(row["prediction"])
        return {"coqa_predictions.json": json.dumps(official_predictions(answers), indent=1).encode()}


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
        UserError: as above.
    """
    folder = source.data_folder(task)
    path = None if folder is None else find(task, folder, split)
    return list(_official(read_json(path), str(path)) if path and ending(path) == "json" else _rows(task, split))


def _official(content: Any, path: str) -> Iterator[Dialogue]:
    """The publisher's layout: {"data": [{"id", "source", "story", "questions", "answers", "additional_answers"}]}."""
    try:
        dialogues = list(content["data"])
    except (KeyError, TypeError):
        raise UserError(f"{path}: not in CoQA's layout; expected an object with a list 'data'") from None
    for number, entry in enumerate(dialogues, start=1):
        place = f"{path}, dialogue {number}"
        try:
            others = [_texts(answers) for answers in entry.get("additional_answers", {}).values()]
            answers = [_texts(entry["answers"]), *others]
            yield _checked(entry["id"], entry["source"], entry["story"], _texts(entry["questions"]), answers, place)
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{place}: not in CoQA's layout ({type(error).__name__}: {error})") from None


def _rows(task: CoqaOptions, split: str) -> Iterator[Dialogue]:
    """The hub's layout: `questions` a list of texts, `answers` {"input_text": the texts}; numbered without an `id`."""
    columns = [Column("task", names) for names in _COLUMNS]
    for number, (place, (found, domain, story, questions, answers)) in enumerate(source.rows(task, split, columns)):
        try:
            name = str(number) if found == domain else found
            yield _checked(name, domain, story, list(questions), [list(answers["input_text"])], place)
        except (KeyError, TypeError) as error:
            raise UserError(f"{place}: not in CoQA's layout ({type(error).__name__}: {error})") from None


def _are_texts(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(text, str) for text in found)


def _texts(turns: list[dict[str, Any]]) -> list[str]:
    """The texts of turns, in the order of their numbers."""
    return [turn["input_text"] for turn in sorted(turns, key=lambda turn: turn["turn_id"])]


def _checked(
    name: str, domain: str, story: str, questions: list[str], answers: list[list[str]], place: str
) -> Dialogue:
    if any(len(texts) != len(questions) for texts in answers):
        raise UserError(f"{place}: found {len(questions)} questions and {[len(texts) for texts in answers]} answers")
    if not all(isinstance(text, str) for text in (name, domain, story, *questions, *(t for ts in answers for t in ts))):
        raise UserError(f"{place}: expected text in id, source, story, questions and answers")
    return Dialogue(name, domain, story, tuple(questions), tuple(zip(*answers, strict=True)))
