"""Rows are named by what sets them apart, and what all of them share is said once."""

import dataclasses

import pytest
from helpers import handmade
from helpers.handmade import MINI, data

from inducer_bench.report import render, store, tables
from inducer_bench.report.naming import named_rows, task_title

CLASSIFICATION = ("preset=mini", "task=classification", "task.data_dir=.", "task.name=reviews", "task.max_length=64")


def build(root, **more):
    found = store.load(root)
    assert found.left_out == []
    return {table.path: table for table in tables.build(found, [], "runs", **more)}


def labels(table):
    return [row.label for row in table.rows]


def test_settings_that_all_rows_share_are_in_the_caption_and_not_in_labels(tmp_path):
    for method in ("lora", "bitfit"):
        handmade.write_run(tmp_path, *MINI, f"method={method}", "trainer.epochs=1", "task.max_train=400")
    table = build(tmp_path)["mini/sst2"]
    assert labels(table) == ["BitFit", "LoRA"]
    assert table.shared == (("trainer.epochs", "1"), ("task.max_train", "400"))
    assert render.caption(table).endswith("All rows: trainer.epochs=1, task.max_train=400.")


def test_rows_differ_by_learning_rate_epochs_amount_of_data_and_rank(tmp_path):
    for more in ([], ["trainer.lr=1e-3"], ["trainer.epochs=9"], ["task.max_train=100"], ["method.r=4"]):
        handmade.write_run(tmp_path, *MINI, "method=lora", *more)
    handmade.write_run(tmp_path, *MINI, "method=bitfit")
    found = labels(build(tmp_path)["mini/sst2"])
    assert sorted(found) == sorted([
        "BitFit",
        "LoRA, r 8, lr 0.005, epochs 5, max_train all",
        "LoRA, r 8, lr 0.001, epochs 5, max_train all",
        "LoRA, r 8, lr 0.005, epochs 9, max_train all",
        "LoRA, r 8, lr 0.005, epochs 5, max_train 100",
        "LoRA, r 4, lr 0.005, epochs 5, max_train all",
    ])  # fmt: skip


def test_value_that_is_not_as_shipped_is_visible_even_where_no_other_row_differs_in_it(tmp_path):
    handmade.write_run(tmp_path, *MINI, "method=lora", "trainer.lr=1e-3")
    handmade.write_run(tmp_path, *MINI, "method=bitfit")
    table = build(tmp_path)["mini/sst2"]
    assert labels(table) == ["BitFit", "LoRA, lr 0.001"]
    assert table.rows[1].differs == (("trainer.lr", "0.001"),)


def test_learning_rates_are_in_their_order_and_as_long_as_it_takes_to_tell_them_apart(tmp_path):
    for rate in ("0.01", "0.0010002", "0.0010004"):
        handmade.write_run(tmp_path, *MINI, "method=lora", f"trainer.lr={rate}")
    found = labels(build(tmp_path)["mini/sst2"])
    assert found == ["LoRA, lr 0.0010002", "LoRA, lr 0.0010004", "LoRA, lr 0.01"]


def test_models_share_the_table_of_a_task_and_are_named_in_its_rows(tmp_path):
    for plm in ("roberta-base", "roberta-large"):
        handmade.write_run(tmp_path, "task=sst2", f"plm={plm}", "method=lora")
    table = build(tmp_path)["full/sst2"]
    assert labels(table) == ["LoRA, roberta-base", "LoRA, roberta-large"]
    assert table.scope.plm == "several models"


def test_own_task_and_own_model_have_tables_by_their_names(tmp_path):
    own = handmade.configuration((*CLASSIFICATION, "method=lora", "task.text=comment"))
    for method in ("lora", "bitfit"):
        config = dataclasses.replace(own, method=handmade.configuration((*MINI, f"method={method}")).method)
        config = dataclasses.replace(config, plm=dataclasses.replace(own.plm, name="my_bert", path="somewhere"))
        handmade.write_run_of(tmp_path, config)
    handmade.write_run(tmp_path, *MINI, "method=lora")
    table = build(tmp_path)["full/reviews"]
    assert (table.title, table.scope.plm) == ("reviews", "my_bert")
    assert table.columns[0].heading == "accuracy"
    assert "task.text" not in dict(table.shared)


def test_renamed_copy_of_a_shipped_task_is_not_called_by_its_title():
    config = handmade.configuration(MINI)
    assert task_title(config.task) == "SST-2"
    assert task_title(dataclasses.replace(config.task, title=None)) == "SST-2"  # as in records of earlier releases
    assert task_title(dataclasses.replace(config.task, name="mine")) == "mine"
    assert task_title(dataclasses.replace(config.task, name="mine", title="My task")) == "My task"


