"""Whole runs on data of several kinds: what is recorded of their scores, and which tokens are made anew."""

import json

import pytest
from helpers.runs import predictions_in, results
from safetensors.torch import load_file

from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.runs.finished import open_run
from inducer_bench.runs.run import run
from inducer_bench.tasks.classification import ClassificationTask


def _adapter(folder):
    return load_file(folder / "adapter/adapter.safetensors")


@pytest.fixture
def on_task(overrides, tmp_path):
    """A function that runs one epoch of a task on files of 32 examples made by `row`; gives the outcome."""

    def on_task(*own, row, splits=("train", "dev")):
        folder = tmp_path / "data"
        folder.mkdir()
        for split in splits:
            text = "".join(json.dumps(row(i)) + "\n" for i in range(32))
            (folder / f"{split}.jsonl").write_text(text)
        shared = [override for override in overrides if not override.startswith("task.data_dir")]
        return run(compose([*own, *shared, f"task.data_dir={folder}", "trainer.epochs=1"]))

    return on_task


def test_both_dev_sets_of_mnli_are_scored_and_the_matched_one_headlines(on_task):
    labels = ("entailment", "neutral", "contradiction")
    outcome = on_task(
        "task=mnli",
        row=lambda i: {"premise": f"film {i}", "hypothesis": "fine", "label": labels[i % 3]},
        splits=("train", "dev_matched", "dev_mismatched"),
    )
    record = outcome.record
    assert list(record.scores) == ["accuracy", "accuracy_mismatched"]
    assert set(record.losses) == {"dev", "dev_mismatched"}
    assert record.examples == {"train": 32, "selection": 32, "dev": 32, "dev_mismatched": 32}
    assert outcome.message.startswith("accuracy ")
    predictions = predictions_in(outcome.folder)
    for split, name in (("dev", "accuracy"), ("dev_mismatched", "accuracy_mismatched")):
        rows = [row for row in predictions if row["split"] == split]
        assert [row["index"] for row in rows] == list(range(32))
        right = sum(row["label"] == row["prediction"] for row in rows)
        assert record.scores[name].value == pytest.approx(100 * right / 32)
    assert {len(row["probabilities"]) for row in predictions} == {3}


def test_labels_found_in_the_data_are_recorded_and_the_run_is_known_again(on_task, overrides, tmp_path):
    outcome = on_task(
        "task=classification",
        "task.text=review",
        "task.label=stars",
        row=lambda i: {"review": f"a {i}", "stars": i % 4},
    )
    assert outcome.record.labels == ["0", "1", "2", "3"]
    assert _adapter(outcome.folder)["classifier.out_proj.weight"].shape[0] == open_run(outcome.folder).outputs == 4
    shared = [override for override in overrides if not override.startswith("task.data_dir")]
    again = ["task=classification", "task.text=[review]", "task.label=stars", f"task.data_dir={tmp_path / 'data'}"]
    assert run(compose([*again, *shared, "trainer.epochs=1"])).message.startswith("already done: accuracy")


def test_regression_has_one_output_and_is_scored_by_correlation(on_task):
    row = lambda i: {"sentence1": "a film", "sentence2": "a dull film " * (i % 4), "label": float(i % 4)}  # noqa: E731
    outcome = on_task("task=stsb", row=row)
    assert list(outcome.record.scores) == ["pearson", "spearman"]
    assert _adapter(outcome.folder)["classifier.out_proj.weight"].shape[0] == 1
    assert outcome.record.selection_score == outcome.record.scores["pearson"].value


def test_undefined_score_is_recorded_as_such_and_stops_nothing(on_task):
    outcome = on_task("task=stsb", row=lambda i: {"sentence1": "a", "sentence2": "b", "label": 1.0})
    assert outcome.code == ExitCode.DONE
    assert outcome.record.scores["pearson"].value is None
    assert outcome.record.scores["pearson"].reason.startswith("not computed: ")
    assert outcome.message == "pearson -  spearman -"


def test_second_run_on_the_same_data_takes_the_tokens_of_the_first(overrides, monkeypatch, tmp_path):
    first = run(compose(overrides))
    monkeypatch.setattr(ClassificationTask, "encode", lambda *_: pytest.fail("tokenised again"))
    assert run(compose([*overrides, "seed=1"])).code == ExitCode.DONE
    monkeypatch.undo()
    monkeypatch.setenv("INDUCER_BENCH_CACHE", str(tmp_path / "elsewhere"))
    afresh = run(compose([*overrides, f"output_dir={tmp_path / 'whole'}"]))
    assert afresh.folder.name == first.folder.name
    assert results(afresh.folder) == results(first.folder)


def test_damaged_data_are_told_before_anything_is_trained(on_task):
    with pytest.raises(UserError, match=r"train\.jsonl, line 31: found label '7'; allowed: "):
        on_task("task=sst2", row=lambda i: {"sentence": "a", "label": 7 if i == 30 else i % 2})
