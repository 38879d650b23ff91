"""A kind of task and a metric in a package of a user's own: run, record, new input, table, figure and paired test."""

import dataclasses
import json
import sys

import pytest

from inducer_bench.cli import closing, main
from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.report import figures, reference, render, store, tables
from inducer_bench.report.examples import read_predictions
from inducer_bench.runs import record as records
from inducer_bench.runs.run import run

TASK = '''
"""Sentences in which the order of the words is reversed before they are read."""

from dataclasses import replace

from inducer_bench.options import options
from inducer_bench.tasks.classification import ClassificationTask
from inducer_bench.tasks.options import ClassificationOptions


@options
class Options(ClassificationOptions):
    reverse: bool


class Task(ClassificationTask):
    def read(self, split):
        return [self.turned(row) for row in super().read(split)]

    def new_row(self, values, where):
        return self.turned(super().new_row(values, where))

    def turned(self, row):
        texts = tuple(" ".join(text.split()[::-1]) for text in row.texts)
        return replace(row, texts=texts) if self.config.reverse else row
'''

METRICS = '''
"""Errors in percent, with a paired test, and the number of positive predictions, without."""

from inducer_bench.metrics.metric import Metric, each_part, mean
from inducer_bench.metrics.score import Score


def error(row):
    return (float(row["label"] != row["prediction"]),)


def error_rate(rows):
    return Score(value=100 * sum(error(row)[0] for row in rows) / len(rows), signature="errors|percent")


def positive(rows):
    return Score(value=float(sum(row["prediction"] for row in rows)), signature="positive|count")


errors = Metric(
    name="errors", label="error rate", of="labels", better=-1, decimals=3,
    score=each_part(error_rate), statistics=error, corpus=mean,
)
positives = Metric(name="positives", label="positives", of="labels", score=each_part(positive))
of_texts = Metric(name="of_texts", label="-", of="texts", score=each_part(positive))
unfinished = 7
'''


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A package on the path, outside this one."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "elsewhere").mkdir()
    for name, code in (("__init__", ""), ("reversed_words", TASK), ("scoring", METRICS)):
        (folder / "elsewhere" / f"{name}.py").write_text(code)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def overrides(package, tiny_run):
    own = "elsewhere.scoring"
    return [
        *tiny_run, "task.kind=elsewhere.reversed_words", "+task.reverse=true", "task.labels=auto", "trainer.epochs=2",
        f"task.metrics=[accuracy,{own}.errors,{own}.positives]", f"task.metric={own}.errors", "trainer.lr=5e-3",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def runs(overrides, tmp_path_factory):
    """Two methods with two seeds each."""
    root = tmp_path_factory.mktemp("runs")
    outcomes = [
        run(compose([*overrides, f"output_dir={root}", *method, f"seed={seed}"]))
        for method in (["method=inducer", "method.r_k=4"], ["method=head_only"])
        for seed in (0, 1)
    ]
    return root, [outcome.folder for outcome in outcomes]


def test_module_of_a_user_is_short():
    assert max(len(TASK.strip().splitlines()), len(METRICS.strip().splitlines())) < 30


def test_record_of_a_users_task_has_its_scores_under_dotted_names_and_its_labels(runs):
    folder = runs[1][0]
    record = records.read(folder)
    rows = read_predictions(folder, record)
    wrong = sum(row["label"] != row["prediction"] for row in rows)
    errors = record.scores["elsewhere.scoring.errors"]
    assert (errors.value, errors.signature) == (pytest.approx(100 * wrong / len(rows)), "errors|percent")
    assert record.scores["elsewhere.scoring.positives"].value == sum(row["prediction"] for row in rows)
    assert record.labels == ["0", "1"]
    assert record.config["task"]["labels"] == "auto"
    assert record.config["task"]["kind"] == "elsewhere.reversed_words"


def test_lowest_score_selects_the_epoch_where_lower_is_better(runs):
    for folder in runs[1]:
        record = records.read(folder)
        assert record.selection_score == min(e["elsewhere.scoring.errors"] for e in record.evaluations)


def test_closing_lists_the_lowest_first_where_lower_is_better_and_runs_without_a_score_last(runs):
    root, folders = runs
    record = records.read(folders[0])
    scores = [other.score for _, other in closing.alike(record, root)]
    assert len(scores) == 4
    assert scores == sorted(scores)
    folder, _ = closing.alike(record, root)[0]
    kept = (folder / records.FILE).read_bytes()
    best = records.read(folder)
    none = {name: dataclasses.replace(score, value=None, reason="none") for name, score in best.scores.items()}
    records.write(folder, dataclasses.replace(best, scores=none))
    assert [place for place, _ in closing.alike(record, root)][-1] == folder
    (folder / records.FILE).write_bytes(kept)


def test_model_of_a_users_task_predicts_new_input_with_names_of_labels(runs, tmp_path, capsys):
    (tmp_path / "new.jsonl").write_text('{"sentence": "a delight"}\n')
    assert main.main(["predict", str(runs[1][0]), "--input", str(tmp_path / "new.jsonl")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["prediction"] in ("0", "1")
    assert set(found["probabilities"]) == {"0", "1"}


def test_comparison_tests_a_users_metric_that_has_statistics(runs, capsys):
    assert main.main(["compare", str(runs[1][0]), str(runs[1][2])]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.split()}
    assert "approximate randomisation" in lines["elsewhere.scoring.errors"]
    assert "none for this metric" in lines["elsewhere.scoring.positives"]
    assert "McNemar" in lines["accuracy"]


def test_tables_and_figures_show_a_users_metric_with_its_label_and_decimals(runs):
    root, folders = runs
    (table,) = tables.build(store.load(root), reference.sources(), str(root))
    text = render.markdown(table)
    assert "error rate" in text
    values = [records.read(folder).scores["elsewhere.scoring.errors"].value for folder in folders[:2]]
    assert f"{sum(values) / 2:.3f}" in text
    drawn = figures.draw(dataclasses.replace(table, figures=["tradeoff", "seed_spread"]))
    assert {picture.name for picture in drawn} >= {"tradeoff_parameters", "seed_spread"}


@pytest.mark.parametrize(
    ("key", "name", "message"),
    [
        ("metrics", "nowhere.scoring.errors", "'nowhere.scoring' cannot be imported"),
        ("metrics", "elsewhere.scoring.wrong", "module 'elsewhere.scoring' does not define 'wrong'"),
        ("metrics", "elsewhere.scoring.unfinished", "'elsewhere.scoring.unfinished' is int; allowed: "),
        ("metrics", "elsewhere.scoring.of_texts", "'elsewhere.scoring.of_texts' scores texts; allowed for this task: "),
        ("kind", "nowhere.task", "'nowhere.task' cannot be imported"),
        ("kind", "elsewhere.scoring", "module 'elsewhere.scoring' does not define 'Options'"),
    ],
)
def test_mistake_in_the_name_of_a_users_module_is_one_line(package, key, name, message):
    with pytest.raises(UserError) as caught:
        compose([f"task.{key}={name}" if key == "kind" else f"task.{key}=[{name}]"])
    assert str(caught.value).startswith(f"task.{key}{'.0' if key == 'metrics' else ''}: {message}")
    assert "\n" not in str(caught.value)
