"""What records say is shown and never acts; what cannot be read or written is told in a line."""

import csv
import dataclasses
import errno
import io
import os

import pytest
from helpers import handmade
from helpers.handmade import MINI

from inducer_bench import escape
from inducer_bench.cli.main import main
from inducer_bench.report import reference, render, store, tables

EVIL = '=HYPERLINK("http://x")<script>alert(1)</script>[a](http://y)`|&lt;$\\bad$\n\x1b[31m\u202e www.z'


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    """The tables of two settings in which everything that a record may say at will is `EVIL`."""
    root = tmp_path_factory.mktemp("evil")
    for seed in (0, 1):
        for method in ("lora", "bitfit"):
            handmade.write_run(root, *MINI, f"method={method}", seed=seed, versions={"torch": EVIL},
                               plm_fingerprint=EVIL, scores={"accuracy": 80.0, EVIL: 1.0})  # fmt: skip
    record = handmade.record_of(handmade.configuration((*MINI, "method=lora")))
    config = {**record.config, "method": {"name": "gone.away", "value": EVIL}}
    handmade.write_run(root, *MINI, config=config, method="gone.away")
    config = {**record.config, "method": {"name": "gone.away", "value": "="}}
    handmade.write_run(root, *MINI, config=config, method="gone.away")
    found = store.load(root)
    assert found.left_out == []
    return tables.build(found, reference.sources(), "runs\n```")


def test_markdown_shows_what_records_say_and_obeys_nothing(evil):
    text = "\n".join(map(render.markdown, evil))
    assert "&lt;script&gt;" in text
    for part in ("<script", "](http", "://", "&lt;$", "\x1b", "\u202e", " www.z", "(`|"):
        assert part not in text
    assert "\\n```" not in [line for line in text.splitlines() if line.startswith("```")]


def test_cells_of_csv_are_no_formulas_and_numbers_stay_numbers(evil):
    assert escape.csv_cell("-x") == "'-x"
    assert escape.csv_cell("lora, r=4") == "lora, r=4"
    minus = dataclasses.replace(evil[0], rows=tuple(dataclasses.replace(row, label=EVIL) for row in evil[0].rows))
    for row in csv.DictReader(io.StringIO(render.csv_text([*evil, minus]))):
        for key, cell in row.items():
            assert key in ("mean", "std") or not cell.startswith(tuple("=+-@\t\r\n"))
            assert cell.isprintable()
        assert not row["mean"] or float(row["mean"]) >= 0


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", " =1", "＝1"])
def test_text_that_a_spreadsheet_would_compute_begins_with_an_apostrophe(text):
    assert escape.csv_cell(text) == f"'{text}"


def test_latex_shows_what_records_say_and_obeys_nothing(evil):
    text = "\n".join(map(render.latex, evil))
    assert r"\textbackslash{}bad" in text
    assert not [line for line in text.splitlines() if line.startswith("```")]  # a command is one line of a comment
    assert "\x1b" not in text


def test_code_block_is_ended_by_none_of_its_lines():
    assert escape.code_block(["a ``` b", "c\nd"]) == ["````", "a ``` b", r"c\nd", "````"]


def test_numbers_in_markdown_are_as_they_are():
    assert escape.markdown("1,234.5 ± 0.1 (3), -2%") == "1,234.5 ± 0.1 (3), -2%"


# -- predictions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_predictions_that_are_gone_or_damaged_are_a_footnote_and_scores_stand(tmp_path, change):
    for method, score in (("lora", 90.0), ("bitfit", 60.0)):
        handmade.write_run(tmp_path, *MINI, f"method={method}", seed=1, score=score)
        folder = handmade.write_run(tmp_path, *MINI, f"method={method}", score=score)
    assert notes(tmp_path) == []
    change(folder / "predictions.jsonl.gz")
    told = f"no test here: the predictions of bitfit, seed 0 ({folder.name}) are missing or damaged"
    assert notes(tmp_path) == [told]


def notes(root):
    built = {table.path: table for table in tables.build(store.load(root), [], "runs")}
    table = built["mini/sst2"]
    column = next(column for column in table.columns if column.task == "sst2")
    assert [row.cells[0].shown()[0] for row in table.rows if row.method in ("lora", "bitfit")] == ["60.0", "90.0"]
    return [text for letter, text in table.notes if letter in column.marks]


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / "runs").mkdir()
    return ["tables", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]


def refusal(capsys, arguments):
    assert main(arguments) == 2
    line = capsys.readouterr().err
    assert line.startswith("inducer-bench: --out: ")
    assert line.count("\n") == 1
    return line


def test_list_of_written_files_that_is_damaged_is_one_line(arguments, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".written").write_bytes(b"\xff\xfe")
    assert ".written' is damaged, which lists what is there; delete it" in refusal(capsys, arguments)
    (tmp_path / "out" / ".written").unlink()
    os.mkfifo(tmp_path / "out" / ".written")
    assert "cannot be written (not a regular file)" in refusal(capsys, arguments)


@pytest.mark.parametrize("line", ["", ".", "..", "mini", "\0", "a" * 300, "/etc/hostname"])
def test_list_of_written_files_deletes_nothing_but_files_below(arguments, tmp_path, line):
    (tmp_path / "out" / "mini").mkdir(parents=True)
    (tmp_path / "out" / ".written").write_text(f"{line}\n")
    assert main(arguments) == 0
    assert (tmp_path / "out" / "mini").is_dir()


def test_folder_that_cannot_be_written_is_one_line(arguments, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below", "/proc/tables", tmp_path / ("long" * 100)):
        assert "give another folder" in refusal(capsys, [*arguments[:-1], str(out)])

    def fail(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert "cannot be written (No space left on device); give another folder" in refusal(capsys, arguments)
