"""Records below a folder, grouped by setting; damaged ones never count."""

import dataclasses
import sys

import pytest
from helpers import handmade
from helpers.handmade import MINI, code, data

from inducer_bench.report import figures, store, tables

OUTSIDE = """
from typing import ClassVar
from inducer_bench.methods.options import MethodOptions, Rank
from inducer_bench.options import options

@options
class Options(MethodOptions):
    r: int
    ranks: ClassVar = (Rank(("r",)),)

def attach(tuned, options): ...
"""


def group_of(root, method):
    found = [group for group in store.load(root).groups if group.config.method.name == method]
    assert len(found) == 1
    return found[0]


def test_runs_that_differ_only_in_the_seed_are_one_group(tmp_path):
    for seed in (2, 0, 1):
        handmade.write_run(tmp_path, *MINI, "method=lora", seed=seed, score=80 + seed)
    group = group_of(tmp_path, "lora")
    assert [run.seed for run in group.done] == [0, 1, 2]


@pytest.mark.parametrize("key", ["method.r=4", "trainer.epochs=9", "protocol=clean", "task.max_train=100"])
def test_another_setting_is_another_group(tmp_path, key):
    handmade.write_run(tmp_path, *MINI, "method=lora")
    handmade.write_run(tmp_path, *MINI, "method=lora", key)
    assert len(store.load(tmp_path).groups) == 2


@pytest.mark.parametrize("key", ["trainer.device=cpu", "trainer.eval_batch_size=7", "output_dir=else", "tracker=wandb"])
def test_machine_and_place_make_no_other_group(tmp_path, key):
    handmade.write_run(tmp_path, *MINI, "method=lora", seed=0)
    handmade.write_run(tmp_path, *MINI, "method=lora", key, seed=1)
    assert len(group_of(tmp_path, "lora").done) == 2


@pytest.mark.parametrize("change", [{"data": data("other")}, {"plm_fingerprint": "other"}])
def test_other_files_of_data_or_plm_are_never_averaged_with_these(tmp_path, change):
    handmade.write_run(tmp_path, *MINI, "method=lora", seed=0)
    handmade.write_run(tmp_path, *MINI, "method=lora", seed=1, **change)
    assert [len(group.runs) for group in store.load(tmp_path).groups] == [1, 1]


def test_of_two_records_with_one_seed_the_finished_and_then_the_latest_counts(tmp_path):
    handmade.write_run(tmp_path, *MINI, "method=lora", score=70, code=code("0.9.0"))
    handmade.write_run(tmp_path, *MINI, "method=lora", score=75, code=code("0.10.0"))
    handmade.write_run(tmp_path, *MINI, "method=lora", status="failed", code=code("0.11.0"))
    group = group_of(tmp_path, "lora")
    assert [run.record.scores["accuracy"].value for run in group.runs] == [75]
    assert group.superseded == ("code",)


def test_records_of_one_seed_that_differ_in_the_machine_are_told_by_its_keys(tmp_path):
    for device, size in (("cpu", 7), ("auto", 9)):
        handmade.write_run(
            tmp_path, *MINI, "method=lora", f"trainer.device={device}", f"trainer.eval_batch_size={size}",
            f"trainer.log_every={size}",
        )  # fmt: skip
    assert group_of(tmp_path, "lora").superseded == ("trainer.device", "trainer.eval_batch_size")
    (table,) = tables.build(store.load(tmp_path), [], "runs")
    assert any("which differ in trainer.device, trainer.eval_batch_size; " in text for _, text in table.notes)


def test_damaged_and_random_records_are_in_no_group(sweep):
    found = store.load(sweep)
    assert len(found.left_out) == 1
    assert "was edited" in found.left_out[0]
    scores = {score.value for group in found.groups for run in group.done for score in run.record.scores.values()}
    assert not scores & {10.0, 99.0}


def test_record_whose_configuration_is_not_understood_is_told_of(tmp_path):
    folder = handmade.write_run(tmp_path, *MINI, "method=lora")
    config = handmade.records.read(folder).config
    config["method"]["new_key"] = 1
    config["seed"] = 1
    handmade.write_run(tmp_path, *MINI, "method=lora", seed=1, config=config)
    found = store.load(tmp_path)
    assert [len(group.runs) for group in found.groups] == [1]
    assert len(found.left_out) == 1
    assert "another release (method.new_key" in found.left_out[0]


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """Three runs of two settings of a method from a package of its own, which is then gone from the path."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "scaled_method.py").write_text(OUTSIDE)
    (package / "__init__.py").touch()
    with monkeypatch.context() as here:
        here.syspath_prepend(tmp_path)
        config = dataclasses.asdict(handmade.configuration((*MINI, "method=lora")))
        for seed, r in ((0, 4), (1, 4), (0, 8)):
            own = {**config, "seed": seed, "method": {"name": "package.scaled_method", "r": r}}
            handmade.write_run(tmp_path / "runs", *MINI, seed=seed, config=own, method="package.scaled_method")
        yield tmp_path / "runs"
    for name in ("package", "package.scaled_method"):
        sys.modules.pop(name, None)


def test_method_from_outside_is_grouped_as_any_other(outside):
    groups = store.load(outside).groups
    assert {(group.config.method.name, group.config.method.r): len(group.runs) for group in groups} == {
        ("package.scaled_method", 4): 2,
        ("package.scaled_method", 8): 1,
    }


def test_records_of_a_method_whose_module_is_gone_are_still_shown(outside, monkeypatch):
    with_module = store.load(outside)
    keys = [group.key for group in with_module.groups]
    for name in ("package", "package.scaled_method"):
        sys.modules.pop(name, None)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(outside.parent)])
    found = store.load(outside)
    assert found.left_out == []
    assert [group.config.method.name for group in found.groups] == ["package.scaled_method"] * 2
    assert [group.key for group in found.groups] == keys
    (table,) = tables.build(found, [], "runs")
    assert [row.cells[0].shown() for row in table.rows] == [("80.0", "0.0", "2"), ("80.0", "", "1")]
    assert figures.draw(dataclasses.replace(table, figures=("seed_spread",)))
