"""Ranks over tasks are of studies of equal effort that have ended, and say what they are about."""

import pytest
from helpers.handmade import MINI
from helpers.searches import tune

from inducer_bench.report import across, store, studies

TASKS = ("sst2", "mnli")
FINALS = {
    "lora": {"sst2": 90.0, "mnli": 80.0},
    "bitfit": {"sst2": 80.0, "mnli": 70.0},
    "prefix": {"sst2": 70.0, "mnli": 75.0},
}
OWN = {"lora": 50.0, "bitfit": 60.0, "prefix": 70.0}


def build(root):
    known, left_out = studies.load(root, store.load(root))
    assert left_out == []
    return across.tables(known)


def write(root, seeds=2, own=True, **changes):
    """Three methods on two tasks; ranks are 1 and 1, 2 and 3, 3 and 2; at their own settings the other way round."""
    for method, scores in FINALS.items():
        for task, score in scores.items():
            words = ["preset=mini", f"task={task}"]
            finals, untuned = [score + seed for seed in range(seeds)], [OWN[method]] * (2 if own else 0)
            tune(root, *words, f"method={method}", overrides=words, finals=finals, untuned=untuned, **changes)


def shown(table):
    return {row.label: [cell.shown()[0] for cell in row.cells] for row in table.rows}


def test_ranks_are_those_of_the_means_and_the_own_settings_stand_beside_them(tmp_path):
    write(tmp_path)
    (table,) = build(tmp_path)
    assert [column.value for column in table.columns] == ["mean_rank", "rank", "rank", "mean_rank_untuned", "change"]
    assert [column.label for column in table.columns[1:3]] == ["MNLI", "SST-2"]
    assert {label: [row[1], row[2], row[4]] for label, row in shown(table).items()} == {
        "LoRA": ["1", "1", "-2.0"], "BitFit": ["3", "2", "+0.5"], "Prefix": ["2", "3", "+1.5"],
    }  # fmt: skip
    mean = table.rows[0].cells[0]
    assert mean.value == 1.0
    assert mean.shown()[0].startswith("1.0 [1.0, ")
    assert table.text[-1].startswith("Kendall's tau of the mean ranks, tuned and at the methods' own settings: -0.82;")


def test_no_interval_comes_of_one_seed(tmp_path):
    write(tmp_path, seeds=1, own=False)
    (table,) = build(tmp_path)
    assert [row[0] for row in shown(table).values()] == ["1.0", "2.5", "2.5"]
    (said,) = table.text
    assert said.endswith("There are no intervals, as a method has one final run on a task.")


def test_method_that_was_not_tried_on_every_task_is_left_out_and_named(tmp_path):
    write(tmp_path)
    tune(tmp_path, *MINI, "method=adapter", overrides=["preset=mini", "task=sst2"])
    (table,) = build(tmp_path)
    assert "Adapter" not in shown(table)
    assert "Not tried on every task, and left out: Adapter." in table.text


def test_method_that_failed_on_a_task_ranks_last_there(tmp_path):
    write(tmp_path, own=False)
    for task in TASKS:
        words = ["preset=mini", f"task={task}"]
        tune(tmp_path, *words, "method=adapter", overrides=words, finals=(99.0, 98.0),
             tried=("failed",) * 4 if task == "mnli" else (70.0, "failed", 80.0, 75.0))  # fmt: skip
    (table,) = build(tmp_path)
    assert shown(table)["Adapter"][1:] == ["4", "1"]


@pytest.mark.parametrize(
    "change",
    [
        {"overrides": ["trainer.batch_size=8"]}, {"epochs": 3}, {"tried": (80.0, "planned")}, {"finals": ()},
        {"budget": "1%"}, {"dimensions": 2}, {"points": 1},
    ],
)  # fmt: skip
def test_other_effort_and_what_has_not_ended_are_not_ranked(tmp_path, change):
    for method in ("lora", "bitfit"):
        tune(tmp_path, *MINI, f"method={method}", overrides=["task=sst2"])
        tune(tmp_path, "preset=mini", "task=mnli", f"method={method}", **{"overrides": ["task=mnli"], **change})
    assert build(tmp_path) == []


def test_searches_that_do_not_say_their_points_have_the_default_ones(tmp_path):
    """Those of earlier versions; of one study, one method may have been searched again."""
    for method, said in (("bitfit", {}), ("lora", {"dimensions": 1, "points": 0})):
        tune(tmp_path, *MINI, f"method={method}", overrides=["task=sst2"], **said)
        tune(tmp_path, "preset=mini", "task=mnli", f"method={method}", overrides=["task=mnli"])
    (table,) = build(tmp_path)
    assert len(table.rows) == 2


def test_one_task_or_one_method_makes_no_ranking(tmp_path):
    for method in ("lora", "bitfit"):
        tune(tmp_path, *MINI, f"method={method}")
    tune(tmp_path, "preset=mini", "task=mnli", "method=lora")
    assert build(tmp_path) == []


def test_of_several_studies_of_a_task_one_counts_and_a_footnote_says_so(tmp_path):
    write(tmp_path, own=False)
    tune(tmp_path, *MINI, "method=adapter", overrides=["preset=mini", "task=sst2"], study="another")
    (table,) = build(tmp_path)
    assert len(table.rows) == 3
    assert [column.marks for column in table.columns] == [(), (), ("a",)]
    assert dict(table.notes)["a"] == "of several studies of this task, the one with most methods"
