"""Figures of studies, and studies in every format."""

import csv
import dataclasses
import io
import json
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers import specs
from helpers.handmade import MINI
from helpers.searches import tune

from inducer_bench.cli.main import main
from inducer_bench.methods.options import method_title
from inducer_bench.report import render, store, studies, tuned, tuned_figures
from inducer_bench.report.looks import looks

METHODS = "adapter bitfit fine_tune head_only lora mam".split()
EVIL = '=HYPERLINK("http://x")<script>alert(1)</script>[a](http://y)`|&lt;$\\bad$_%#'


def load(root):
    return studies.load(root, store.load(root))[0]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Several methods, one of them far below the others, one of them failed."""
    root = tmp_path_factory.mktemp("study")
    for number, method in enumerate(METHODS):
        tried = [80 + number - 3 * (at - 4) ** 2 for at in range(8)]
        tried = {"head_only": [50.0] * 8, "mam": ["failed"] * 8}.get(method, [*tried[:7], "diverged"])
        tune(root, *MINI, f"method={method}", tried=tried)
    (found,) = load(root)
    return found


def draw(study):
    known = looks(method.search.method for method in study.methods)
    return {picture.name: picture for picture in tuned_figures.draw(study, known)}


@pytest.fixture(scope="module")
def drawn(study):
    return draw(study)


def test_a_study_has_tuning_curves_and_learning_rates(drawn):
    assert list(drawn) == ["tuning_curves", "learning_rates"]
    for picture in drawn.values():
        assert ElementTree.fromstring(picture.svg()).tag.endswith("svg")


def test_figures_are_the_same_every_time(study, drawn):
    assert json.dumps([picture.spec for picture in draw(study).values()]) == json.dumps(
        [p.spec for p in drawn.values()]
    )


def test_every_method_with_scores_has_a_panel_and_all_have_the_same_axes(drawn):
    for picture in drawn.values():
        panels = picture.spec["concat"]
        assert [panel["title"] for panel in panels] == [method_title(name) for name in METHODS if name != "mam"]
        axes = [
            {json.dumps(layer["encoding"][channel]["scale"]) for layer in specs.layers(picture.spec)
             if "scale" in layer["encoding"].get(channel, {}) and layer["encoding"][channel]["scale"]}
            for channel in ("x", "y")
        ]  # fmt: skip
        assert list(map(len, axes)) == [1, 1]
        assert all(layer["encoding"]["tooltip"] for layer in specs.layers(picture.spec))


def test_perplexities_are_drawn_by_their_ratios(tmp_path):
    tune(tmp_path, *MINI, "method=lora", tried=[4.0, 5.0, 1500.0], metric="perplexity", better=-1)
    (found,) = load(tmp_path)
    spec = draw(found)["learning_rates"].spec
    scale = specs.marked(spec, "line", y="score")[0]["encoding"]["y"]["scale"]
    assert scale["type"] == "log"
    assert 1 < scale["domain"][0] < 4 < 1500 < scale["domain"][1] < 15_000


def test_a_panel_of_learning_rates_has_every_trial_the_winner_and_the_failed_ones(study, drawn):
    (lora,) = (method for method in study.methods if method.label == "LoRA")
    spec = drawn["learning_rates"].spec
    panel = next(panel for panel in spec["concat"] if panel["title"] == "LoRA")
    rows = specs.drawn({**panel, "datasets": spec["datasets"]}, "point")[: len(lora.search.trials)]
    assert [(row["rate"], row["what"] == "failed") for row in rows] == [
        (trial.settings["trainer.lr"], trial.score is None) for trial in lora.search.trials
    ]
    (winner,) = {row["rate"] for row in rows if row["what"] == "winner"}
    assert winner == lora.winner.settings["trainer.lr"]


def test_range_of_curves_ignores_one_that_is_far_below_but_none_that_is_far_above():
    curves = [np.array([70.0, 80.0 + number, 82.0 + number]) for number in range(6)]
    assert tuned_figures.near([*curves, np.array([20.0, 30.0, 40.0])], 1) == tuned_figures.near(curves, 1)
    assert min(tuned_figures.near(curves, 1)) == 80.0
    assert max(tuned_figures.near([*curves, np.array([95.0, 99.0, 99.5])], 1)) == 99.5
    assert tuned_figures.near([np.array([-np.inf, 50.0])], 1) == [50.0]


@pytest.mark.parametrize(
    ("tried", "names"),
    [
        (("failed", "failed"), []),
        (("failed", 80.0), ["tuning_curves", "learning_rates"]),
        (("planned", 80.0), []),
        ((80.0, 80.0), ["tuning_curves", "learning_rates"]),
        ((80.0,), []),
    ],
)
def test_figures_of_few_trials_are_drawn_or_left(tmp_path, tried, names):
    tune(tmp_path, *MINI, "method=lora", tried=tried)
    found = draw(load(tmp_path)[0])
    assert list(found) == names
    for picture in found.values():
        assert picture.svg().startswith(b"<svg")


def test_lower_scores_may_be_better(tmp_path):
    for method in ("lora", "prefix"):
        tune(tmp_path, "preset=mini", "task=webnlg", f"method={method}", metric="perplexity", better=-1,
             tried=(9.0, 8.0, 8.5, "failed"))  # fmt: skip
    (study,) = load(tmp_path)
    assert [method.winner.score for method in study.methods] == [8.0, 8.0]
    found = draw(study)
    assert list(found) == ["tuning_curves", "learning_rates"]
    failed = [row["score"] for row in specs.drawn(found["learning_rates"].spec, "point") if row["what"] == "failed"]
    assert min(failed) > 9.0  # worse than every score


# -- formats -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evil(study):
    """A study whose first method has a file with an odd name."""
    first = dataclasses.replace(study.methods[0], label=EVIL)
    return dataclasses.replace(study, methods=(first, *study.methods[1:]))


def test_every_format_shows_odd_names_and_obeys_none(evil):
    table = tuned.table(evil)
    text = render.markdown(table)
    assert "&lt;script&gt;" in text
    assert not any(part in text for part in ("<script", "](http", "://", "&lt;$"))
    latex = render.latex(table)
    assert r"\textbackslash{}bad\$\_\%\#" in latex
    assert r"$\geq$ 2.6" in latex  # head_only is as good everywhere
    assert latex.isascii()
    rows = list(csv.DictReader(io.StringIO(render.csv_text([table]))))
    assert {row["row"] for row in rows} == {f"'{EVIL}", *map(method_title, METHODS)} - {"Adapter"}


def test_words_below_are_in_every_format(study):
    table = tuned.table(study)
    for text in (render.markdown(table), render.latex(table)):
        assert "Effort, equal for every method: 8 trials" in text


def test_csv_has_facts_in_full(study):
    table = tuned.table(study)
    rows = {row["score"]: row for row in csv.DictReader(io.StringIO(render.csv_text([table]))) if row["row"] == "LoRA"}
    (lora,) = (method for method in study.methods if method.label == "LoRA")
    assert rows["settings"]["values"] == f"trainer.lr:{lora.winner.settings['trainer.lr']!r}"
    assert float(rows["trials"]["mean"]) == 8
    assert rows["trials"]["values"] == "diverged:1.0"
    assert rows["verdict"]["text"] in ("best", "tied")


def test_command_writes_studies_before_other_tables_and_the_same_bytes_twice(tmp_path, capsys):
    for task in ("sst2", "mnli"):
        for method in ("lora", "bitfit"):
            tune(tmp_path / "runs", "preset=mini", f"task={task}", f"method={method}")
    contents = []
    for place in ("one", "two"):
        assert main(["tables", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / place)]) == 0
        files = [path for path in (tmp_path / place).rglob("*") if path.is_file()]
        contents.append({str(path.relative_to(tmp_path / place)): path.read_bytes() for path in files})
    assert contents[0] == contents[1]
    names = {path.partition("_mini_roberta")[0] for path in contents[0] if "tuned" in path}
    assert names == {"mini/tuned_sst2", "mini/tuned_mnli", "mini/tuned_ranks"}
    page = contents[0]["index.html"].decode()
    assert -1 < page.lower().find("tuned: ranks") < page.lower().find("tuned: mnli")
    assert "of 8 finished runs" in capsys.readouterr().out
