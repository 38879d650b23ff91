"""Every format gives the same rows, and what is wrong with a file is told with its name and place."""

import csv
import gzip
import json
import re

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from inducer_bench.errors import UserError
from inducer_bench.tasks.table_files import InputColumn, read_table

COLUMNS = [InputColumn("task.text", ("sentence",)), InputColumn("task.label", ("label", "gold"))]
ROWS = [("fine film", "1"), ("naïve – ok", "0"), ("it 's, well; odd", "1"), ("", "0")]
HEADER = "sentence\tlabel\n"


def write_tsv(path, rows):
    path.write_text(HEADER + "".join(f"{text}\t{label}\n" for text, label in rows))


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([("sentence", "label"), *rows])


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(dict(zip(("sentence", "label"), row, strict=True))) + "\n" for row in rows))


def write_json(path, rows):
    path.write_text(json.dumps([{"sentence": text, "label": label, "idx": 7} for text, label in rows], indent=1))


def write_parquet(path, rows):
    texts, labels = zip(*rows, strict=True)
    parquet.write_table(pa.table({"label": labels, "sentence": texts}), path)


WRITERS = {"tsv": write_tsv, "csv": write_csv, "jsonl": write_jsonl, "json": write_json, "parquet": write_parquet}


def values(path, columns=COLUMNS, header=None):
    return [tuple(cells) for _, cells in read_table(path, columns, header)]


def refusal(path, columns=COLUMNS, header=None):
    with pytest.raises(UserError) as caught:
        values(path, columns, header)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path)), message
    return message.removeprefix(str(path))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_same_rows_packed_or_not(tmp_path, kind, packed):
    path = tmp_path / f"train.{kind}"
    WRITERS[kind](path, ROWS)
    if packed:
        path = path.rename(tmp_path / f"train.{kind}.gz")
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert values(path) == ROWS
    assert values(path.rename(tmp_path / path.name.upper())) == ROWS


@pytest.mark.parametrize("kind", WRITERS)
def test_place_of_a_row_is_where_a_person_finds_it(tmp_path, kind):
    path = tmp_path / f"train.{kind}"
    WRITERS[kind](path, ROWS)
    places = [place for place, _ in read_table(path, COLUMNS)]
    name, first = {"tsv": ("line", 2), "csv": ("line", 2), "jsonl": ("line", 1), "json": ("entry", 1)}.get(
        kind, ("row", 1)
    )
    assert places == [f"{path}, {name} {number}" for number in range(first, first + 4)]


def test_rows_of_a_large_parquet_file_are_numbered_on(tmp_path):
    """It is read 1,000 rows at a time."""
    path = tmp_path / "train.parquet"
    WRITERS["parquet"](path, [(f"a {number}", number) for number in range(2_001)])
    found = list(read_table(path, COLUMNS))
    assert found == [(f"{path}, row {number + 1}", [f"a {number}", number]) for number in range(2_001)]


@pytest.mark.parametrize(
    "text",
    ['a "quoted word', '"', "it 's", "back\\slash", " leading and trailing ", "a\u2028b", "a,b;c", "a\x85b", "a\x0cb"],
)
def test_text_in_tsv_is_taken_as_it_stands(tmp_path, text):
    write_tsv(tmp_path / "a.tsv", [(text, "1"), ("next", "0")])
    assert values(tmp_path / "a.tsv") == [(text, "1"), ("next", "0")]


@pytest.mark.parametrize("text", ["two\nlines", "a, b", 'say "no"', "two\r\nlines", "tab\there"])
def test_quoted_text_in_csv_is_unquoted(tmp_path, text):
    write_csv(tmp_path / "a.csv", [(text, "1"), ("next", "0")])
    assert values(tmp_path / "a.csv") == [(text, "1"), ("next", "0")]


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_ends_of_every_system_blank_lines_at_the_end_and_a_mark_at_the_start_are_understood(
    tmp_path, kind, ending
):
    path = tmp_path / f"a.{kind}"
    WRITERS[kind](path, ROWS)
    text = path.read_bytes().decode().replace("\r\n", "\n").replace("\n", ending)
    path.write_bytes(("\ufeff" + text + ending).encode())
    assert values(path) == ROWS


def test_csv_may_end_its_lines_with_carriage_returns_alone(tmp_path):
    write_csv(tmp_path / "a.csv", ROWS)
    content = (tmp_path / "a.csv").read_bytes()
    (tmp_path / "a.csv").write_bytes(content.replace(b"\r\n", b"\r"))
    assert values(tmp_path / "a.csv") == ROWS


