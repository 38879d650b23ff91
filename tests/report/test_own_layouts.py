"""Tables by layouts of the user's: which runs, which rows, which columns."""

import pytest
from helpers import handmade
from helpers.handmade import MINI

from inducer_bench.cli.main import main
from inducer_bench.errors import UserError
from inducer_bench.report import render, store, tables


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three methods on SST-2 and two on MNLI, LoRA at two learning rates."""
    root = tmp_path_factory.mktemp("runs")
    for method, score in (("lora", 80.0), ("inducer", 85.0), ("bitfit", 70.0)):
        handmade.write_run(root, *MINI, f"method={method}", score=score)
    handmade.write_run(root, *MINI, "method=lora", "trainer.lr=1e-3", score=75.0)
    for method in ("lora", "inducer"):
        handmade.write_run(root, "preset=mini", "task=mnli", f"method={method}", score=50.0)
    return root


def built(runs, tmp_path, text, name="mine"):
    (tmp_path / f"{name}.yaml").write_text(text)
    found = tables.build(store.load(runs), [], "runs", given=[tmp_path / f"{name}.yaml"])
    return [table for table in found if table.layout == name]


def only(runs, tmp_path, text):
    (table,) = built(runs, tmp_path, text)
    return table


def labels(table):
    return [row.label for row in table.rows]


def test_empty_layout_is_a_table_for_each_task(runs, tmp_path):
    assert [table.path for table in built(runs, tmp_path, "{}\n")] == [
        "mini/mine_mnli_mini_roberta", "mini/mine_sst2_mini_roberta",
    ]  # fmt: skip


def test_tables_whose_names_come_out_the_same_have_files_of_their_own(tmp_path):
    for task, plm in (("films", "small_plm"), ("films_small", "plm"), ("Films", "small_plm")):
        config = handmade.record_of(handmade.configuration((*MINI, "method=lora"))).config
        config |= {"task": {**config["task"], "name": task}, "plm": {**config["plm"], "name": plm}}
        handmade.write_run(tmp_path, *MINI, "method=lora", config=config, task=task, plm=plm)
    paths = [table.path for table in built(tmp_path, tmp_path, "{}\n")]
    assert len({path.casefold() for path in paths}) == 3
    assert [path[:-8].casefold() for path in paths] == ["mini/mine_films_small_plm_"] * 3


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("{task: sst2, method: lora}", ["LoRA, lr 0.001", "LoRA, lr 0.005"]),
        ("{task: sst2, method: [lora, bitfit], trainer.lr: 0.005}", ["BitFit", "LoRA"]),
        ("{task: sst2, trainer.lr: 1e-3}", ["LoRA"]),
        ("{task: sst2, method.gate: true}", ["Inducer"]),
        ("{task: sst2, task.max_train: null, method: bitfit}", ["BitFit"]),
        ("{task: sst2, suite: full}", None),
    ],
)
def test_runs_are_chosen_by_any_key(runs, tmp_path, where, found):
    assert [labels(table) for table in built(runs, tmp_path, f"where: {where}\n")] == ([found] if found else [])


def test_rows_are_chosen_renamed_and_in_the_given_order(runs, tmp_path):
    table = only(
        runs,
        tmp_path,
        """
