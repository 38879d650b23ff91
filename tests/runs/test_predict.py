"""`inducer-bench predict`: what a finished run's model says of new input."""

import csv
import gzip
import io
import json
import os
import re
import shutil

import pytest

from inducer_bench.cli import main
from inducer_bench.config.compose import compose
from inducer_bench.runs.run import run


@pytest.fixture(scope="module")
def shared(tiny_roberta_folder, sst2_folder, tmp_path_factory):
    plm = tmp_path_factory.mktemp("plm") / "tiny_roberta"
    shutil.copytree(tiny_roberta_folder, plm)
    return plm, [
        f"plm.path={plm}", f"task.data_dir={sst2_folder}", "task.max_length=32", "trainer.epochs=2", "trainer.lr=0.01",
        "trainer.device=cpu", "method.r_k=4", f"output_dir={tmp_path_factory.mktemp('runs')}",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def finished(shared):
    return run(compose(shared[1])).folder


def predict(monkeypatch, capsys, folder, text):
    content = text if isinstance(text, bytes) else text.encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="ascii"))
    code = main.main(["predict", str(folder)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_predictions_are_those_of_the_run(finished, sst2_folder, monkeypatch, capsys):
    lines = (sst2_folder / "dev.tsv").read_text().splitlines()[1:]
    text = "".join(json.dumps({"sentence": line.split("\t")[0]}) + "\n" for line in lines)
    code, out, _ = predict(monkeypatch, capsys, finished, text)
    recorded = gzip.decompress((finished / "predictions.jsonl.gz").read_bytes()).decode().splitlines()
    assert code == 0
    assert len(out.splitlines()) == len(recorded) == 32
    for line, expected in zip(map(json.loads, out.splitlines()), map(json.loads, recorded), strict=True):
        assert line["prediction"] == ("negative", "positive")[expected["prediction"]]
        assert list(line["probabilities"].values()) == pytest.approx(expected["probabilities"], abs=1e-6)


ODD = (  # lines end with a line feed alone, whatever else a text holds; there may be a mark at the start
    '\ufeff{"sentence": "a\u2028de\u2029li\x85ght \x7f", "label": null}\r\n{"sentence": "", "more": [{}]}\n\n'.encode()
)


def test_input_comes_from_a_file_too_and_lines_end_with_a_line_feed_alone(finished, tmp_path, monkeypatch, capsys):
    code, expected, _ = predict(monkeypatch, capsys, finished, ODD)
    assert (code, len(expected.splitlines())) == (0, 2)
    for name, content in {"new.jsonl": ODD, "new.jsonl.gz": gzip.compress(ODD)}.items():
        (tmp_path / name).write_bytes(content)
        assert main.main(["predict", str(finished), "--input", str(tmp_path / name)]) == 0
        assert capsys.readouterr().out == expected


def test_input_that_cannot_be_read_is_one_line(finished, tmp_path, monkeypatch, capsys):
    (tmp_path / "damaged.gz").write_bytes(gzip.compress(ODD)[:-9])
    os.mkfifo(tmp_path / "pipe")
    for name in (".", "missing.jsonl", "pipe", "damaged.gz", "x" * 300):
        assert main.main(["predict", str(finished), "--input", str(tmp_path / name)]) == 2
        captured = capsys.readouterr()
        assert (captured.out, captured.err.count("\n")) == ("", 1)
        assert str(tmp_path) in captured.err
    monkeypatch.setattr("sys.stdin", None)
    assert main.main(["predict", str(finished)]) == 2
    assert "stdin: it is closed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('{"sentence": "fine"}\n{"sentense": "a delight"}\n', "stdin, line 2: no column 'sentence'"),
        ('{"sentence": 3}\n', "stdin, line 1, 'sentence': found 3 (int); expected text"),
        ('{"sentence": null}\n', "stdin, line 1, 'sentence': found None (NoneType); expected text"),
        ("{}\n", "stdin, line 1: no column 'sentence' (task.text)"),
        (
            '{"sentence": "a"}\n{"sentence": "\\ud83d"}\n',
            "stdin, line 2: not JSON (\\ud83d is half of a surrogate",
        ),
        (b'{"sentence": "a"}\n{"sentence": "\xed\xa0\x80"}\n', "stdin, line 2: not UTF-8 ("),
        (b'{"sentence": "a"}\n{"sentence": "\xff"}\n', "stdin, line 2: not UTF-8 ("),
        ('{"sentence": "a"}\n\n{"sentence": "b"}\n', "stdin, line 2: an empty line"),
        ('{"sentence": "a"}'.encode("utf-16"), "stdin, line 1: UTF-16; expected UTF-8"),
        ('{"sentence": "a", "sentence": "b"}', 'stdin, line 1: not JSON (an object has the key "sentence" twice)'),
        ("[" * 100_000, "stdin, line 1: not JSON (nested too deeply)"),
        ('{"sentence": "a", "x": ' + "1" * 5000 + "}", "stdin, line 1: not JSON (an integer of too many digits"),
        ("not json\n", "stdin, line 1: not JSON"),
        ("[1]\n", "stdin, line 1: found list; expected an object"),
    ],
)
def test_bad_input_is_one_line_and_predicts_nothing(finished, monkeypatch, capsys, text, part):
    code, out, err = predict(monkeypatch, capsys, finished, text)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert part in err


