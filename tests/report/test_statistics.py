"""Paired tests against scipy, against plain loops, and in simulations of equal and of different methods."""

import itertools

import numpy as np
import pytest
from helpers.scores import generation_scores, metric_for
from helpers.simulated import answers, models
from scipy import stats

from inducer_bench.report import statistics
from inducer_bench.report.examples import examples as examples_of
from inducer_bench.report.statistics import (
    Contrast,
    approximate_randomisation,
    bootstrap,
    contrast,
    holm,
    mcnemar,
    mean_contrast,
    seeds_alone,
)
from scripts.evidence import synthetic

WORDS = "a film city river opened in was built by anna berlin long".split()


def examples(score, rows):
    return examples_of(score, metric_for(score, rows), rows)


def paired_test(score, left, right, *resamples, **options):
    return statistics.paired_test(score, metric_for(score, left[0]), left, right, *resamples, **options)


def paired_p_value(score, left, right):
    return statistics.paired_p_value(score, metric_for(score, left[0]), left, right)


def numbers(labels, predictions):
    pairs = zip(labels.tolist(), predictions.tolist(), strict=True)
    return [{"split": "dev", "index": i, "label": x, "prediction": y} for i, (x, y) in enumerate(pairs)]


def turns(values, per_dialogue=1):
    """Answers that score 0, 2/3 or 1 in exact match and in F1."""
    text = {0: "no", 2: "maybe", 3: "yes"}
    return [{"split": "dev", "index": i, "id": f"d{i // per_dialogue}/{i % per_dialogue + 1}", "group": "cnn",
             "prediction": text[round(3 * value)], "references": ["yes", "yes", "maybe"]}
            for i, value in enumerate(values)]  # fmt: skip


def texts(noise, random, references):
    def text(reference):
        return " ".join(word if random.random() > noise else random.choice(WORDS) for word in reference.split())

    return [{"split": "test", "index": i, "id": str(i), "group": "", "prediction": text(reference),
             "references": [reference]} for i, reference in enumerate(references)]  # fmt: skip


def turn_values(random, count, good):
    return random.choice([0, 2 / 3, 1], count, p=[1 - good, good / 2, good / 2])


# -- one run on each side ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("only_left", "only_right"), [(0, 0), (0, 1), (3, 9), (9, 3), (7, 7), (0, 12), (400, 470)])
def test_mcnemar_is_the_binomial_test_of_what_one_side_alone_has_right(only_left, only_right):
    left = np.array([1] * only_left + [0] * only_right + [1] * 5 + [0] * 4, dtype=bool)
    right = np.array([0] * only_left + [1] * only_right + [1] * 5 + [0] * 4, dtype=bool)
    tested = only_left + only_right
    expected = stats.binomtest(only_left, tested).pvalue if tested else 1.0
    assert mcnemar(left, right) == pytest.approx(expected, rel=1e-12)
    assert paired_p_value("accuracy", [answers(left)], [answers(right)]) == pytest.approx(expected, rel=1e-12)


def test_randomisation_of_a_mean_is_scipys_permutation_test():
    random = np.random.default_rng(2)
    left, right = turn_values(random, 60, 0.5), turn_values(random, 60, 0.7)
    reference = stats.permutation_test(
        (left, right), lambda x, y, axis: np.mean(y - x, axis=axis), vectorized=True, permutation_type="samples",
        n_resamples=20_000, rng=np.random.default_rng(3),
    )  # fmt: skip
    test = paired_test("f1", [turns(left)], [turns(right)])
    assert test.difference == pytest.approx(100 * reference.statistic)
    assert test.p_value == pytest.approx(reference.pvalue, abs=0.01)
    assert 0.01 < test.p_value < 0.9


@pytest.mark.parametrize(("metric", "function"), [("pearson", stats.pearsonr), ("spearman", stats.spearmanr)])
def test_randomisation_of_a_correlation_is_scipys_permutation_test(metric, function):
    random = np.random.default_rng(4)
    labels = random.normal(size=40)
    left, right = labels + random.normal(0, 1.5, 40), labels + random.normal(0, 0.8, 40)
    reference = stats.permutation_test(
        (left, right), lambda x, y: function(labels, y).statistic - function(labels, x).statistic, vectorized=False,
        permutation_type="samples", n_resamples=1_000, rng=np.random.default_rng(5),
    )  # fmt: skip
    test = paired_test(metric, [numbers(labels, left)], [numbers(labels, right)])
    assert test.difference == pytest.approx(100 * reference.statistic)
    assert test.p_value == pytest.approx(reference.pvalue, abs=0.04)


