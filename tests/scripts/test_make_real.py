"""`make real` splits a file, and types commands that compose."""

import json
import os
import re
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
    monkeypatch.setattr(real, "_become", lambda words: commands.append(words) or 0)

    def type_for(*arguments):
        monkeypatch.setattr(sys, "argv", ["real", *map(str, arguments)])
        return real.main(), commands

    return type_for


def test_a_fifth_of_the_rows_becomes_dev_and_the_run_composes(typed, tmp_path):
    rows = [f"text {number}\t{number % 2}" for number in range(12)]
    (tmp_path / "reviews.tsv").write_text("\n".join(["review\tstars", *rows]) + "\n")
    code, (validate, fetch, run) = typed("reviews.tsv", "--text", "review", "--label", "stars", "method=lora")
    assert (code, validate, fetch) == (0, ["validate", *run], ["fetch", "plm=minilm"])
    config = compose(run)
    task = config.task
    assert config.trainer.lr == 2e-3, "the recipe's"
    assert compose([*run, "method=fine_tune"]).trainer.lr == 1e-4, "each method has its own"
    assert (task.text, task.label) == (["review"], "stars")
    assert re.fullmatch(r"runs/data/reviews-[0-9a-f]{8}", task.data_dir)
    read = {
        split: [json.loads(line) for line in (tmp_path / task.data_dir / f"{split}.jsonl").read_text().splitlines()]
        for split in ("train", "dev")
    }
    assert len(read["dev"]) == 2
    both = sorted([*read["train"], *read["dev"]], key=lambda row: int(row["review"].split()[1]))
    assert both == [{"review": f"text {number}", "stars": str(number % 2)} for number in range(12)]
    assert typed("reviews.tsv", "--text", "review", "--label", "stars", "method=lora")[1][-1] == run, "drawn anew"


@pytest.mark.parametrize("labels", ["abcde" * 6, "a" * 28 + "bc", "a" * 5 + "b" * 25])
def test_every_label_stays_in_train(typed, tmp_path, labels):
    rows = [f"{number}\t{label}" for number, label in enumerate(labels)]
    (tmp_path / "d.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    _, (*_, run) = typed("d.tsv")
    folder = tmp_path / compose(run).task.data_dir
    train, dev = ((folder / f"{name}.jsonl").read_text().splitlines() for name in ("train", "dev"))
    assert len(dev) == 6
    assert {json.loads(line)["label"] for line in train} == set(labels)


def test_files_of_one_name_are_kept_apart_and_no_input_is_overwritten(typed, tmp_path):
    found = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        text = "sentence\tlabel\n" + f"a{number}\t0\nb\t1\n" * 5
        (tmp_path / str(number) / "reviews.tsv").write_text(text)
        found.append(compose(typed(f"{number}/reviews.tsv")[1][-1]).task.data_dir)
    assert len(set(found)) == 2
    train = tmp_path / found[0] / "train.jsonl"
    before = train.read_bytes()
    _, (*_, run) = typed(train, "output_dir=elsewhere")
    assert train.read_bytes() == before
    assert compose(run).task.data_dir.startswith("elsewhere/data/train-")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"sentence": "a", "label": null}', "line 3: found nothing in column 'label'; allowed: a text or a number"),
        ('{"sentence": "", "label": 1}', "line 3: found nothing in column 'sentence'; allowed: a text"),
        ('{"sentence": 3, "label": 1}', "line 3: found 3 (int) in column 'sentence'; allowed: a text"),
        ('{"sentence": ["a"], "label": 1}', "line 3: found ['a'] (list) in column 'sentence'; allowed: a text"),
    ],
)
def test_rows_that_no_run_could_read_are_told_by_their_line_in_the_users_file(typed, tmp_path, capsys, line, told):
    good = '{"sentence": "a", "label": 1}'
    (tmp_path / "d.jsonl").write_text("\n".join([good, good, line, *[good] * 9]) + "\n")
    assert typed("d.jsonl") == (2, [])
    assert capsys.readouterr().err.startswith(f"make real: d.jsonl, {told}")


def test_folder_that_cannot_be_written_and_a_long_override_are_no_tracebacks(typed, tmp_path, capsys):
    (tmp_path / "d.tsv").write_text("sentence\tlabel\n" + "a\t0\nb\t1\n" * 5)
    (tmp_path / "file").touch()
    assert typed("d.tsv", "output_dir=file")[0] == 2
    assert capsys.readouterr().err.startswith("make real: output_dir: 'file/data/d-")
    labels = f"task.labels=[{','.join(f'label{number}' for number in range(100))}]"
    assert typed(labels, "d.tsv")[1][-1][-1] == labels


def test_signals_reach_the_run_and_its_exit_code_is_that_of_the_script(tmp_path):
    program = (
        "import os, sys\nfrom scripts import real\nreal._type = lambda words: 0\n"
        "real._shown = lambda words: [sys.executable, '-c', 'import os; print(os.getpid()); raise SystemExit(130)']\n"
        "sys.argv = ['real']\nsys.exit(real.main())"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=tmp_path,
                               env={**os.environ, "PYTHONPATH": str(Path(real.__file__).parents[1])})  # fmt: skip
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out.split()[-1]) == (130, str(process.pid)), "it is the same process"


def test_interruption_before_the_run_is_a_line(typed, monkeypatch, capsys):
    def interrupted(words):
        raise KeyboardInterrupt

    monkeypatch.setattr(real, "_type", interrupted)
    monkeypatch.setattr(sys, "argv", ["real"])
    assert real.main() == 130
    assert capsys.readouterr().err.endswith("make real: interrupted\n")


def test_without_a_file_the_bundled_reviews_are_taken_and_that_is_said(typed, capsys):
    code, (*_, run) = typed("task.max_train=8")
    assert code == 0
    config = compose(run)
    assert (config.suite, config.plm.name, config.task.max_train) == ("mini", "minilm", 8)
    assert "the texts are the bundled reviews, which are generated" in capsys.readouterr().err


def test_file_that_is_not_there_or_lacks_the_column_is_one_line(typed, tmp_path, capsys):
    (tmp_path / "reviews.tsv").write_text("sentence\tlabel\na\t1\n")
    (tmp_path / "reviews.txt").write_text("sentence,label\na,1\n")
    for arguments, told in (
        (["nowhere.tsv"], "DATA: found 'nowhere.tsv', which is not there"),
        (["reviews.tsv", "--text", "review"], "reviews.tsv, line 1: no column 'review' (TEXT)"),
        (["reviews.tsv"], "DATA: found 'reviews.tsv' with 1 rows; allowed: at least 5"),
        (["reviews.txt"], "DATA: found 'reviews.txt'; allowed: a name that ends with tsv, csv, jsonl, json, parquet, "),
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


@pytest.mark.parametrize("column", ["null", "True", "2024", "Review text", "${stars}", "it's", "a,b", "é"])
def test_a_column_of_any_name_is_read(typed, tmp_path, column):
    rows = [json.dumps({column: f"text {number}", "label": number % 2}) for number in range(10)]
    (tmp_path / "d.jsonl").write_text("\n".join(rows) + "\n")
    code, (*_, run) = typed("d.jsonl", "--text", column)
    assert (code, compose(run).task.text) == (0, [column])
