"""The table of metrics: names, scores of groups, and what importing it costs."""

import subprocess
import sys

import pytest

from inducer_bench.metrics.metric import Metric, compute, each_part
from inducer_bench.metrics.score import Score
from inducer_bench.metrics.table import METRICS, known, metric_of, metrics_of, written

TEXTS = metrics_of(["texts", "losses"])


def test_no_two_metrics_of_the_same_kind_share_a_name():
    keys = [(metric.name, metric.of) for metric in METRICS]
    assert len(keys) == len(set(keys))


def test_metric_with_statistics_says_how_they_make_a_score():
    assert all((metric.statistics is None) == (metric.corpus is None) for metric in METRICS)
    assert {metric.name for metric in METRICS if metric.statistics is None} == {"meteor", "perplexity"}


def test_errors_and_perplexity_are_better_if_lower():
    assert {metric.name for metric in METRICS if metric.better == -1} == {"ter", "perplexity"}


@pytest.mark.parametrize(
    ("score", "name"),
    [
        ("bleu", "bleu"), ("bleu_seen", "bleu"), ("bleu_multi", "bleu_multi"), ("bleu_multi_unseen", "bleu_multi"),
        ("rougeL_test", "rougeL"), ("perplexity", "perplexity"), ("bleus", None), ("f1_news", None),
    ],
)  # fmt: skip
def test_name_before_the_suffix_decides_the_metric_of_a_score(score, name):
    found = metric_of(score, TEXTS)
    assert (found and found.name) == name


def test_each_part_is_scored_by_itself_and_an_empty_one_says_so():
    count = Metric(
        name="count", label="-", of="texts", score=each_part(lambda rows: Score(value=float(len(rows)), signature="n"))
    )
    scores = compute([count], [{}] * 5, {"": range(5), "seen": [0, 4], "unseen": []})
    assert {name: score.value for name, score in scores.items()} == {
        "count": 5,
        "count_seen": 2,
        "count_unseen": None,
    }
    assert scores["count_unseen"].reason == "not computed: no entries"


def test_importing_the_table_loads_no_library_that_computes():
    heavy = ("numpy", "scipy", "sklearn", "sacrebleu", "rouge_score", "torch", "transformers", "datasets")
    program = f"import sys, inducer_bench.metrics.table; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A metric of a module of one's own, with three decimals."""
    (tmp_path / "own_metric.py").write_text(
        "import dataclasses\n"
        "from inducer_bench.metrics.table import METRICS\n"
        "first = next(metric for metric in METRICS if metric.name == 'accuracy')\n"
        "mine = dataclasses.replace(first, decimals=3, better=-1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_metric.mine"
    sys.modules.pop("own_metric", None)


@pytest.mark.parametrize("part", ["", "_mismatched", "_of_two_words"])
def test_scores_of_a_users_metric_and_of_its_parts_have_its_decimals(own, part):
    score = f"{own}{part}"
    assert known(score).better == -1
    assert written(score, 0.12345) == "0.123"
    assert written(score, 0.12345, finer=1) == "0.1235"
    assert written(score, 0.12345, finer=1, sign="+") == "+0.1235"
    assert written(score, None, finer=1) == "-"


@pytest.mark.parametrize(
    ("score", "text"),
    [("accuracy", "1.23"), ("f1_news", "1.23"), ("loss", "1.2346"), ("gone.away", "1.23"), ("gone.away_part", "1.23")],
)
def test_other_scores_have_those_of_their_metric_a_loss_four(score, text):
    assert written(score, 1.23456, finer=1) == text
