"""The best of a column is marked where a test supports it, on several seeds, and never without what it rests on."""

import dataclasses
import gzip
import json

import pytest
from helpers import handmade
from helpers.handmade import MINI, data

from inducer_bench.metrics.table import METRICS
from inducer_bench.report import marks, reference, render, store, tables, tied
from inducer_bench.report.examples import read_predictions
from inducer_bench.runs import record as records
from inducer_bench.runs.artefacts import PREDICTIONS, checksums


def build(root):
    return {table.path: table for table in tables.build(store.load(root), reference.sources(), "runs")}


def cells(table, label):
    return next(row.cells for row in table.rows if row.label == label)


def ran(root, seeds=3, **scores):
    """Runs of methods with these scores, a little apart over seeds."""
    for method, score in scores.items():
        for seed in range(seeds):
            handmade.write_run(root, *MINI, f"method={method}", seed=seed, score=score + seed / 2)


def test_best_is_marked_only_where_a_test_tells_it_apart_from_all_others(tmp_path):
    ran(tmp_path, lora=90.0, bitfit=60.0)
    table = build(tmp_path)["mini/sst2"]
    assert (cells(table, "LoRA")[0].best, cells(table, "LoRA")[0].tied, cells(table, "BitFit")[0].tied) == (
        True, True, False,
    )  # fmt: skip
    ran(tmp_path, inducer=90.5)  # one more of 200 right
    table = build(tmp_path)["mini/sst2"]
    assert not any(cell.best for row in table.rows for cell in row.cells)
    tied = {row.label: row.cells[0].tied for row in table.rows}
    assert tied == {"LoRA": True, "Inducer": True, "BitFit": False}
    assert table.columns[0].p_value > 0.05


def test_marks_are_those_of_the_verdict_over_all_pairs(tmp_path):
    scores = {"lora": 80.0, "bitfit": 78.0, "prefix": 70.0, "adapter": 55.0}
    ran(tmp_path, **scores)
    groups = {group.config.method.name: group for group in store.load(tmp_path).groups}
    sides = [[read_predictions(run.folder, run.record) for run in groups[method].done] for method in scores]
    (accuracy,) = [metric for metric in METRICS if metric.name == "accuracy"]
    expected = tied.verdict("accuracy", accuracy, sides, 1)
    table = build(tmp_path)["mini/sst2"]
    found = {row.method: row.cells[0].tied for row in table.rows}
    assert found == {method: standing.tied for method, standing in zip(scores, expected.standings, strict=True)}
    assert table.columns[0].p_value == pytest.approx(expected.standings[1].p_value, rel=0.3)  # of fewer resamples


def test_where_no_row_can_be_told_apart_nothing_is_emphasised(tmp_path):
    ran(tmp_path, lora=80.0, bitfit=80.0)
    table = build(tmp_path)["mini/sst2"]
    assert [row.cells[0].tied for row in table.rows] == [True, True]
    assert [table.emphasis(row, 0) for row in table.rows] == ["", ""]
    assert "Nothing is marked where no row can be told apart from the best." in render.legend(table)


def test_rows_tied_with_the_best_are_italic_and_the_legend_says_so(tmp_path):
    ran(tmp_path, lora=90.0, inducer=90.5, bitfit=60.0)
    table = build(tmp_path)["mini/sst2"]
    assert {row.label: table.emphasis(row, 0) for row in table.rows} == {
        "LoRA": "italic", "Inducer": "italic", "BitFit": "",
    }  # fmt: skip
    assert "| LoRA | *90.5* ± 0.5 (3) |" in render.markdown(table)
    assert r"\textit{90.5}" in render.latex(table)
    assert "Italic: the best of its column, and the rows that cannot be told apart" in render.legend(table)


def test_only_the_best_rows_are_tested_and_the_table_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(marks, "MOST", 2)
    ran(tmp_path, lora=90.0, bitfit=60.0, prefix=50.0)
    table = build(tmp_path)["mini/sst2"]
    assert {row.label: row.cells[0].tied for row in table.rows} == {"LoRA": True, "BitFit": False, "Prefix": None}
    assert any(text.startswith("Tests are of the") for text in table.text)


def test_predictions_that_are_not_those_of_the_record_are_not_tested(tmp_path):
    ran(tmp_path, lora=90.0)
    for seed in range(3):
        handmade.write_run(tmp_path, *MINI, "method=bitfit", seed=seed, score=60.0, scores={"accuracy": 70.0})
    table = build(tmp_path)["mini/sst2"]
    assert all(row.cells[0].tied is None for row in table.rows)
    assert [text for _, text in table.notes] == ["no test here: predictions give another score than their record"]


def test_nothing_is_marked_without_predictions_to_test(tmp_path):
    handmade.write_run(tmp_path, *MINI, "method=lora", score=90, predictions=False)
    handmade.write_run(tmp_path, *MINI, "method=bitfit", score=60)
    table = build(tmp_path)["mini/sst2"]
    assert not any(cell.best for row in table.rows for cell in row.cells)
    assert table.columns[0].p_value is None


