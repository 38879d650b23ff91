"""What an output folder says about seeds agrees with the pilot of its two methods."""

from pathlib import Path

import pytest
from helpers.handmade import MINI, write_run

from inducer_bench.report import store
from inducer_bench.report.examples import read_predictions
from inducer_bench.report.pilots import power
from inducer_bench.report.power import LEVEL, Pilot, seeds_needed

RECORDS = Path(__file__).parents[2] / "results" / "mini" / "runs"


def test_pair_of_methods_has_the_power_of_its_pilot(tmp_path):
    for method in ("lora", "inducer"):
        for seed, score in enumerate((80.0, 81.0 + (method == "lora"), 83.0)):
            write_run(tmp_path, *MINI, f"method={method}", seed=seed, score=score)
    groups = {group.config.method.name: group for group in store.load(tmp_path).groups}
    rows = [[read_predictions(run.folder, run.record) for run in groups[method].done] for method in ("lora", "inducer")]
    task = groups["lora"].config.task
    pilot = Pilot.of("accuracy", task.metric_of("accuracy"), *rows)
    found = power(tmp_path, "sst2", "mini_roberta", ["lora", "inducer", "adapter"], 5, 6.0)
    assert (found.pairs, found.methods) == (3, ["lora", "inducer"])
    assert found.shown == pytest.approx(pilot.smallest_difference(5, LEVEL / 3))
    assert found.needed == seeds_needed(6.0, pilot, LEVEL / 3)


def test_one_seed_shows_no_difference():
    found = power(RECORDS, "sst2", "mini_roberta", ["lora", "inducer"], 1, None)
    assert (found.shown, found.needed) == (None, None)


@pytest.mark.parametrize("seeds", [0, 1])
def test_without_two_methods_or_two_seeds_there_is_no_pilot(seeds, tmp_path):
    for seed in range(seeds):
        write_run(tmp_path, *MINI, "method=lora", seed=seed)
        write_run(tmp_path, *MINI, "method=inducer", seed=seed)
    assert power(tmp_path, "sst2", "mini_roberta", ["lora", "inducer"], 3, 1.0) is None
    assert power(tmp_path / "nowhere", "sst2", "mini_roberta", ["lora", "inducer"], 3, 1.0) is None


def test_runs_whose_predictions_are_gone_are_no_pilot(tmp_path):
    for seed in range(2):
        write_run(tmp_path, *MINI, "method=lora", seed=seed, predictions=False)
        write_run(tmp_path, *MINI, "method=inducer", seed=seed, predictions=False)
    assert power(tmp_path, "sst2", "mini_roberta", ["lora", "inducer"], 3, None) is None
