"""Start values that several methods share."""

import torch
from torch import nn

INITIALIZER_RANGE = 0.02  # standard deviation of new weights in BERT, GPT-2 and their successors (`initializer_range`)


def truncated_normal(*shape: int) -> nn.Parameter:
    """A parameter whose entries start as fmod(N(0, 1), 2) * 0.01, as in the released code.

    Not a true truncation: fmod moves an entry beyond +-2 back towards 0, where truncation would draw it again.
    """
    return nn.Parameter(torch.fmod(torch.randn(shape), 2) * 0.01)
