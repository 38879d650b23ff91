"""The committed tables and figures: they are current, and each script that makes them runs."""

import dataclasses
from pathlib import Path

import pytest
import torch
from helpers import handmade

from inducer_bench.errors import UserError
from inducer_bench.runs import record as records
from scripts.evidence import gate_figure, mini_tables, pages, parity_table
from scripts.mini import pretrain

PNG = b"\x89PNG"
PARITY = pages.RESULTS.parents[1] / "shared" / "parity"


# -- pages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["bench/README", "bench/developers", "parameters/README", pytest.param("support/README", marks=pytest.mark.slow)],
)
def test_a_committed_page_is_what_its_command_prints(name):
    page = (pages.RESULTS / f"{name}.md").read_text()
    assert pages.regenerated(page) == page, "run `make results`"


def test_the_output_of_a_page_is_replaced_and_the_text_above_it_stays():
    text = "# Title\n\nText with `python -m scripts.x` in it.\n\n`python -m scripts.bench.summary NOWHERE`\n"
    assert pages.regenerated(f"{text}\nold\nlines\n") == f"{text}\n\n"


def test_a_page_without_its_input_stays_as_it_is(tmp_path, monkeypatch, capsys):
    page = tmp_path / "results" / "parity" / "README.md"
    page.parent.mkdir(parents=True)
    page.write_text("`python -m scripts.evidence.parity_table NOWHERE`\n\nold\n")
    monkeypatch.setattr(pages, "RESULTS", tmp_path / "results")
    pages.main()
    assert page.read_text().endswith("\n\nold\n")
    assert capsys.readouterr().err == (
        "results/parity/README.md: not regenerated: 'NOWHERE' has no fixtures (*.safetensors)\n"
    )


@pytest.mark.skipif(not PARITY.is_dir(), reason="needs ../shared/parity")
def test_the_parity_table_has_a_row_for_each_fixture(tmp_path, capsys):
    for suffix in (".safetensors", ".json"):
        for path in PARITY.glob(f"nlu_lora*{suffix}"):
            (tmp_path / path.name).symlink_to(path)
    parity_table.main(str(tmp_path))
    rows = [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == ["| nlu_lora_as_shipped_A", "| nlu_lora_intended_A"]


# -- the mini suite ----------------------------------------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path) -> Path:
    """Three finished runs of the mini suite, one that failed, and one with a real PLM."""
    root = tmp_path / "runs"
    for seed in (0, 1):
        handmade.write_run(root, *handmade.MINI, "method=lora", seed=seed, score=90.0 + seed)
    handmade.write_run(root, *handmade.MINI, "method=inducer", score=88.0)
    handmade.write_run(root, *handmade.MINI, "method=prefix", status="failed")
    handmade.write_run(root, *handmade.FULL, "method=lora")
    for folder, _ in records.find(root)[0]:
        (folder / "checkpoint").mkdir(exist_ok=True)
        (folder / "metrics.jsonl").touch()
    return root


def test_collected_runs_are_the_finished_ones_with_three_files_each(runs, tmp_path):
    mini_tables.main(["--collect", str(runs), "--mini", str(tmp_path / "mini")])
    collected = [folder for folder, _ in records.find(tmp_path / "mini" / "runs")[0]]
    assert [folder.parent.name for folder in collected] == ["inducer", "lora", "lora"]
    for folder in collected:
        assert sorted(path.name for path in folder.iterdir()) == sorted(mini_tables.KEPT)
        original = runs / folder.relative_to(tmp_path / "mini" / "runs")
        assert all((folder / name).read_bytes() == (original / name).read_bytes() for name in mini_tables.KEPT)


def test_tables_of_collected_runs_are_regenerated_byte_for_byte(runs, tmp_path):
    mini = tmp_path / "mini"
    mini_tables.main(["--collect", str(runs), "--mini", str(mini)])
    first = {path.name: path.read_bytes() for path in (mini / "tables").iterdir()}
    (mini / "tables" / "stale.md").touch()
    mini_tables.main(["--mini", str(mini)])
    assert {path.name: path.read_bytes() for path in (mini / "tables").iterdir()} == first
    assert {path.rsplit(".", 1)[1] for path in first} == {"md", "csv", "png"}
    assert first["sst2.tradeoff_parameters.png"].startswith(PNG)
    text = first["sst2.md"].decode()
    assert "| LoRA | 90.5 ± 0.7 (2)" in text
    assert "output_dir" not in text  # commands that fill missing cells write to `runs`, not to the committed records


def test_records_that_are_damaged_or_absent_are_not_collected(runs, tmp_path):
    mini = tmp_path / "mini"
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no finished run of the mini suite"):
        mini_tables.main(["--collect", str(tmp_path / "empty"), "--mini", str(mini)])
    (records.find(runs)[0][0][0] / "record.json").write_text("{}")
    with pytest.raises(UserError, match="not a whole record"):
        mini_tables.main(["--collect", str(runs), "--mini", str(mini)])
    assert not mini.exists()


@pytest.mark.skipif(not (mini_tables.MINI / "runs").is_dir(), reason="needs the records in results/mini/runs")
def test_the_committed_tables_of_the_mini_suite_are_those_of_its_records():
    folder = mini_tables.MINI / "tables"
    found = mini_tables.tables_of(mini_tables.MINI / "runs")
    assert {path.name for path in folder.iterdir()} == set(found)
    for name, content in found.items():
        if not name.endswith(".png"):  # the bytes of a picture depend on the versions of libraries
            assert (folder / name).read_bytes() == content, f"{name}: run `make results`"


def test_the_gate_figure_of_a_finished_run_is_drawn(run_cli, tiny_run, tmp_path, capsys):
    done = run_cli(*tiny_run, "task=sst2", "method=inducer", "method.r_k=4", "trainer.epochs=1", cwd=tmp_path)
    folder = tmp_path / done.stdout.splitlines()[-1]
    gate_figure.main(str(folder), "a moving film", str(tmp_path / "gates.png"))
    assert (tmp_path / "gates.png").read_bytes().startswith(PNG)
    assert "2 layers, 4 heads; g 0." in capsys.readouterr().out


@pytest.mark.parametrize("name", ["mini_roberta", "mini_gpt2"])
def test_pretraining_writes_a_plm_with_its_figures(name, tmp_path, monkeypatch):
    recipe = dataclasses.replace(pretrain.RECIPES[name], documents=150, epochs=1)
    monkeypatch.setitem(pretrain.RECIPES, name, recipe)
    monkeypatch.setattr(pretrain, "HELD_OUT_DOCUMENTS", 20)
    with torch.random.fork_rng():
        pretrain.main([name, "--out", str(tmp_path), "--vocabulary", "400", "--batch-tokens", "256"])
    torch.set_flush_denormal(False)
    assert {"model.safetensors", "tokenizer.json", "pretraining.json"} <= {p.name for p in (tmp_path / name).iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == [name]