def test_equal_settings_on_several_tasks_are_one_row(tmp_path):
    for task, amount in (("sst2", 400), ("mnli", 200)):
        for method in ("lora", "bitfit"):
            handmade.write_run(tmp_path, "preset=mini", f"task={task}", f"method={method}", f"task.max_train={amount}")
    handmade.write_run(tmp_path, *MINI, "method=lora", "task.max_train=400", "trainer.lr=1e-3")
    table = build(tmp_path)["mini/across_mini_roberta"]
    assert [column.heading for column in table.columns] == ["MNLI accuracy", "SST-2 accuracy", "parameters"]
    assert labels(table) == ["BitFit", "LoRA, lr 0.001", "LoRA, lr 0.005"]
    assert [len(row.groups) for row in table.rows] == [2, 1, 2]
    assert render.caption(table).endswith("All rows: task.max_train=200 on MNLI, task.max_train=400 on SST-2.")


def test_winners_of_searches_are_one_row_on_all_tasks(tmp_path):
    for task, rate in (("sst2", "1e-3"), ("mnli", "2e-3")):
        handmade.write_run(tmp_path, "preset=mini", f"task={task}", "method=lora", f"trainer.lr={rate}")
        handmade.write_run(tmp_path, "preset=mini", f"task={task}", "method=lora")
    groups = store.load(tmp_path).groups
    winners = {group.key for group in groups if group.config.trainer.lr != 0.005}
    rows, _ = named_rows(groups, searched=lambda group: ("trainer.lr",) if group.key in winners else None)
    assert {row.label: len(row.groups) for row in rows} == {"LoRA": 2, "LoRA, tuned": 2}


def test_other_files_of_the_data_are_told_in_the_label(tmp_path):
    for seed in (0, 1):
        handmade.write_run(tmp_path, *MINI, "method=lora", seed=seed)
    handmade.write_run(tmp_path, *MINI, "method=lora", data=data("sha256:0123456789ab", "local"))
    assert labels(build(tmp_path)["mini/sst2"]) == ["LoRA", "LoRA, data 01234567"]


@pytest.mark.parametrize("kind", ["cuda_allocated", "tensors_allocated"])
def test_memory_of_one_kind_alone_stands_in_a_column(tmp_path, kind):
    for method in ("lora", "bitfit"):
        handmade.write_run(tmp_path, *MINI, f"method={method}", peak_memory_of=kind)
    handmade.write_run(tmp_path, *MINI, "method=prefix")  # of the whole process
    handmade.write_run(tmp_path, *MINI, "method=adapter", peak_memory_of=kind, side_by_side=5)
    other = {"cuda_allocated": "tensors_allocated", "tensors_allocated": "cuda_allocated"}[kind]
    handmade.write_run(tmp_path, *MINI, "method=inducer", peak_memory_of=other)
    table = build(tmp_path)["mini/sst2"]
    position = next(i for i, column in enumerate(table.columns) if column.value == "peak_memory")
    shown = {row.method: row.cells[position] for row in table.rows}
    assert {method for method, cell in shown.items() if cell.shown()[0]} == {"lora", "bitfit"}
    notes = dict(table.notes)
    assert notes[shown["prefix"].marks[0]].startswith("memory was measured for the whole process")
    assert notes[shown["adapter"].marks[0]].startswith("memory was measured for several seeds")
    assert notes[shown["inducer"].marks[0]].startswith(f"memory was measured otherwise ({other})")
    assert ("GPU" in table.columns[position].label) == (kind == "cuda_allocated")


def test_memory_of_a_process_is_no_column(tmp_path):
    handmade.write_run(tmp_path, *MINI, "method=lora")
    assert "peak_memory" not in [column.value for column in build(tmp_path)["mini/sst2"].columns]


def test_times_from_different_machines_have_a_footnote(tmp_path):
    handmade.write_run(tmp_path, *MINI, "method=lora")
    handmade.write_run(tmp_path, *MINI, "method=bitfit")
    table = build(tmp_path)["mini/sst2"]
    position = next(i for i, column in enumerate(table.columns) if column.value == "train_seconds")
    assert table.columns[position].marks == ()
    handmade.write_run(tmp_path, *MINI, "method=prefix", device=handmade.Device(type="cuda", name="H200", threads=1))
    table = build(tmp_path)["mini/sst2"]
    (mark,) = table.columns[position].marks
    assert dict(table.notes)[mark].startswith(
        "measured on different machines, so the times are not comparable: cpu x86_64"
    )
