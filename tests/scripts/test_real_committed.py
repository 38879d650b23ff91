"""What is committed in `results/real`: the page is that of its records, and no text of a data set is passed on."""

import gzip
import json

import pytest

from inducer_bench.runs.artefacts import PREDICTIONS
from scripts.evidence import pages
from scripts.evidence.real import runs

pytestmark = pytest.mark.skipif(not (runs.REAL / "runs").is_dir(), reason="there are no records in results/real/runs")


def test_the_page_is_what_its_records_say():
    page = (runs.REAL / "claims.md").read_text()
    assert pages.regenerated(page) == page, "run `make results`"


def test_no_prediction_has_texts_of_the_data():
    for path in (runs.REAL / "runs").rglob(PREDICTIONS):
        first = json.loads(gzip.decompress(path.read_bytes()).partition(b"\n")[0])
        assert {"input", "references"}.isdisjoint(first), path
