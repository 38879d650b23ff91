"""Figures: which are drawn, that they show the table's numbers, and that they claim no more than these."""

import dataclasses
import itertools
import json
import os
import statistics
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers import handmade, pages, specs
from helpers.handmade import MINI
from scipy.stats import t

from inducer_bench.cli.main import main
from inducer_bench.report import figures, images, plots, store, tables, tradeoffs
from inducer_bench.report.looks import looks
from inducer_bench.runs.record import Device


def draw(table, known=None):
    known = known or looks(row.method for row in table.rows)
    return {picture.name: picture for picture in figures.draw(table, known)}


def cost_table(root):
    built = tables.build(store.load(root), [], "runs")
    return next(table for table in built if table.name == "sst2")


@pytest.fixture(scope="module")
def drawn(built):
    return {path: draw(table) for path, table in built.items()}


@pytest.fixture
def methods(tmp_path):
    """Six methods, three seeds each; one at the floor."""
    scores = {"lora": 80.0, "inducer": 79.0, "prefix": 78.5, "adapter": 81.0, "fine_tune": 90.0, "head_only": 50.0}
    sizes = {"fine_tune": 1_200_000, "head_only": 0}
    for method, score in scores.items():
        for seed in range(3):
            handmade.write_run(tmp_path, *MINI, f"method={method}", seed=seed, score=score + seed,
                               parameters=sizes.get(method, 16_000 + 100 * len(method)))  # fmt: skip
    return tmp_path


# -- which are drawn ---------------------------------------------------------------------------------------------------


def test_table_of_a_task_has_tradeoffs_learning_curves_and_spread(drawn):
    assert list(drawn["mini/sst2"]) == [
        "tradeoff_parameters", "tradeoff_train_seconds", "learning_curves", "seed_spread",
    ]  # fmt: skip
    assert list(drawn["mini/ablation_sst2_mini_roberta"]) == ["ablation"]


def test_figure_without_numbers_to_show_is_not_drawn(drawn):
    assert list(drawn["full/mnli"]) == ["learning_curves"]  # one method, one seed


@pytest.mark.parametrize(("kinds", "is_drawn"), [
    (("process_resident", "process_resident"), False),  # the memory of the whole process
    (("cuda_allocated", "cuda_allocated"), True),
    (("tensors_allocated", "tensors_allocated"), True),
    (("cuda_allocated", "tensors_allocated"), False),
    (("cuda_allocated", "process_resident"), False),
])  # fmt: skip
def test_memory_is_drawn_only_if_it_is_the_runs_own_and_of_one_kind(tmp_path, kinds, is_drawn):
    for method, kind in zip(("lora", "prefix"), kinds, strict=True):
        handmade.write_run(tmp_path, *MINI, f"method={method}", peak_memory_of=kind)
    assert ("tradeoff_peak_memory" in draw(cost_table(tmp_path))) == is_drawn


def test_time_is_drawn_only_of_one_machine_which_the_caption_names(tmp_path):
    for number, method in enumerate(("lora", "prefix")):
        handmade.write_run(tmp_path / "one", *MINI, f"method={method}")
        device = Device(type="cpu", name=f"machine {number}", threads=1)
        handmade.write_run(tmp_path / "two", *MINI, f"method={method}", device=device)
    title = draw(cost_table(tmp_path / "one"))["tradeoff_train_seconds"].title
    assert "by the clock on cpu x86_64, threads: 1" in title
    assert "tradeoff_train_seconds" not in draw(cost_table(tmp_path / "two"))


# -- the form of every specification -----------------------------------------------------------------------------------


def test_equal_tables_give_equal_bytes_without_date_or_program(built, drawn):
    for name, picture in draw(built["mini/sst2"]).items():
        other = drawn["mini/sst2"][name]
        assert json.dumps(picture.spec) == json.dumps(other.spec)
    assert picture.svg() == other.svg()  # although the converter has drawn before
    assert b'id="clip0"' in picture.svg()
    assert picture.png() == other.png()
    assert picture.png().startswith(b"\x89PNG")
    assert b"tEXt" not in picture.png()
    assert ElementTree.fromstring(picture.svg()).tag.endswith("svg")


