"""A sweep written by hand, and the tables of it; what draws the figures of a page is made once."""

from pathlib import Path

import pytest
from helpers import handmade, pages
from helpers.handmade import FULL, MINI, OTHER_CODE

from inducer_bench.report import images, reference, store, tables
from inducer_bench.report.tables import Table


@pytest.fixture(autouse=True)
def _script_of_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "vega", pages.vega)


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Mini: lora clearly best, bitfit and inducer alike, one failed, one out of memory, one damaged, one random.

    Full: lora with two seeds of different code, and inducer with one on MNLI.
    """
    root = tmp_path_factory.mktemp("sweep")
    for seed in range(3):
        handmade.write_run(root, *MINI, "method=lora", seed=seed, score=90 + seed, train_seconds=20, parameters=16_384)
        handmade.write_run(root, *MINI, "method=inducer", seed=seed, score=70 + seed, train_seconds=25)
        handmade.write_run(root, *MINI, "method=inducer", "method.gate=false", seed=seed, score=66)
    handmade.write_run(root, *MINI, "method=bitfit", score=70.0, parameters=5_760)
    handmade.write_run(root, *MINI, "method=prefix", score=60.0)
    handmade.write_run(root, *MINI, "method=prefix", seed=1, status="failed")
    handmade.write_run(root, *MINI, "method=fine_tune", status="oom")
    handmade.write_run(root, *MINI, "method=head_only", score=50.0, parameters=0)
    handmade.write_run(root, *MINI, "method=lora", "plm.weights=random", seed=0, score=99.0)
    damaged = handmade.write_run(root, *MINI, "method=lora", seed=3, score=10.0) / "record.json"
    damaged.write_bytes(damaged.read_bytes().replace(b"10.0", b"99.0"))
    handmade.write_run(root, *FULL, "method=lora", seed=0, score=93.0)
    handmade.write_run(root, *FULL, "method=lora", seed=1, score=94.0, code=OTHER_CODE)
    both: dict[str, float | None] = {"accuracy": 86.0, "accuracy_mismatched": None}
    handmade.write_run(root, "task=mnli", "method=inducer", scores=both)
    return root


@pytest.fixture(scope="session")
def built(sweep: Path) -> dict[str, Table]:
    """Path -> table."""
    found = tables.build(store.load(sweep), reference.sources(), "runs")
    return {table.path: table for table in found}
