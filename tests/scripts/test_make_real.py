"""`make real` splits a file, and types commands that compose."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from inducer_bench.config.compose import compose
from scripts import real


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """The commands that are typed, none of which is run."""
    commands = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(real, "_type", lambda words: commands.append(words) or 0)

    def type_for(*arguments):
        monkeypatch.setattr(sys, "argv", ["real", *map(str, arguments)])
        return real.main(), commands

    return type_for


def test_every_fifth_row_of_a_file_becomes_dev_and_the_run_composes(typed, tmp_path):
    rows = [f"text {number}\t{number % 2}" for number in range(12)]
    (tmp_path / "reviews.tsv").write_text("\n".join(["review\tstars", *rows]) + "\n")
    code, (validate, fetch, run) = typed("reviews.tsv", "--text", "review", "--label", "stars", "method=lora")
    assert (code, validate, fetch) == (0, ["validate", *run], ["fetch", "plm=minilm"])
    config = compose(run)
    task = config.task
    assert config.trainer.lr == 2e-3, "the recipe's"
    assert compose([*run, "method=fine_tune"]).trainer.lr == 1e-4, "each method has its own"
    assert (task.text, task.label, task.data_dir) == (["review"], "stars", "runs/data/reviews")
    read = {
        split: [json.loads(line) for line in (tmp_path / task.data_dir / f"{split}.jsonl").read_text().splitlines()]
        for split in ("train", "dev")
    }
    assert read["dev"] == [{"review": f"text {number}", "stars": str(number % 2)} for number in (4, 9)]
    assert len(read["train"]) == 10
    assert not [row for row in read["train"] if row in read["dev"]]


def test_without_a_file_the_bundled_reviews_are_taken_and_that_is_said(typed, capsys):
    code, (*_, run) = typed("task.max_train=8")
    assert code == 0
    config = compose(run)
    assert (config.suite, config.plm.name, config.task.max_train) == ("mini", "minilm", 8)
    assert "the texts are the bundled reviews, which are generated" in capsys.readouterr().err


def test_file_that_is_not_there_or_lacks_the_column_is_one_line(typed, tmp_path, capsys):
    (tmp_path / "reviews.tsv").write_text("sentence\tlabel\na\t1\n")
    for arguments, told in (
        (["nowhere.tsv"], "DATA: found 'nowhere.tsv', which is not there"),
        (["reviews.tsv", "--text", "review"], "reviews.tsv, line 1: no column 'review' (TEXT)"),
        (["reviews.tsv"], "DATA: found 'reviews.tsv' with 1 rows; allowed: at least 5"),
    ):
        code, commands = typed(*arguments)
        assert (code, commands) == (2, [])
        assert capsys.readouterr().err.startswith(f"make real: {told}")


def test_names_with_odd_characters_are_names(typed, tmp_path):
    file = tmp_path / "it's a, b=c [1].tsv"
    file.write_text("the text, here\tmy=label\n" + "a\t0\nb\t1\n" * 3)
    code, (*_, run) = typed(file.name, "--text", "the text, here", "--label", "my=label", "seed=1")
    config = compose(run)
    assert (code, config.seed) == (0, 1)
    assert (config.task.text, config.task.label) == (["the text, here"], "my=label")
    assert (tmp_path / config.task.data_dir / "dev.jsonl").is_file()


def test_nothing_is_downloaded_for_data_that_a_run_would_refuse(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(real, "_type", lambda words: commands.append(words[0]) or 2)
    monkeypatch.setattr(sys, "argv", ["real", str(tmp_path)])
    assert (real.main(), commands) == (2, ["validate"])


def test_makefile_passes_its_variables():
    called = ["make", "-n", "real", "DATA=it's a b.tsv", "TEXT=x", "LABEL=y", "RUN=seed=1 method=lora"]
    printed = subprocess.run(
        called, capture_output=True, text=True, check=True, cwd=Path(real.__file__).parents[1]
    ).stdout
    assert r"-m scripts.real 'it'\''s a b.tsv' --text 'x' --label 'y' seed=1 method=lora" in printed
