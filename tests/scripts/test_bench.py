"""The benchmarks: what the shared harness computes, that compared forms compute the same, and that each script runs."""

import json
import shutil

import numpy as np
import pytest
import torch
from helpers import specs

from inducer_bench.report import plots
from inducer_bench.tasks.cache import Encoded
from scripts.bench import attention as bench_attention
from scripts.bench import bounds, harness, paper, project_cost, projection, summary
from scripts.bench import charts as bench_charts
from scripts.bench import compile as bench_compile
from scripts.bench import decoding as bench_decoding
from scripts.bench import epoch as bench_epoch
from scripts.bench import loss as bench_loss
from scripts.bench import padding as bench_padding
from scripts.bench import parts as bench_parts
from scripts.bench import scaling as bench_scaling
from scripts.bench import seeds as bench_seeds
from scripts.bench import startup as bench_startup
from scripts.bench import step as bench_step
from scripts.bench.released_form import as_released
from scripts.bench.setup import build, random_loss, real_task, spread

# -- the harness -----------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when a candidate lets it: `clock[0] += seconds`; the CPU is busy half of it."""
    now = [0.0]
    monkeypatch.setattr(harness, "perf_counter", lambda: now[0])
    monkeypatch.setattr(harness, "process_time", lambda: now[0] / 2)
    return now


def test_candidates_alternate_in_a_shuffled_order_and_the_warmup_is_not_timed(clock):
    calls = []

    def candidate(name, seconds):
        def call():
            clock[0] += seconds * (10 if len(calls) < 3 else 1)  # the first round is slow
            calls.append(name)

        return call

    times = harness.alternate({name: candidate(name, s) for name, s in (("a", 1), ("b", 2), ("c", 4))}, rounds=8)
    rounds = [tuple(calls[start : start + 3]) for start in range(0, len(calls), 3)]
    assert len(rounds) == 9
    assert all(sorted(order) == ["a", "b", "c"] for order in rounds)
    assert len(set(rounds)) > 2
    assert times == {"a": [1.0] * 8, "b": [2.0] * 8, "c": [4.0] * 8}
    assert harness.busy(times["b"]) == [1.0] * 8
    assert harness.busy([times["b"][0] / 4]) == [0.25]


def test_a_ratio_is_taken_within_rounds():
    times = {"ours": [1.0, 4.0, 9.0], "theirs": [1.0, 2.0, 3.0]}
    assert harness.ratio(times, "ours", "theirs") == pytest.approx((2.0, 1.2, 2.8))
    times["ours"] = [harness.Seconds(wall, busy) for wall, busy in ((1.0, 1.0), (4.0, 2.0), (9.0, 1.5))]
    assert harness.ratio(times, "ours", "theirs")[0] == 1.0  # of the busy seconds
    row = harness.ratio_rows({**times, "ours": [1.0, 4.0, 9.0]}, "theirs")[0]
    assert (row["candidate"], row["seconds"], row["ratio to theirs"]) == ("ours", 4.0, 2.0)


def test_the_interval_of_a_median_covers_it_in_95_of_100_samples():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(2_000):
        times = {"ours": list(np.exp(generator.normal(size=15))), "theirs": [1.0] * 15}  # the median is 1
        low, high = map(float, harness.interval(times, "ours", "theirs").split(" to "))
        covered += low <= 1.0 <= high
    assert 0.95 < covered / 2_000 < 0.98


def test_peak_memory_is_that_of_the_tensors_held_at_once():
    mebibyte = 2**20

    def call():
        first = torch.empty(mebibyte, dtype=torch.uint8)
        second = torch.empty(2 * mebibyte, dtype=torch.uint8)  # 3 MiB at once
        del first, second
        return torch.empty(2 * mebibyte, dtype=torch.uint8)

    assert harness.peak_memory(call) == pytest.approx(3 * mebibyte, rel=0.001)


