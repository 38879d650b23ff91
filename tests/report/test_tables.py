"""Tables from a sweep written by hand: what is in them, what is not, and what is told below."""

import re

import pytest
from helpers import handmade
from helpers.handmade import FULL, MINI, data

from inducer_bench.cli.main import main
from inducer_bench.config.choices import choices
from inducer_bench.config.compose import compose
from inducer_bench.report import asked, layout, reference, store, tables
from inducer_bench.report.cells import Measured
from inducer_bench.report.layout import Scope
from inducer_bench.runs.record import Code, Device

WITH_RANKS = "prefix adapter lora mam kernel_mix inducer inducer_lora inducer_ffn".split()
SHIPPED = {"all": ["fine_tune", "head_only", "bitfit", *WITH_RANKS], "with_ranks": WITH_RANKS}  # `methods` of a table


def build(root, **more):
    return {table.path: table for table in tables.build(store.load(root), reference.sources(), "runs", **more)}


def cells(table, label):
    return next(row.cells for row in table.rows if row.label == label)


def notes(table, cell):
    return [text for letter, text in table.notes if letter in cell.marks]


def test_every_shipped_table_composes_and_so_does_every_setting_it_asks_for():
    found = layout.layouts()
    assert sorted(found) == choices("table")
    for file in found.values():
        table = file.layout
        named = [column.task for column in table.columns if column.task not in (None, "any", "each")]
        tasks = [*(table.tasks or []), *named]
        assert set(tasks) <= set(choices("task"))
        task, plm = ("webnlg", "gpt2") if tasks[:1] == ["webnlg"] else ("sst2", "roberta-base")
        rows = asked.rows(file)
        keys = {row.label: row.key(Scope("full", plm, "paper"), task, 124_000_000) for row in rows}
        assert len(keys) == len(rows)
        assert all(key or row.budget for row, key in zip(rows, keys.values(), strict=True))
        reachable = {row.method for row, key in zip(rows, keys.values(), strict=True) if key}
        assert reachable == set(SHIPPED[table.methods] if isinstance(table.methods, str) else table.methods or [])


def test_scores_are_mean_and_sample_deviation_over_seeds(built):
    assert cells(built["mini/sst2"], "LoRA")[0].shown() == ("91.0", "1.0", "3")  # of 90, 91, 92
    assert cells(built["mini/sst2"], "BitFit")[0].shown() == ("70.0", "", "1")


def test_mini_and_real_records_never_share_a_table(built):
    for path, table in built.items():
        suites = {cell.group.config.suite for row in table.rows for cell in row.cells if isinstance(cell, Measured)}
        assert suites == {path.split("/")[0]}


def test_failed_and_out_of_memory_show_as_such(built):
    table = built["mini/sst2"]
    assert cells(table, "Fine-tuning")[0].shown()[0] == "oom"
    prefix = cells(table, "Prefix")[0]
    assert prefix.shown() == ("60.0", "", "1")
    assert notes(table, prefix) == ["failed: seed 1; not in the mean"]


def test_what_nobody_ran_is_in_no_table_unless_a_layout_asks_for_it(built):
    for table in built.values():
        assert table.commands == ()
        assert all(cell.shown()[0] != "missing" for row in table.rows for cell in row.cells)
        assert all(row.groups for row in table.rows)


@pytest.fixture(scope="module")
def asking(sweep):
    """The tables with what is missing."""
    return build(sweep, missing=True)


def test_missing_cells_have_the_command_that_fills_them(asking):
    table = asking["full/nlu_main_roberta-base"]
    assert cells(table, "Adapter")[0].shown()[0] == "missing"
    words = [dict(re.findall(r"(\S+?)=(\S+)", command)) for command in table.commands]
    seeds = {
        (task, method): found["seed"]
        for found in words
        for task in found["task"].split(",")
        for method in found["method"].split(",")
    }
    assert seeds["sst2", "adapter"] == "0,1,2,3,4"
    assert seeds["sst2", "lora"] == "2,3,4"
    assert seeds["mnli", "inducer"] == "1,2,3,4"


