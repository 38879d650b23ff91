"""The best of a column is marked where a test supports it, on several seeds, and never without what it rests on."""

import pytest
from helpers import handmade
from helpers.handmade import MINI, data

from inducer_bench.report import reference, render, store, tables


def build(root):
    return {table.path: table for table in tables.build(store.load(root), reference.sources(), "runs")}


def cells(table, label):
    return next(row.cells for row in table.rows if row.label == label)


def test_best_is_marked_only_where_a_test_supports_it(tmp_path):
    for seed in range(2):
        handmade.write_run(tmp_path, *MINI, "method=lora", seed=seed, score=90)
        handmade.write_run(tmp_path, *MINI, "method=bitfit", seed=seed, score=60)
    assert cells(build(tmp_path)["mini/nlu_main_mini_roberta"], "lora")[0].best
    for seed in range(2):
        handmade.write_run(tmp_path, *MINI, "method=inducer", seed=seed, score=90.5)  # one more of 200 right
    table = build(tmp_path)["mini/nlu_main_mini_roberta"]
    assert not any(cell.best for row in table.rows for cell in row.cells)
    assert table.columns[0].p_value > 0.05


def test_nothing_is_marked_without_predictions_to_test(tmp_path):
    handmade.write_run(tmp_path, *MINI, "method=lora", score=90, predictions=False)
    handmade.write_run(tmp_path, *MINI, "method=bitfit", score=60)
    table = build(tmp_path)["mini/nlu_main_mini_roberta"]
    assert not any(cell.best for row in table.rows for cell in row.cells)
    assert table.columns[0].p_value is None


def test_runs_scored_on_other_data_are_not_tested_against_each_other(tmp_path):
    handmade.write_run(tmp_path, *MINI, "method=lora", score=90)
    handmade.write_run(tmp_path, *MINI, "method=bitfit", score=60, data=data("other", "local"))
    table = build(tmp_path)["mini/nlu_main_mini_roberta"]
    assert table.columns[0].p_value is None
    assert not any(cell.best for row in table.rows for cell in row.cells)


def test_significance_is_over_all_seeds_of_both_sides_though_they_share_none(tmp_path, monkeypatch):
    runs = set()
    monkeypatch.setattr(
        tables.statistics, "paired_p_value", lambda score, metric, *sides: runs.add((*map(len, sides),)) or 0.9
    )
    for seed in (0, 1, 2):
        handmade.write_run(tmp_path, *MINI, "method=lora", seed=seed, score=90)
    for seed in (3, 4):
        handmade.write_run(tmp_path, *MINI, "method=bitfit", seed=seed, score=60)
    assert build(tmp_path)["mini/nlu_main_mini_roberta"].columns[0].p_value == 0.9
    assert runs == {(3, 2)}


@pytest.mark.parametrize("alone", ["lora", "bitfit"])
def test_one_seed_is_never_best_nor_beaten_and_the_legend_says_so(tmp_path, alone):
    for method, score in (("lora", 90.0), ("bitfit", 60.0), ("prefix", 20.0)):
        for seed in range(1 if method == alone else 3):
            handmade.write_run(tmp_path, *MINI, f"method={method}", seed=seed, score=score)
    table = build(tmp_path)["mini/nlu_main_mini_roberta"]
    assert table.columns[0].p_value is None
    assert not any(cell.best for row in table.rows for cell in row.cells)
    assert render.legend(table).endswith("No best is marked where it or its runner-up has one seed.")


def test_bold_comes_with_the_word_that_settings_were_not_tuned(tmp_path):
    for method, score in (("lora", 90.0), ("bitfit", 60.0)):
        for seed in range(2):
            handmade.write_run(tmp_path, *MINI, f"method={method}", seed=seed, score=score)
    legend = render.legend(build(tmp_path)["mini/nlu_main_mini_roberta"])
    assert "Bold: best of its column" in legend
    assert legend.endswith("the published ones or the user's; they were not tuned with equal effort.")


def test_p_values_are_adjusted_over_the_columns_of_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr(tables.statistics, "paired_p_value", lambda *_: 0.03)
    for method, score in (("lora", 90.0), ("bitfit", 60.0)):
        for seed in range(2):
            handmade.write_run(tmp_path, *MINI, f"method={method}", seed=seed, score=score)
    assert cells(build(tmp_path)["mini/nlu_main_mini_roberta"], "lora")[0].best
    for method, score in (("lora", 90.0), ("bitfit", 60.0)):
        both = {"accuracy": score, "accuracy_mismatched": score}
        for seed in range(2):
            handmade.write_run(tmp_path, "preset=mini", "task=mnli", f"method={method}", seed=seed, scores=both)
    table = build(tmp_path)["mini/nlu_main_mini_roberta"]
    assert [column.p_value for column in table.columns] == pytest.approx([0.09, 0.09, 0.09])
    assert not any(cell.best for cell in cells(table, "lora"))


def test_lower_is_better_for_ter(tmp_path, monkeypatch):
    compared = []
    monkeypatch.setattr(
        tables.statistics, "paired_p_value", lambda score, _, *sides: compared.append((score, sides[0][0])) or 0.001
    )
    for method, ter in (("lora", 40.0), ("inducer", 60.0)):
        for seed in range(2):
            handmade.write_run(
                tmp_path, "task=webnlg", f"method={method}", seed=seed, scores={"bleu": 30.0, "ter": ter}
            )
    table = build(tmp_path)["full/nlg_main_gpt2"]
    position = next(i for i, column in enumerate(table.columns) if column.value == "ter")
    assert cells(table, "lora")[position].best
    assert not cells(table, "inducer")[position].best
    assert {metric for metric, _ in compared} == {"bleu", "ter"}
