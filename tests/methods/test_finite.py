"""The check of many tensors."""

import math

import pytest
import torch

from inducer_bench.methods.finite import first_not_finite


def test_numbers_are_finite():
    assert first_not_finite({"a": torch.zeros(3), "b": torch.ones(2, 2, dtype=torch.bfloat16)}.items()) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_first_tensor_that_is_not_finite_is_named(value):
    tensors = {"a": torch.zeros(3), "b": torch.tensor([1.0, value]), "c": torch.tensor(value)}
    assert first_not_finite(tensors.items()) == "b"
