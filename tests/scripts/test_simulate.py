"""A small version of the simulations in results/statistics: a broken statistic fails here, in seconds."""

import json

import numpy as np
import pytest

from scripts.evidence import pages, simulate, synthetic

COUNT = 100


def found(name, count=COUNT, **settings):
    promise = next(promise for promise in simulate.PROMISES if promise.simulate.__name__ == name)
    return simulate.simulated(promise, settings, count)["found"]


def test_synthetic_methods_have_the_accuracy_that_they_are_given():
    random = np.random.default_rng(0)
    about = synthetic.World(20_000, 0.7, (0.0, 0.0, 0.0))
    true = [0.6, 0.75, 0.95]
    scores = [side[0].scores(np.ones((1, 20_000)))[0] for side in synthetic.study(random, about, true, 1)]
    assert scores == pytest.approx([60, 75, 95], abs=1.5)


# Of 100, a true rate of 5 % shows as at most 12 (99.9 %), one of 80 % as 67 to 92, one of 95 % as at least 88.
def test_equal_methods_are_seldom_told_apart():
    assert found("equal_methods", methods=5, seeds=3)["told apart"] <= 0.12


def test_simultaneous_intervals_hold_and_the_best_is_among_the_tied():
    rates = found("different_methods", methods=5, seeds=3)
    assert rates["intervals hold"] >= 0.88
    assert rates["truly best one is tied"] >= 0.88
    assert rates["methods told apart"] > 0.05


def test_promised_power_is_about_what_is_found():
    assert 0.67 <= found("planned_seeds", pilot=5, needed=4)["difference found"] <= 0.95
    assert 0.67 <= found("detectable_difference", methods=2, seeds=5)["difference found"] <= 0.92


@pytest.mark.parametrize("draw", ["independent", "quasi-random"])
def test_bands_of_tuning_curves_hold_the_whole_curve(draw):
    assert found("tuning_curve", trials=8, draw=draw)["band holds"] >= 0.88


def test_intervals_of_mean_ranks_hold():
    assert found("mean_ranks", tasks=2, seeds=3, spread=1.0)["interval holds"] >= 0.88


def test_rows_that_are_missing_are_simulated_and_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(simulate, "FILE", tmp_path / "simulations.json")
    monkeypatch.setattr(simulate, "PROMISES", [simulate.PROMISES[0]])
    monkeypatch.setattr(simulate, "STUDIES", 2)
    simulate.main("run")
    first = json.loads(simulate.FILE.read_text())
    assert [row["settings"] for row in first] == simulate.PROMISES[0].settings
    simulate.FILE.write_text(json.dumps(first[:-1]))
    simulate.main("run")
    again = json.loads(simulate.FILE.read_text())
    assert [{**row, "seconds": 0} for row in again] == [{**row, "seconds": 0} for row in first]
    capsys.readouterr()
    simulate.main()
    assert "| methods | seeds | studies | told apart, % |\n|---|---|---|---|\n| 2 | 3 | 2 | " in capsys.readouterr().out


@pytest.mark.skipif(not simulate.FILE.exists(), reason="needs results/statistics/simulations.json")
def test_every_promise_on_the_committed_page_is_kept():
    rows = json.loads(simulate.FILE.read_text())
    for promise in simulate.PROMISES:
        for settings in promise.settings:
            row = simulate.find(rows, promise, settings)
            assert row is not None, f"{promise.title}, {settings}: run `python -m scripts.evidence.simulate run`"
            assert row["studies"] == simulate.STUDIES
    page = (pages.RESULTS / "statistics" / "README.md").read_text()
    assert pages.regenerated(page) == page, "run `make results`"
