"""Figures: which are drawn, that they are the same every time, and that nothing depends on colour alone."""

from xml.etree import ElementTree

import pytest

from inducer_bench.methods.options import METHODS
from inducer_bench.report import figures


@pytest.fixture(scope="module")
def drawn(built):
    return {path: {picture.name: picture for picture in figures.draw(table)} for path, table in built.items()}


def test_cost_table_has_tradeoffs_learning_curves_and_spread(drawn):
    assert list(drawn["mini/cost_sst2_mini_roberta"]) == [
        "tradeoff_parameters", "tradeoff_train_seconds", "tradeoff_peak_memory", "learning_curves", "seed_spread",
    ]  # fmt: skip
    assert list(drawn["mini/ablation_sst2_mini_roberta"]) == ["ablation"]
    assert drawn["mini/nlu_main_mini_roberta"] == {}


def test_figure_without_numbers_to_show_is_not_drawn(drawn):
    assert list(drawn["full/cost_mnli_roberta-base"]) == ["learning_curves"]  # one method, one seed


def test_figures_are_the_same_bytes_every_time(built, drawn):
    for picture in figures.draw(built["mini/cost_sst2_mini_roberta"]):
        assert picture == drawn["mini/cost_sst2_mini_roberta"][picture.name]


def test_figures_hold_no_date_and_name_no_program(drawn):
    for picture in drawn["mini/cost_sst2_mini_roberta"].values():
        assert b"<dc:date" not in picture.svg
        assert b"atplotlib v" not in picture.svg
        assert picture.png.startswith(b"\x89PNG")
        assert b"tEXt" not in picture.png[:200]


def test_svg_is_xml(drawn):
    for pictures in drawn.values():
        for picture in pictures.values():
            assert ElementTree.fromstring(picture.svg).tag.endswith("svg")


def test_every_method_has_a_marker_and_line_of_its_own():
    styles = list(figures.looks(METHODS).values())
    assert len({marker for _, marker, _ in styles}) == len(METHODS)
    assert len(set(styles)) == len(METHODS)


def test_methods_from_outside_have_looks_of_their_own_that_their_names_decide():
    outside = [f"package.method_{number}" for number in range(40)]
    found = figures.looks([*METHODS, *outside])
    assert len({(colour, marker) for colour, marker, _ in found.values()}) == len(found)
    assert {found[method] for method in outside} & {found[method] for method in METHODS} == set()
    assert figures.looks([*outside, *METHODS][::-1]) == found
    assert figures.looks(["lora", outside[0]])[outside[0]] == figures.looks([outside[0]])[outside[0]]


def test_pareto_front_equals_its_definition():
    points = [(3.0, 5.0), (1.0, 1.0), (2.0, 4.0), (2.0, 3.0), (4.0, 5.0), (5.0, 7.0), (6.0, 2.0), (2.0, 4.0)]
    kept = {
        p for p in points
        if not any((q[0] <= p[0] and q[1] > p[1]) or (q[0] < p[0] and q[1] >= p[1]) for q in points)
    }  # fmt: skip
    assert figures.pareto_front(points) == sorted(kept)
