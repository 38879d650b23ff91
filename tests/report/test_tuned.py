"""The table of a study says what was found, what can be told apart, and what it took; and no more than that."""

import dataclasses
import re

import pytest
from helpers import handmade
from helpers.handmade import MINI
from helpers.searches import CENTRE, space, trials, tune

from inducer_bench.methods.options import method_title
from inducer_bench.report import render, store, studies, tables, tuned
from inducer_bench.search import record as searches

GROUPS = {"lora": (90.0, 90.5, 91.0), "bitfit": (89.5, 90.0, 90.5), "prefix": (60.0, 60.5, 61.0)}


def build(root):
    """The tables of all studies below a folder; none of their searches is left out."""
    found = store.load(root)
    known, left_out = studies.load(root, found)
    assert (found.left_out, left_out) == ([], [])
    return [tuned.table(study) for study in known]


def cell(table, label, value):
    position = [column.value for column in table.columns].index(value)
    return next(row.cells[position] for row in table.rows if row.label == label)


def written(table, label, value):
    return cell(table, label, value).shown()[0]


def notes(table, found):
    return [text for letter, text in table.notes if letter in found.marks]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """lora and bitfit alike, prefix far below; runs at their own settings, too."""
    root = tmp_path_factory.mktemp("study")
    for method, finals in GROUPS.items():
        tune(root, *MINI, f"method={method}", tried=(70.0, 80.0, 79.5, 60.0), finals=finals, untuned=(50.0, 52.0))
    (found,) = build(root)
    return found


# -- a whole study -----------------------------------------------------------------------------------------------------


def test_rows_are_methods_the_best_mean_first(table):
    assert [row.label for row in table.rows] == ["LoRA", "BitFit", "Prefix"]
    assert [column.value for column in table.columns] == [
        "tuned", "untuned", "gain", "difference", "verdict", "trials", "settings", "width", "search_hours",
        "final_hours", "parameters",
    ]  # fmt: skip


def test_scores_are_means_over_the_final_runs_and_those_at_the_own_settings(table):
    assert cell(table, "LoRA", "tuned").shown() == ("90.5", "0.5", "3")
    assert cell(table, "LoRA", "untuned").shown() == ("51.0", "1.4", "2")
    assert written(table, "LoRA", "gain") == "+39.5"


def test_tied_methods_and_worse_ones_are_told_apart(table):
    assert [written(table, method_title(method), "verdict") for method in GROUPS] == ["best", "tied", "worse"]
    difference = cell(table, "Prefix", "difference")
    low, high, p_value = (dict(difference.values)[name] for name in ("low", "high", "p"))
    assert difference.value == pytest.approx(-30.0)
    assert low < -30 < high < 0
    assert p_value < 0.05
    assert re.fullmatch(r"-30\.0 \[-\d+\.\d, -\d+\.\d\]", difference.shown()[0])


def test_verdict_stands_below_in_words_with_what_the_study_could_have_shown(table):
    said = table.text[0]
    assert said.startswith("Best: LoRA (90.5); BitFit cannot be told apart from it. The smallest difference that ")
    assert re.search(r"that 3 seeds and 200 examples show in 8 of 10 such studies is \d+\.\d points\.$", said)


def test_effort_stands_below_in_words(table):
    assert table.text[1] == (
        "Effort, equal for every method: 4 trials with learning rates over 3 decades about the method's own. Searched "
        "on 2,000 training examples, a fixed random sample, for 2 epochs, scored by accuracy on the 10 % of them that "
        "were held out; final runs on 4,000 examples, 5 epochs."
    )


def test_trials_of_earlier_releases_are_said_to_have_had_the_first_examples(tmp_path):
    folder = tune(tmp_path, *MINI, "method=lora")
    known = searches.read(folder)
    config = {**known.config, "task": {key: value for key, value in known.config["task"].items() if key != "sample"}}
    searches.write(folder, dataclasses.replace(known, config=config))
    (table,) = build(tmp_path)
    assert "Searched on 2,000 training examples, those that the file begins with, for 2 epochs" in table.text[1]


