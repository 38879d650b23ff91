"""The benchmarks: what the shared harness computes, that compared forms compute the same, and that each script runs."""

import json

import numpy as np
import pytest
import torch

from inducer_bench.tasks.cache import Encoded
from scripts.bench import attention as bench_attention
from scripts.bench import compile as bench_compile
from scripts.bench import decoding as bench_decoding
from scripts.bench import epoch as bench_epoch
from scripts.bench import harness, project_cost
from scripts.bench import loss as bench_loss
from scripts.bench import padding as bench_padding
from scripts.bench import parts as bench_parts
from scripts.bench import scaling as bench_scaling
from scripts.bench import seeds as bench_seeds
from scripts.bench import startup as bench_startup
from scripts.bench import step as bench_step
from scripts.bench.released_form import as_released
from scripts.bench.setup import build, random_loss, real_task, spread

# -- the harness -------------------------------------------------------------------------------------------------------


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
