"""`inducer-bench export`: folders that others load, with a model card."""

import json

import peft
import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification

import inducer_bench as ib
from inducer_bench.cli import main
from inducer_bench.config.compose import compose
from inducer_bench.runs.run import run

TOKENS = torch.tensor([[0, 9, 30, 7, 2], [0, 8, 8, 11, 2]])


@pytest.fixture(scope="module")
def runs(tiny_run, tmp_path_factory):
    """Finished runs of three methods."""
    root = tmp_path_factory.mktemp("runs")
    shared = [
        *tiny_run, "task.max_eval=8", "trainer.epochs=1", "trainer.lr=0.05", "trainer.device=cpu", f"output_dir={root}",
    ]  # fmt: skip
    return {
        method: run(compose([*shared, f"method={method}", *options])).folder
        for method, options in {"inducer": ["method.r_k=4"], "lora": [], "prefix": []}.items()
    }


def export(run_folder, folder):
    return main.main(["export", str(run_folder), str(folder)])


def logits(model):
    with torch.no_grad():
        return model.eval()(input_ids=TOKENS).logits


def plain_model(folder):
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)


def header(folder):
    return yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])


@pytest.mark.parametrize("method", ["inducer", "prefix"])
def test_exported_adapter_gives_the_outputs_of_the_run(runs, method, tiny_roberta_folder, tmp_path):
    assert export(runs[method], tmp_path / "shared") == 0
    expected = logits(ib.load(plain_model(tiny_roberta_folder), runs[method] / "adapter"))
    assert torch.equal(logits(ib.load(plain_model(tiny_roberta_folder), tmp_path / "shared")), expected)
    assert header(tmp_path / "shared")["library_name"] == "inducer-bench"


def test_exported_lora_is_loaded_by_peft_with_its_head(runs, tiny_roberta_folder, capsys, tmp_path):
    assert export(runs["lora"], tmp_path) == 0  # an empty folder will do
    assert capsys.readouterr().out == f"{tmp_path}: peft format\n"
    expected = logits(ib.load(plain_model(tiny_roberta_folder), runs["lora"] / "adapter"))
    loaded = peft.PeftModel.from_pretrained(plain_model(tiny_roberta_folder), tmp_path)
    torch.testing.assert_close(logits(loaded), expected, rtol=0, atol=1e-6)
    assert header(tmp_path)["base_model"] == str(tiny_roberta_folder)


def test_model_card_tells_scores_and_origin(runs, tmp_path):
    export(runs["inducer"], tmp_path)
    card, record = (tmp_path / "README.md").read_text(), json.loads((runs["inducer"] / "record.json").read_text())
    for part in (
        f"{record['scores']['accuracy']['value']:.2f}",
        record["scores"]["accuracy"]["signature"].replace("|", "\\|"),
        record["config_hash"],
        f"{record['parameters']['method']:,}",
        "r_k: 4",
    ):
        assert part in card


def test_usage_in_the_model_card_runs(runs, tmp_path):
    for number, method in enumerate(("inducer", "lora")):
        export(runs[method], tmp_path / str(number))
        usage = (tmp_path / str(number) / "README.md").read_text().split("```python\n")[1].split("```")[0]
        room = {"FOLDER": str(tmp_path / str(number))}
        exec(usage, room)
        expected = logits(ib.load(plain_model(room["model"].config.name_or_path), runs[method] / "adapter"))
        torch.testing.assert_close(logits(room["model"]), expected, rtol=0, atol=1e-6)


def test_export_refuses_what_is_no_finished_run_and_keeps_what_is_there(runs, capsys, tmp_path):
    assert export(tmp_path, tmp_path / "new") == 2
    assert "holds no record" in capsys.readouterr().err
    (tmp_path / "mine.txt").write_text("precious")
    assert export(runs["lora"], tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
