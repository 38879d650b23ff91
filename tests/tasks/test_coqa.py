"""CoQA's layouts, what a question comes with, whose answers are its history, and the official scorer's file."""

import copy
import dataclasses
import json
from functools import cache, partial

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from helpers import reading
from helpers.scores import Turn, coqa_scores

from inducer_bench.config.compose import compose
from inducer_bench.plm.load import load_tokenizer
from inducer_bench.tasks.coqa import CoqaTask

DIALOGUES = [  # id, source, story, questions, answers, additional answers
    ("c1", "mctest", "A cat sat on a mat.", ["Who sat?", "Where?", "Why?", "Really?"],
     ["a cat", "on a mat", "unknown", "yes"], [["the cat", "mat", "unknown", "sure"], ["cat", "a mat", "", "yes"]]),
    ("c2", "cnn", "Oakton won the cup.", ["What did Oakton win?"], ["the cup"], [["a cup"], ["cup"]]),
    ("c3", "race", "Elmton lost it.", ["Who lost?", "What?"], ["Elmton", "it"], [["Elmton!", "the cup"], ["E", "it"]]),
]  # fmt: skip


def official(dialogues=DIALOGUES, others=True, kind=int):
    """The published layout; turns are written in reverse, for their numbers decide."""

    def turns(texts):
        return [{"input_text": text, "turn_id": kind(i)} for i, text in enumerate(texts, start=1)][::-1]

    return {
        "version": "1.0",
        "data": [
            {
                "source": source, "id": name, "filename": "f", "name": "n", "story": story,
                "questions": turns(questions),
                "answers": [{**turn, "span_start": 0, "span_end": 1, "span_text": "A"} for turn in turns(answers)],
                **({"additional_answers": {str(i): turns(texts) for i, texts in enumerate(more)}} if others else {}),
            }
            for name, source, story, questions, answers, more in dialogues
        ],
    }  # fmt: skip


def hub_rows(dialogues=DIALOGUES, **extra):
    """The hub's rows."""
    return [
        {
            **{key: value(name) for key, value in extra.items()},
            "source": source, "story": story, "questions": questions,
            "answers": {"input_text": answers, "answer_start": [0] * len(answers), "answer_end": [1] * len(answers)},
        }
        for name, source, story, questions, answers, _ in dialogues
    ]  # fmt: skip


@cache
def shipped(*overrides):
    return compose(["task=coqa", *overrides]).task


def make_task(*overrides, folder, tokenizer=None):
    task = dataclasses.replace(shipped(*overrides), data_dir=str(folder))
    return CoqaTask(task, tokenizer, {"vocab_size": 1000, "model_type": "gpt2"})


@pytest.fixture
def write(tmp_path):
    """A function that writes the dev split as JSON and gives the task that reads it."""

    def write(content, *overrides):
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "coqa-dev-v1.0.json").write_text(text)
        return make_task(*overrides, folder=tmp_path)

    return write


refusal = partial(reading.refusal, split="dev")


# -- what is read ------------------------------------------------------------------------------------------------------


def test_turns_become_samples_in_order_with_the_answers_of_the_dialogue_as_targets(write):
    samples = write(official()).read("dev")
    assert [sample.name for sample in samples] == ["c1/1", "c1/2", "c1/3", "c1/4", "c2/1", "c3/1", "c3/2"]
    assert [sample.targets for sample in samples] == [(a,) for dialogue in DIALOGUES for a in dialogue[4]]
    assert [sample.group for sample in samples] == ["mctest"] * 4 + ["cnn"] + ["race"] * 2


def test_references_are_all_answers_of_a_turn_the_dialogue_s_own_first(write):
    samples = write(official()).read("dev")
    assert samples[0].references == ("a cat", "the cat", "cat")
    assert samples[3].references == ("yes", "sure", "yes")
    assert write(official(others=False)).read("dev")[0].references == ("a cat",)


def test_question_comes_with_the_passage_and_the_last_turns(write):
    story, questions, answers = DIALOGUES[0][2:5]
    history = [segment for i in range(3) for segment in (("<question>", questions[i]), ("<answer>", answers[i]))]
    for kept in (0, 1, 2, 3, 9):
        samples = write(official(), f"task.history_turns={kept}").read("dev")
        for turn in range(4):
            recent = history[2 * max(0, turn - kept) : 2 * turn]
            assert samples[turn].source == (("<document>", story), *recent, ("<question>", questions[turn]))


