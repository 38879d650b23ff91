"""The random numbers of dropout inside attention: the one place where the kernels draw.

Under `torch.vmap` the rows of the mapped lanes lie one lane after another in the first axis.
"""

import torch
from torch import Tensor


def dropout_signs(like: Tensor, dropout: float) -> Tensor:
    """Random numbers, negative with probability `dropout` (on a CPU to within 1 / 65,536); may overwrite `like`.

    A CPU draws numbers one after another, which takes most of the time: each draw yields four numbers of 16 bits.
    """
    if like.device.type != "cpu" or torch.compiler.is_compiling():
        return like.bernoulli_(1 - dropout).sub_(0.5)
    draws = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None)  # all 64 bits
    numbers = draws.view(torch.int16)[: like.numel()].view_as(like)
    return numbers.to(like.dtype).add_(2**15 - dropout * 2**16)