title: Ours and theirs
columns: [{value: accuracy, task: sst2, label: SST, decimals: 3}, {value: accuracy, task: mnli, group: MNLI}]
rows:
  - {label: Ours, where: {method: inducer}}
  - {label: Theirs, where: {method: lora, trainer.lr: 0.001}}
  - {label: Nobody's, where: {method: prefix}}
sort: given
""",
    )
    assert labels(table) == ["Ours", "Theirs"]
    assert [column.heading for column in table.columns] == ["SST", "MNLI accuracy"]
    assert [[cell.shown()[0] for cell in row.cells] for row in table.rows] == [["85.000", "50.0"], ["75.000", ""]]
    assert table.text == ("No run fits: Nobody's.", "Not as shipped: Theirs: trainer.lr=0.001.")
    assert table.title == "Ours and theirs"


def test_row_of_several_settings_becomes_several_rows(runs, tmp_path):
    table = only(runs, tmp_path, "where: {task: sst2}\nrows: [{label: Low rank, where: {method: lora}}]\n")
    assert labels(table) == ["Low rank, LoRA, lr 0.001", "Low rank, LoRA, lr 0.005"]


def test_key_of_the_configuration_is_a_column_and_leaves_the_labels(runs, tmp_path):
    table = only(
        runs, tmp_path, "where: {task: sst2, method: lora}\ncolumns: [{value: headline}, {value: trainer.lr}]\n"
    )
    assert labels(table) == ["LoRA", "LoRA"]
    assert [[cell.shown()[0] for cell in row.cells] for row in table.rows] == [["75.0", "0.001"], ["80.0", "0.005"]]
    assert [column.heading for column in table.columns] == ["accuracy", "lr"]


def test_best_row_comes_first_where_the_layout_says_so(runs, tmp_path):
    table = only(runs, tmp_path, "where: {task: sst2, trainer.lr: 0.005}\nsort: best\nnames: {bitfit: Biases}\n")
    assert labels(table) == ["Inducer", "LoRA", "Biases"]


def test_missing_rows_appear_if_the_layout_asks_for_them(runs, tmp_path):
    text = "methods: [lora, prefix]\nseeds: {{mini: 2}}\nshow_missing: {}\ncolumns: [{{value: accuracy, task: sst2}}]\n"
    assert labels(only(runs, tmp_path, text.format("false"))) == ["LoRA"]
    table = only(runs, tmp_path, text.format("true"))
    assert [(row.label, row.cells[0].shown()[0]) for row in table.rows] == [("LoRA", "80.0"), ("Prefix", "missing")]
    assert sorted(table.commands) == [
        "inducer-bench -m preset=mini task=sst2 method=prefix seed=0,1",
        "inducer-bench preset=mini task=sst2 method=lora seed=1",
    ]


def test_marks_can_be_switched_off(tmp_path):
    for method, score in (("lora", 90.0), ("bitfit", 60.0)):
        for seed in range(3):
            handmade.write_run(tmp_path / "runs", *MINI, f"method={method}", seed=seed, score=score)
    for bold in (True, False):
        table = only(tmp_path / "runs", tmp_path, f"bold: {str(bold).lower()}\n")
        assert any(cell.best for row in table.rows for cell in row.cells) == bold
        assert ("Bold" in render.legend(table)) == bold


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("where: {trainer.lrr: 1}", "table/mine.where.trainer.lrr: no run has this key; did you mean 'trainer.lr'?"),
        (
            "rows: [{where: {metod: lora}}]",
            "table/mine.rows.0.where.metod: no run has this key; did you mean 'method'?",
        ),
        ("columns: [{value: acuracy}]", "table/mine.columns.0.value: unknown 'acuracy'; did you mean 'accuracy'?"),
        ("methods: [lorra]", "table/mine.methods: unknown 'lorra'; did you mean 'lora'?"),
    ],
)
def test_names_that_no_run_has_are_one_line_with_the_nearest_one(runs, tmp_path, text, told):
    with pytest.raises(UserError) as caught:
        built(runs, tmp_path, f"{text}\n")
    assert str(caught.value).startswith(told)


def test_command_takes_layouts_and_refuses_what_is_none(runs, tmp_path, capsys):
    arguments = ["tables", "--runs", str(runs), "--out", str(tmp_path / "out")]
    for name in ("first", "second"):
        (tmp_path / f"{name}.yaml").write_text("where: {task: sst2}\n")
    given = [word for name in ("first", "second") for word in ("--layout", str(tmp_path / f"{name}.yaml"))]
    assert main([*arguments, *given]) == 0
    for name in ("first", "second"):
        assert (tmp_path / "out" / "mini" / f"{name}_sst2_mini_roberta.tex").is_file()
    capsys.readouterr()
    (tmp_path / "first.yaml").write_text("titel: x\n")
    for layout, told in (
        (tmp_path / "none.yaml", "--layout: found "),
        (tmp_path / "first.yaml", "table/first.titel: "),
    ):
        assert main([*arguments, "--layout", str(layout)]) == 2
        assert capsys.readouterr().err.startswith(f"inducer-bench: {told}")


def test_layout_of_the_users_folder_counts_before_a_shipped_one_of_its_name(runs, tmp_path):
    (tmp_path / "conf" / "table").mkdir(parents=True)
    (tmp_path / "conf" / "table" / "nlu_main.yaml").write_text("title: Mine\nwhere: {task: sst2}\n")
    found = tables.build(store.load(runs), [], "runs", tmp_path / "conf")
    assert [table.title for table in found if table.layout == "nlu_main"] == ["Mine"]