@pytest.mark.parametrize("kind", WRITERS)
def test_text_may_be_as_long_as_a_book(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    WRITERS[kind](path, [("a" * 2_000_000, "1")])
    assert values(path) == [("a" * 2_000_000, "1")]


def test_json_file_with_an_object_in_each_line_is_read_as_lines(tmp_path):
    write_jsonl(tmp_path / "a.json", ROWS)
    assert values(tmp_path / "a.json") == ROWS


def test_column_is_found_by_its_other_name_in_any_order_among_others(tmp_path):
    (tmp_path / "a.tsv").write_text("id\tgold\tsentence\n7\t1\tfine\n")
    assert values(tmp_path / "a.tsv") == [("fine", "1")]


def test_lines_of_json_may_have_their_keys_in_any_order(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"sentence": "a", "label": 1}\n{"label": 0, "x": 2, "sentence": "b"}\n')
    assert values(tmp_path / "a.jsonl") == [("a", 1), ("b", 0)]


@pytest.mark.parametrize("kind", ["tsv", "csv"])
def test_header_names_the_columns_of_a_file_without_one(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    path.write_text("gj04,1,fine\ngj04,0,poor\n".replace(",", "\t" if kind == "tsv" else ","))
    header = ["source", "label", "sentence"]
    assert list(read_table(path, COLUMNS, header)) == [
        (f"{path}, line 1", ["fine", "1"]),
        (f"{path}, line 2", ["poor", "0"]),
    ]
    write = WRITERS[kind]
    write(path, ROWS)
    assert values(path, header=header) == ROWS, "a file with a header goes by its own"


def test_header_that_does_not_fit_is_not_used(tmp_path):
    (tmp_path / "a.tsv").write_text("gj04\t1\t\tfine\n")
    found = refusal(tmp_path / "a.tsv", header=["label", "sentence"])
    assert "line 1: no column 'sentence'" in found
    assert found.endswith("; task.header has 2 names for 4 columns")


def test_one_object_over_several_lines_is_no_table(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"data": [{"sentence": "a", "label": "1"}]}, indent=1))
    assert refusal(tmp_path / "a.json").endswith(
        "found one object; allowed: a list of objects, or an object in each line"
    )