def test_official_file_hub_rows_and_parquet_give_the_same_samples(write, tmp_path):
    expected = write(official(others=False)).read("dev")
    rows = hub_rows(id=lambda name: name)
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "table.parquet")
    assert make_task("task.files.dev=rows", folder=tmp_path).read("dev") == expected
    assert make_task("task.files.dev=table", folder=tmp_path).read("dev") == expected


def test_rows_without_an_id_are_numbered(tmp_path):
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, hub_rows())))
    samples = make_task("task.files.dev=rows", folder=tmp_path).read("dev")
    assert [sample.name for sample in samples] == ["0/1", "0/2", "0/3", "0/4", "1/1", "2/1", "2/2"]


@pytest.mark.parametrize("kind", [int, str])
def test_turns_are_in_the_order_of_their_numbers_beyond_nine_too(write, kind):
    questions, answers = ([f"{letter} {i}" for i in range(1, 13)] for letter in "qa")
    samples = write(official([("c", "cnn", "story", questions, answers, [answers])], kind=kind)).read("dev")
    assert [sample.targets[0] for sample in samples] == answers
    assert [sample.source[-1][1] for sample in samples] == questions


def test_two_dialogues_of_one_id_are_refused(write, tmp_path):
    message = refusal(write(official([*DIALOGUES, DIALOGUES[1]])))
    assert message == f"{tmp_path / 'coqa-dev-v1.0.json'}: 2 dialogues have the id 'c2'; allowed: one"


@pytest.mark.parametrize("limit", range(1, 8))
def test_limit_counts_turns_and_cuts_one_dialogue_at_most(write, limit):
    names = [sample.name for sample in write(official(), f"task.max_eval={limit}").read("dev")]
    assert len(names) == limit
    parts = [[name for name in names if name.startswith(dialogue)] for dialogue, *_ in DIALOGUES]
    for found, (dialogue, *_) in zip(parts, DIALOGUES, strict=True):
        assert found == [f"{dialogue}/{turn + 1}" for turn in range(len(found))]
    assert sum(0 < len(found) < len(row[3]) for found, row in zip(parts, DIALOGUES, strict=True)) <= 1


def test_first_turns_can_be_asked_for(write):
    assert write(official(), "task.max_eval=5", "task.sample=first").read("dev")[-1].name == "c2/1"


# -- whose answers are the history -------------------------------------------------------------------------------------


class Scripted:
    """Writes known answers: the n-th prompt ever asked for gets `answers[n]`; keeps the prompts as texts."""

    def __init__(self, task, answers):
        self.task, self.answers, self.calls = task, answers, []

    def generate(self, prompts, *_):
        asked = sum(map(len, self.calls))
        self.calls.append([self._text(prompt) for prompt in prompts])
        answers = self.answers[asked : asked + len(prompts)]
        tokenizer, end = self.task.tokenizer, self.task.sequences.special("<eos_qa>")
        return [[*tokenizer(f" {answer}")["input_ids"], end, 5] for answer in answers]

    def _text(self, prompt):
        """The texts between special tokens."""
        first, texts = self.task.first_special, []
        for token in prompt["input_ids"]:
            if token >= first:
                texts.append([])
            else:
                texts[-1].append(token)
        return [self.task.tokenizer.decode(ids).strip() for ids in texts]


@pytest.fixture
def scripted(tiny_gpt2_folder, tmp_path):
    """A function that writes the dialogues and gives the task and a scripted writer for it."""
    (tmp_path / "coqa-dev-v1.0.json").write_text(json.dumps(official()))

    def scripted(answers, *overrides):
        plm = compose(["task=coqa", f"plm.path={tiny_gpt2_folder}", "task.max_length=64", "method=bitfit"]).plm
        tokenizer = load_tokenizer(plm)
        task = make_task("task.max_length=512", *overrides, folder=tmp_path, tokenizer=tokenizer)
        return task, Scripted(task, answers)

    return scripted


MADE_UP = ["one", "two", "three", "four", "five", "six", "seven"]


def test_gold_history_asks_all_at_once_with_the_answers_of_the_data(scripted):
    task, writer = scripted(MADE_UP)
    samples = task.read("dev")
    rows = task.answer(writer, samples)
    (prompts,) = writer.calls
    # The first text is that of <bos_qa>, the last one that of the <answer> to be written: both empty.
    assert prompts == [["", *(text for _, text in sample.source), ""] for sample in samples]
    assert [row["prediction"] for row in rows] == MADE_UP
    assert [row["id"] for row in rows] == [sample.name for sample in samples]