def test_specifications_have_their_data_a_size_and_hover_values(drawn, methods):
    pictures = [picture for found in drawn.values() for picture in found.values()]
    for picture in [*pictures, *draw(cost_table(methods)).values()]:
        assert picture.spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/v6")
        assert picture.spec["description"] == picture.title
        for layer in specs.layers(picture.spec):
            assert isinstance(layer["width"], int)
            assert isinstance(layer["height"], int)
            assert layer["encoding"]["tooltip"]
            assert specs.rows(layer) is not None
            assert "url" not in layer["data"]


def test_a_method_looks_the_same_in_every_figure(methods):
    colours, shapes = {}, {}
    for picture in draw(cost_table(methods)).values():
        for layer in specs.layers(picture.spec):
            for row in specs.rows(layer):
                if "colour" in row:
                    colours.setdefault(row["method"], set()).add(row["colour"])
                    shapes.setdefault(row["method"], set()).add(row["shape"])
    assert len(colours) == 6
    assert all(len(found) == 1 for found in [*colours.values(), *shapes.values()])
    assert len(set.union(*colours.values())) == len(set.union(*shapes.values())) == 6


def test_rows_with_one_label_are_drawn_apart(built):
    table = built["mini/sst2"]
    rows = tuple(dataclasses.replace(row, label="the same") for row in table.rows)
    spec = draw(dataclasses.replace(table, rows=rows))["seed_spread"].spec
    names = {row["row"] for row in specs.drawn(spec, "tick")}
    assert len(names) == len(table.measured())


# -- intervals ---------------------------------------------------------------------------------------------------------


def test_interval_is_student_s_and_needs_three_seeds():
    values = [71.0, 73.5, 72.2, 70.1]
    expected = t.interval(0.95, 3, np.mean(values), np.std(values, ddof=1) / 2)
    assert plots.interval(values) == pytest.approx(expected)
    assert plots.interval(values[:2]) is None


def test_caption_says_what_the_lines_are_and_where_there_are_none():
    assert plots.interval_words([1, 1]) == "One seed each: no intervals."
    assert "no intervals" in plots.interval_words([1, 2])
    assert plots.interval_words([3, 5]) == "Lines: 95 % intervals of the mean over seeds."
    assert plots.interval_words([1, 5]).endswith("where there are at least three.")


def test_only_rows_with_three_seeds_have_an_interval(drawn):
    picture = drawn["mini/sst2"]["tradeoff_parameters"]
    with_ends = {row["row"] for row in specs.drawn(picture.spec, "point") if "low" in row}
    assert with_ends == {"Inducer, gate on", "Inducer, gate off", "LoRA"}
    assert "where there are at least three" in picture.title
    assert "deviation" not in picture.title


# -- quality against costs ---------------------------------------------------------------------------------------------


def test_pareto_front_equals_its_definition():
    points = [(3.0, 5.0), (1.0, 1.0), (2.0, 4.0), (2.0, 3.0), (4.0, 5.0), (5.0, 7.0), (6.0, 2.0), (2.0, 4.0)]
    kept = {
        p for p in points
        if not any((q[0] <= p[0] and q[1] > p[1]) or (q[0] < p[0] and q[1] >= p[1]) for q in points)
    }  # fmt: skip
    assert tradeoffs.pareto_front(points) == sorted(kept)


def test_no_parameters_are_drawn_as_0_beside_a_logarithmic_axis(methods):
    picture = draw(cost_table(methods))["tradeoff_parameters"]
    (layer,) = specs.marked(picture.spec, "point")
    x = layer["encoding"]["x"]
    assert x["scale"]["type"] == "log"
    rows = {row["method"]: row for row in specs.rows(layer)}
    zero = rows["Head only"]["x"]
    assert rows["Head only"]["cost"] == "0"
    assert zero == x["axis"]["values"][0]
    assert zero < 16_000
    assert x["axis"]["labelExpr"].endswith("? '0' : format(datum.value, '~s')")
    assert "Left of the dotted line: 0." in picture.title


def test_labels_do_not_meet_and_stand_at_the_height_of_their_point_where_they_can(methods):
    picture = draw(cost_table(methods))["tradeoff_parameters"]
    (layer,) = specs.marked(picture.spec, "point")
    low, high = layer["encoding"]["y"]["scale"]["domain"]
    pixel = layer["height"] / (high - low)
    heights = {row["label"]: (row["label_y"] - low) * pixel for row in specs.rows(layer)}
    assert all(0 < height < layer["height"] for height in heights.values())
    near = [row for row in specs.rows(layer) if 10_000 < row["x"] < 20_000]
    assert len({row["label"] for row in near}) == 4
    places = sorted(heights[row["label"]] for row in near)
    assert all(upper - lower > 14.9 for lower, upper in itertools.pairwise(places))
    alone = [row for row in specs.rows(layer) if row["method"] == "Fine-tuning"]
    assert [row["label_y"] for row in alone] == [pytest.approx(row["y"]) for row in alone]


