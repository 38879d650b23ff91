"""Sequences against what the released code builds, and what is cut when they are too long."""

import dataclasses
import json
import random

import pytest
from helpers.sequences import FIRST, FRAMES, PARITY, sequences, source, text
from transformers import AutoTokenizer

from inducer_bench.errors import UserError
from inducer_bench.tasks.coqa import FRAME as COQA
from inducer_bench.tasks.sequence import SPECIAL_TOKENS, Sequences
from inducer_bench.tasks.text_to_text import FRAME as SUMMARY
from inducer_bench.tasks.webnlg import FRAME as WEBNLG

OPENINGS = ("<subject>", "<property>", "<object>")


@pytest.mark.skipif(not PARITY.is_dir(), reason="needs ../shared/parity or $INDUCER_BENCH_PARITY")
def test_sequences_are_those_of_the_released_code():
    fixture = json.loads((PARITY / "nlg_inputs_and_decoding.json").read_text())
    assert {token: FIRST + i for i, token in enumerate(SPECIAL_TOKENS)} == fixture["special_token_ids"]
    for example in fixture["examples"]:
        made, arguments, expected = sequences(FRAMES[example["task"]]), example["arguments"], example["result"]
        target = text(arguments.get("target", arguments.get("reply")))
        (encoded,) = made.encode([source(example["task"], arguments)], [target])
        end = None if example["with_eos"] else -1  # ours always ends
        assert encoded["input_ids"][:end] == expected["input_ids"]
        assert encoded["token_type_ids"][:end] == expected["token_type_ids"]
        labels = [-100] * encoded["prompt_length"] + encoded["input_ids"][encoded["prompt_length"] :]
        assert labels[:end] == expected["lm_labels"]


def test_prompt_is_the_sequence_without_its_target():
    made = sequences(WEBNLG)
    triple = [("<subject>", "5 6"), ("<property>", "7"), ("<object>", "8")]
    (whole,), (prompt,) = made.encode([triple], ["9 10"]), made.encode_prompts([triple], new_tokens=4)
    assert prompt["input_ids"] == whole["input_ids"][: whole["prompt_length"]]
    assert whole["input_ids"][whole["prompt_length"] :] == [9, 10, made.special("<eos_webnlg>")]
    assert whole["length"] == len(whole["input_ids"]) == len(whole["token_type_ids"])


def test_what_is_too_long_is_cut_where_it_is_longest():
    made = sequences(COQA, max_length=20)
    passage, question = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20", "21 22"
    (prompt,) = made.encode_prompts([[("<document>", passage), ("<question>", question)]], new_tokens=5)
    assert prompt["length"] == 15
    ordinary = [token for token in prompt["input_ids"] if token < FIRST]
    assert ordinary == [*range(1, 10), 21, 22]
    (whole,) = made.encode([[("<document>", passage), ("<question>", question)]], [passage])
    assert whole["length"] == 20
    assert whole["input_ids"][-1] == made.special("<eos_qa>")
    assert whole["length"] - whole["prompt_length"] == 10  # half of it


def test_texts_that_are_about_as_long_are_cut_alike():
    made = sequences(WEBNLG, max_length=14)
    triple = [("<subject>", "1 2 3 4"), ("<property>", "5"), ("<object>", "6 7 8 9 10")]
    (prompt,) = made.encode_prompts([triple], new_tokens=4)
    assert [token for token in prompt["input_ids"] if token < FIRST] == [1, 2, 5, 6, 7]


def test_sequence_without_room_for_its_special_tokens_is_refused():
    made = sequences(WEBNLG, max_length=12)
    triple = [("<subject>", "1"), ("<property>", "2"), ("<object>", "3")]
    assert made.encode_prompts([triple], new_tokens=6)[0]["length"] == 6
    for encode in (lambda: made.encode_prompts([triple], new_tokens=7), lambda: made.encode([2 * triple], ["4 " * 9])):
        with pytest.raises(UserError, match=r"^task\.max_length: found 12; a source of . segments needs at least"):
            encode()