def test_settings_width_and_hours_are_those_of_the_trials(table):
    rate = handmade.configuration((*MINI, "method=lora")).trainer.lr * 10 ** (3 * (1.5 / 4 - 0.5))
    assert written(table, "LoRA", "settings") == f"lr={rate:.3g}"
    assert dict(cell(table, "LoRA", "settings").values) == {"trainer.lr": pytest.approx(rate, rel=1e-3)}
    width = 0.75 * (1 / 10 + 1 + 0.5 / 19.5)  # trials are 0.75 decades apart, of 70, 80, 79.5 and 60; the bar is 79
    assert cell(table, "LoRA", "width").value == pytest.approx(width, abs=1e-3)
    assert cell(table, "LoRA", "search_hours").value == pytest.approx(4 * 90 / 3600)
    assert cell(table, "LoRA", "final_hours").value == pytest.approx((31.5 + 32.5 + 33.5 + 3) / 3600)
    assert written(table, "LoRA", "parameters") == "17,000"


def test_trials_without_a_score_are_counted(tmp_path):
    tune(tmp_path, *MINI, "method=lora", tried=("failed", 80.0, "diverged", "oom", "failed"))
    (table,) = build(tmp_path)
    assert written(table, "LoRA", "trials") == "5 (2 failed, 1 diverged, 1 oom)"


@pytest.mark.parametrize(("tried", "end"), [((80.0, 79.0, 60.0), "lowest"), ((60.0, 79.5, 80.0), "highest")])
def test_best_at_the_edge_of_what_was_tried_is_remarked(tmp_path, tried, end):
    tune(tmp_path, *MINI, "method=lora", tried=tried)
    (table,) = build(tmp_path)
    edge = f"the {end} learning rate that was tried: a better one may lie beyond"
    assert notes(table, cell(table, "LoRA", "settings")) == [edge]
    assert written(table, "LoRA", "width").startswith("≥ ")
    assert notes(table, cell(table, "LoRA", "width")) == [f"reaches the {end} learning rate that was tried"]


@pytest.mark.parametrize(
    ("tried", "loss", "told"),
    [
        ((50.0, 80.0, 80.0, 50.5), 0.5, True),
        ((50.0, 80.0, 80.0, 50.5), None, False),
        ((50.0, 80.0, 70.0, 70.0), 0.5, False),
    ],
)
def test_winner_that_was_chosen_by_its_loss_is_remarked(tmp_path, tried, loss, told):
    planned = [dataclasses.replace(trial, loss=loss) for trial in trials(tried)]
    tune(tmp_path, *MINI, "method=lora", trials=planned, predictions=False)
    (table,) = build(tmp_path)
    remark = "other trials have its score; the held-out loss decided between them"
    assert notes(table, cell(table, "LoRA", "settings")) == ([remark] if told else [])


@pytest.mark.parametrize(("tried", "chance"), [((50.0, 51.0, 52.0, 51.5), True), ((50.0, 51.0, 95.0, 50.5), False)])
def test_winner_that_may_be_one_by_chance_is_remarked(tmp_path, tried, chance):
    tune(tmp_path, *MINI, "method=lora", tried=tried, predictions=True)
    (table,) = build(tmp_path)
    remark = "chance: on the held-out examples it cannot be told apart from the trial that is in the middle of all"
    assert notes(table, cell(table, "LoRA", "settings")) == ([remark] if chance else [])


