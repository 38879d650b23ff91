"""What a run tells of itself: before it begins, in a terminal of any width, and in the pipe of a script."""

import io
import re

import pytest
from rich.console import Console
from rich.progress import Task

from inducer_bench.cli import closing
from inducer_bench.config.compose import compose
from inducer_bench.metrics.table import written
from inducer_bench.runs import header, words
from inducer_bench.runs.experiment import build
from inducer_bench.runs.run import run
from inducer_bench.training import console
from inducer_bench.training.units import clock


def _plain(text):
    """What a terminal shows of it."""
    return re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", text)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["method=lora"], "LoRA: r=8, alpha=16.0"),
        (
            ["method=inducer_lora"],
            "Inducer + LoRA (inducer_lora): r_k=2, r_v=4, lora.r=4, lora.alpha=8.0",
        ),
        (["method=inducer", "ablation=no_gate"], "Inducer: r_k=6, r_v=4, gate=False"),
        (["method=head_only"], "Head only"),
    ],
)
def test_method_is_told_by_its_title_and_by_what_was_chosen(overrides, told):
    assert words.method(compose(["preset=mini", "task=sst2", *overrides])).startswith(told)


def test_header_names_method_model_task_training_seed_and_folder_before_torch(overrides, tmp_path):
    rows = dict(header.begun(compose([*overrides, "seed=3"]), tmp_path))
    assert list(rows) == ["method", "model", "task", "training", "seed", "folder"]
    assert rows["training"].startswith("2 epochs, batch 8, lr 0.005 (linear, warm-up ")
    assert rows["seed"].startswith("3; protocol paper; device auto")


def test_sample_is_told_with_what_it_is_drawn_from(overrides):
    parts = []
    limited = compose([*overrides, "task.max_train=16", "task.max_eval=99", "trainer.epochs=1"])
    run(limited, parts.append)
    assert dict(parts[0])["task"].endswith("16 training examples at most, 99 evaluation examples at most, "
                                           "a fixed random sample")  # fmt: skip
    assert dict(parts[1])["sample"] == "train 16 of 64; a fixed random sample"  # there are fewer than 99 of dev


def test_a_label_that_no_training_example_has_is_told_before_the_first_step(overrides):
    config = compose([*overrides, "task.max_train=1", "trainer.epochs=1"])
    with build(config) as experiment:
        missing = {"negative", "positive"} - {experiment.task.labels[experiment.splits.train[0]["labels"]]}
    told = (run(config).folder / "log.txt").read_text().split("step 1/1")[0]
    assert told.count(
        f"task.labels: none of the 1 training examples has label {missing.pop()}, which the model cannot learn; "
        "task.max_train=1"
    ) == 1  # fmt: skip
    assert "task.labels" not in (run(compose([*overrides, "trainer.epochs=1"])).folder / "log.txt").read_text()


def test_warm_up_that_outlasts_the_run_is_told_before_it_also_in_a_sweep(overrides):
    outcome = run(compose([*overrides, "trainer.warmup=16", "task.max_train=32"]))  # no header, as a sweep's job
    first, *_ = (outcome.folder / "log.txt").read_text().split("step 2/8")
    assert first.count("trainer.warmup: 16 steps, but the run has 8, so that the learning rate never reaches") == 1


@pytest.mark.parametrize(
    ("precision", "epochs", "told"), [("auto", 2, False), ("auto", 10**6, True), ("fp32", 10**6, False)]
)
def test_long_run_on_a_cpu_that_computes_in_bf16_says_so(overrides, monkeypatch, precision, epochs, told):
    monkeypatch.setattr(header, "computes_bf16", lambda: True)
    config = compose([*overrides, f"trainer.precision={precision}", f"trainer.epochs={epochs}", "trainer.device=cpu"])
    parts = []
    with build(config) as experiment:
        header.announce(config, experiment, parts.append)
    assert ("faster" in dict(parts[0])) == told


def test_run_shows_its_header_in_two_parts_and_one_that_is_done_none(overrides):
    parts = []
    outcome = run(compose(overrides), parts.append)
    assert [rows[0][0] for rows in parts] == ["method", "data"]
    assert dict(parts[1])["data"] == "train 64, dev 32"
    assert dict(parts[1])["steps"] == "16, 8 an epoch"
    assert dict(parts[1])["parameters"].startswith(f"{outcome.record.parameters.method:,} of the method (")
    run(compose(overrides), parts.append)
    assert len(parts) == 2
    log = (outcome.folder / "log.txt").read_text()
    assert f"inducer on {outcome.record.plm}: {outcome.record.parameters.method:,} of the method" in log
    assert "{" not in log


