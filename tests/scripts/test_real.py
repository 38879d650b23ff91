"""The claims of `results/real`, from records whose truth is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import searches
from helpers.evidence import composed, ran, varied

from inducer_bench.errors import UserError
from inducer_bench.report.statistics import Contrast
from inducer_bench.runs import record as records
from inducer_bench.runs.artefacts import PREDICTIONS
from inducer_bench.search import record as search_records
from scripts.evidence.real import __main__ as real
from scripts.evidence.real import (
    against,
    budget,
    changes,
    claims,
    differences,
    figures,
    initialisation,
    runs,
    scores,
)
from scripts.evidence.real.changes import ABLATIONS, GATE, HABITS
from scripts.evidence.real.collect import collect

SMALL = {"labels": ["negative", "positive"], "confusion": {"dev": [[50, 50], [50, 50]]}}  # a constant guess has 50


# -- (a) ---------------------------------------------------------------------------------------------------------------

TASKS = {"sst2": {"inducer": 90, "prefix": 75, "lora": 90.5}, "cola": {"inducer": 80, "prefix": 70, "lora": 79.5}}


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """Two tasks, three methods, five seeds; the scores of a method vary by a point."""
    root = tmp_path_factory.mktemp("studied") / "runs"
    for task, methods in TASKS.items():
        for method, score in methods.items():
            finals = [score - 1, score - 0.5, score, score + 0.5, score + 1]
            of = ("task.metric=accuracy", "task.metrics=[accuracy]")
            searches.tune(root, f"task={task}", *of, f"method={method}", tried=(60.0, score, score), finals=finals)
    return root


def test_true_differences_are_found_per_task_and_over_tasks_with_a_sentence_for_each(studied):
    compared = against.compared(runs.load(studied).studies)
    found = {(one.place.split()[0], one.other): one for one in against.per_task(compared)}
    assert {key: one.found.difference for key, one in found.items()} == pytest.approx({
        ("SST-2", "Prefix"): 15, ("SST-2", "LoRA"): -0.5, ("CoLA", "Prefix"): 10, ("CoLA", "LoRA"): 0.5,
    })  # fmt: skip
    assert {one.over for one in found.values()} == {"examples, seeds and searches"}
    smallest = min(one.found.p_value for one in found.values())
    assert min(one.p_value for one in found.values()) == pytest.approx(len(found) * smallest)  # Holm, over all of them
    assert found["SST-2", "Prefix"].verdict == "better"
    assert found["SST-2", "LoRA"].verdict == "cannot be told apart"
    place = "SST-2 (4,000 training examples)"
    low, high = found["SST-2", "LoRA"].found.interval()
    assert low < -0.5 < high
    assert found["SST-2", "LoRA"].sentence() == (
        f"{place}: Inducer and LoRA cannot be told apart: {low:+.1f} to {high:+.1f}."
    )
    assert found["SST-2", "Prefix"].sentence().startswith(f"{place}: Inducer is better than Prefix by 15.0 points: +")
    (together,) = against.over_tasks(compared)
    means = {one.other: one for one in together.means}
    assert means["Prefix"].found.difference == pytest.approx(12.5)
    assert means["Prefix"].found.variance < found["SST-2", "Prefix"].found.variance
    assert means["LoRA"].found.difference == pytest.approx(0.0)
    assert means["LoRA"].verdict == "cannot be told apart"
    assert {name: rank.mean for name, rank in together.ranks.items()} == {"Inducer": 1.5, "LoRA": 1.5, "Prefix": 3.0}


def test_with_more_data_the_inducer_is_compared_with_each_method_that_ran(tmp_path):
    for method, score in (("inducer", 86.0), ("prefix", 84.0), ("fine_tune", 90.0)):
        ran(tmp_path, "real_whole", composed(f"method={method}"), scores=[score - 0.2, score, score, score + 0.2])
    found = {one.other: one for one in against.with_more_data(runs.load(tmp_path).of_experiment("real_whole"))}
    assert {one.place for one in found.values()} == {"SST-2 (4,000 training examples) on roberta-base"}
    verdicts = {other: (round(one.found.difference, 6), one.verdict) for other, one in found.items()}
    assert verdicts == {"Fine-tuning": (-4.0, "worse"), "Prefix": (2.0, "better")}
    assert "### With all training data" in claims.page(runs.load(tmp_path), tmp_path)
    ran(tmp_path, "real_whole", varied(composed("method=prefix"), trainer__lr=0.5), scores=[80.0, 81.0])
    with pytest.raises(UserError, match=r"Prefix: found 2 settings, which differ in trainer\.lr"):
        against.with_more_data(runs.load(tmp_path).of_experiment("real_whole"))


def test_the_table_of_scores_has_a_column_for_each_study_and_the_best_first(studied):
    head, rows = scores.table(runs.load(studied).studies)
    assert [column.partition(" (")[0] for column in head] == ["method", "CoLA", "SST-2"]
    assert rows == [
        ["Inducer", "80.0 ± 0.8 (5) ▲", "90.0 ± 0.8 (5)"],
        ["LoRA", "79.5 ± 0.8 (5)", "90.5 ± 0.8 (5) ▲"],
        ["Prefix", "70.0 ± 0.8 (5)", "75.0 ± 0.8 (5)"],
    ]


def test_lower_scores_may_be_better():
    contrast = differences.turned(Contrast(-2.0, 0.1, 0.2, 8.0), -1)
    assert contrast.difference == 2.0
    assert contrast.interval()[0] > 0


# -- (b) ---------------------------------------------------------------------------------------------------------------

RATES = (1e-4, 1e-3, 1e-2)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Ten seeds at three rates; prefixes vary four times as much as inducers, and fail at the highest rate."""
    root, random = tmp_path_factory.mktemp("swept") / "runs", np.random.default_rng(0)
    noise = random.normal(size=10)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    prefix, inducer = composed("method=prefix"), composed("method=inducer")
    plain = varied(prefix, method__reparameterize=False)
    for of, spread in ((prefix, 2.0), (plain, 2.0), (inducer, 0.5)):
        for rate, mean in zip(RATES, (80.0, 84.0, 79.0), strict=True):
            scores = [mean + spread * value for value in noise]
            if rate == 1e-2 and of is prefix:
                scores = [*scores[:7], 50.5, 54.9, None]
            own = varied(of, trainer__lr=rate)
            ran(root, "real_initialisation", own, scores=scores, predictions=False, **SMALL)
    return root


