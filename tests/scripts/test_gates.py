"""The program that measures the gates of finished runs, on the tiny RoBERTa."""

import json
import math
import statistics

import pytest
import torch
from helpers.runs import built

from inducer_bench.errors import UserError
from inducer_bench.methods.inducer import Inducer
from inducer_bench.runs.finished import open_run
from scripts.evidence import gates

PARTS = ("A_k", "a_k", "B_k", "b_k", "A_v", "a_v", "B_v", "b_B")


@pytest.fixture
def finished(run_cli, tiny_run, tmp_path):
    """A function that trains the tiny RoBERTa for an epoch and gives the run's folder."""

    def run(*words):
        done = run_cli(*tiny_run, "task=sst2", "method=inducer", "trainer.epochs=1", *words, cwd=tmp_path)
        return tmp_path / done.stdout.splitlines()[-1]

    return run


def test_gates_are_measured_before_and_after_training(finished, tmp_path):
    folder = finished("method.r_k=4", "trainer.lr=2e-2", "trainer.precision=bf16")
    run = open_run(folder)
    gates.main([str(folder), "--out", str(tmp_path / "out"), "--examples", "5"])
    (found,) = json.loads((tmp_path / "out" / "gates.json").read_text())
    assert found["scores"]["as trained"]["accuracy"] == pytest.approx(run.record.scores["accuracy"].value, rel=1e-4)
    assert set(found["scores"]) == {"as trained", "without MLP_k", "g = 1", "g at its mean"}
    assert found["scores"]["g = 1"]["loss"] != found["scores"]["as trained"]["loss"]
    assert found["scores"]["g at its mean"]["loss"] == pytest.approx(loss_with_means(run), rel=1e-3)
    assert found["scores"]["g at its mean"]["loss"] != found["scores"]["as trained"]["loss"]
    assert {part: row["moved"] > 0 for part, row in found["all"]["norms"].items()} == dict.fromkeys(PARTS, True)
    assert all(0 < row["rms"] < 1 and 0 <= row["below_eps"] <= 1 for row in found["all"]["gradients"].values())
    of_key, of_value = ([row["gradients"][part]["rms"] for row in found["layers"]] for part in ("A_k", "A_v"))
    assert found["all"]["gradients"]["A_k"]["rms"] == pytest.approx(
        math.hypot(*of_key) / math.sqrt(len(of_key)), rel=1e-4
    )
    assert max(of_key) < min(of_value)
    before, after = ([row[when]["mean"] for row in found["layers"]] for when in ("before", "after"))
    assert before == pytest.approx(means_of_layers(run, trained=False), rel=0.01)  # gates are in bfloat16
    assert after == pytest.approx(means_of_layers(run, trained=True), rel=0.01)
    assert before != after
    text = (tmp_path / "out" / "gates.md").read_text()
    assert text.startswith(f"## inducer on tiny_roberta, sst2, seed 0 ({folder.name})")
    assert len(text.split("\n\n")) == 6


def means_of_layers(run, trained):
    """The mean gate of each layer; heads have the same number of tokens."""
    return [g.mean().item() for g in means_of_gates(built(run.config), run, trained)]


def means_of_gates(experiment, run, trained):
    """The means (H,) of what each layer's `gate` returns for the first five sentences of dev, one at a time."""
    if trained:
        experiment.tuned.load_weights(run.folder / "adapter" / "adapter.safetensors")
    found, layers = {}, [part for part in experiment.tuned.modules() if isinstance(part, Inducer)]
    for number, part in enumerate(layers):
        gate = part.gate
        part.gate = lambda *a, gate=gate, number=number: (
            found.setdefault(number, []).append(gate(*a)) or found[number][-1]
        )
    experiment.tuned.eval()
    for example in experiment.task.examples("dev")[:5]:
        with torch.no_grad(), experiment.accelerator.autocast():
            experiment.tuned(input_ids=torch.tensor([example["input_ids"]]))
    for part in layers:
        del part.gate
    return [torch.cat([g[0, :, :, 0] for g in layer], dim=1).float().mean(dim=1) for layer in found.values()]


def loss_with_means(run):
    """The mean loss of the trained model on dev, one sentence at a time, where no gate depends on the token."""
    experiment = built(run.config)
    means = means_of_gates(experiment, run, trained=True)
    layers = [part for part in experiment.tuned.modules() if isinstance(part, Inducer)]
    for part, g in zip(layers, means, strict=True):
        part.gate = lambda form, terms, query, g=g: torch.stack(
            [torch.full_like(query[:, 0, :, :1], x) for x in g], dim=1
        )
    losses = []
    for example in experiment.task.examples("dev"):
        with torch.no_grad(), experiment.accelerator.autocast():
            logits = experiment.tuned(input_ids=torch.tensor([example["input_ids"]])).logits
        losses.append(torch.nn.functional.cross_entropy(logits.float(), torch.tensor([example["labels"]])).item())
    return statistics.fmean(losses)


def test_the_start_is_that_of_the_run_and_saturated_gates_keep_their_distance(finished):
    """A run whose steps are too small to change a number ends where it started."""
    folder = finished("method.r_k=0", "trainer.lr=1e-30", "method.key_residual=attended")
    found = gates.measure(open_run(folder), examples=2, scored=3)
    assert all(row == {"before": row["before"], "after": row["before"], "moved": 0.0, "across": 0.0}
               for layer in found["layers"] for row in layer["norms"].values())  # fmt: skip
    assert found["all"]["before"] == found["all"]["after"]
    assert 0 < found["all"]["after"]["mean"] <= 0.5
    assert set(found["scores"]) == {"as trained", "g = 1", "g at its mean"}
    assert gates.values(torch.tensor([40.0, 90.0]))["median_log_odds"] == 40.0
    assert math.isclose(gates.values(torch.tensor([2.9, 3.0]))["open"], 0.5)  # 0.95 lies between their gates


def test_what_moves_across_the_start_leaves_out_what_weight_decay_does():
    start = torch.tensor([3.0, 4.0], dtype=torch.float64)
    moved = gates.norms({"A": start}, {"A": 0.9 * start + torch.tensor([-0.8, 0.6])})["A"]  # across is (-4, 3) / 5
    assert (moved["across"], moved["moved"]) == pytest.approx((0.2, math.hypot(0.2, 0.1)))


def test_runs_without_gates_are_refused_in_one_line(finished):
    folder = finished("method.r_k=0", "method.gate=false")
    with pytest.raises(UserError, match="is of method inducer without gates; allowed: one with gates"):
        gates.measure(open_run(folder), examples=2, scored=2)
