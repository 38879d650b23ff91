"""A run on data of one's own: what its record, its predictions and its closing line say of them."""

import csv
import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics

from inducer_bench.cli import main
from inducer_bench.config.compose import compose
from inducer_bench.report.examples import examples, read_predictions
from inducer_bench.runs.finished import open_run
from inducer_bench.runs.identity import identify
from inducer_bench.runs.run import run

LABELS = ["meh, 1.5", "no", "yes"]  # sorted, as they are found
LONG = "a film " * 400
CASES = Path(os.environ.get("INDUCER_BENCH_CASES", Path(__file__).parents[3] / "shared" / "cases"))


@pytest.fixture(scope="module")
def shared(tiny_roberta_folder, tmp_path_factory):
    """Three unbalanced labels in csv; the first text is longer than what is kept of it."""
    folder = tmp_path_factory.mktemp("reviews")
    texts = [LONG, *(f'film {number}, "great"' for number in range(11))]
    for split in ("train", "dev"):
        with (folder / f"{split}.csv").open("w", newline="") as file:
            rows = [(text, LABELS[(0, 1, 2, 2, 2, 2)[number % 6]]) for number, text in enumerate(texts)]
            csv.writer(file).writerows([("review", "kind"), *rows])
    return [
        "preset=mini", "task=classification", f"plm.path={tiny_roberta_folder}", f"task.data_dir={folder}",
        "task.text=review", "task.label=kind", "method=bitfit", "trainer.epochs=1", "trainer.device=cpu",
        """task.metrics=[accuracy,'f1:yes','recall:meh, 1.5']""", f"output_dir={tmp_path_factory.mktemp('runs')}",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def outcome(shared):
    """Of a model that learns to say one and the same label."""
    return run(compose([*shared, "trainer.lr=0.5"]))


def rows_of(folder):
    return [json.loads(line) for line in gzip.decompress((folder / "predictions.jsonl.gz").read_bytes()).splitlines()]


def test_scores_of_classes_and_their_confusion_are_those_of_scikit_learn(outcome):
    rows, record = rows_of(outcome.folder), outcome.record
    names = [[row[key] for row in rows] for key in ("label_name", "prediction_name")]
    report = sklearn.metrics.classification_report(*names, output_dict=True, zero_division=0)
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(*names),
        "f1:yes": report["yes"]["f1-score"],
        "recall:meh, 1.5": report["meh, 1.5"]["recall"],
        "f1_macro": sklearn.metrics.f1_score(*names, average="macro"),
    }
    assert {name: score.value for name, score in record.scores.items()} == pytest.approx(
        {name: 100 * value for name, value in expected.items()}
    )
    assert record.labels == LABELS
    assert record.confusion == {"dev": sklearn.metrics.confusion_matrix(*names, labels=LABELS).tolist()}
    log = (outcome.folder / "log.txt").read_text()
    assert all(line in log for line in record.class_lines())


def test_scores_of_classes_are_resampled_from_the_predictions(outcome):
    opened = open_run(outcome.folder)
    for name, score in opened.record.scores.items():
        metric = opened.config.task.metric_of(name)
        found = examples(name, metric, read_predictions(outcome.folder, opened.record))
        assert metric.name == name
        assert found.scores(np.ones((1, found.count())))[0] == pytest.approx(score.value)


def test_single_predicted_label_is_remarked_upon_and_no_error(outcome):
    (label,) = {row["prediction_name"] for row in rows_of(outcome.folder)}
    remark = f"dev: all 12 predictions are '{label}'"
    assert outcome.record.remarks == [remark]
    assert outcome.message.endswith(f"; {remark}")
    assert f"INFO {remark}" in (outcome.folder / "log.txt").read_text()


def test_predictions_have_the_beginning_of_their_texts_unless_that_is_not_wanted(shared, outcome, tmp_path):
    first, second, *_ = rows_of(outcome.folder)
    assert first["input"] == {"review": f"{LONG[:2000]} ..."}
    assert second["input"] == {"review": 'film 0, "great"'}
    without = [*shared, "trainer.lr=0.5", "task.keep_inputs=false", f"output_dir={tmp_path}"]
    assert identify(compose(without)).hash == outcome.record.config_hash
    bare = rows_of(run(compose(without)).folder)
    assert bare == [{key: row[key] for key in row if key != "input"} for row in rows_of(outcome.folder)]


def test_run_with_the_preset_of_the_mini_suite_goes_by_its_own_data(outcome, capsys):
    assert (outcome.record.suite, outcome.record.config["recipe"]) == ("full", "mini_nlu")
    assert main.main(["ls", "runs", "--runs", str(outcome.folder.parents[3])]) == 0
    assert "mini/" not in capsys.readouterr().out


def test_runs_are_compared_class_by_class(shared, outcome, capsys):
    other = run(compose([*shared, "trainer.lr=0.001"]))
    assert main.main(["compare", str(outcome.folder), str(other.folder)]) == 0
    shown = capsys.readouterr().out
    assert "F1 by class, dev" in shown
    assert "the predictions give other scores" not in shown
    line = next(line for line in shown.splitlines() if line.strip().startswith("yes "))
    assert line.split()[1:3] == ["8", f"{outcome.record.scores['f1:yes'].value:.2f}"]


def test_generated_texts_that_are_empty_are_remarked_upon(tiny_gpt2_folder, tmp_path, monkeypatch, capsys):
    rows = [{"source": f"film {number}", "target": f"the film {number}"} for number in range(6)]
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr("inducer_bench.tasks.sequence.Sequences.decode", lambda self, ids: " ")
    done = run(
        compose([
            "task=text_to_text", f"task.data_dir={tmp_path}", f"plm.path={tiny_gpt2_folder}", "method=bitfit",
            "task.decoding.max_new_tokens=4", "trainer.epochs=1", "trainer.device=cpu", f"output_dir={tmp_path / 'r'}",
        ])
    )  # fmt: skip
    assert done.record.remarks == ["test: 6 of 6 predicted texts are empty"]
    assert [row["input"] for row in rows_of(done.folder)] == [{"source": row["source"]} for row in rows]
    capsys.readouterr()
    assert main.main(["predict", str(done.folder), "--text", "a film"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"source": "a film", "prediction": " "}
    assert captured.err == "inducer-bench: 1 of 1 predictions are empty texts\n"


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
@pytest.mark.parametrize(("case", "texts"), [("label-order", ["text"]), ("numeric-column-names", ["0"])])
def test_predictions_of_a_case_have_names_and_inputs(case, texts, tiny_roberta_folder, tmp_path):
    label = "1" if texts == ["0"] else "label"
    done = run(
        compose([
            "task=classification", f"task.data_dir={CASES / case / 'data'}", f"plm.path={tiny_roberta_folder}",
            f"task.text=[{','.join(texts)}]", f"task.label={label}", "method=bitfit", "trainer.epochs=1",
            "trainer.device=cpu", f"output_dir={tmp_path}",
        ])
    )  # fmt: skip
    for row in rows_of(done.folder):
        assert row["label_name"] == done.record.labels[row["label"]]
        assert list(row["input"]) == texts