def test_variance_ratio_failures_and_workable_rates_are_those_of_the_runs(swept):
    (sweep,) = initialisation.sweeps(runs.load(swept).of_experiment("real_initialisation"))
    forms = {one.label: one for one in sweep.forms}
    assert set(forms) == {"Prefix", "Prefix, not reparameterised", "Inducer"}
    assert sweep.guess == 50.0
    prefix, inducer = forms["Prefix"], forms["Inducer"]
    assert (prefix.best.rate, inducer.best.rate) == (1e-3, 1e-3)
    assert prefix.ratio.ratio == pytest.approx(16.0)
    assert prefix.ratio.interval[0] > 1
    assert (inducer.ratio, inducer.failed, inducer.failures[0]) == (None, 0, 0.0)
    assert (prefix.failed, prefix.runs, prefix.best.failed) == (3, 30, 0)
    assert prefix.failures == pytest.approx((0.0211, 0.2653), abs=1e-4)  # binom.test(3, 30) of R
    # Within 2 of 84: half of the first decade; of the second half, where runs fail, and 2 / 5 of it, where none does.
    assert prefix.workable.range.decades == pytest.approx(1.0)
    assert inducer.workable.range.decades == pytest.approx(0.9)
    low, high = inducer.workable.interval
    assert low <= 0.9 <= high


def test_the_guess_comes_from_predictions_where_a_record_has_no_confusion(tmp_path):
    ran(tmp_path, "real_initialisation", composed("method=inducer"), scores=[80.0, 81.0])
    assert initialisation.sweeps(runs.load(tmp_path).of_experiment("real_initialisation"))[0].guess == 50.0


def test_settings_that_differ_in_more_than_the_rate_are_not_averaged(tmp_path):
    for epochs in (1, 2):
        of = varied(composed("method=inducer"), trainer__epochs=epochs)
        ran(tmp_path, "real_initialisation", of, scores=[80.0], **SMALL)
    with pytest.raises(UserError, match=r"Inducer at 0\.0002: found 2 settings, which differ in trainer\.epochs"):
        initialisation.sweeps(runs.load(tmp_path).of_experiment("real_initialisation"))


# -- (c), (e), (f) -----------------------------------------------------------------------------------------------------