DAMAGE = {
    "few fields": ("tsv", HEADER + "a\t1\nno label\n", ", line 3: found 1 fields; expected 2"),
    "many fields": ("tsv", HEADER + "a\tb\t1\n", ", line 2: found 3 fields; expected 2"),
    "blank line": ("tsv", HEADER + "a\t1\n\nb\t0\n", ", line 3: found an empty line; expected 2 fields"),
    "semicolons": (
        "csv",
        "sentence;label\na;1\n",
        ", line 1: no column 'sentence' (task.text); found one column, sentence;label, with ';' in it; allowed: commas",
    ),
    "column": (
        "tsv", "sentense\tlabel\na\t1\n",
        ", line 1: no column 'sentence' (task.text); did you mean 'sentense'? found: sentense, label",
    ),
    "column of two names": (
        "tsv", "sentence\tmark\na\t1\n", ", line 1: no column 'label' or 'gold' (task.label); found: sentence, mark",
    ),
    "empty": ("tsv", "", ": an empty file"),
    "blank": ("jsonl", "\n \n", ": an empty file"),
    "latin 1": ("tsv", (HEADER + "a\t1\n").encode() + b"caf\xe9\t1\n", ", line 3: not UTF-8 (invalid con"),
    "utf-16": ("csv", "sentence,label\n".encode("utf-16"), ", line 1: UTF-16; expected UTF-8"),
    "utf-16 unmarked": ("jsonl", "{}\n".encode("utf-16-le"), ", line 1: a NUL byte; expected text as UTF-8"),
    "hole": ("tsv", HEADER + "a\t1\n\0\0\0\n", ", line 3: a NUL byte; expected text as UTF-8"),
    "old line ends": ("tsv", HEADER.replace("\n", "\r") + "a\t1\r", ": its lines end with carriage returns alone"),
    "repeated column": (
        "tsv", "sentence\tlabel\tlabel\na\t1\t0\n",
        ", line 1: several columns are named 'label' (task.label); allowed: one",
    ),
    "repeated column of a csv": ("csv", "sentence,label,sentence\n", ", line 1: several columns are named 'sentence'"),
    "repeated key": (
        "jsonl", '{"sentence": "a", "label": 1}\n{"sentence": "b", "label": 1, "label": 0}\n',
        ', line 2: not JSON (an object has the key "label" twice)',
    ),
    "half a character": (
        "jsonl", '{"sentence": "a", "label": 1}\n{"sentence": "\\ud800", "label": 1}\n',
        ", line 2: not JSON (\\ud800 is half of a surrogate pair",
    ),
    "half a character in a column that is not read": (
        "json", '[{"sentence": "a", "label": 1,\n"x": "\\udfff"}]', ", line 2: not JSON (\\udfff is half",
    ),
    "deep": ("jsonl", '{"sentence": ' + "[" * 100_000, ", line 1: not JSON (nested too deeply)"),
    "deep list": ("json", "[" * 100_000, ": not JSON (nested too deeply)"),
    "endless integer": ("jsonl", '{"label": ' + "1" * 5000 + "}", ", line 1: not JSON (an integer of too many digits"),
    "no number": ("jsonl", '{"sentence": "a", "label": NaN}', ", line 1: not JSON (NaN is not a JSON value)"),
    "gz and more": ("tsv.gz", gzip.compress(HEADER.encode()) + b"more", ": not a whole gzip file (Not a gzipped file"),
    "mark alone": ("csv", "\ufeff", ": an empty file"),
    "csv fields": ("csv", "sentence,label\na,1\nb\n", ", line 3: found 1 fields; expected 2"),
    "csv quote": (
        "csv", 'sentence,label\n"two\nlines",1\n"open,0\nmore,1\n',
        ", line 4: a quote that opens here is never closed",
    ),
    "csv stray": ("csv", 'sentence,label\n"a"b,1\n', ", line 2: ',' expected after '\"'"),
    "truncated line": (
        "jsonl", '{"sentence": "a", "label": 1}\n{"sentence": "b", "la',
        ", line 2: not JSON (Unterminated string starting at)",
    ),
    "no JSON": ("jsonl", "sentence\tlabel\n", ", line 1: not JSON (Expecting value)"),
    "blank JSON line": ("jsonl", '{"sentence": "a", "label": 1}\n\n{}\n', ", line 2: an empty line"),
    "no object": ("jsonl", '{"sentence": "a", "label": 1}\n["b", 0]\n', ", line 2: found list; expected an object"),
    "missing key": (
        "jsonl", '{"sentence": "a", "label": 1}\n{"sentence": "b", "lable": 0}\n',
        ", line 2: no column 'label' or 'gold' (task.label); did you mean 'lable'? found: sentence, lable",
    ),
    "truncated list": ("json", '[{"sentence": "a",\n"label": 1},\n{"sent', ", line 3: not JSON (Unterminated"),
    "list of texts": ("json", '["a"]', ", entry 1: found str; expected an object"),
    "no parquet": ("parquet", "PAR1 and so on", ": not a whole parquet file ("),
    "gz": ("tsv.gz", HEADER, ": not a whole gzip file (Not a gzipped file"),
    "truncated gz": ("tsv.gz", gzip.compress((HEADER * 99).encode())[:-9], ": not a whole gzip file (Compressed"),
    "damaged gz": ("tsv.gz", gzip.compress(b"")[:10] + b"\xff" * 20, ": not a whole gzip file (Error -3"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_in_one_line_with_file_and_place(tmp_path, damage):
    kind, content, complaint = DAMAGE[damage]
    path = tmp_path / f"train.{kind}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert refusal(path).startswith(complaint)


def test_truncated_parquet_is_told(tmp_path):
    write_parquet(tmp_path / "a.parquet", ROWS)
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(content[: len(content) // 2])
    assert re.match(": not a whole parquet file (.+)$", refusal(tmp_path / "a.parquet"))


def test_two_columns_of_one_name_in_parquet_are_refused_if_they_are_read(tmp_path):
    names = ["sentence", "label", "label", "x", "x"]
    parquet.write_table(pa.table([["a"], [1], [0], [None], [{"deep": 1}]], names=names), tmp_path / "a.parquet")
    assert "row 1: several columns are named 'label' (task.label)" in refusal(tmp_path / "a.parquet")
    assert values(tmp_path / "a.parquet", COLUMNS[:1]) == [("a",)]


def test_text_in_parquet_that_is_not_utf_8_is_told(tmp_path):
    table = pa.table({"sentence": pa.array([b"caf\xe9"]).view(pa.utf8()), "label": [1]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert re.match(": not a whole parquet file (.*codec can't decode.*)$", refusal(tmp_path / "a.parquet"))


def test_column_missing_in_parquet_is_told(tmp_path):
    parquet.write_table(pa.table({"text": ["a"], "label": [1]}), tmp_path / "a.parquet")
    assert "row 1: no column 'sentence' (task.text); found: text, label" in refusal(tmp_path / "a.parquet")