@pytest.mark.parametrize("kept", [0, 1, 2, 5])
def test_model_history_holds_what_the_model_answered_before(scripted, kept):
    task, writer = scripted(MADE_UP, "task.history=model", f"task.history_turns={kept}")
    rows = task.answer(writer, task.read("dev"))
    # First turns of all three dialogues, second turns of the first and third, then the first alone.
    own = [["one", "four", "six", "seven"], ["two"], ["three", "five"]]
    assert [row["prediction"] for row in rows] == [answer for answers in own for answer in answers]
    assert [row["references"][0] for row in rows] == [a for dialogue in DIALOGUES for a in dialogue[4]]
    assert [len(prompts) for prompts in writer.calls] == [3, 2, 1, 1]
    for turn, prompts in enumerate(writer.calls):
        going_on = [number for number in range(3) if turn < len(DIALOGUES[number][3])]
        for number, prompt in zip(going_on, prompts, strict=True):
            _, _, story, questions, _, _ = DIALOGUES[number]
            recent = range(max(0, turn - kept), turn)
            history = [text for i in recent for text in (questions[i], own[number][i])]
            assert prompt == ["", story, *history, questions[turn], ""]


def test_histories_agree_where_the_model_answers_as_the_data_do(scripted):
    by_turn = [d[4][turn] for turn in range(4) for d in DIALOGUES if turn < len(d[4])]
    task, writer = scripted(by_turn, "task.history=model")
    own = task.answer(writer, task.read("dev"))
    gold_task, gold_writer = scripted([answer for d in DIALOGUES for answer in d[4]])
    assert own == gold_task.answer(gold_writer, gold_task.read("dev"))
    assert sorted(p for prompts in writer.calls for p in prompts) == sorted(gold_writer.calls[0])


def test_new_input_keeps_the_answers_that_it_gives_whatever_the_history(scripted):
    task, writer = scripted(MADE_UP, "task.history=model")
    lines = [{"story": "s", "questions": ["a?", "b?"], "answers": ["c"]}, {"story": "t", "questions": ["d?"]}]
    rows = task.answer(writer, [task.new_row(line, f"a/new.jsonl, line {i}") for i, line in enumerate(lines, start=1)])
    assert writer.calls == [[["", "s", "a?", "c", "b?", ""], ["", "t", "d?", ""]]]
    assert [task.shown(row) for row in rows] == [{"prediction": "one"}, {"prediction": "two"}]


def test_empty_answer_stays_an_answer_in_the_history(scripted):
    task, writer = scripted(["", "two", "three", "four", "five", "six", "seven"], "task.history=model")
    assert task.answer(writer, task.read("dev"))[0]["prediction"] == ""
    assert writer.calls[1][0] == ["", DIALOGUES[0][2], "Who sat?", "", "Where?", ""]


# -- scores and the official file --------------------------------------------------------------------------------------


def test_scores_are_those_of_the_turns_by_domain(write):
    task = write(official())
    texts = ["The cat.", "a rug", "unknown", "yes", "cup", "nobody", "it"]
    scores = task.score_answers(task.predictions(task.read("dev"), texts))
    answers = [
        (source, [own, *(extra[i] for extra in more)])
        for _, source, _, _, gold, more in DIALOGUES
        for i, own in enumerate(gold)
    ]
    turns = [Turn(domain, found, text) for (domain, found), text in zip(answers, texts, strict=True)]
    assert scores == coqa_scores(turns)
    # By hand: of three references, the average over leaving one out of the best match with the others.
    assert scores["em_news"].value == pytest.approx(100.0)
    exact = [1, 0, 1, 1, 1, 0, (1 + 1 + 1) / 3]
    exact[2] = 1.0  # of "unknown", "unknown", "": each pair has one
    assert scores["em"].value == pytest.approx(100 * sum(exact) / 7)
    assert {"f1", "f1_in_domain", "f1_children_stories", "f1_mid-high_school"} <= set(scores)


def test_prediction_file_is_what_the_official_scorer_reads(write):
    task = write(official())
    (name, content), *others = task.files(task.predictions(task.read("dev"), MADE_UP)).items()
    assert (name, others) == ("coqa_predictions.json", [])
    expected = [(d[0], turn) for d in DIALOGUES for turn in range(1, len(d[3]) + 1)]
    assert json.loads(content) == [
        {"id": dialogue, "turn_id": turn, "answer": text}
        for (dialogue, turn), text in zip(expected, MADE_UP, strict=True)
    ]


# -- damaged files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [[], {"dat": []}, "3", {"data": None}, {"data": 3}])
def test_json_of_another_layout_is_told(write, tmp_path, content):
    message = refusal(write(content))
    assert message == (
        f"{tmp_path / 'coqa-dev-v1.0.json'}: not in CoQA's layout; expected an object with a list 'data'"
    )