def test_results_are_published_with_their_provenance_and_without_paths_of_the_machine(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "sys.argv", ["/home/me/repo/scripts/bench/x.py", "--data", "/home/me/data/", "--out=/home/me/o"]
    )
    rows = [{"form": "ours", "seconds": 0.123456, "shapes": 12_345}, {"form": "theirs", "seconds": 2.0}]
    path = harness.publish("x", rows, note="A note.", out=tmp_path)
    content = json.loads(path.read_text())
    assert path == tmp_path / harness.slug() / "x.json"
    assert content["rows"] == rows
    assert content["command"] == "python -m scripts.bench.x --data data --out=o"
    assert content["versions"]["torch"] == torch.__version__
    assert content["device"] == {"type": "cpu", "name": harness.device_name(), "threads": torch.get_num_threads()}
    assert "| ours | 0.1235 | 12,345 |\n| theirs | 2 | - |" in capsys.readouterr().out
    assert "home" not in path.read_text()


def test_spread_batches_stand_for_all_of_an_epoch():
    lengths = list(range(100))
    batches = [[i, i + 1] for i in range(0, 100, 2)]
    chosen = spread([*batches[::-1], [50]], lengths, 5)
    assert chosen == [[10, 11], [30, 31], [50, 51], [70, 71], [90, 91]]  # the small last batch is left out


# -- what the scripts compare ------------------------------------------------------------------------------------------


def test_padding_counts_tokens_and_shapes():
    lengths = [3, 3, 5, 5, 9]
    rows = {row["form"]: row for row in bench_padding.forms(lengths, size=2, most=10)}
    like = rows["like length"]  # one window: (3, 3), (5, 5), (9)
    assert (like["padded / real"], like["shapes"], like["longest"]) == (1.0, 3, 9)
    assert rows["like length, multiples of 4"]["padded / real"] == pytest.approx((8 + 16 + 10) / 25)
    assert rows["like length, multiples of 4"]["longest"] == 10  # not 12
    assert rows["buckets"]["padded / real"] == 1.0  # lengths 3, 5 and 9
    assert rows["to the maximum"]["padded / real"] == 2.0
    assert rows["to the maximum"]["shapes"] == 2


@pytest.fixture(scope="module")
def webnlg():
    """The mini task, its first examples of several lengths, and a model with LoRA, without dropout."""
    _, task = real_task("webnlg", harness.ROOT, mini=True)
    config, tuned = build(["task=webnlg", "method=lora"], harness.CPU, mini=True)
    examples: list[Encoded] = sorted(task.examples("train").take(range(6)), key=lambda row: row["length"])
    return config, task, examples, tuned.eval()


def test_the_loss_from_all_logits_is_that_from_labelled_ones(webnlg):
    _, task, examples, tuned = webnlg
    batch = task.collate(examples)
    expected = task.loss(tuned, batch, 0.1)
    torch.testing.assert_close(bench_loss.loss_everywhere(tuned, batch, 0.1), expected)


def test_the_forms_of_attention_yield_the_same_heads_and_gates():
    for mask_name in ("padded", "causal"):
        heads, mask = bench_attention.inputs(2, 5, mask_name, torch.float64, torch.device("cpu"))
        plain, released = (bench_attention.FORMS[name](*heads, mask, 0.0) for name in ("SDPA", "two softmaxes"))
        for name in ("explicit", "explicit by rows", "fused", "fused by rows", "virtual key"):
            f, g = bench_attention.FORMS[name](*heads, mask, 0.0)
            torch.testing.assert_close(f, plain[0], rtol=0, atol=1e-10)
            torch.testing.assert_close(g, released[1], rtol=0, atol=1e-7)  # self scores are summed in float32


@pytest.mark.parametrize("task", ["sst2", "webnlg"])
def test_the_released_form_computes_the_same(task):
    config, tuned = build([f"task={task}", "method=inducer"], harness.CPU, mini=True)
    ours = random_loss(config, tuned.eval(), 2, 6)
    loss = ours()
    expected = torch.autograd.grad(loss, list(tuned.trained_parameters().values()), allow_unused=True)
    again = random_loss(config, as_released(tuned), 2, 6, everywhere=True)()
    torch.testing.assert_close(again, loss)
    found = torch.autograd.grad(again, list(tuned.trained_parameters().values()), allow_unused=True)
    for grad, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(grad, reference, rtol=1e-3, atol=1e-6)