@pytest.mark.parametrize("own", ["lora", "prefix"])
def test_runs_scored_on_other_data_are_not_tested_against_each_other(tmp_path, monkeypatch, own):
    monkeypatch.setattr(marks, "MOST", 2)
    for method, score in (("lora", 90.0), ("bitfit", 60.0), ("prefix", 20.0)):
        other = {"data": data("other", "local")} if method == own else {}
        for seed in range(3):
            handmade.write_run(tmp_path, *MINI, f"method={method}", seed=seed, score=score, **other)
    table = build(tmp_path)["mini/sst2"]
    told = [text for _, text in table.notes if text.startswith("no test here")]
    if own == "lora":
        assert told == ["no test here: the two best rows were scored on different data"]
        assert table.columns[0].p_value is None
        assert not any(cell.best for row in table.rows for cell in row.cells)
    else:  # no further row of these data is left out
        assert told == []
        assert {row.method: row.cells[0].tied for row in table.rows} == {"lora": True, "bitfit": False, "prefix": None}
        assert not any(text.startswith("Tests are of the") for text in table.text)


@pytest.mark.parametrize("own", ["lora", "prefix"])
def test_runs_scored_on_other_examples_are_not_tested_against_each_other(tmp_path, monkeypatch, own):
    for method, score in (("lora", 90.0), ("bitfit", 60.0), ("prefix", 20.0)):
        with monkeypatch.context() as patched:
            patched.setattr(handmade, "EXAMPLES", 100 if method == own else 200)
            for seed in range(3):
                handmade.write_run(tmp_path, *MINI, f"method={method}", seed=seed, score=score)
    table = build(tmp_path)["mini/sst2"]
    told = [text for _, text in table.notes if text.startswith("no test here")]
    assert told == (["no test here: the two best rows were scored on different examples"] if own == "lora" else [])
    tied = {row.method: row.cells[0].tied for row in table.rows}
    assert tied == dict.fromkeys(tied) | ({} if own == "lora" else {"lora": True, "bitfit": False})


@pytest.mark.parametrize("alone", ["lora", "bitfit"])
def test_one_seed_is_never_best_nor_beaten_and_the_legend_says_so(tmp_path, alone):
    for method, score in (("lora", 90.0), ("bitfit", 60.0), ("prefix", 20.0)):
        for seed in range(1 if method == alone else 3):
            handmade.write_run(tmp_path, *MINI, f"method={method}", seed=seed, score=score)
    table = build(tmp_path)["mini/sst2"]
    assert table.columns[0].p_value is None
    assert not any(cell.best for row in table.rows for cell in row.cells)
    assert render.legend(table).endswith("Nothing is marked where the best row or the next one has one seed.")


def test_bold_comes_with_the_word_that_settings_were_not_tuned(tmp_path):
    ran(tmp_path, lora=90.0, bitfit=60.0)
    legend = render.legend(build(tmp_path)["mini/sst2"])
    assert "Bold: the best of its column" in legend
    assert legend.endswith("the published ones or the user's; they were not tuned with equal effort.")


def test_deviation_is_spoken_of_only_where_there_is_one(tmp_path):
    ran(tmp_path, seeds=1, lora=90.0, bitfit=60.0)
    legend = render.legend(build(tmp_path)["mini/sst2"])
    assert legend.startswith("In brackets: the number of seeds.")
    assert "deviation" not in legend
    assert "Bold" not in legend


def test_lower_is_better_for_ter(tmp_path):
    for method, wrong in (("lora", 1), ("inducer", 3)):
        for seed in range(3):
            folder = handmade.write_run(
                tmp_path,
                "task=webnlg",
                f"method={method}",
                seed=seed,
                predictions=False,
                scores={"bleu": 30.0, "ter": 25.0 * wrong},
            )
            write_texts(folder, wrong)
    table = build(tmp_path)["full/webnlg"]
    position = next(i for i, column in enumerate(table.columns) if column.value == "ter")
    assert cells(table, "LoRA")[position].best
    assert cells(table, "Inducer")[position].tied is False


def write_texts(folder, wrong):
    """Predictions of four words of which so many are wrong."""
    words = ["a", "b", "c", "d"]
    row = {"split": "test", "references": ["a b c d"], "prediction": " ".join([*words[wrong:], *["x"] * wrong])}
    rows = [{**row, "index": index, "prediction": " ".join(["x"] * wrong + words[wrong:])} for index in range(60)]
    lines = "".join(f"{json.dumps(each)}\n" for each in rows)
    (folder / PREDICTIONS).write_bytes(gzip.compress(lines.encode(), mtime=0))
    record = records.read(folder)
    records.write(folder, dataclasses.replace(record, files=checksums(folder, [PREDICTIONS])))