def test_nothing_in_gives_nothing_out(finished, monkeypatch, capsys):
    for nothing in ("", "\n\n", "\ufeff"):
        assert predict(monkeypatch, capsys, finished, nothing) == (0, "", "")


def predicted(capsys, *arguments):
    code = main.main(["predict", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


TEXTS = ["a delight", 'it\'s "great", really', "", "two\twords"]
FORMS = {
    "new.jsonl": "".join(json.dumps({"sentence": text, "id": number}) + "\n" for number, text in enumerate(TEXTS)),
    "new.json": json.dumps([{"sentence": text, "id": number} for number, text in enumerate(TEXTS)], indent=1),
    "new.csv": 'id,sentence\n0,a delight\r\n1,"it\'s ""great"", really"\n2,\n3,two\twords\n',
    "new.tsv": 'sentence\tid\na delight\t0\nit\'s "great", really\t1\n\t2\ntwo words\t3\n',
    "new.txt": 'a delight\nit\'s "great", really\n\ntwo\twords\n',
}


@pytest.mark.parametrize("name", FORMS)
def test_input_is_read_by_its_suffix_and_comes_back_with_the_prediction(finished, tmp_path, capsys, monkeypatch, name):
    (tmp_path / name).write_text(FORMS[name], newline="")
    code, out, _ = predicted(capsys, finished, "--input", tmp_path / name)
    rows = [json.loads(line) for line in out.splitlines()]
    texts = [text.replace("\t", " ") for text in TEXTS] if name == "new.tsv" else TEXTS
    assert (code, [row["sentence"] for row in rows]) == (0, texts)
    if name != "new.txt":
        assert [int(row["id"]) for row in rows] == [0, 1, 2, 3]
    for text, row in zip(texts, rows, strict=True):
        assert row["prediction"] == max(row["probabilities"], key=row["probabilities"].get)
        if text == "a delight":
            _, alone, _ = predicted(capsys, finished, "--text", text)
            assert json.loads(alone)["probabilities"] == pytest.approx(row["probabilities"], abs=1e-6)
    kind = name.partition(".")[2]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(FORMS[name].encode())))
    assert predicted(capsys, finished, "--format", kind)[1] == out