@pytest.mark.parametrize("metric", ["bleu", "bleu_multi", "chrf", "ter", "rougeL"])
def test_randomisation_of_a_corpus_score_is_that_of_all_swaps(metric):
    random = np.random.default_rng(6)
    references = [" ".join(random.choice(WORDS, 9)) for _ in range(7)]
    left, right = texts(0.5, random, references), texts(0.25, random, references)

    def difference(swaps):
        sides = [
            [pair[swap ^ side]["prediction"] for pair, swap in zip(zip(left, right, strict=True), swaps, strict=True)]
            for side in (0, 1)
        ]
        one, two = (generation_scores(side, [[text] for text in references], [metric])[metric].value for side in sides)
        return two - one

    every = np.array([difference(swaps) for swaps in itertools.product((0, 1), repeat=7)])
    test = paired_test(metric, [left], [right])
    assert test.difference == pytest.approx(every[0])
    assert test.p_value == pytest.approx(np.mean(np.abs(every) > abs(every[0]) - 1e-9), abs=0.015)


@pytest.mark.parametrize("metric", ["f1", "pearson"])
def test_interval_is_scipys_paired_bootstrap(metric):
    random = np.random.default_rng(7)
    if metric == "f1":
        data = turn_values(random, 200, 0.5), turn_values(random, 200, 0.6)
        runs = [turns(side) for side in data]

        def difference(left, right):
            return 100 * (right.mean() - left.mean())
    else:
        labels = random.normal(size=200)
        data = labels, labels + random.normal(0, 1.5, 200), labels + random.normal(0, 1, 200)
        runs = [numbers(labels, side) for side in data[1:]]

        def difference(labels, left, right):
            return 100 * (stats.pearsonr(labels, right).statistic - stats.pearsonr(labels, left).statistic)

    reference = stats.bootstrap(
        data, difference, paired=True, vectorized=False, method="percentile", n_resamples=1_500, rng=random
    ).confidence_interval
    test = paired_test(metric, runs[:1], runs[1:])
    width = reference.high - reference.low
    assert test.interval == pytest.approx(tuple(reference), abs=0.08 * width)
    assert test.interval[0] < test.difference < test.interval[1]


def test_turns_of_one_dialogue_do_not_count_as_so_many_examples():
    random = np.random.default_rng(8)
    left, right = turn_values(random, 60, 0.5), turn_values(random, 60, 0.55)
    single = paired_test("f1", [turns(left)], [turns(right)])
    repeated = paired_test("f1", [turns(np.repeat(left, 4), 4)], [turns(np.repeat(right, 4), 4)])
    as_independent = paired_test("f1", [turns(np.repeat(left, 4))], [turns(np.repeat(right, 4))])
    assert repeated.difference == pytest.approx(single.difference)
    assert repeated.p_value == pytest.approx(single.p_value, abs=0.01)
    assert repeated.interval == pytest.approx(single.interval, abs=0.5)
    assert as_independent.p_value < single.p_value / 4


def test_same_predictions_give_the_same_p_value_whichever_side_they_are_on():
    random = np.random.default_rng(9)
    references = [" ".join(random.choice(WORDS, 9)) for _ in range(50)]
    left, right = texts(0.5, random, references), texts(0.45, random, references)
    there, back = paired_test("bleu", [left], [right]), paired_test("bleu", [right], [left])
    assert paired_test("bleu", [left], [right]) == there
    assert (back.p_value, back.difference) == (there.p_value, -there.difference)
    assert paired_p_value("bleu", [left], [left]) == 1.0


# -- several runs on a side --------------------------------------------------------------------------------------------


def test_seeds_that_differ_where_examples_do_not_are_welchs_t_test():
    count = 20_000
    rates = [np.array([0.80, 0.83, 0.86, 0.81]), np.array([0.85, 0.88, 0.87])]
    nested = [[answers(np.arange(count) < rate * count) for rate in side] for side in rates]
    test = paired_test("accuracy", *nested, resamples=1_000)
    reference = stats.ttest_ind(rates[1], rates[0], equal_var=False)
    assert test.difference == pytest.approx(100 * (rates[1].mean() - rates[0].mean()), abs=0.01)
    assert test.p_value == pytest.approx(reference.pvalue, abs=0.004)
    assert test.interval == pytest.approx(tuple(100 * bound for bound in reference.confidence_interval()), abs=0.15)