def test_every_line_about_a_score_has_the_decimals_of_its_metric(overrides, capsys):
    outcome = run(compose([*overrides, "task.metrics=[accuracy,f1,matthews]"]))
    assert re.fullmatch(r"accuracy \d+\.\d  f1 \d+\.\d  matthews -?\d+\.\d.*", outcome.message)
    told = capsys.readouterr().err + (outcome.folder / "log.txt").read_text()
    for score in re.findall(r"(?:accuracy|f1|matthews) (-?[\d.]+)", told):
        assert re.fullmatch(r"-?\d+\.\d", score), told
    assert re.findall(r"epoch \d+  loss (\S+)", told)[0].split(".")[1].isdigit()


def test_scores_of_unknown_metrics_and_missing_ones_are_written_too():
    assert [written("gone.away", 1.25), written("what", 1.0), written("accuracy", None)] == [
        "1.25",
        "1.00",
        "-",
    ]
    assert written("loss", 0.5) == "0.5000"


def test_all_metrics_of_the_user_are_in_the_headline_however_many_there_are(overrides):
    metrics = ["accuracy", "f1", "matthews", "f1_macro", "f1_weighted", "precision_macro", "recall_macro"]
    known = [name for name in metrics if written(name, 1.0)]
    record = run(compose([*overrides, f"task.metrics=[{','.join(known)}]"])).record
    assert [name for name in known if f"{name} " not in record.headline()] == []
    assert " more" not in record.headline()


@pytest.mark.parametrize("width", [30, 49, 60, 80, 100, 140])
def test_bar_fits_into_a_terminal_of_any_width_and_labels_its_time(monkeypatch, width):
    screen = Console(file=io.StringIO(), force_terminal=True, width=width, no_color=True)
    shown = console.bar(screen)
    shown.add_task(console.progress_line(screen, 0.7276, 4.9e-3, 2334.0), total=12_345, completed=1_234)
    monkeypatch.setattr(Task, "time_remaining", 7390.0)
    screen.print(shown.make_tasks_table(shown.tasks))
    (last,) = _plain(screen.file.getvalue()).splitlines()
    assert "2:03:10 left" in last
    assert "1234/12345" in last
    assert "…" not in last
    assert len(last.rstrip()) <= width
    assert ("loss 0.7276" in last) == (width >= 50)


def test_expected_time_is_told_once_after_some_steps(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(console.time, "perf_counter", lambda: now[0])
    expectation = console.Expectation(100, 200)
    lines = []
    for step in range(101, 201):
        now[0] += 1.0
        lines.append(expectation.line(step))
    assert [line for line in lines if line] == ["about 1:35 of training left, 1 s a step"]


@pytest.mark.parametrize(("seconds", "told"), [(0.4, "0:00"), (7, "0:07"), (104, "1:44"), (7390, "2:03:10")])
def test_clock(seconds, told):
    assert clock(seconds) == told


def test_closing_lists_the_best_runs_of_the_same_examples_and_marks_this_one(overrides, tmp_path, capsys):
    others = [run(compose([*overrides, f"seed={seed}"])) for seed in (0, 1)]
    run(compose([*overrides, "task.max_eval=5", "seed=2"]))  # of other examples
    last = run(compose([*[o for o in overrides if not o.startswith("method.")], "method=bitfit", "trainer.epochs=1"]))
    capsys.readouterr()
    closing.close(last.message, last.folder, last.record, tmp_path / "runs")
    told, errors = capsys.readouterr()
    assert f"{last.record.best_epoch} of 1" in told
    assert "accuracy of 3 runs of sst2 in this folder" in told
    assert told.count("> ") == 1
    assert re.search(r"> \d+\.\d +BitFit, seed 0, epochs 1", told)
    best = max(others, key=lambda outcome: outcome.record.scores["accuracy"].value)
    assert f"inducer-bench compare {best.folder} {last.folder}" in errors


def test_rows_in_a_pipe_are_one_line_each_without_colour(capsys):
    header.show([("method", "LoRA"), ("folder", "x" * 300), ("odd", "a\nb\x1b[31m")])
    assert capsys.readouterr().out.splitlines() == [
        "method      LoRA", "folder      " + "x" * 300, r"odd         a\nb\x1b[31m",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [40, 60, 200])
def test_rows_in_a_terminal_wrap_within_it(monkeypatch, capsys, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    header.show([("parameters", "17,568 of the method (1.45 % of the model's 1,210,496), 16,770 of the head")])
    lines = _plain(capsys.readouterr().out).splitlines()
    assert all(len(line.rstrip()) <= width for line in lines)
    assert "".join(line[12:].strip() for line in lines).replace(" ", "").endswith("16,770ofthehead")
