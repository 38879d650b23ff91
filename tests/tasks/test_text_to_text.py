"""Text to text from tables: rows with one source belong together, in every format, and what is missing is named."""

import csv
import dataclasses
import io
import json
from functools import cache

import pytest
import sacrebleu
from helpers.reading import refusal

from inducer_bench.config.compose import compose
from inducer_bench.tasks.text_to_text import TextToTextTask

ROWS = [
    ("name[Elm], food[soup]", "Elm serves soup."),
    ("name[Oak]", "There is Oak, \"a pub\"."),
    ("name[Elm], food[soup]", "Soup, at Elm."),
    ("name[Ash]", "Ash."),
    ("name[Oak]", "There is Oak, \"a pub\"."),
]  # fmt: skip


def as_csv(rows, header):
    file = io.StringIO()
    csv.writer(file).writerows([header, *rows])
    return file.getvalue()


FORMATS = {
    "csv": as_csv,
    "tsv": lambda rows, header: "\n".join("\t".join(cells) for cells in [header, *rows]),
    "jsonl": lambda rows, header: "\n".join(json.dumps(dict(zip(header, row, strict=True))) for row in rows),
    "json": lambda rows, header: json.dumps([dict(zip(header, row, strict=True)) for row in rows]),
}


@cache
def shipped(*overrides):
    return compose(["task=text_to_text", *overrides]).task


@pytest.fixture
def write(tmp_path):
    """A function that writes train with this ending and gives the task."""

    def write(content, *overrides, kind="csv"):
        (tmp_path / f"train.{kind}").write_text(content)
        overrides = overrides or ("task.text=mr", "task.target=ref")
        config = dataclasses.replace(shipped(*overrides), data_dir=str(tmp_path))
        return TextToTextTask(config, None, {"vocab_size": 100, "model_type": "gpt2"})

    return write


@pytest.mark.parametrize("kind", FORMATS)
def test_rows_with_one_source_become_one_sample_where_the_first_of_them_stands(write, kind):
    elm, oak, ash = write(FORMATS[kind](ROWS, ("mr", "ref")), kind=kind).read("train")
    assert [sample.source for sample in (elm, oak, ash)] == [
        (("<source_sm>", text),) for text in ("name[Elm], food[soup]", "name[Oak]", "name[Ash]")
    ]
    assert elm.targets == elm.references == ("Elm serves soup.", "Soup, at Elm.")
    assert oak.references == (ROWS[1][1],) * 2  # a text that occurs twice counts twice
    assert [sample.name for sample in (elm, oak, ash)] == ["0", "1", "2"]


def test_columns_are_source_and_target_unless_named(write):
    task = write(FORMATS["jsonl"](ROWS, ("target", "source")), "task.max_train=1", "task.sample=first", kind="jsonl")
    (sample,) = task.read("train")
    assert (sample.source, sample.targets) == ((("<source_sm>", "Elm serves soup."),), ("name[Elm], food[soup]",))


def test_limit_counts_sources_and_cuts_no_references(write):
    task = write(FORMATS["csv"](ROWS, ("mr", "ref")), "task.text=mr", "task.target=ref", "task.max_train=2")
    assert [(sample.name, len(sample.references)) for sample in task.read("train")] == [("1", 2), ("2", 1)]


def test_scores_compare_with_all_references(write):
    task = write(FORMATS["csv"](ROWS, ("mr", "ref")), "task.text=mr", "task.target=ref", "task.metrics=[bleu,rouge1]")
    texts = ["Elm serves a soup.", "There is Oak.", "Ash."]
    scores = task.score_answers(task.predictions(task.read("train"), texts))
    references = [[ROWS[0][1], ROWS[1][1], ROWS[3][1]], [ROWS[2][1], ROWS[4][1], None]]
    assert scores["bleu"].value == pytest.approx(sacrebleu.corpus_bleu(texts, references).score)
    assert list(scores) == ["bleu", "rouge1"]


@pytest.mark.parametrize("kind", FORMATS)
def test_missing_column_is_named_with_those_that_are_there(write, tmp_path, kind):
    place = {"csv": "line 1", "tsv": "line 1", "jsonl": "line 1", "json": "entry 1"}[kind]
    content = FORMATS[kind](ROWS, ("mr", "reference"))
    assert refusal(write(content, kind=kind)) == (
        f"{tmp_path / f'train.{kind}'}, {place}: no column 'ref' (task.target); "
        "did you mean 'reference'? found: mr, reference"
    )
    assert "no column 'source' (task.text); " in refusal(write(content, "task.target=reference", kind=kind))


def test_column_missing_from_a_later_row_is_named_with_its_line(write, tmp_path):
    content = FORMATS["jsonl"](ROWS[:2], ("mr", "ref")) + '\n{"mr": "x"}'
    message = refusal(write(content, kind="jsonl"))
    assert message == f"{tmp_path / 'train.jsonl'}, line 3: no column 'ref' (task.target); found: mr"


@pytest.mark.parametrize(
    ("kind", "content", "complaint"),
    [
        ("csv", "mr,ref\na,b\nc\n", ", line 3: found 1 fields; expected 2"),
        ("csv", 'mr,ref\na,"b\n', ", line 2: a quote that opens here is never closed"),
        ("csv", "mr,ref\n", ": no examples"),
        ("tsv", "mr\tref\na\tb\tc\n", ", line 2: found 3 fields; expected 2"),
        ("jsonl", '{"mr": "a", "ref": "b"}\n{"mr": "a", "re', ", line 2: not JSON (Unterminated string"),
        ("jsonl", '{"mr": "a", "ref": null}', ", line 1, 'ref': found None (NoneType); expected text"),
        (
            "jsonl",
            '{"mr": "a", "ref": "a"}\n{"mr": "a", "ref": " \\n"}',
            ", line 2, 'ref': an empty text; expected a target",
        ),
        ("tsv", "mr\tref\na\t\n", ", line 2, 'ref': an empty text; expected a target"),
        ("jsonl", '{"mr": 3, "ref": "a"}', ", line 1, 'mr': found 3 (int); expected text"),
        ("jsonl", "[1]", ", line 1: found list; expected an object with columns as keys"),
        ("json", "[]", ": no examples"),
        ("json", "", ": an empty file"),
    ],
)
def test_damaged_table_is_told_with_its_line(write, tmp_path, kind, content, complaint):
    assert refusal(write(content, kind=kind)).startswith(f"{tmp_path / f'train.{kind}'}{complaint}")


def test_missing_file_is_named_with_what_was_looked_for(write, tmp_path):
    assert refusal(write(FORMATS["csv"](ROWS, ("mr", "ref"))), "dev").startswith(
        f"task.data_dir: no dev.(tsv|csv|jsonl|json|parquet)[.gz] in '{tmp_path}'; "
    )