def test_each_ablation_is_compared_with_the_whole_inducer(tmp_path):
    whole = composed("method=inducer")
    for of, score in (
        (whole, 85.0), (composed("method=inducer", "ablation=no_gate"), 75.0), (varied(whole, method__r_k=0), 85.0),
        (varied(whole, method__r_k=0, method__r_v=6), 84.5), (varied(whole, method__self_temperature=8.0), 84.0),
        (varied(whole, method__r_k=0, method__value_residual=False), 86.0), (varied(whole, trainer__eps=1e-8), 76.0),
    ):  # fmt: skip
        ran(tmp_path, "real_ablation", of, scores=[score - 0.5, score, score, score + 0.5])
    ran(
        tmp_path, "real_habits", varied(whole, method__gate=False, trainer__epochs=1), scores=[50.0, 51.0]
    )  # of another
    groups = runs.load(tmp_path).of_experiment("real_ablation")
    found = changes.differences(groups, ABLATIONS)
    assert {one.one: (one.other, round(one.found.difference, 6), one.verdict) for one in found} == {
        "Inducer, no gate": ("the whole inducer", -10.0, "worse"),
        "Inducer, no MLP_k": ("the whole inducer", 0.0, "cannot be told apart"),
        "Inducer, method.r_k=0, method.value_residual=false": ("the whole inducer", 1.0, "cannot be told apart"),
    }
    assert {one.one: (round(one.found.difference, 6), one.verdict) for one in changes.differences(groups, GATE)} == {
        "Inducer, no MLP_k, at the same budget (r_v = 6)": (-0.5, "cannot be told apart"),
        "Inducer, self score divided by 8.0 (ours)": (-1.0, "cannot be told apart"),
        "Inducer, AdamW's eps 1e-08": (-9.0, "worse"),
    }


def test_each_habit_that_a_command_switches_on_is_compared_with_the_runs_without_it(tmp_path):
    few = ("method=inducer", "task.max_train=4000")
    base = composed(*few, "protocol=paper")
    for of, score in (
        (base, 85.0), (composed(*few, "protocol.gate_before_mask=true"), 84.5),
        (varied(base, protocol__train_head=False), 60.0), (varied(base, protocol__select_first=142), 85.5),
        (varied(base, task__max_train=1000), 80.0), (composed(*few, "protocol=clean"), 85.0),
        (composed(*few, "protocol=as_released"), 59.0),
    ):  # fmt: skip
        ran(tmp_path, "real_habits", of, scores=[score - 0.5, score + 0.5])
    found = changes.differences(runs.load(tmp_path).of_experiment("real_habits"), HABITS)
    assert {one.one: one.found.difference for one in found} == pytest.approx({
        "Inducer, head left at its random start": -25.0,
        "Inducer, gates before the padding mask": -0.5,
        "Inducer, epoch selected on the first 142 examples of dev": 0.5,
        "Inducer, 1000 training examples": -5.0,
        "Inducer, epoch selected on held-out train (clean)": 0.0,
        "Inducer, all habits of as_released": -26.0,
    })  # fmt: skip


def test_budgets_have_points_with_intervals_and_comparisons(tmp_path):
    plm = 1_210_496  # parameters of a record written by hand
    for percent in (0.25, 0.9):
        for method, more in (("inducer", 5.0), ("lora", 0.0)):
            of = composed(f"method={method}")
            of = varied(of, **{"method__r" if method == "lora" else "method__r_v": int(8 * percent) + 2})
            ran(tmp_path, "real_budget", of, scores=[80 + more, 81 + more, 82 + more],
                parameters=int(percent / 100 * plm), predictions=False)  # fmt: skip
    groups = runs.load(tmp_path).of_experiment("real_budget")
    points = budget.points(groups)
    assert [(point.label, point.budget, point.score) for point in points] == [
        ("Inducer", 0.3, 86), ("Inducer", 1.0, 86), ("LoRA", 0.3, 81), ("LoRA", 1.0, 81),
    ]  # fmt: skip
    assert points[0].interval == pytest.approx((86 - 2.484, 86 + 2.484), abs=1e-3)  # t(2) / sqrt 3
    found = budget.differences(groups)
    assert [one.found.difference for one in found] == [5.0, 5.0]
    assert {one.over for one in found} == {"seeds alone"}
    assert budget.budget_of(7.0) == 5.0


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_page_of_collected_records_says_in_words_what_was_found(studied, swept, tmp_path, capsys):
    kept = tmp_path / "runs"
    for source in (studied, swept, studied):
        collect(source, kept)
    assert len(records.find(kept)[0]) == len(records.find(studied)[0]) + len(records.find(swept)[0])
    (tmp_path / "start.json").write_text(json.dumps({
        "task": "sst2", "plm": "minilm", "split": "dev", "sentences": 4, "seeds": 2,
        "changes": {"LoRA": [{"loss": 0.0, "logits": 0.0, "hidden": 0.0}] * 2},
    }))  # fmt: skip
    page = real.text(runs.load(kept), tmp_path)
    assert "- Mean over 2 tasks: Inducer is better than Prefix by 12.5 points: " in page
    assert "- Prefix varies more with the seed: the variance is 16 times the inducer's" in page
    assert "- Prefix: 1.0 decades of learning rates work" in page
    assert "| LoRA | 0.0000 [0.0000, 0.0000] | 0.0000 | 0.00 % |" in page
    assert "No records yet: `inducer-bench -m experiment=real_ablation`." in page
    claims.main(str(tmp_path))
    assert page.endswith(f"\n\n{capsys.readouterr().out.rstrip()}\n")