def test_seeds_that_agree_are_a_paired_t_test_over_examples():
    random = np.random.default_rng(10)
    left, right = turn_values(random, 300, 0.5), turn_values(random, 300, 0.57)
    reference = stats.ttest_rel(right, left)
    test = paired_test("f1", [turns(left)] * 3, [turns(right)] * 3)
    assert test.p_value == pytest.approx(reference.pvalue, rel=0.1)
    assert test.interval == pytest.approx(tuple(100 * bound for bound in reference.confidence_interval()), abs=0.2)


def test_equal_methods_whose_runs_are_nearly_the_same_have_intervals_of_use():
    """Each run of one side is that of the other but for a few examples, while seeds differ as they would by chance."""
    random, apart = np.random.default_rng(0), 0
    for _ in range(80):
        right = random.random((3, 200)) < 0.8
        sides = [
            [synthetic.as_examples(run) for run in (right ^ (random.random(right.shape) < 0.02))] for _ in range(2)
        ]
        found = contrast(*statistics.methods(sides, 200), 200)
        apart += found.p_value < 0.05
        assert found.interval()[1] - found.interval()[0] < 50
    assert apart <= 8


def test_variance_of_means_is_that_of_a_two_way_analysis():
    """Against sums of squares: for means, no resampling is needed."""
    random = np.random.default_rng(11)
    easy = random.random(400)
    sides = [[(random.random(400) < easy + shift + random.normal(0, 0.05)) for _ in range(3)] for shift in (0, 0.06)]
    left, right = (np.array(side, dtype=float) for side in sides)  # (S, N)
    of_examples = (right.mean(0) - left.mean(0)).var() / 400
    spread = [100**2 * side.mean(1).var(ddof=1) for side in (left, right)]
    alone = [100**2 * (side - side.mean(0)).var(axis=1).sum() / 2 / 400 for side in (left, right)]
    variance = 100**2 * of_examples + max(0, sum(spread) / 3 - sum(alone) / 3)
    freedom = variance**2 / ((100**2 * of_examples) ** 2 / 399 + sum((value / 3) ** 2 / 2 for value in spread))
    difference = 100 * (right.mean() - left.mean())
    test = paired_test("accuracy", *([answers(run) for run in side] for side in sides))
    assert test.p_value == pytest.approx(2 * stats.t.sf(abs(difference) / variance**0.5, freedom), rel=0.05)


# -- what is claimed of p-values: few wrong alarms among equal methods, and differences are found ----------------------


def rejected(trials, runs, metric="accuracy", **setting):
    """The share of simulated comparisons with p < 0.05."""
    random = np.random.default_rng(12)
    rejections = 0
    for _ in range(trials):
        sides = [[answers(run) for run in side] for side in models(random, runs, 200, **setting)]
        rejections += paired_test(metric, *sides, resamples=400).p_value < 0.05
    return rejections / trials


# Rates by many more trials: 3 to 5 %. Of 200 trials, 5 % are 3 to 18 (99.5 %).
@pytest.mark.parametrize("runs", [(2, 2), (3, 3), (5, 5), (1, 3)])
def test_equal_methods_whose_seeds_differ_are_told_apart_in_at_most_five_percent(runs):
    assert 0.005 < rejected(200, runs, seed_spread=0.5) < 0.09


def test_swapping_examples_alone_would_reject_equal_methods_whose_seeds_differ():
    random = np.random.default_rng(12)
    rejections = 0
    for _ in range(200):
        left, right = (np.mean(side, axis=0) for side in models(random, (3, 3), 200, seed_spread=0.5))
        swaps = random.choice([-1, 1], size=(400, 200)) @ (right - left)
        rejections += np.mean(np.abs(swaps) >= abs((right - left).sum())) < 0.05
    assert rejections / 200 > 0.3


@pytest.mark.parametrize("runs", [(1, 1), (3, 3)])
def test_equal_methods_whose_seeds_agree_are_told_apart_in_at_most_five_percent(runs):
    assert 0 < rejected(200, runs) < 0.09


@pytest.mark.parametrize(
    ("runs", "setting"), [((1, 1), {"better": 1.0}), ((3, 3), {"better": 1.2, "seed_spread": 0.1})]
)
def test_different_methods_are_told_apart(runs, setting):
    assert rejected(100, runs, **setting) > 0.9


def test_equal_models_are_told_apart_in_five_percent_by_a_corpus_score():
    random = np.random.default_rng(13)
    labels = random.normal(size=80)
    p_values = [
        paired_test("pearson", *([numbers(labels, labels + random.normal(size=80))] for _ in (0, 1)), 400).p_value
        for _ in range(300)
    ]
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.087
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