def test_the_peer_sees_the_same_labels(webnlg):
    config, task, examples, _ = webnlg
    batch = task.collate(examples)
    labels = bench_epoch.with_labels(task.collate(examples))["labels"]
    assert torch.equal(labels[labels != -100], batch["labels"])
    model = bench_epoch.peer_model(config, "lora")
    expected = sum(p.numel() for name, p in model.named_parameters() if "lora" in name)
    assert 0 < expected == sum(p.numel() for p in model.parameters() if p.requires_grad)


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


# -- each script at its smallest ---------------------------------------------------------------------------------------


def run(script, out, *arguments, rounds=1):
    """The rows that a script publishes on the mini PLM and data."""
    script.main(["--mini", "--rounds", str(rounds), "--out", str(out), *arguments])
    [path] = (out / harness.slug()).glob("*.json")
    return json.loads(path.read_text())["rows"]


def test_padding_runs(tmp_path):
    rows = run(bench_padding, tmp_path, "--tasks", "webnlg", "--batch-sizes", "32")
    assert [row["form"] for row in rows][::3] == ["like length", "like length, multiples of 16", "to the maximum"]
    assert 1 < rows[0]["padded / real"] < 1.15 < rows[-1]["padded / real"]


@pytest.mark.parametrize(("task", "method"), [("sst2", "lora"), ("webnlg", "fine_tune")])
def test_epoch_runs(tmp_path, task, method):
    rows = run(bench_epoch, tmp_path, "--task", task, "--method", method, "--batches", "1")
    assert [row["form"] for row in rows] == ["ours", "to the maximum", "Trainer"]
    assert all(0 < row["seconds a batch"] < row["hours an epoch"] * 3600 for row in rows)


def test_loss_runs(tmp_path):
    labelled, everywhere, saved = run(bench_loss, tmp_path, "--batches", "1")
    assert labelled["positions"] < everywhere["positions"]
    assert labelled["peak MiB, longest batch"] < everywhere["peak MiB, longest batch"]
    assert saved["logits MiB a step"] == pytest.approx(saved["positions"])


def test_attention_runs(tmp_path):
    rows = run(bench_attention, tmp_path, "--batch", "1", "--lengths", "8")
    forms = {name: [row["candidate"] for row in rows if row["purpose"] == name] for name in bench_attention.PURPOSES}
    assert forms["training"] == forms["evaluation"] == 2 * list(bench_attention.FORMS)
    assert forms["training with dropout"] == 2 * [
        "SDPA",
        "two softmaxes",
        "explicit",
        "explicit by rows",
        "virtual key",
    ]


def test_step_runs(tmp_path):
    rows = run(bench_step, tmp_path, "--batch", "2", "--lengths", "8", "--methods", "lora", "inducer", "fine_tune")
    assert [row["candidate"] for row in rows] == ["lora", "inducer", "fine_tune"]
    assert all(row["ratio to lora"] > 0 and row["peak MiB"] > 0 for row in rows)
    profile = run(bench_step, tmp_path / "profile", "--batch", "2", "--lengths", "8", "--profile")
    before, after = ([row for row in profile if row["form"] == form] for form in (bench_step.RELEASED, "inducer"))
    assert before[-1]["operator"] == after[-1]["operator"] == "all"
    assert sum(row["ms"] for row in after[:-1]) <= after[-1]["ms"]


def test_decoding_runs_and_both_forms_write_the_same(tmp_path):
    fast, slow = run(bench_decoding, tmp_path, "--methods", "inducer", "--prompts", "3", "--slow", "1")
    assert fast["form"] == "batched with a cache"
    assert slow["ratio to batched with a cache"] > 0


