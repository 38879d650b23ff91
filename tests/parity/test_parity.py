"""Agreement with the released implementation, on the fixtures in `../shared/parity` (or $INDUCER_BENCH_PARITY)."""

import pytest
import torch
from helpers.sequences import PARITY
from parity.compare import compare, compare_unpadded

FILES = sorted(PARITY.glob("*.safetensors"))
pytestmark = pytest.mark.skipif(not FILES, reason="the parity fixtures are not on this machine")
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@each_file
def test_outputs_and_gradients_equal_those_of_the_released_implementation(path):
    errors = compare(path)
    tolerance = 1e-6 if "sqrt" in path.stem else 1e-9
    assert errors.compared > 2
    assert max(errors.relative.values()) < tolerance, errors


@each_file
def test_single_precision_stays_within_its_rounding(path):
    errors = compare(path, torch.float32)
    assert errors.relative["outputs"] < 1e-5, errors
    assert errors.relative["gradients"] < 5e-5, errors


@pytest.mark.parametrize("path", [p for p in FILES if p.stem.startswith("nlu")], ids=lambda path: path.stem)
def test_padding_changes_nothing_unless_the_released_bug_is_switched_on(path):
    assert compare_unpadded(path) < 1e-9
