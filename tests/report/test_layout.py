"""Which rows a table file asks for, and where tables come from."""

import shlex

import pytest
from helpers import handmade
from helpers.handmade import MINI

from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.report import asked, figures, layout, store, tables
from inducer_bench.report.layout import Scope
from inducer_bench.runs.identity import setting_key

METHOD = """
from inducer_bench.methods.options import MethodOptions, Rank
from inducer_bench.options import options

@options
class Options(MethodOptions):
    rate: int
    ranks = (Rank(("rate",)),)
    def parameters(self, s):
        return self.rate * s.width

def attach(tuned, options):
    pass
"""
TABLE = """
title: Mine
order: 9
methods: {methods}
seeds: {{full: 2, mini: 2}}
columns:
  - {{task: sst2, value: accuracy}}
"""


@pytest.fixture
def config_dir(tmp_path, monkeypatch):
    """A folder of the user's with a method from outside, and a variant of LoRA."""
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "layout_tests").mkdir()
    (tmp_path / "room" / "layout_tests" / "scale.py").write_text(METHOD)
    monkeypatch.syspath_prepend(tmp_path / "room")
    folder = tmp_path / "conf"
    for group in ("method", "table"):
        (folder / group).mkdir(parents=True)
    scale = "name: layout_tests.scale\nrate: 2\nbudget: null\nrecipes: {default: {lr: 1.0e-3}}\n"
    (folder / "method" / "scale.yaml").write_text(scale)
    (folder / "method" / "lora_8.yaml").write_text("defaults: [lora, _self_]\nr: 8\n")
    return folder


def table(folder, methods):
    (folder / "table" / "mine.yaml").write_text(TABLE.format(methods=methods))
    return layout.layouts(folder)["mine"]


def choices_of(mine, config_dir=None):
    return [row.choice for row in asked.rows(mine, config_dir)]


@pytest.mark.parametrize(
    ("methods", "shipped"),
    [
        ("all", "fine_tune head_only bitfit prefix adapter lora mam kernel_mix inducer inducer_lora inducer_ffn"),
        ("with_ranks", "prefix adapter lora mam kernel_mix inducer inducer_lora inducer_ffn"),
    ],
)
def test_methods_by_a_word_are_those_shipped_and_then_those_of_the_users_folder(config_dir, methods, shipped):
    mine = table(config_dir, methods)
    assert choices_of(mine) == shipped.split()
    assert choices_of(mine, config_dir) == [*shipped.split(), "lora_8", "scale"]


def test_row_knows_the_file_of_a_method_and_its_name_in_records(config_dir):
    lora, scale = asked.rows(table(config_dir, "[lora_8, scale]"), config_dir)
    assert (lora.choice, lora.method) == ("lora_8", "lora")
    assert (scale.choice, scale.method) == ("scale", "layout_tests.scale")


def test_row_of_the_users_folder_is_the_setting_of_its_file(config_dir):
    scope = Scope("mini", "mini_roberta", "paper", config_dir)
    (row,) = asked.rows(table(config_dir, "[lora_8]"), config_dir)
    composed = compose(["preset=mini", "task=sst2", "method=lora", "method.r=8"])
    assert row.key(scope, "sst2", 0) == setting_key(composed)


def test_command_that_fills_a_row_of_the_users_folder_composes(config_dir):
    scope = Scope("mini", "mini_roberta", "paper", config_dir)
    (row,) = asked.rows(table(config_dir, "[scale]"), config_dir)
    (command,) = asked.commands(scope, [("sst2", row, (0,))], [], "runs")
    words = shlex.split(command)
    assert words[:3] == ["inducer-bench", "--config-dir", str(config_dir)]
    assert compose(words[3:], config_dir).method.name == "layout_tests.scale"


def test_run_of_a_method_without_a_file_fills_the_row_of_the_file_with_its_setting(config_dir, tmp_path):
    table(config_dir, "[scale]")
    for rate, score in ((2, 90), (3, 50)):
        own = ["method=own", "method.name=layout_tests.scale", f"+method.rate={rate}", "trainer.lr=1e-3"]
        handmade.write_run(tmp_path / "runs", *MINI, *own, score=score)
    built = tables.build(store.load(tmp_path / "runs"), [], "runs", config_dir)
    (mine,) = [table for table in built if table.path == "mini/mine_mini_roberta"]
    (row,) = mine.rows
    assert (row.label, row.cells[0].shown()) == ("Scale", ("90.0", "", "1"))
    (found,) = [table for table in built if table.path == "mini/sst2"]
    assert [row.label for row in found.rows] == ["Scale, rate 2", "Scale, rate 3"]


def test_ablations_are_named_by_their_files():
    variants = layout.layouts()["ablation"].layout.variants
    assert variants["no gate"] == ["ablation=no_gate"]
    assert all(len(words) <= 1 and all(word.startswith("ablation=") for word in words) for words in variants.values())


def test_methods_by_an_unknown_word_are_refused_in_one_line(config_dir):
    with pytest.raises(
        UserError, match=r"^table/mine\.methods: found 'everything'; allowed: all, with_ranks, or a list"
    ):
        table(config_dir, "everything")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"title: [", "line 1: expected the node content"),
        (b"\xff\xfe\xff", "'utf-8' codec can't decode byte 0xff"),
        (b"- one\n", "found a list; allowed: keys and values"),
        (b"title: ${nowhere}\n", "Interpolation key 'nowhere' not found"),
        (
            b"title: 'x {other}'\norder: 1\ncolumns: [{value: accuracy}]\n",
            "title: found 'x {other}'; allowed in braces",
        ),
        (b"titel: x\n", "titel: there is no such key; did you mean 'title'? allowed: title, order, where"),
        (b"columns: [{valeu: accuracy}]\n", "columns.0.valeu: there is no such key; did you mean 'value'?"),
        (b"columns: []\n", "columns: found []; allowed: at least 1 entry"),
        (b"rows: [{label: x}]\n", "rows.0.where: missing"),
        (b"rows: [{where: {task: sst2}}]\nmethods: all\n", "rows: found together with methods; allowed: one of them"),
        (b"budgets: [1%]\n", "budgets: found without methods"),
        (b"show_missing: true\n", "show_missing: found without methods or rows"),
        (b"sort: bset\n", "sort: found 'bset'; did you mean 'best'? allowed: method, best, given"),
        (b"sort: given\n", "sort: found 'given' without rows; allowed: method, best"),
        (b"where: [1]\n", "where: found [1]; allowed: keys of a configuration, each with a value or a list"),
        (b"methods: all\nmodels: together\n", "models: found 'together' with methods; allowed: apart"),
        (b"columns: [{value: accuracy, task: sst2}]\ntasks: [sst2]\n", "tasks: found with columns that all name"),
    ],
)
def test_table_file_that_is_none_is_refused_in_one_line(config_dir, content, part):
    (config_dir / "table" / "mine.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"^table/mine") as caught:
        layout.layouts(config_dir)
    assert part in str(caught.value)


def test_table_file_without_seeds_asks_for_no_further_runs(config_dir, tmp_path):
    text = TABLE.format(methods="[lora, bitfit]").replace("seeds: {full: 2, mini: 2}\n", "figures: [budget_curve]\n")
    (config_dir / "table" / "mine.yaml").write_text(text)
    handmade.write_run(tmp_path / "runs", *MINI, "method=lora")
    built = {table.name: table for table in tables.build(store.load(tmp_path / "runs"), [], "runs", config_dir)}
    assert built["mine_mini_roberta"].commands == ()
    assert figures.draw(built["mine_mini_roberta"]) == []
