"""The memory of attention with gates."""

import pytest
import torch

from scripts.bench.harness import peak_memory
from scripts.gpu.attention import FORMS, inputs, on_device, passes

BATCH, HEADS, LENGTH = 2, 4, 1024


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("mask", ["padded", "causal"])
def test_attention_with_gates_keeps_no_square_of_the_length(device, mask, dropout):
    if device.type == "cpu":
        pytest.skip("a CPU has no kernel for heads of two widths")
    heads, additive = on_device(*inputs(BATCH, HEADS, LENGTH, mask), torch.bfloat16, device)
    peak = peak_memory(lambda: passes(FORMS["package"], heads, additive, dropout), device)
    square = BATCH * HEADS * LENGTH * LENGTH * 2  # bytes of the scores of all heads in bf16
    assert peak < square