@pytest.fixture
def step_results(tmp_path):
    """Steps at T = 32 in two results: the second has more rounds of two methods, and no fine-tuning."""
    columns = ("candidate", "ratio to lora", "p10", "p90", "ratio to fine_tune", "peak MiB", "seconds")
    few = [("lora", 1.0, 1.0, 1.0, 0.45, 200, 1.1), ("inducer", 1.2, 1.1, 1.3, 0.5, 210, 1.3),
           ("prefix", 1.1, 1.0, 1.2, 0.55, 205, 1.2), ("fine_tune", 2.0, 1.9, 2.1, 1.0, 400, 2.2)]  # fmt: skip
    many = [("lora", 1.0, 1.0, 1.0, None, 200, 1.0), ("inducer", 0.98, 0.9, 1.1, None, 210, 0.98)]
    for name, measured, rounds in (("step_sst2_few_fp32", few, 7), ("step_sst2_many_fp32", many, 41)):
        rows = [{"T": 32, "rounds": rounds, **{k: v for k, v in zip(columns, row, strict=True) if v is not None}}
                for row in measured]  # fmt: skip
        harness.publish(name, rows, note="sst2, batch 16, fp32.", out=tmp_path)
    return tmp_path


def test_the_section_of_a_device_has_one_row_for_each_method_of_the_result_with_most_rounds(step_results, capsys):
    capsys.readouterr()
    summary.main(step_results)
    page = capsys.readouterr().out
    rows = [line.strip("| \n").split(" | ") for line in page.splitlines() if line.startswith("| sst2 ")]
    assert [row[4:11] for row in rows] == [
        ["Inducer", "0.98", "0.98", "0.90 to 1.10", "≈ 0.49", "210", "41"],
        ["LoRA", "1", "1.00", "-", "≈ 0.50", "200", "41"],
        ["Prefix", "1.2", "1.10", "1.00 to 1.20", "0.55", "205", "7"],
        ["Fine-tuning", "2.2", "2.00", "1.90 to 2.10", "1.00", "400", "7"],
    ]
    assert {tuple(row[:4]) for row in rows} == {("sst2", "32", "16", "fp32")}


def test_a_users_page_asks_and_answers_and_has_none_of_our_bounds():
    page = (harness.RESULTS / "README.md").read_text()
    headings = [line for line in page.splitlines() if line.startswith("### ")]
    assert headings == [
        "### How fast is a training step, and what memory does it take?", "### How fast is it beside peft and Trainer?",
        "### How fast is decoding?", "### How long until something happens?",
    ]  # fmt: skip
    for word in ("wanted", "| met |", "target", "| bound |"):
        assert word not in page


def test_committed_results_have_no_method_at_one_length_twice():
    found = [
        (path.parent.name, path.name.split("_")[1], path.stem.split("_")[-1], row["T"], row["candidate"])
        for path in harness.RESULTS.glob("*/step_*.json") for row in json.loads(path.read_text())["rows"]
        if row["candidate"] != "lora" or row["rounds"] > 7 or row["T"] == 512
    ]  # fmt: skip
    assert len(found) == len(set(found))


def test_bounds_are_checked_for_developers(tmp_path, capsys):
    measured = [("lora", 1.0, 1.0, 1.0, 200), ("inducer", 1.2, 1.1, 1.3, 210), ("inducer_lora", 1.0, 0.9, 1.1, 230)]
    columns = ("candidate", "ratio to lora", "p10", "p90", "peak MiB")
    rows = [{"T": 32, **dict(zip(columns, row, strict=True))} for row in measured]
    harness.publish("step_sst2_fp32", rows, note="A note.", out=tmp_path)
    capsys.readouterr()
    bounds.main(tmp_path)
    page = capsys.readouterr().out
    assert "| inducer, step of sst2 at T = 32, of LoRA's time | 1.2 | 1.1 to 1.3 | <= 1.03 | no |" in page
    assert "| inducer_lora, step of sst2 at T = 32, of LoRA's time | 1 | 0.9 to 1.1 | <= 1.05 | yes |" in page
    assert "| inducer, step of sst2 at T = 32, of LoRA's peak memory | 1.05 | - | <= 1.1 | yes |" in page
    assert "| inducer_lora, step of sst2 at T = 32, of LoRA's peak memory | 1.15 | - | <= 1.1 | no |" in page
    assert "<code>step_sst2_fp32</code>: A note." in page
    assert "| 32 | inducer | 1.2 | 1.1 | 1.3 | 210 |" in page


