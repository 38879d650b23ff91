"""Passages with dialogues about them in CoQA's layout. All facts are random, so answers are only in the passage."""

import re
from collections.abc import Sequence
from random import Random
from typing import Any

from inducer_bench.mini.interview import UNKNOWN, Turn, interview
from inducer_bench.mini.telling import Told, random_topics, tell

SOURCES = {  # source -> kinds of things that its passages are about
    "films": ("film",),
    "people": ("actor", "director", "writer", "composer"),
    "buildings": ("building",),
    "cities": ("city",),
}
SHORTEST, LONGEST = 40, 85  # words of a passage
FEWEST_TURNS, MOST_TURNS = 4, 8
ANNOTATORS = 3  # of the additional answers in dev


def dialogues(seed: int, split: str, count: int) -> list[dict[str, Any]]:
    """Dialogues in the layout of the published JSON's `data`; the sources take turns."""
    rng = Random(f"{seed} {split}")
    return [_dialogue(rng, split, number) for number in range(count)]


def _dialogue(rng: Random, split: str, number: int) -> dict[str, Any]:
    source = tuple(SOURCES)[number % len(SOURCES)]
    while True:
        topics = _topics(rng, source)
        story = " ".join(tell(rng, topics))
        turns = interview(rng, topics, rng.randint(FEWEST_TURNS, MOST_TURNS), labelled=True)
        if SHORTEST <= len(story.split()) <= LONGEST and len(turns) >= FEWEST_TURNS:
            break
    name = f"{split}-{source}-{number}"
    result: dict[str, Any] = {
        "source": source,
        "id": name,
        "filename": f"{name}.txt",
        "story": story,
        "questions": [{"input_text": turn.question, "turn_id": place} for place, turn in enumerate(turns, 1)],
        "answers": _answers(rng, story, turns),
        "name": f"{name}.txt",
    }
    if split == "dev":
        result["additional_answers"] = {str(who): _answers(rng, story, turns) for who in range(ANNOTATORS)}
    return result


def _topics(rng: Random, source: str) -> list[Told]:
    """A film with the people behind it, or two or three things of one kind that could be taken for each other."""
    if source == "films":
        return random_topics(rng, "film", labelled=True, least=3, most=5, others=2)
    kinds = SOURCES[source]
    drawn = [random_topics(rng, rng.choice(kinds), labelled=True, least=2, most=4) for _ in range(rng.randint(2, 3))]
    return [topic for topics in drawn for topic in topics]


def _answers(rng: Random, story: str, turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """One annotator's answers: mostly the brief form, each with the sentence that it rests on."""
    return [
        {**_rationale(story, turn), "input_text": _worded(rng, turn), "turn_id": place}
        for place, turn in enumerate(turns, 1)
    ]


def _worded(rng: Random, turn: Turn) -> str:
    return rng.choices(turn.answers, weights=(6, 2, 1)[: len(turn.answers)])[0]


def _rationale(story: str, turn: Turn) -> dict[str, Any]:
    """The first sentence that names the answer, by character offsets; -1 where the passage has none."""
    if turn.fact is None:
        return {"span_start": -1, "span_end": -1, "span_text": UNKNOWN}
    start, end, text = next(
        (match.start(), match.end(), match[0])
        for match in re.finditer(r"[^.]+\.", story)
        if turn.fact.object in match[0]
    )
    return {"span_start": start, "span_end": end, "span_text": text}
