"""What the benchmarks measured, as pages and charts."""

import json
import shutil

import pytest
from helpers import specs

from inducer_bench.report import plots
from scripts.bench import bounds, harness, summary
from scripts.bench import charts as bench_charts


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
        "### How fast is a training step, and what memory does it take?",
        "### How much faster would a step in a CUDA graph be?", "### How fast is decoding?",
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
    drawn = [path for path in sorted(harness.RESULTS.glob("*/*.json")) if path.stem not in bench_charts.NOT_DRAWN]
    committed = {bench_charts.kind_of(path.stem): path for path in drawn}
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
