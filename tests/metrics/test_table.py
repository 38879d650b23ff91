"""The table of metrics: names, scores of groups, and what importing it costs."""

import subprocess
import sys

import pytest

from inducer_bench.metrics.metric import Metric, compute, each_part
from inducer_bench.metrics.score import Score
from inducer_bench.metrics.table import METRICS, metric_of, metrics_of

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
