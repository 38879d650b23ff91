"""Predictions of whole splits: copied together, equal to those of single batches."""

import pytest
import torch
from helpers.runs import built

from inducer_bench.config.compose import compose
from inducer_bench.training import evaluation
from inducer_bench.training.evaluation import on_cpu, predict


def test_columns_of_several_batches_come_back_as_they_were():
    batches = [{"loss": torch.rand(rows), "probabilities": torch.rand(rows, 3)} for rows in (4, 4, 1)]
    for found, expected in zip(on_cpu(batches), batches, strict=True):
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("together", [1, 2, 1000])
def test_predictions_do_not_depend_on_how_many_batches_are_copied_together(tiny_run, monkeypatch, together):
    setting = built(compose(tiny_run))
    split = setting.splits.selection
    arguments = (setting.accelerator, setting.tuned, setting.task, split, 5)
    expected = predict(*arguments)
    monkeypatch.setattr(evaluation, "TOGETHER", together)
    assert predict(*arguments) == expected
    assert [row["label"] for row in expected] == [example["labels"] for example in split]