def test_methods_that_search_more_settings_are_named(tmp_path):
    dimension = dataclasses.replace(space(CENTRE)[0], key="trainer.weight_decay", low=0.01, high=0.1, centre=0.0)
    tried = [
        dataclasses.replace(trial, point=[*trial.point, 0.5], settings={**trial.settings, "trainer.weight_decay": 0.05})
        for trial in trials((70.0, 80.0, 60.0))
    ]
    tune(tmp_path, *MINI, "method=lora", tried=(70.0, 80.0, 60.0))
    tune(tmp_path, *MINI, "method=bitfit", trials=tried, space=[*space(), dimension])
    (table,) = build(tmp_path)
    assert "Searched with the same number of trials: LoRA in 1 setting; BitFit in 2 settings." in table.text
    assert written(table, "BitFit", "settings").endswith(", weight_decay=0.05")


# -- no verdict --------------------------------------------------------------------------------------------------------


def no_verdict(root):
    (table,) = build(root)
    assert not {"difference", "verdict"} & {column.value for column in table.columns}
    assert table.text[0].startswith("No verdict: ")
    return table, table.text[0].removeprefix("No verdict: ")


def test_one_method_alone_gets_none(tmp_path):
    tune(tmp_path, *MINI, "method=lora")
    assert no_verdict(tmp_path)[1] == "there is only one method."


@pytest.mark.parametrize(
    ("changes", "told", "score"),
    [
        ({"tried": (80.0, "planned", "interrupted")}, "BitFit (1 of 3 trials)", "1 of 3 trials"),
        ({"finals": (80.0, "missing")}, "BitFit (1 of 2 final runs)", "80.0"),
        ({"finals": (80.0, "interrupted")}, "BitFit (1 of 2 final runs)", "80.0"),
        ({"finals": ("missing", "missing")}, "BitFit (0 of 2 final runs)", "0 of 2 final runs"),
        ({"finals": ()}, "BitFit (0 of the final runs)", "0 of the final runs"),
    ],
)
def test_study_that_has_not_ended_gets_none(tmp_path, changes, told, score):
    tune(tmp_path, *MINI, "method=lora", tried=(70.0, 80.0, 60.0))
    tune(tmp_path, *MINI, "method=bitfit", **{"tried": (70.0, 80.0, 60.0), **changes})
    table, reason = no_verdict(tmp_path)
    assert reason == f"still to come: {told}; the same command goes on."
    assert written(table, "BitFit", "tuned") == score


def test_one_seed_of_each_method_gets_none(tmp_path):
    for method, score in (("lora", 90.0), ("bitfit", 60.0)):
        tune(tmp_path, *MINI, f"method={method}", finals=(score,))
    assert no_verdict(tmp_path)[1] == "fewer than two methods have two runs with this score."


def test_method_whose_trials_all_failed_is_shown_and_does_not_keep_the_others_from_a_verdict(tmp_path):
    for method, score in (("lora", 90.0), ("bitfit", 60.0)):
        tune(tmp_path, *MINI, f"method={method}", tried=(70.0, 80.0), finals=(score, score))
    tune(tmp_path, *MINI, "method=prefix", tried=("failed", "oom"))
    (table,) = build(tmp_path)
    assert written(table, "Prefix", "tuned") == "no trial has a score"
    assert [written(table, method_title(method), "verdict") for method in GROUPS] == ["best", "worse", "not tested"]
    assert table.text[0].endswith(" Not tested: Prefix.")


def test_all_methods_failed(tmp_path):
    for method in ("lora", "bitfit"):
        tune(tmp_path, *MINI, f"method={method}", tried=("failed", "diverged"))
    table, reason = no_verdict(tmp_path)
    assert reason == "there are no runs."
    assert [written(table, row.label, "tuned") for row in table.rows] == ["no trial has a score"] * 2


def test_metric_without_statistics_of_each_example_gets_none(tmp_path):
    for method in ("lora", "prefix"):
        tune(tmp_path, "preset=mini", "task=webnlg", "task.metric=meteor", f"method={method}", metric="perplexity",
             better=-1, tried=(9.0, 8.0))  # fmt: skip
    table, reason = no_verdict(tmp_path)
    assert reason == "METEOR has no test over examples."
    assert table.columns[0].label == "METEOR, tuned"
    assert "scored by perplexity" in table.text[1]