def changed(*path, value=None, drop=False):
    content = copy.deepcopy(official())
    node = content["data"][1]
    for key in path[:-1]:
        node = node[key]
    if drop:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return content


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        *((changed(key, drop=True), f"no '{key}'; expected id, source, story, questions")
          for key in ("id", "source", "story", "questions", "answers")),
        (changed("answers", 0, "input_text", drop=True), "no 'input_text'; expected id"),
        (changed("questions", 0, "turn_id", drop=True), "no 'turn_id'; expected id"),
        (changed("answers", value=[]), "found 1 questions and [0, 1, 1] answers"),
        (changed("additional_answers", "0", value=[]), "found 1 questions and [1, 0, 1] answers"),
        (changed("answers", 0, "input_text", value=None), "expected text in id, source, story, questions and answers"),
        (changed("story", value=["a"]), "expected text in id, source, story, questions and answers"),
        (changed("id", value=7), "expected text in id, source, story, questions and answers"),
        (changed("questions", value="text"), "not in CoQA's layout; expected id"),
        (changed("answers", value=None), "not in CoQA's layout; expected id"),
        (changed("additional_answers", value=[]), "not in CoQA's layout; expected id"),
        ({"data": [official()["data"][0], "text"]}, "not in CoQA's layout; expected id"),
        (changed("answers", 0, "turn_id", value=2), "found the turn_ids [2]; expected each of 1 to 1 once"),
        (changed("questions", 0, "turn_id", value=None), "found the turn_ids [None]; expected each of 1 to 1 once"),
        (changed("questions", value=2 * official()["data"][1]["questions"]), "found the turn_ids [1, 1]; expected"),
        (changed("answers", 0, "input_text", value=" "), "the answer of turn 1 is empty; expected a text"),
    ],
)  # fmt: skip
def test_damaged_dialogue_is_named(write, tmp_path, content, complaint):
    assert refusal(write(content)).startswith(f"{tmp_path / 'coqa-dev-v1.0.json'}, dialogue 2: {complaint}")


def test_truncated_json_and_empty_split_are_told(write, tmp_path):
    path = tmp_path / "coqa-dev-v1.0.json"
    text = json.dumps(official(), indent=1)
    assert refusal(write(text[:200])).startswith(f"{path}, line {text[:200].count(chr(10)) + 1}: not JSON (")
    assert refusal(write({"data": []})) == f"{path}: no examples"
    assert refusal(write("")) == f"{path}: an empty file"
    path.write_bytes(b'{"data": [\n"\xff"]}')
    assert refusal(make_task(folder=tmp_path)).startswith(f"{path}, line 2: not UTF-8 (")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda row: row.pop("story"), "no column 'story'"),
        (lambda row: row.pop("source"), "no column 'id' or 'source' (task); found: story, questions, answers"),
        (lambda row: row.update(answers=["a"]), "not in CoQA's layout; expected questions: [text, ...], answers:"),
        (lambda row: row.update(answers={"text": ["a"]}), "not in CoQA's layout"),
        (lambda row: row["answers"].update(input_text="a"), "not in CoQA's layout"),
        (lambda row: row.update(questions=None), "not in CoQA's layout"),
        (lambda row: row.update(questions="?"), "not in CoQA's layout"),
        (lambda row: row["answers"].update(input_text=[" "]), "the answer of turn 1 is empty"),
        (lambda row: row["questions"].append("And?"), "found 2 questions and [1] answers"),
        (lambda row: row.update(story=3), "expected text in id, source, story, questions and answers"),
        (lambda row: row["answers"].update(input_text=[None]), "expected text in id, source, story, questions"),
    ],
)
def test_damaged_row_is_named(tmp_path, change, complaint):
    rows = copy.deepcopy(hub_rows())
    change(rows[1])
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    message = refusal(make_task("task.files.dev=rows", folder=tmp_path))
    assert message.startswith(f"{tmp_path / 'rows.jsonl'}, line 2: {complaint}")


def test_truncated_row_is_told_with_its_line(tmp_path):
    text = "\n".join(map(json.dumps, hub_rows()))
    (tmp_path / "rows.jsonl").write_text(text[:-20])
    message = refusal(make_task("task.files.dev=rows", folder=tmp_path))
    assert message.startswith(f"{tmp_path / 'rows.jsonl'}, line 3: not JSON (")


def test_missing_file_is_named_with_what_was_looked_for(tmp_path):
    message = refusal(make_task(folder=tmp_path))
    assert message.startswith(f"task.data_dir: no coqa-dev-v1.0.(json|jsonl|parquet)[.gz] in '{tmp_path}'; found: none")
