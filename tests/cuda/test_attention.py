"""The memory of attention with gates."""

import pytest
import torch

from scripts.bench.harness import peak_memory
from scripts.gpu.attention import FORMS, inputs, on_device, passes

HEADS, LENGTH = 16, 1024


def peak(form, length, mask, dropout, device):
    """Bytes of a forward and a backward pass in bf16, the inputs not included."""
    heads, additive = on_device(*inputs(1, HEADS, length, mask), torch.bfloat16, device)
    return peak_memory(lambda: passes(FORMS[form], heads, additive, dropout), device)


def growth(form, mask, dropout, device):
    """How the peak grows when the length doubles: by 2 in proportion, by 4 with its square."""
    return peak(form, 2 * LENGTH, mask, dropout, device) / peak(form, LENGTH, mask, dropout, device)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("mask", ["padded", "causal"])
def test_attention_with_gates_keeps_no_square_of_the_length(device, mask, dropout):
    if device.type == "cpu":
        pytest.skip("a CPU has no kernel for heads of two widths")
    assert growth("package", mask, dropout, device) < 2.6


def test_square_of_the_length_would_be_seen(device):
    assert growth("explicit", "padded", 0.0, device) > 2.9