def test_missing_predictions_are_told_and_scores_stand(tmp_path):
    for method in ("lora", "bitfit"):
        tune(tmp_path, *MINI, f"method={method}")
    path = sorted((tmp_path / "sst2").rglob("predictions.jsonl.gz"))[0]
    path.unlink()
    table, reason = no_verdict(tmp_path)
    assert reason.startswith("the predictions of bitfit, seed ")
    assert reason.endswith("are missing or damaged.")
    assert written(table, "BitFit", "tuned") == "80.0"


# -- several studies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"study": "another"}, {"epochs": 3}, {"held_out": 0.2}, {"max_train": None}, {"tried": (80.0, 70.0)}]
)
def test_searches_of_different_effort_never_share_a_table(tmp_path, change):
    tune(tmp_path, *MINI, "method=lora")
    tune(tmp_path, *MINI, "method=bitfit", **change)
    found = build(tmp_path)
    assert [len(table.rows) for table in found] == [1, 1]
    assert len({table.path for table in found}) == 2


def test_name_of_a_table_stays_when_other_studies_come(tmp_path):
    tune(tmp_path, *MINI, "method=lora")
    (before,) = build(tmp_path)
    tune(tmp_path, *MINI, "method=lora", id="another", study="another", tried=(50.0, 60.0))
    tune(tmp_path, *MINI, "method=bitfit")
    assert before.path in {table.path for table in build(tmp_path)}
    assert re.fullmatch(r"mini/tuned_sst2_mini_roberta_[0-9a-f]{8}", before.path)


def test_two_searches_of_one_file_have_labels_of_their_own(tmp_path):
    tune(tmp_path, *MINI, "method=lora")
    tune(tmp_path, *MINI, "method=lora", id="another_search", trials=trials((50.0, 60.0, 55.0, 40.0), centre=0.1))
    (table,) = build(tmp_path)
    assert sorted(row.label for row in table.rows) == ["LoRA, search 01234567", "LoRA, search another_"]


# -- ordinary tables ---------------------------------------------------------------------------------------------------


def ordinary(root):
    found = store.load(root)
    return {table.path: table for table in tables.build(found, [], "runs", studies=studies.load(root, found)[0])}


def test_trials_are_in_no_ordinary_table_and_final_runs_say_what_they_are(tmp_path):
    tune(tmp_path, *MINI, "method=lora", finals=(90.0, 91.0), untuned=(50.0, 51.0))
    table = ordinary(tmp_path)["mini/sst2"]
    shown = {row.cells[0].shown()[0]: notes(table, row.cells[0]) for row in table.rows}
    assert shown == {"90.5": ["tuned: 4 trials"], "50.5": []}


def test_final_run_whose_search_is_gone_says_so(tmp_path):
    config = handmade.record_of(handmade.configuration((*MINI, "method=lora"))).config
    handmade.write_run(tmp_path, *MINI, "method=lora", config={**config, "search": "0123456789abcdef"})
    table = ordinary(tmp_path)["mini/sst2"]
    assert notes(table, table.rows[0].cells[0]) == ["tuned by a search that is not in this folder"]


def test_bold_among_winners_of_one_study_comes_without_the_word_on_untuned_settings(tmp_path):
    for method, finals in GROUPS.items():
        tune(tmp_path, *MINI, f"method={method}", finals=(finals[0] / 2, finals[1]) if method == "bitfit" else finals)
    table = ordinary(tmp_path)["mini/sst2"]
    assert table.equal_effort
    assert "not tuned" not in render.legend(table)
    for seed in (1, 2):
        handmade.write_run(tmp_path, *MINI, "method=prefix", "protocol=clean", seed=seed, score=20.0)
        handmade.write_run(tmp_path, *MINI, "method=adapter", "protocol=clean", seed=seed, score=99.0)
    assert not ordinary(tmp_path)["mini/sst2"].equal_effort