def test_output_goes_to_a_file_whose_suffix_names_its_form(finished, tmp_path, capsys):
    (tmp_path / "new.jsonl").write_text(FORMS["new.jsonl"] + '{"sentence": "a\\nb", "more": [1]}\n')
    rows = [json.loads(line) for line in predicted(capsys, finished, "--input", tmp_path / "new.jsonl")[1].splitlines()]
    for kind in ("jsonl", "csv", "tsv"):
        target = tmp_path / f"out.{kind}"
        target.write_text("old")
        assert predicted(capsys, finished, "--input", tmp_path / "new.jsonl", "--output", target) == (0, "", "")
        if kind == "jsonl":
            assert [json.loads(line) for line in target.read_text().splitlines()] == rows
            continue
        dialect = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if kind == "tsv" else {}
        with target.open(newline="") as file:
            cells = list(csv.DictReader(file, **dialect))
        assert len(cells) == len(rows)
        for cell, row in zip(cells, rows, strict=True):
            plain = row["sentence"] if kind == "csv" else re.sub(r"\s", " ", row["sentence"])
            assert (cell["sentence"], cell["prediction"]) == (plain, row["prediction"])
            found = [float(cell[f"probability of {label}"]) for label in row["probabilities"]]
            assert found == list(row["probabilities"].values())
        assert cells[-1]["more"] == "[1]"


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_values_of_the_input_with_names_of_the_output_are_kept_under_other_names(finished, capsys, tmp_path, kind):
    label = "negative"
    taken = {"prediction": "mine", "input prediction": "older", "probabilities": "none", f"probability of {label}": "?"}
    (tmp_path / "new.jsonl").write_text(json.dumps({"sentence": "a delight", **taken}))
    target = tmp_path / f"out.{kind}"
    code, _, told = predicted(capsys, finished, "--input", tmp_path / "new.jsonl", "--output", target)
    assert code == 0
    assert "'prediction' is 'input input prediction'" in told
    row = json.loads(target.read_text()) if kind == "jsonl" else next(csv.DictReader(target.open(newline="")))
    assert (row["input prediction"], row["input input prediction"]) == ("older", "mine")
    assert row["prediction"] in ("negative", "positive")
    assert row["input probabilities" if kind == "jsonl" else "probabilities"] == "none"
    assert row[f"probability of {label}" if kind == "jsonl" else f"input probability of {label}"] == "?"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--text", "a", "b"], "--text: found 2 texts; allowed: 1: sentence"),
        (
            ["--text", "a", "--output", "out.xlsx"],
            "--output: found 'out.xlsx'; allowed: a name that ends in .jsonl, .csv",
        ),
        (["--text", "a", "--output", "nowhere/out.csv"], "--output: 'nowhere/out.csv' is not a file in a folder that"),
        (["--text", "a", "--input", "b"], "not allowed with"),
        (["--input", "{}/wrong.csv"], "wrong.csv, line 1: no column 'sentence' (task.text); did you mean 'sentense'?"),
        (["--input", "{}/short.csv"], "short.csv, line 3: found 1 fields; expected 2"),
        (["--input", "{}/twice.csv"], "twice.csv, line 1: several columns are named 'id'; allowed: one"),
        (["--input", "{}/open.csv"], "open.csv, line 2: a quote that opens here is never closed"),
        (["--input", "{}/list.json"], "list.json, entry 2: found int; expected an object"),
        (["--input", "{}/broken.json"], "broken.json, line 2: not JSON"),
        (["--format", "xml"], "--format: invalid choice: 'xml'"),
    ],
)
def test_what_cannot_be_read_or_written_is_told_in_one_line(finished, tmp_path, capsys, arguments, part):
    for name, content in {
        "wrong.csv": "sentense\na\n", "short.csv": "sentence,id\na,1\nb\n", "twice.csv": "id,sentence,id\n1,a,2\n",
        "open.csv": 'sentence\n"a\n', "list.json": '[{"sentence": "a"}, 3]', "broken.json": '[{"sentence": "a"},\n',
    }.items():  # fmt: skip
        (tmp_path / name).write_text(content)
    code, out, err = predicted(capsys, finished, *(argument.format(tmp_path) for argument in arguments))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert part in err


def test_another_plm_under_the_same_name_is_refused(shared, monkeypatch, capsys):
    plm, overrides = shared
    folder = run(compose([*overrides, "seed=1", "trainer.epochs=1"])).folder
    weights = plm / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        code, _, err = predict(monkeypatch, capsys, folder, '{"sentence": "a delight"}\n')
    finally:
        weights.write_bytes(content)
    assert code == 2
    assert "files of the PLM 'tiny_roberta' that are not here" in err
