"""What is committed in `results/real`: the page is that of its records, and no text of a data set is passed on."""

import gzip
import json
from statistics import fmean

import pytest

from inducer_bench.runs.artefacts import PREDICTIONS
from scripts.evidence import pages
from scripts.evidence.real import against, runs
from scripts.evidence.real.runs import form

pytestmark = pytest.mark.skipif(not (runs.REAL / "runs").is_dir(), reason="there are no records in results/real/runs")


@pytest.mark.parametrize("name", ["claims.md", "layers.md"])
def test_a_page_is_what_its_records_say(name):
    page = (runs.REAL / name).read_text()
    assert pages.regenerated(page) == page, "run `make results`"


def test_differences_on_parts_of_a_test_set_are_those_of_the_scores_in_records():
    evidence = runs.load(runs.REAL / "runs")
    found = [one for one in against.per_part(evidence.studies) if one.place.endswith("BLEU unseen")]
    assert {one.other for one in found} == set(against.OTHERS)
    (study,) = [study for study in evidence.studies if study.first.task == "webnlg"]
    means = {
        form(method.config): fmean(run.record.scores["bleu_unseen"].value for run in method.finals.done)
        for method in study.methods
    }
    for one in found:
        assert one.found.difference == pytest.approx(means["Inducer"] - means[one.other], abs=1e-6)


def test_no_prediction_has_texts_of_the_data():
    for path in (runs.REAL / "runs").rglob(PREDICTIONS):
        first = json.loads(gzip.decompress(path.read_bytes()).partition(b"\n")[0])
        assert {"input", "references"}.isdisjoint(first), path
