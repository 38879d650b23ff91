"""The hours of the paper's comparison on other devices, as projected from measured steps and counted launches."""

import json

import pytest

from scripts.bench import paper, project_cost, projection

LAUNCHES = {"lora": 1_000, "mam": 1_500, "fine_tune": 900, "inducer": 1_200}
PART = paper.Part("webnlg", "nlg", tuple(LAUNCHES), 3, 10, 100, 150.0, 130, 10.0, 64, 50, patience=True)


def test_seconds_of_a_step_are_interpolated_by_tokens():
    measured = {"lora": {100: 1.0, 200: 1.0, 300: 3.0}, "inducer": {100: 2.0, 200: 2.0}, "fine_tune": {100: 9.0}}
    steps = project_cost.Steps(measured, LAUNCHES)
    assert steps.seconds("lora", 250) == 2.0
    assert steps.seconds("lora", 10) == 1.0  # a launch takes its time, however small the batch
    assert steps.seconds("lora", 500) == 7.0  # by the last slope
    assert steps.seconds("inducer", 900) == 2.0  # still bound by its launches
    assert steps.seconds("mam", 150) == 1.5  # not measured: as many launches more than LoRA
    assert steps.seconds("mam", 300) == 3.0  # as many products


def test_hours_of_a_task_are_steps_dev_decoding_checkpoints_and_starts(monkeypatch):
    monkeypatch.setattr(projection, "START", 60.0)
    monkeypatch.setattr(projection, "CHECKPOINT", {"fine_tune": 36.0})
    monkeypatch.setattr(projection, "SMALL_CHECKPOINT", 0.0)
    steps = project_cost.Steps({method: {100: 3.6} for method in LAUNCHES}, LAUNCHES)
    row = project_cost.project(PART, steps, seconds_per_prompt=0.36)
    training, dev, decoding = 1.0, 10 * 3 * 3.6 / 3 / 3600, 50 * 0.36 / 3600  # three batches of 64 sequences
    assert row["steps a run"] == 1_000
    assert row["hours a run, inducer"] == pytest.approx(training + dev + decoding)
    beside = 12 * 60 / 3600 + 3 * (10 + 12) * 36 / 3600  # an hour with 12 checkpoints, and 10 epochs
    assert row["hours, all starts and checkpoints"] == pytest.approx(beside)
    assert row["hours, all"] == pytest.approx(12 * (training + dev + decoding) + beside)
    least = 12 * (0.6 * (training + dev) + decoding) + beside
    assert row["hours, all, if patience stops as early as it can"] == pytest.approx(least)


def test_the_comparison_is_that_of_the_experiment_files():
    for family, seeds in (("nlu", 5), ("nlg", 3)):
        methods, number = paper.experiment(family)
        assert (number, len(methods)) == (seeds, 11)
        assert {"inducer", "head_only"} <= set(methods)
        assert not {"own", "peft"} & set(methods)


def test_the_model_counts_launches_or_work_whichever_takes_longer():
    eager, graphs = (next(d for d in projection.DESIGNS if d.name == f"now{name}")
                     for name in (": lean eager", ", in CUDA graphs"))  # fmt: skip
    stacked = next(d for d in projection.DESIGNS if d.name == "now, seeds stacked")
    assert projection.step(PART, "lora", eager, 1_000, 15e-6) == pytest.approx(15e-3 + projection.STEP)
    assert projection.step(PART, "lora", eager, 0, 15e-6) >= projection.operations("webnlg", "lora", 150) / 400e12
    assert projection.step(PART, "lora", graphs, 1_000, 15e-6) < 5e-3  # the GPU's time
    counts = {("nlg", method, "training"): 1_000 for method in LAUNCHES}
    alone, together = (projection.hours(PART, "lora", design, counts, 15e-6) for design in (eager, stacked))
    assert 0.33 < together / alone < 0.45  # three seeds
    alone, together = (projection.hours(PART, "fine_tune", design, counts, 15e-6) for design in (eager, stacked))
    assert together == alone


@pytest.fixture
def launches(tmp_path, monkeypatch):
    """A result of the simulation, for the two tasks that are counted."""
    monkeypatch.setattr(paper, "SIZES", {task: paper.SIZES[task] for task in ("sst2", "webnlg")})
    answers = [
        {"request": {"family": family, "method": method}, "scene": "training", "launches": {"forward": {"mm": 1_000}}}
        for family in ("nlu", "nlg") for method in paper.experiment(family)[0]
    ]  # fmt: skip
    path = tmp_path / "launches.json"
    path.write_text(json.dumps({"answers": answers}))
    return path


def test_projection_of_measured_speeds_prints_a_table(capsys, launches):
    project_cost.main(["--mini", "--steps-per-second", "sst2=40", "webnlg=30", "--launches", str(launches)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[4:7]] == ["sst2", "webnlg", "all"]


def test_projection_of_designs_writes_a_page(tmp_path, capsys, launches):
    page = tmp_path / "page.md"
    projection.main(["--mini", "--before", str(launches), "--now", str(launches), "--out", str(page)])
    assert "a model, not measured" in page.read_text()
    assert all(f"| {design.name} | " in page.read_text() for design in projection.DESIGNS)
