"""Start values that several methods share."""

import torch
from torch import nn


def small(*shape: int) -> nn.Parameter:
    """A parameter whose entries start as fmod(N(0, 1), 2) * 0.01."""
    return nn.Parameter(torch.fmod(torch.randn(shape), 2) * 0.01)