def test_every_kind_of_result_has_a_chart(tmp_path):
    results, charts = tmp_path / "results", tmp_path / "charts"
    results.mkdir()
    committed = {path.name.split("_")[0]: path for path in sorted(harness.RESULTS.glob("*/*.json"))}
    for path in committed.values():
        shutil.copy(path, results)
    bench_charts.main([str(results), str(charts)])
    assert {path.stem for path in charts.iterdir()} == {path.stem for path in committed.values()}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in charts.iterdir())


def test_a_chart_of_ratios_has_dots_with_percentiles_and_a_line_at_one(step_results):
    (path,) = step_results.glob("*/step_sst2_few_fp32.json")
    rows = json.loads(path.read_text())["rows"]
    spec = plots.picture("x", "x", bench_charts.dots(rows, bench_charts.CHARTS["step"])).spec
    assert {row["row"]: row["value"] for row in specs.drawn(spec, "point")} == {
        "LoRA": 1.0, "Inducer": 1.2, "Prefix": 1.1, "Fine-tuning": 2.0,
    }  # fmt: skip
    assert specs.marked(spec, "bar") == []
    spans = {row["row"]: (row["low"], row["high"]) for row in specs.drawn(spec, "rule", x="low")}
    assert spans["Inducer"] == (1.1, 1.3)
    assert [row["value"] for row in specs.drawn(spec, "rule", x="value")] == [1]


def test_an_axis_from_zero_is_not_logarithmic_and_panels_are_only_of_what_varies():
    rows = json.loads((harness.RESULTS / "amd-epyc" / "scaling_sst2_fp32.json").read_text())["rows"]
    spec = plots.picture("x", "x", bench_charts.lines(rows)).spec
    assert len(spec["concat"]) == 6  # time and memory, by length, batch and layers
    ticks = [panel["layer"][0]["encoding"]["x"]["axis"]["values"] for panel in spec["concat"][:3]]
    assert ticks == [[16, 32, 64, 128], [4, 8, 16], [3, 6, 12]]


def test_seeds_run(tmp_path):
    rows = run(bench_seeds, tmp_path, "--seeds", "2", "--batch", "2", "--length", "4")
    assert [(row["seeds"], row["form"]) for row in rows] == [(2, "one after another"), (2, "side by side")]


def test_scaling_runs_and_the_projection_reads_it(tmp_path):
    small = ["--length", "8", "--batch", "2", "--lengths", "16", "--batches", "1", "--layers", "1", "--runs"]
    methods = ["--methods", "fine_tune", "lora"]
    rows = run(bench_scaling, tmp_path, *small, *methods)
    whole = rows[0]["layers"]
    points = {(row["layers"], row["batch"], row["length"]) for row in rows if row["method"] == "lora"}
    assert points == {(whole, 2, 8), (whole, 2, 16), (whole, 1, 8), (1, 2, 8)}
    assert all(row["seconds"] > 0 and row["peak MiB"] > 0 for row in rows)
    folder = tmp_path / harness.slug()
    measured = project_cost.read(folder / "scaling_sst2_fp32.json")
    assert measured.keys() == {"fine_tune", "lora"}
    assert measured["lora"].keys() == {8, 16, 32}


@pytest.mark.slow
def test_compile_runs(tmp_path):
    [row] = run(bench_compile, tmp_path, "--methods", "inducer", "--batches", "1")
    assert row["warm-up, seconds"] > row["seconds a step"]
    assert row["compiled"] > 0


def test_parts_run(tmp_path):
    rows = run(bench_parts, tmp_path)
    assert [row["part"] for row in rows] == 2 * ["drawing dropout"] + 2 * ["activation"] + 2 * ["update"]


def test_startup_runs(tmp_path):
    [row] = run(bench_startup, tmp_path, "--commands", "help")
    assert 0 < row["p10"] <= row["seconds"] <= row["p90"]


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
    assert "Nothing on this page was measured on a GPU" in page.read_text()
    assert all(f"| {design.name} | " in page.read_text() for design in projection.DESIGNS)
