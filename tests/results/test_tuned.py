"""The study in `results/tuned` is whole, and its table says what its records say."""

import re
from statistics import fmean

import pytest

from scripts.evidence.tuned_tables import TUNED, load

pytestmark = pytest.mark.skipif(not (TUNED / "runs").is_dir(), reason="there is no study in results/tuned")


@pytest.fixture(scope="module")
def known():
    return load(TUNED / "runs")


def test_every_method_has_the_same_effort_on_every_task_and_everything_has_ended(known):
    assert {study.first.task for study in known} == {"sst2", "mnli"}
    methods = [{method.label for method in study.methods} for study in known]
    assert methods[0] == methods[1]
    assert len(methods[0]) == 10
    for study in known:
        assert study.missing() == []
        for method in study.methods:
            assert len(method.search.trials) == 16
            assert len(method.search.finals) == len(method.search.untuned) == 5
            assert [trial.point for trial in method.search.trials] == [trial.point for trial in study.first.trials]
            assert not {run.run for run in method.search.finals} & {run.run for run in method.search.trials}


def test_scores_of_the_table_are_the_means_of_the_final_runs(known):
    for study in known:
        (page,) = (TUNED / "tables").glob(f"tuned_{study.first.task}_*.md")
        rows = dict(re.findall(r"^\| ([\w +-]+) \| ([\d.]+) ±", page.read_text(), re.MULTILINE))
        assert len(rows) == len(study.methods)
        for method in study.methods:
            scores = [run.record.scores["accuracy"].value for run in method.finals.done]
            assert rows[method.label] == f"{fmean(scores):.1f}"
