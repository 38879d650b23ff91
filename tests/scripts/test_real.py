"""The claims of `results/real`, from records whose truth is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import handmade, searches
from helpers.handmade import FULL

from inducer_bench.errors import UserError
from inducer_bench.report.statistics import Contrast
from inducer_bench.runs import record as records
from scripts.evidence.real import __main__ as real
from scripts.evidence.real import (
    against,
    budget,
    changes,
    claims,
    differences,
    figures,
    gate,
    initialisation,
    measure,
    runs,
    scores,
)
from scripts.evidence.real.changes import ABLATIONS, GATE, HABITS
from scripts.evidence.real.collect import collect

SMALL = {"labels": ["negative", "positive"], "confusion": {"dev": [[50, 50], [50, 50]]}}  # a constant guess has 50


def ran(root, experiment, of, *, scores, **changes):
    """Runs of an experiment, one for each score; None: it failed."""
    for seed, score in enumerate(scores):
        found = {"status": "failed"} if score is None else {"score": score, **changes}
        handmade.write_run_of(root, of, seed=seed, command=f"inducer-bench -m experiment={experiment}", **found)


def composed(*overrides):
    return handmade.configuration((*FULL, *overrides))


def varied(config, **values):
    """The configuration with other values: section__key=value. Composing each one would take most of the time."""
    for name, value in values.items():
        section, _, key = name.partition("__")
        config = replace(config, **{section: replace(getattr(config, section), **{key: value})})
    return config


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
        ["Inducer", "**80.0 ± 0.8** (5)", "90.0 ± 0.8 (5)"],
        ["LoRA", "79.5 ± 0.8 (5)", "**90.5 ± 0.8** (5)"],
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


# -- (d) ---------------------------------------------------------------------------------------------------------------


def a_measurement(run, seed, gates, moved):
    """What `scripts/evidence/gates.py` would write of a run with two layers; gates before and after, A_k and A_v."""

    def row(layer, more):
        before, after = ({"mean": g + more, "open": g + more, "median": g, "median_log_odds": 0.0} for g in gates)
        norms = {part: {"moved": 2 * way, "across": way} for part, way in zip(("A_k", "A_v"), moved, strict=True)}
        gradients = {"A_k": {"rms": 4e-9}, "A_v": {"rms": 2e-5}}
        return {"layer": layer, "before": before, "after": after, "norms": norms, "gradients": gradients}

    whole = {"loss": 0.5, "accuracy": 84.0 + seed}
    scores = {
        "as trained": whole, "g = 1": {"loss": 0.6, "accuracy": 74.0 + 1.1 * seed},
        "g at its mean": {"loss": 0.5, "accuracy": 83.0 + 1.1 * seed}, "without MLP_k": whole,
    }  # fmt: skip
    return {"run": run, "seed": seed, "examples": 64, "scored": 200, "all": row("all", 0.0), "scores": scores,
            "layers": [row(1, 0.04), row(2, -0.04)]}  # fmt: skip


@pytest.fixture
def gated(tmp_path):
    """The whole inducer at two eps: at the smaller one A_k moves ten times as far, and training closes gates."""
    whole = composed("method=inducer", "task.metric=accuracy")
    (tmp_path / "gates").mkdir()
    for eps, after, of_key in ((1e-6, 0.92, 0.05), (1e-8, 0.82, 0.5)):
        own, kept = varied(whole, trainer__eps=eps), []
        for seed in range(3):
            folder = handmade.write_run_of(tmp_path / "runs", own, seed=seed, score=84.0 + seed,
                                           command="inducer-bench -m experiment=real_ablation")  # fmt: skip
            g, way = 0.92 + 0.01 * seed, of_key * (1 + 0.01 * seed)
            kept.append(a_measurement(folder.name, seed, (g, after + 0.01 * seed * (eps == 1e-6)), (way, 5.0)))
        (tmp_path / "gates" / f"{gate.name_of(own)}.json").write_text(json.dumps(kept))
    return tmp_path


def test_the_page_says_of_gates_what_was_measured_before_and_after_training(gated):
    evidence = runs.load(gated / "runs")
    assert sorted(gate.chosen(evidence)) == ["sst2_roberta-base_1e-06", "sst2_roberta-base_1e-08"]
    page = "\n".join(claims.page(evidence, gated))
    at = "SST-2 on roberta-base, eps 1e-0"
    for sentence in (  # t(2) 0.01 / sqrt 3 = 0.0248
        f"{at}6: before training the mean gate is 0.93 [0.905, 0.955], and 93 [90.5, 95.5] % of gates are open; the "
        "mean of a layer is above 0.95 in 1 of 2 layers, and 0.89 where it is least.",
        f"{at}6: training does not move the mean gate in a way that can be told: 0 [0, 0], to 0.93.",
        f"{at}8: training lowers the mean gate: -0.11 [-0.135, -0.0852], to 0.82.",
        f"{at}6: at the start the gradient of A_k is 4e-09 [4e-09, 4e-09] (root mean square), 0.004 times eps and "
        "0.0002 [0.0002, 0.0002] times that of A_v.",
        f"{at}6: training moves A_k by 10.1 [9.85, 10.3] % of its start, and A_v by 1,000 [1,000, 1,000] %. The key "
        "side hardly moves: 0.0101 [0.00985, 0.0103] times as far as the value side, across.",
        "SST-2 on roberta-base: with eps 1e-08 instead of 1e-06 A_k moves 10 [10, 10] times as far (across).",
        f"{at}6: g = 1 after training is worse than the same models as trained by 9.9 points: -10.1 to -9.7.",
        f"{at}6: each head's g held at its mean after training is worse than the same models as trained by 0.9 points: "
        "-1.1 to -0.7.",
        f"{at}6: MLP_k left out after training and the same models as trained cannot be told apart: 0.0 to 0.0.",
    ):
        assert f"\n- {sentence}\n" in page
    assert "Inducer, AdamW's eps 1e-08" in page
    assert f"### Layer by layer: {at}8" in page
    assert "| 2 | 0.89 [0.865, 0.915] | 0.78 [0.78, 0.78] | 89 [86.5, 91.5] |" in page
    drawn = figures.gates(gate.load(gated / "gates", evidence)).spec
    rows = [row for rows in drawn["datasets"].values() for row in rows]
    assert sorted({(row["when"], row["layer"]) for row in rows}) == [
        (when, layer) for when in ("after training", "before training") for layer in (1, 2)
    ]


def test_gates_are_measured_once_of_the_whole_inducer(gated, monkeypatch):
    ran(gated / "runs", "real_ablation", composed("task=webnlg", "method=inducer"), scores=[50.0, 51.0])
    whole = composed("method=inducer", "task.metric=accuracy")
    for of in (varied(whole, method__gate=False), varied(whole, method__self_temperature=4.0)):
        ran(gated / "runs", "real_ablation", of, scores=[80.0])
    seen = []

    def measured(run, examples, scored):
        seen.append((run.record.task, run.record.seed, scored))
        return a_measurement(run.folder.name, run.record.seed, (0.5, 0.5), (1.0, 1.0))

    monkeypatch.setattr(measure, "measure", measured)
    for _ in range(2):
        measure.main([str(gated / "runs"), "--real", str(gated)])
    assert sorted(seen) == [("sst2", 0, 10_000), ("webnlg", 0, 200), ("webnlg", 1, 200)]  # of sst2, tau = 4
    found = gate.load(gated / "gates", runs.load(gated / "runs"))
    at = "SST-2 on roberta-base"
    assert [one.label for one in found] == [
        f"{at}, eps 1e-06", f"{at}, eps 1e-08", f"{at}, self score over 4 (ours), eps 1e-06",
        "WebNLG on gpt2, eps 1e-08",
    ]  # fmt: skip
    assert {one.place for one in gate.after_training(found)} == {
        found[0].label,
        found[1].label,
    }  # two seeds, and scores
    with pytest.raises(UserError, match=r"^RUNS: '.*' has no runs of the whole inducer; allowed: those"):
        measure.main([str(gated / "nowhere")])


def test_gates_of_a_run_without_a_record_are_not_reported(gated):
    path = gated / "gates" / "other.json"
    path.write_text(json.dumps([a_measurement("0" * 16, 0, (0.5, 0.5), (1.0, 1.0))]))
    with pytest.raises(UserError, match=r"other\.json: run 0{16} has no record; allowed: runs that --collect has kept"):
        gate.load(gated / "gates", runs.load(gated / "runs"))


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


def test_a_folder_without_runs_is_not_collected(tmp_path):
    with pytest.raises(UserError, match=r"^--collect: '.*' has no runs$"):
        collect(tmp_path / "nowhere", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_every_figure_is_one_specification_of_its_numbers(swept):
    sweeps = initialisation.sweeps(runs.load(swept).of_experiment("real_initialisation"))
    (drawn,) = figures.rates(sweeps)
    assert [panel["title"] for panel in drawn.spec["concat"]] == [one.label for one in sweeps[0].forms]
    apart = differences.Difference("SST-2", "Inducer", "LoRA", (84.0, 85.0), Contrast(-1.0, 0.1, 0.2, 8.0), "", 0.2)
    found = figures.differences("against", "title", [apart]).spec
    (row,) = next(rows for rows in found["datasets"].values() if "low" in rows[0])
    assert (row["value"], row["low"], row["high"]) == (-1.0, *apart.found.interval())
    points = [budget.Point("SST-2 on minilm", "lora", "LoRA", 0.3, 0.28, 81.0, (80.0, 82.0), 3)]
    (drawn,) = figures.budgets(points)
    assert drawn.spec["layer"][1]["encoding"]["y2"]["field"] == "high"


@pytest.mark.slow
def test_everything_is_made_again_from_the_kept_records(studied, swept, tmp_path):
    for source in (studied, swept):
        real.main(["--collect", str(source), "--real", str(tmp_path)])
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.suffix in (".md", ".csv")}
    (tmp_path / "tables" / "stale.md").touch()
    real.main(["--real", str(tmp_path)])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.suffix in (".md", ".csv")} == first
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"against.png", "rates.png"}