def test_failed_run_is_asked_for_again_and_one_out_of_memory_is_not(tmp_path):
    handmade.write_run(tmp_path, *MINI, "method=lora")
    handmade.write_run(tmp_path, *MINI, "method=prefix", seed=1, status="failed")
    handmade.write_run(tmp_path, *MINI, "method=fine_tune", status="oom")
    handmade.write_run(tmp_path, "preset=mini", "task=mnli", "method=lora")
    table = build(tmp_path, missing=True)["mini/nlu_main_mini_roberta"]
    words = [dict(re.findall(r"(\S+?)=(\S+)", command)) for command in table.commands]
    seeds = {m: found["seed"] for found in words if "sst2" in found["task"] for m in found["method"].split(",")}
    assert (seeds["prefix"], seeds["fine_tune"]) == ("0,1,2", "1,2")


def test_commands_name_settings_that_then_fill_the_cells(asking, tmp_path):
    """Follow each command of the ablation: its configurations are those that the table waits for."""
    before = asking["mini/ablation_sst2_mini_roberta"]
    assert cells(before, "no value residual")[0].shown()[0] == "missing"
    for label in ("inducer", "no gate"):
        assert cells(before, label)[0].shown()[0] not in ("missing", "")
    for seed in range(3):
        for more in ([], ["method.gate=false"]):
            handmade.write_run(tmp_path, *MINI, "method=inducer", *more, seed=seed)
    for command in before.commands:
        words = [word.strip("'") for word in command.split()[1:] if word != "-m"]
        seeds = next(word for word in words if word.startswith("seed=")).removeprefix("seed=").split(",")
        rest = tuple(word for word in words if not word.startswith("seed="))
        for seed in seeds:
            handmade.write_run(tmp_path, *rest, seed=int(seed))
    after = build(tmp_path, missing=True)["mini/ablation_sst2_mini_roberta"]
    assert after.commands == ()
    assert all(len(row.cells[0].values) == 3 for row in after.rows)


def test_commands_compose(asking):
    commands = {command for table in asking.values() for command in table.commands if "method.budget" not in command}
    assert commands
    for command in commands:
        words = [word.strip("'") for word in command.split()[1:] if word != "-m"]
        compose([word.split(",")[0] for word in words])


def test_one_setting_alone_makes_no_ablation(tmp_path):
    handmade.write_run(tmp_path, *MINI, "method=inducer")
    assert list(build(tmp_path)) == ["mini/sst2"]


def test_shipped_tables_come_where_there_is_something_to_compare(tmp_path):
    for task in ("sst2", "mnli"):
        handmade.write_run(tmp_path, "preset=mini", f"task={task}", "method=lora")
    assert set(build(tmp_path)) == {"mini/sst2", "mini/mnli", "mini/across_mini_roberta"}
    handmade.write_run(tmp_path, *MINI, "method=bitfit")
    assert "mini/nlu_main_mini_roberta" in build(tmp_path)


def test_budgets_are_solved_as_the_command_line_solves_them(tmp_path):
    total = 1_210_496
    for percent in (1, 2):
        handmade.write_run(tmp_path, *MINI, "method=lora", f"method.budget={int(total * percent / 100)}")
    table = build(tmp_path, missing=True)["mini/budget_curve_sst2_mini_roberta"]
    shown = {row.label: row.cells[0].shown()[0] for row in table.rows if row.method == "lora"}
    assert shown == {
        "LoRA, 0.1%": "n/a", "LoRA, 0.25%": "missing", "LoRA, 0.5%": "missing", "LoRA, 1%": "80.0", "LoRA, 2%": "80.0",
    }  # fmt: skip
    plain = build(tmp_path)["mini/budget_curve_sst2_mini_roberta"]
    assert [row.label for row in plain.rows] == ["LoRA, 1%", "LoRA, 2%"]
    assert not [command for command in table.commands if "budget=0.1%" in command and "lora" in command]


