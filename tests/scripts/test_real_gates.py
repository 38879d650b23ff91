"""The page's (d): what is kept of measured gates, and what is said of it."""

import json

import pytest
from helpers import handmade
from helpers.evidence import composed, ran, varied

from inducer_bench.errors import UserError
from scripts.evidence.real import claims, figures, gate, layers, measure, runs


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
    page = "\n".join(layers.page(gate.load(gated / "gates", evidence)))
    assert f"## {at}8\n" in page
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