def test_predictions_of_trials_are_kept_where_confirmations_decided(tmp_path):
    folder = searches.tune(tmp_path / "runs", "task=sst2", "method=lora", tried=(60.0, 70.0))
    search = search_records.read(folder)
    assert search is not None
    confirmed = replace(search.trials[1], run=search.finals[0].run, score=80.0)  # as a confirmation may be a final run
    search_records.write(folder, replace(search, confirmations=[confirmed]))
    collect(tmp_path / "runs", tmp_path / "kept")
    kept = {path.parent.name for path in (tmp_path / "kept").rglob(PREDICTIONS)}
    assert kept == {run.run for run in (*search.trials, *search.finals)}


def test_a_folder_without_runs_is_not_collected(tmp_path):
    with pytest.raises(UserError, match=r"^--collect: '.*' has no runs$"):
        collect(tmp_path / "nowhere", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_every_figure_is_one_specification_of_its_numbers(swept):
    sweeps = initialisation.sweeps(runs.load(swept).of_experiment("real_initialisation"))
    (drawn,) = figures.rates(sweeps)
    assert [panel["title"] for panel in drawn.spec["concat"]] == [one.label for one in sweeps[0].forms]
    points = [budget.Point("SST-2 on minilm", "lora", "LoRA", 0.3, 0.28, 81.0, (80.0, 82.0), 3)]
    (drawn,) = figures.budgets(points)
    assert drawn.spec["layer"][1]["encoding"]["y2"]["field"] == "high"


def test_differences_are_drawn_in_groups_and_an_interval_that_is_far_wider_than_others_is_cut():
    def apart(place, one, other, variance):
        return differences.Difference(place, one, other, (84.0, 85.0), Contrast(-1.0, variance, variance, 8.0), "", 0.2)

    def drawn(*found):
        spec = figures.differences("against", "title", found).spec
        base, dots = spec["layer"][1]["encoding"], spec["layer"][2]["encoding"]
        rows = next(rows for rows in spec["datasets"].values() if "low" in rows[0])
        assert sorted((row["value"], row["low"], row["high"]) for row in rows) == sorted(
            (-1.0, *one.found.interval()) for one in found
        )
        return base["y"]["scale"]["domain"], dots["x"]["scale"]["domain"], dots["x"]["title"]

    usual = [apart(place, "Inducer", other, 0.1) for place in ("RTE", "CoLA") for other in ("LoRA", "Prefix")]
    order, span, title = drawn(*usual[::2], *usual[1::2])
    mark = figures._HEADING
    assert order == [
        f"against LoRA{mark}", f"against LoRA{mark}RTE", f"against LoRA{mark}CoLA",
        f"against Prefix{mark}", f"against Prefix{mark}RTE", f"against Prefix{mark}CoLA",
    ]  # fmt: skip
    ends = usual[0].found.interval()
    assert tuple(span) == figures.limits([*ends, 0.0])
    assert "go on" not in title
    _, cut, title = drawn(*usual, apart("MRPC", "Inducer", "LoRA", 10.0))
    assert cut == span
    assert "go on" in title
    order, _, title = drawn(apart("RTE", "no gate", "the whole", 0.1), apart("RTE", "no MLP_k", "the whole", 0.1))
    assert order == [f"RTE{mark}", f"RTE{mark}no gate", f"RTE{mark}no MLP_k"]
    assert "left of zero, the whole is better" in title


@pytest.mark.slow
def test_everything_is_made_again_from_the_kept_records(studied, swept, tmp_path):
    for source in (studied, swept):
        real.main(["--collect", str(source), "--real", str(tmp_path)])
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.suffix in (".md", ".csv")}
    (tmp_path / "tables" / "stale.md").touch()
    real.main(["--real", str(tmp_path)])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.suffix in (".md", ".csv")} == first
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"against.png", "rates.png"}