def naively_cut(pieces, room):
    """One token at a time from the longest piece, the first of those that are equally long."""
    pieces = [list(piece) for piece in pieces]
    while sum(map(len, pieces)) > room:
        max(pieces, key=len).pop()
    return pieces


def test_cut_is_that_of_one_token_at_a_time_whatever_the_lengths():
    draw = random.Random(0)
    for _ in range(200):
        pieces = [[draw.randrange(FIRST) for _ in range(draw.choice((0, 1, 5, 9, 40)))] for _ in range(3)]
        made = sequences(WEBNLG, max_length=draw.randint(11, 60))
        segments = [(opening, text(piece)) for opening, piece in zip(OPENINGS, pieces, strict=True)]
        (prompt,) = made.encode_prompts([segments], new_tokens=5)
        expected = [made.special("<bos_webnlg>")]
        for opening, piece in zip(OPENINGS, naively_cut(pieces, made.max_length - 5 - 5), strict=True):
            expected += [made.special(opening), *piece]
        assert prompt["input_ids"] == [*expected, made.special("<target_webnlg>")]


def test_text_that_recurs_is_encoded_once_and_its_copies_are_cut_on_their_own():
    made, calls = sequences(COQA, max_length=14), []
    tokenizer = made.tokenizer

    def counting(texts, add_special_tokens):
        calls.append(texts)
        return tokenizer(texts, add_special_tokens)

    made = dataclasses.replace(made, tokenizer=counting)
    passage = text(range(1, 21))
    asked = [[("<document>", passage), ("<question>", question)] for question in ("21", "21 22 23 24", "25")]
    prompts = made.encode_prompts(asked, new_tokens=4)
    assert calls == [[f" {words}" for words in (passage, "21", "21 22 23 24", "25")]]
    kept = [[token for token in prompt["input_ids"] if token < FIRST] for prompt in prompts]
    assert kept == [[1, 2, 3, 4, 5, 21], [1, 2, 3, 21, 22, 23], [1, 2, 3, 4, 5, 25]]


@pytest.mark.parametrize("word", ["{}", "{}" + "x" * 3000, "{}\u3000", "{} " + " " * 3000])
def test_beginning_of_a_long_text_has_the_ids_of_the_whole_text(tiny_gpt2_folder, word):
    tokenizer = AutoTokenizer.from_pretrained(tiny_gpt2_folder)
    draw, words = random.Random(0), ["film", "dull", "a", "Zürich", "--", "1994", ",", "...", "\n", "in every scene"]
    book = " ".join(word.format(draw.choice(words)) for _ in range(10_000 if len(word) < 9 else 60))
    made = Sequences(SUMMARY, tokenizer, len(tokenizer), max_length=30, source_tokens=None)
    (prompt,) = made.encode_prompts([[("<source_sm>", book)]], new_tokens=7)
    (whole,) = tokenizer([f" {book}"])["input_ids"]
    assert len(book) > 30 * 100
    assert prompt["input_ids"][2:-1] == whole[:20]


def test_end_of_a_long_text_is_not_encoded():
    made, lengths = sequences(SUMMARY, max_length=20), []

    def measuring(texts, add_special_tokens):
        lengths.append(len(texts[0]))
        return {"input_ids": [[1] * (len(part) // 40) for part in texts]}

    made = dataclasses.replace(made, tokenizer=measuring)
    made.encode_prompts([[("<source_sm>", "nine char " * 1000)]], new_tokens=4)
    made.encode_prompts([[("<source_sm>", "one_word" * 1000)]], new_tokens=4)
    assert lengths == [2000, 8001]


def test_first_text_of_a_source_has_its_own_limit():
    (prompt,) = sequences(COQA, source_tokens=2).encode_prompts(
        [[("<document>", "1 2 3 4"), ("<question>", "5 6 7")]], new_tokens=5
    )
    assert [token for token in prompt["input_ids"] if token < FIRST] == [1, 2, 5, 6, 7]


@pytest.mark.parametrize(("ids", "expected"), [([1, 2], "1 2"), ([1, FIRST + 3, 2], "1"), ([FIRST], ""), ([], "")])
def test_text_ends_at_the_first_special_token(ids, expected):
    assert sequences(WEBNLG).decode(ids) == expected