def test_mixes_within_a_table_are_footnoted(built):
    table = built["full/nlu_main_roberta-base"]
    lora = cells(table, "LoRA")[0]
    assert lora.shown() == ("93.5", "0.7", "2")
    assert [text for text in notes(table, lora) if "0.0.9" in text] == [
        "code: 0.0.9 at fedcba9, with uncommitted changes; most of this table: 0.1.0 at 0123456"
    ]
    assert "code: 0.1.0 at 0123456;" in table.made_with


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"device": Device(type="cuda", name="H200", threads=8)}, "device: cuda H200"),
        ({"precision": "bf16"}, "precision: bf16"),
        (
            {"code": Code(version="0.1.0", algorithm=2, git_sha="0123456789abcdef", git_dirty=False)},
            "algorithm: version 2",
        ),
        ({"versions": {"torch": "9.9"}}, "torch: 9.9"),
        ({"plm_fingerprint": "sha256:other"}, "PLM weights: sha256:other"),
        ({"data": data("sha256:local", "local")}, "data of sst2: sha256:local"),
    ],
)
def test_each_kind_of_mix_is_told(tmp_path, change, told):
    for seed in range(2):
        handmade.write_run(tmp_path, *MINI, "method=lora", seed=seed)
    handmade.write_run(tmp_path, *MINI, "method=bitfit", **change)
    table = build(tmp_path)["mini/sst2"]
    bitfit = next(row.cells for row in table.rows if row.method == "bitfit")
    assert [text.split(";")[0] for text in notes(table, bitfit[0])] == [told]
    assert notes(table, cells(table, "LoRA")[0]) == []


def test_protocols_have_tables_of_their_own_and_are_told_apart_where_all_settings_meet(tmp_path):
    handmade.write_run(tmp_path, *MINI, "method=lora", seed=0)
    handmade.write_run(tmp_path, *MINI, "method=lora", seed=1)
    handmade.write_run(tmp_path, *MINI, "method=lora", "protocol=clean")
    for protocol in ("paper", "clean"):
        handmade.write_run(tmp_path, *MINI, "method=bitfit", f"protocol={protocol}")
        handmade.write_run(tmp_path, "preset=mini", "task=mnli", "method=lora", f"protocol={protocol}")
    found = build(tmp_path)
    assert {"mini/nlu_main_mini_roberta", "mini/nlu_main_mini_roberta_clean"} <= set(found)
    table = found["mini/sst2"]
    clean = next(row for row in table.rows if row.label == "LoRA, protocol clean")
    assert notes(table, clean.cells[0]) == ["protocol: clean; most of this table: paper"]


def test_score_that_was_not_computed_says_why(built):
    table = built["full/nlu_main_roberta-base"]
    inducer = cells(table, "Inducer")
    position = next(i for i, column in enumerate(table.columns) if column.heading == "MNLI mismatched")
    assert inducer[position].shown()[0] == "not computed"
    assert notes(table, inducer[position]) == ["not computed: no Java"]


def test_published_figures_stand_in_columns_of_their_own_with_their_source(built):
    table = built["full/nlu_main_roberta-base"]
    published = {column.value: i for i, column in enumerate(table.columns) if column.source == "LoRA README"}
    assert sorted(published) == ["accuracy", "accuracy_mismatched"]
    by_heading = {
        column.heading: cell.shown() for column, cell in zip(table.columns, cells(table, "LoRA"), strict=True)
    }
    assert by_heading["SST-2, LoRA README"] == ("95.1", "0.2", "")
    assert by_heading["MNLI mismatched, LoRA README"] == ("86.9", "0.3", "")
    empty = dict(zip((column.heading for column in table.columns), cells(table, "Inducer"), strict=True))
    assert empty["SST-2, LoRA README"].shown() == ("", "", "")
    assert by_heading["SST-2, LoReFT paper"] == ("93.9", "", "")
    assert by_heading["SST-2, Unified View paper"] == ("94.2", "0.2", "")
    assert not any(heading.startswith("MNLI") and "Unified View" in heading for heading in by_heading)  # which MNLI?
    mark = next(column.marks[0] for column in table.columns if column.source == "LoRA README")
    assert "github" in dict(table.notes)[mark].lower()


def test_published_figures_stay_out_of_mini_tables_and_of_other_plms(tmp_path):
    handmade.write_run(tmp_path, *MINI, "method=lora")
    handmade.write_run(tmp_path, *MINI, "plm=roberta-base", "method=lora")
    handmade.write_run(tmp_path, *FULL, "plm=roberta-large", "method=lora")
    for table in build(tmp_path).values():
        assert not any(column.source for column in table.columns)