# -- no test -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "left", "right"),
    [
        (
            "meteor",
            texts(0.1, np.random.default_rng(0), ["a b", "c d"]),
            texts(0.1, np.random.default_rng(1), ["a b", "c d"]),
        ),
        ("accuracy", answers([1, 0, 1]), answers([1, 0])),
        ("accuracy", answers([1, 0, 1]), answers([1, 0, 1], "test")),
        ("accuracy", answers([1]), answers([0])),
        ("accuracy", [], []),
        ("pearson", answers([1, 0, 1]), answers([1, 0, 1])),  # labels are all equal
        ("perplexity", answers([1, 0, 1]), answers([1, 0, 1])),
    ],
    ids=["no statistics", "fewer examples", "another split", "one example", "no example", "undefined", "unknown"],
)
def test_there_is_no_test_where_nothing_can_be_tested(metric, left, right):
    assert paired_p_value(metric, [left], [right]) is None
    assert paired_p_value(metric, [left, left], [right, left]) is None


def test_runs_of_every_seed_alike_differ_for_sure_or_not_at_all():
    assert paired_p_value("accuracy", [answers([1, 1])] * 2, [answers([1, 1])] * 2) == 1.0
    assert paired_p_value("accuracy", [answers([1, 1])] * 2, [answers([0, 0])] * 2) == 0.0


# -- several tests -----------------------------------------------------------------------------------------------------


def test_holm_is_the_closed_test_of_all_intersections():
    """A hypothesis is rejected if Bonferroni rejects each set of hypotheses that it is in."""
    for p_values in np.random.default_rng(14).random((20, 5)) ** 4:
        expected = [
            max(
                min(1.0, size * min(chosen))
                for size in range(1, 6)
                for chosen in itertools.combinations(p_values, size)
                if p_value in chosen
            )
            for p_value in p_values
        ]
        assert holm(p_values) == pytest.approx(expected)


def test_holm_of_few_values():
    assert holm([]) == []
    assert holm([0.04]) == [0.04]
    assert holm([0.03, 0.01, 0.02, 0.9]) == pytest.approx([0.06, 0.04, 0.06, 0.9])
    assert holm([0.02, 0.02]) == pytest.approx([0.04, 0.04])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


# -- resampling --------------------------------------------------------------------------------------------------------


def test_resamples_do_not_depend_on_how_many_are_held_at_a_time(monkeypatch):
    random = np.random.default_rng(15)
    left, right = (examples("f1", turns(turn_values(random, 30, good))) for good in (0.5, 0.6))
    whole = bootstrap([left, right], 500), approximate_randomisation(left, right, 500)
    monkeypatch.setattr("inducer_bench.report.statistics._BLOCK", 64)
    assert bootstrap([left, right], 500) == pytest.approx(whole[0], abs=1e-9)
    assert approximate_randomisation(left, right, 500) == whole[1]


# -- of scores alone, and over tasks -----------------------------------------------------------------------------------


def test_without_predictions_the_test_is_that_of_welch():
    left, right = [80.0, 82.5, 81.0, 79.0], [83.0, 82.0, 84.5]
    found = contrast(seeds_alone(left), seeds_alone(right), 872)
    welch = stats.ttest_ind(right, left, equal_var=False)
    assert found.p_value == pytest.approx(welch.pvalue)
    assert found.interval() == pytest.approx(tuple(welch.confidence_interval()))


def test_the_mean_of_one_difference_is_that_difference():
    found = Contrast(2.0, 0.5, 1.0, 7.0)
    assert mean_contrast([found]) == found
    assert mean_contrast([Contrast(0.0, 0.0, 0.0, np.inf)]).p_value == 1.0


def test_the_mean_of_differences_on_several_tasks_holds_the_true_mean():
    random, true, held = np.random.default_rng(0), np.array([0.0, 1.0, 3.0]), 0
    for _ in range(400):
        each = [
            contrast(seeds_alone(random.normal(80, spread, 5)), seeds_alone(random.normal(80 + gap, spread, 5)), 2)
            for gap, spread in zip(true, (0.5, 1.0, 3.0), strict=True)
        ]
        low, high = mean_contrast(each).interval()
        held += low <= true.mean() <= high
    assert 370 <= held <= 394  # of 400, a true rate of 95 % shows as 370 to 390; Satterthwaite's are a little wide
