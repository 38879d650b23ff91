"""`validate` reads local files as the run would, says what it looked at, and needs no torch."""

import subprocess
import sys

import pytest

from inducer_bench.cli import commands
from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.runs.run import run
from inducer_bench.tasks import local


@pytest.fixture
def reviews(tmp_path):
    """Overrides of a task of the user's own, in two csv files of 30 and 10 rows."""
    for split, count in (("train", 30), ("dev", 10)):
        lines = ["comment,kind", *(f'"a film, {i}",{"abc"[i % 3]}' for i in range(count))]
        (tmp_path / f"{split}.csv").write_text("\n".join(lines) + "\n")
    given = ["preset=mini", "task=classification", f"task.data_dir={tmp_path}", "task.label=kind"]
    return [*given, "task.text=comment", f"output_dir={tmp_path / 'runs'}"]


def told(capsys, *overrides):
    """The rows that `validate` prints, after its first line."""
    assert commands.run("validate", overrides) == 0
    first, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("valid: task=")
    return dict(row.split(maxsplit=1) for row in rows)


def test_files_lr_steps_and_parameters_are_told(capsys, reviews):
    rows = told(capsys, *reviews, "method=lora")
    assert rows["train"].startswith("train.csv: 30 examples")
    assert rows["dev"].startswith("dev.csv: 10 examples")
    assert rows["steps"] == "5, 1 an epoch"
    assert rows["training"].startswith("5 epochs, batch 32, lr 0.005 ")
    assert rows["parameters"].startswith("16,384 of the method")
    assert "note" not in rows


@pytest.mark.parametrize(
    "wrong",
    [
        ["task.text=coment"],
        ["task.label=sort"],
        ["task.files.train=trian"],
        ["task.labels=[a,b]"],
        ["task.metric=f1", "task.metrics=[f1]"],
    ],
)
def test_line_about_wrong_data_is_the_one_that_the_run_ends_with(reviews, wrong):
    with pytest.raises(UserError) as validated:
        commands.run("validate", [*reviews, *wrong])
    with pytest.raises(UserError) as trained:
        run(compose([*reviews, *wrong]))
    assert str(validated.value) == str(trained.value)


@pytest.mark.parametrize("row", ["no comma", '"never closed,a', 'x,""'])
def test_damaged_row_is_told_with_its_line(reviews, tmp_path, row):
    with open(tmp_path / "train.csv", "a") as file:
        file.write(row + "\n")
    with pytest.raises(UserError, match=r"train\.csv, line 32: "):
        commands.run("validate", reviews)


def test_pairs_of_texts_are_read_too(capsys, tmp_path):
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.jsonl").write_text('{"text": "a", "target": "b"}\n' * 3)
    given = ["preset=mini", "task=text_to_text", f"task.data_dir={tmp_path}", "task.text=text", "task.target=target"]
    assert told(capsys, *given)["train"].startswith("train.jsonl: 1 examples")  # equal sources are one
    (tmp_path / "dev.jsonl").write_text('{"text": "a", "target": " "}\n')
    with pytest.raises(UserError, match=r"dev\.jsonl, line 1, 'target': an empty text"):
        commands.run("validate", given)


def test_large_file_is_read_for_so_long_and_that_is_told(capsys, reviews, monkeypatch):
    monkeypatch.setattr(local, "_SECONDS", -1.0)
    rows = told(capsys, *reviews)
    assert rows["train"].startswith("train.csv: 1 examples and more")
    assert "steps" not in rows


def test_data_that_are_not_local_are_said_not_to_be_looked_at(capsys):
    assert told(capsys, "task=sst2", "method=lora")["data"].startswith("not looked at")


@pytest.mark.parametrize(("lr", "noted"), [("5", "1,000 times"), ("5e-6", "1/1,000 of"), ("0.05", ""), ("5e-4", "")])
def test_learning_rate_far_from_the_methods_own_is_remarked_upon(capsys, lr, noted):
    note = told(capsys, "preset=mini", "task=sst2", "method=lora", f"trainer.lr={lr}").get("note", "")
    assert note == (f"trainer.lr: {float(lr):g} is {noted} the method's own here, 0.005" if noted else "")


def test_neither_torch_nor_transformers_is_imported(reviews):
    script = (
        f"import sys; from inducer_bench.cli.main import main; code = main(['validate', *{reviews!r}]); "
        "print(code, {'torch', 'transformers', 'datasets'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert found.stdout.splitlines()[-1] == "0 set()"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["task=classification", "plm=mini_roberta"],
            "task.data_dir: missing; task 'classification' reads local files",
        ),
        (["preset=mini", "task=cola"], "preset: no mini task 'cola'; there are: "),
    ],
)
def test_data_that_come_from_nowhere_are_told(words, told):
    with pytest.raises(UserError, match=f"^{told}"):
        commands.run("validate", words)