def test_spread_moves_no_more_than_it_must():
    assert plots.spread([0.0, 10.0, 20.0], 3, 0, 30) == [0, 10, 20]
    assert plots.spread([5.0, 5.0, 5.0], 2, 0, 30) == [3, 5, 7]
    assert plots.spread([0.0, 0.5], 2, 0, 30) == [0, 2]
    assert plots.spread([29.0, 29.5], 2, 0, 30) == [pytest.approx(28), pytest.approx(30)]


def test_a_score_far_below_the_others_stands_at_the_edge_and_the_caption_has_it(methods):
    picture = draw(cost_table(methods))["tradeoff_parameters"]
    assert any(text.endswith(" ↓") for text in specs.texts(picture.spec))
    assert "has 51.0" in picture.title
    (layer,) = specs.marked(picture.spec, "point")
    assert layer["encoding"]["y"]["scale"]["domain"][0] > 70


# -- over epochs and seeds ---------------------------------------------------------------------------------------------


def test_learning_curves_are_means_in_the_order_of_the_last_epoch(methods):
    spec = draw(cost_table(methods))["learning_curves"].spec
    (layer,) = specs.marked(spec, "line")
    order = layer["encoding"]["stroke"]["scale"]["domain"]
    ends = {row["row"]: row["mean"] for row in specs.rows(layer) if row["epoch"] == 3}
    assert order == sorted(ends, key=lambda name: -ends[name])
    assert sorted(ends.values()) == [51.0, 79.5, 80.0, 81.0, 82.0, 91.0]


def test_the_floor_does_not_set_the_axis_of_learning_curves_and_is_named(methods):
    picture = draw(cost_table(methods))["learning_curves"]
    (layer,) = specs.marked(picture.spec, "line")
    low, high = layer["encoding"]["y"]["scale"]["domain"]
    assert low > 70
    assert high > 91
    assert layer["mark"]["clip"]
    (note,) = [text for text in specs.texts(picture.spec) if text.startswith("↓")]
    assert note.endswith("ends at 51")
    assert "ends at 51" in picture.title


def test_where_less_is_better_the_worst_are_the_high_ones():
    assert plots.floor([10.0, 11.0, 12.0, 11.5, 90.0], -1) < 90
    assert plots.floor([10.0, 11.0, 12.0, 11.5, 90.0], 1) < 10
    assert plots.floor([10.0, 90.0], 1) == -np.inf


def test_seed_spread_has_every_seed_and_the_means_from_the_best_on(methods):
    table = cost_table(methods)
    spec = draw(table)["seed_spread"].spec
    values = [(row["row"], row["seed"], row["value"]) for row in specs.drawn(spec, "point", x="value")]
    labels = {row.label: cell for row, cell in table.measured()}
    assert sorted(values) == sorted((label, *pair) for label, cell in labels.items() for pair in cell.values)
    means = {row["row"]: row["mean"] for row in specs.drawn(spec, "tick", x="mean")}
    assert means == {label: cell.mean for label, cell in labels.items()}
    (layer,) = specs.marked(spec, "tick")
    assert layer["encoding"]["y"]["scale"]["domain"] == sorted(labels, key=lambda label: -labels[label].mean)


# -- differences, budgets, tasks ---------------------------------------------------------------------------------------


def test_differences_are_seed_by_seed_from_the_first_row(tmp_path):
    for seed, (whole, without) in enumerate([(80.0, 75.0), (82.0, 74.0), (81.0, 76.0)]):
        handmade.write_run(tmp_path, *MINI, "method=inducer", seed=seed, score=whole)
        handmade.write_run(tmp_path, *MINI, "method=inducer", "ablation=no_gate", seed=seed, score=without)
    built = tables.build(store.load(tmp_path), [], "runs")
    table = next(table for table in built if table.name.startswith("ablation"))
    picture = draw(table)["ablation"]
    assert [row["value"] for row in specs.drawn(picture.spec, "point", x="value")] == [-5.0, -8.0, -5.0]
    (mean,) = specs.drawn(picture.spec, "point", x="mean")
    assert mean["mean"] == -6.0
    assert (mean["low"], mean["high"]) == pytest.approx(plots.interval([-5.0, -8.0, -5.0]))
    assert specs.marked(picture.spec, "bar") == []
    assert "95 %" in picture.title


