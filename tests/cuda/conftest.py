"""Tests for a GPU. `CUDA_TESTS_ON=cpu pytest tests/cuda` tries on a CPU whether the tests themselves work."""

import os

import pytest
import torch


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The device under test."""
    name = os.environ.get("CUDA_TESTS_ON", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    return torch.device(name)