def test_costs_come_from_the_record_and_the_adapter_s_files(built):
    table = built["mini/sst2"]
    shown = dict(zip((column.value for column in table.columns), cells(table, "LoRA"), strict=True))
    assert shown["parameters"].shown() == ("16,384", "", "")
    assert shown["train_seconds"].shown() == ("21", "1", "3")


# -- published figures -------------------------------------------------------------------------------------------------


def test_every_published_figure_has_a_source():
    assert all(source.source and source.read_on for source in reference.sources())


@pytest.mark.parametrize(
    ("text", "told"),
    [("name: x\nread_on: y\nfigures: []\n", "source: missing"), ("a: [", "line 1: "), ("", "name: missing")],
)
def test_reference_without_a_source_is_refused(tmp_path, text, told):
    from inducer_bench.errors import UserError

    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(UserError, match=told):
        reference.sources(tmp_path)


# -- the command -------------------------------------------------------------------------------------------------------


def test_command_writes_the_same_bytes_twice_and_names_damaged_records(tmp_path, capsys):
    for seed in range(2):
        for method, score in (("lora", 80), ("bitfit", 70)):
            handmade.write_run(tmp_path / "runs", *MINI, f"method={method}", seed=seed, score=score + seed)
    damaged = handmade.write_run(tmp_path / "runs", *MINI, "method=lora", seed=2) / "record.json"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    contents = []
    for place in ("one", "two"):
        assert main(["tables", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / place)]) == 1
        files = sorted(path for path in (tmp_path / place).rglob("*") if path.is_file())
        contents.append({str(path.relative_to(tmp_path / place)): path.read_bytes() for path in files})
    assert contents[0] == contents[1]
    endings = {path.rpartition(".")[2] for path in contents[0]}
    assert endings == {"html", "md", "csv", "tex", "svg", "png", "written"}
    captured = capsys.readouterr()
    assert captured.err.count(f"left out: {damaged}: not a whole record") == 2
    assert "tables of 4 finished runs" in captured.out


def test_command_of_a_sound_folder_is_done(tmp_path):
    handmade.write_run(tmp_path / "runs", *MINI, "method=lora", "trainer.epochs=9")
    assert main(["tables", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "index.html").is_file()


def test_command_removes_what_an_earlier_call_wrote_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    first = handmade.write_run(tmp_path / "runs", *MINI, "method=lora", "trainer.epochs=9")
    arguments = ["tables", "--runs", str(tmp_path / "runs"), "--out", str(out)]
    assert main(arguments) == 0
    mine, table = out / "mini" / "mine.md", out / "mini" / "sst2.md"
    mine.write_text("notes")
    assert table.is_file()
    (first / "record.json").unlink()
    outside = tmp_path / "outside.txt"
    outside.write_text("not ours")
    with open(out / ".written", "a") as manifest:
        manifest.write("../outside.txt\n")
    assert main(arguments) == 0
    assert not table.exists()
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        ".written", "index.html", "mini/mine.md",
    ]  # fmt: skip
    assert outside.is_file()


def test_adapter_size_is_that_of_the_record_which_may_be_kept_without_the_adapter(tmp_path):
    folder = handmade.write_run(tmp_path / "runs", *MINI, "method=lora", parameters=2**18)
    assert not (folder / "adapter").exists()
    (tmp_path / "sizes.yaml").write_text("columns: [{value: adapter_size}]\n")
    table = build(tmp_path / "runs", given=[tmp_path / "sizes.yaml"])["mini/sizes_sst2_mini_roberta"]
    assert table.rows[0].cells[0].shown()[0] == "1.00"


def test_command_without_records_says_so_on_the_page(tmp_path):
    assert main(["tables", "--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert "no record yet" in (tmp_path / "out" / "index.html").read_text()


def test_command_refuses_a_folder_that_is_not_there(tmp_path, capsys):
    assert main(["tables", "--runs", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.startswith("inducer-bench: --runs: found")


def test_command_needs_no_torch(run_cli, tmp_path):
    handmade.write_run(tmp_path, *MINI, "method=lora", "trainer.epochs=9")
    done = run_cli(
        "tables", "--runs", tmp_path, "--out", tmp_path / "out", env={"PYTHONPROFILEIMPORTTIME": "1"}, installed=True
    )
    assert done.returncode == 0
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "altair" in modules
    assert "torch" not in modules
