"""`inducer-bench export`: folders that others load, with a model card."""

import dataclasses
import errno
import json
import os
import shutil

import peft
import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification

import inducer_bench as ib
from inducer_bench import escape, files
from inducer_bench.cli import main
from inducer_bench.config.compose import compose
from inducer_bench.metrics.score import Score
from inducer_bench.runs.export import model_card
from inducer_bench.runs.finished import open_run
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
    assert header(tmp_path)["base_model"] == tiny_roberta_folder.name


def test_model_card_tells_scores_and_origin(runs, tmp_path):
    export(runs["inducer"], tmp_path)
    card, record = (tmp_path / "README.md").read_text(), json.loads((runs["inducer"] / "record.json").read_text())
    for part in (
        f"{record['scores']['accuracy']['value']:.2f}",
        escape.markdown(record["scores"]["accuracy"]["signature"]),
        record["config_hash"],
        f"{record['parameters']['method']:,}",
        "r_k: 4",
    ):
        assert part in card


def test_usage_in_the_model_card_runs(runs, tiny_roberta_folder, tmp_path):
    for number, method in enumerate(("inducer", "lora")):
        export(runs[method], tmp_path / str(number))
        usage = (tmp_path / str(number) / "README.md").read_text().split("```python\n")[1].split("```")[0]
        room = {"FOLDER": str(tmp_path / str(number)), "PLM": str(tiny_roberta_folder)}
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


@pytest.mark.parametrize("method", ["inducer", "lora"])
def test_nothing_that_is_exported_tells_of_this_machine(runs, method, tiny_roberta_folder, tmp_path):
    export(runs[method], tmp_path)
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        for secret in (tiny_roberta_folder.parent, tmp_path.parent, os.uname().nodename):
            assert str(secret).encode() not in content, path


def test_names_and_signatures_are_text_in_the_model_card(runs):
    opened = open_run(runs["lora"])
    scores = {"a|b": Score(value=1.0, signature="<b>[x](http://y)`")}
    opened = dataclasses.replace(opened, record=dataclasses.replace(opened.record, scores=scores))
    card = model_card(opened, "peft")
    assert r"| a\|b | 1.00 | &lt;b&gt;\[x\]\(http:/\/y)\` |" in card


@pytest.mark.parametrize("method", ["inducer", "lora"])
def test_target_that_cannot_be_written_is_one_line_and_left_empty(runs, method, capsys, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    for target in (tmp_path / "file" / "below", tmp_path / ("long" * 100), "/proc/export"):
        assert export(runs[method], target) == 2
        line = capsys.readouterr().err
        assert line.startswith(f"inducer-bench: DIR: '{str(target)[:50]}")
        assert line.count("\n") == 1
        assert "give another folder" in line
    writes = iter([None, OSError(errno.ENOSPC, "No space left on device")])

    def fail(_):
        if error := next(writes):
            raise error

    monkeypatch.setattr("os.fsync", lambda descriptor: fail(descriptor))
    monkeypatch.setattr(files, "_sync_folder", lambda folder: None)
    assert export(runs[method], tmp_path / "full") == 2
    assert "No space left on device); give another folder" in capsys.readouterr().err
    assert list((tmp_path / "full").iterdir()) == []


@pytest.mark.parametrize("name", ["adapter.safetensors", "adapter.json"])
def test_adapter_that_is_not_the_run_s_is_not_exported(runs, name, capsys, tmp_path):
    folder = tmp_path / runs["lora"].name
    shutil.copytree(runs["lora"], folder)
    content = bytearray((folder / "adapter" / name).read_bytes())
    content[-30] ^= 1
    (folder / "adapter" / name).write_bytes(content)
    assert export(folder, tmp_path / "new") == 2
    assert f"{name}: damaged, its sha256 is not that of the record" in capsys.readouterr().err
    (folder / "adapter" / name).unlink()
    assert export(folder, tmp_path / "new") == 2
    assert f"{name}: missing" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
