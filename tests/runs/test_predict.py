"""`inducer-bench predict`: what a finished run's model says of new input."""

import gzip
import io
import json
import shutil

import pytest

from inducer_bench.cli import main
from inducer_bench.config.compose import compose
from inducer_bench.runs.run import run


@pytest.fixture(scope="module")
def shared(tiny_roberta_folder, sst2_folder, tmp_path_factory):
    plm = tmp_path_factory.mktemp("plm") / "tiny_roberta"
    shutil.copytree(tiny_roberta_folder, plm)
    return plm, [
        f"plm.path={plm}", f"task.data_dir={sst2_folder}", "task.max_length=32", "trainer.epochs=2", "trainer.lr=0.01",
        "trainer.device=cpu", "method.r_k=4", f"output_dir={tmp_path_factory.mktemp('runs')}",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def finished(shared):
    return run(compose(shared[1])).folder


def predict(monkeypatch, capsys, folder, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    code = main.main(["predict", str(folder)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_predictions_are_those_of_the_run(finished, sst2_folder, monkeypatch, capsys):
    lines = (sst2_folder / "dev.tsv").read_text().splitlines()[1:]
    text = "".join(json.dumps({"sentence": line.split("\t")[0]}) + "\n" for line in lines)
    code, out, _ = predict(monkeypatch, capsys, finished, text)
    recorded = gzip.decompress((finished / "predictions.jsonl.gz").read_bytes()).decode().splitlines()
    assert code == 0
    assert len(out.splitlines()) == len(recorded) == 32
    for line, expected in zip(map(json.loads, out.splitlines()), map(json.loads, recorded), strict=True):
        assert line["prediction"] == ("negative", "positive")[expected["prediction"]]
        assert list(line["probabilities"].values()) == pytest.approx(expected["probabilities"], abs=1e-6)


def test_input_comes_from_a_file_too(finished, tmp_path, capsys):
    (tmp_path / "new.jsonl").write_text('{"sentence": "a delight"}\n')
    assert main.main(["predict", str(finished), "--input", str(tmp_path / "new.jsonl")]) == 0
    assert json.loads(capsys.readouterr().out)["prediction"] in ("negative", "positive")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('{"sentence": "fine"}\n{"sentense": "a delight"}\n', "stdin, line 2: no column 'sentence'"),
        ('{"sentence": 3}\n', "stdin, line 1: found 3 (int); expected text"),
        ("not json\n", "stdin, line 1: not JSON"),
        ("[1]\n", "stdin, line 1: found list; expected an object"),
    ],
)
def test_bad_input_is_one_line_and_predicts_nothing(finished, monkeypatch, capsys, text, part):
    code, out, err = predict(monkeypatch, capsys, finished, text)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert part in err


def test_nothing_in_gives_nothing_out(finished, monkeypatch, capsys):
    assert predict(monkeypatch, capsys, finished, "") == (0, "", "")


def test_another_plm_under_the_same_name_is_refused(shared, monkeypatch, capsys):
    plm, overrides = shared
    folder = run(compose([*overrides, "seed=1", "trainer.epochs=1"])).folder
    weights = plm / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        code, _, err = predict(monkeypatch, capsys, folder, '{"sentence": "a delight"}\n')
    finally:
        weights.write_bytes(content)
    assert code == 2
    assert "other files of the PLM 'tiny_roberta'" in err
