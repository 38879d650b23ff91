"""The device and precision of a run, and its random number generators."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from inducer_bench.training.device import flushed_denormals, make_accelerator, set_seed


@pytest.fixture(autouse=True)
def _restore():
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    yield
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])
    torch.set_flush_denormal(False)


def test_each_run_of_a_process_gets_the_precision_that_it_asks_for():
    """Relies on a private function of accelerate: this fails if a release renames it."""
    assert callable(AcceleratorState._reset_state)
    for precision, expected in (("bf16", "bf16"), ("fp32", "no"), ("auto", "no")):
        accelerator = make_accelerator(SimpleNamespace(device="cpu", compile="none", precision=precision))
        assert accelerator.mixed_precision == expected


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_equal_seeds_give_equal_numbers_in_every_generator_and_large_seeds_are_allowed():
    for seed in (3, 2**33 + 3):
        set_seed(seed)
        first = draws()
        set_seed(seed)
        assert draws() == first


def test_denormals_are_flushed_inside_the_block_alone():
    denormal = torch.tensor(1e-310, dtype=torch.float64)
    set_seed(0)
    assert (denormal * 0.5).item() != 0.0
    with flushed_denormals():
        assert (denormal * 0.5).item() == 0.0
    assert (denormal * 0.5).item() != 0.0
    assert float("1e-320") > 0.0