def test_budget_curve_has_a_line_for_each_method_over_a_logarithmic_axis(built):
    table = built["mini/sst2"]
    lora = next(row for row in table.rows if row.method == "lora")
    sizes = next(number for number, column in enumerate(table.columns) if column.value == "parameters")
    more = dataclasses.replace(lora.cells[sizes], values=((0, 160_000.0),))
    larger = dataclasses.replace(lora, label="larger", cells=(*lora.cells[:sizes], more, *lora.cells[sizes + 1 :]))
    table = dataclasses.replace(table, rows=(*table.rows, larger), figures=("budget_curve",))
    spec = draw(table)["budget_curve"].spec
    (layer,) = specs.marked(spec, "line")
    assert [row["size"] for row in specs.rows(layer) if row["method"] == "LoRA"] == [16_384, 160_000]
    assert layer["encoding"]["x"]["scale"]["type"] == "log"
    assert all(row["size"] > 0 for row in specs.rows(layer))  # head_only has no budget


def test_across_has_a_panel_for_each_task_and_one_order_of_rows(tmp_path):
    scores = {"sst2": {"lora": 90.0, "prefix": 80.0, "adapter": 85.0}, "mnli": {"lora": 60.0, "prefix": 50.0}}
    for task, of_task in scores.items():
        for method, score in of_task.items():
            handmade.write_run(tmp_path, "preset=mini", f"task={task}", f"method={method}", score=score)
    built = tables.build(store.load(tmp_path), [], "runs")
    table = next(table for table in built if table.name.startswith("nlu_main"))
    picture = draw(dataclasses.replace(table, figures=("across",)))["across"]
    assert [panel["title"] for panel in picture.spec["concat"]] == ["SST-2", "MNLI"]
    for panel, of_task in zip(picture.spec["concat"], scores.values(), strict=True):
        panel = {**panel, "datasets": picture.spec["datasets"]}
        (layer,) = specs.marked(panel, "point", x="mean")
        assert sorted(row["mean"] for row in specs.rows(layer)) == sorted(of_task.values())
        order = layer["encoding"]["y"]["scale"]["domain"]
        assert order[0] == next(row.label for row in table.rows if row.method == "lora")
    assert "One seed each: no intervals." in picture.title


def test_mean_of_a_curve_is_over_the_seeds_that_reached_the_epoch(methods):
    table = cost_table(methods)
    spec = draw(table)["learning_curves"].spec
    row = next(row for row in specs.drawn(spec, "line") if row["method"] == "LoRA" and row["epoch"] == 2)
    (cell,) = (cell for row, cell in table.measured() if row.method == "lora")
    curves = [run.record.evaluations[1]["accuracy"] for run in cell.group.done]
    assert row["mean"] == pytest.approx(statistics.fmean(curves))
    assert (row["low"], row["high"]) == (min(curves), max(curves))


# -- files -------------------------------------------------------------------------------------------------------------


def test_pictures_are_converted_by_another_process_to_the_same_bytes(drawn):
    pictures = list(drawn["mini/sst2"].values())[:2]
    assert images.convert([one.spec for one in pictures]) == [(one.svg(), one.png()) for one in pictures]
    assert images.convert([]) == []


def test_script_that_draws_figures_is_the_same_every_time():
    assert pages.made_vega() == pages.vega()


def test_a_converter_that_ends_costs_the_figures_alone_and_is_told_in_a_line(methods, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(images, "vega", pages.made_vega)
    monkeypatch.setattr(images, "_quiet", os.abort)
    out = tmp_path / "out"
    assert main(["tables", "--runs", str(methods), "--out", str(out)]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told == ["left out: figures: the converter ended; is memory or address space (ulimit -v) limited?"]
    assert (out / "mini" / "sst2.md").exists()
    assert "SST-2" in (out / "index.html").read_text()
    assert not list(out.rglob("*.svg"))


def test_nothing_is_drawn_far_outside_its_plot(methods):
    for picture in draw(cost_table(methods)).values():
        image = ElementTree.fromstring(picture.svg())
        (height,) = {layer["height"] for layer in specs.layers(picture.spec)}
        assert float(image.get("height")) < height + 80
        assert float(image.get("width")) < 900
