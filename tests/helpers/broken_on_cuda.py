"""A tuning method with a fault that shows on a GPU only."""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from inducer_bench.methods.options import MethodOptions
from inducer_bench.options import options


@options
class Options(MethodOptions):
    """Which fault: a tensor on the CPU, a product of two types, a number read in each layer, an unused parameter."""

    fault: Literal["device", "type", "wait", "unused"]


class Part(nn.Module):
    """Adds its bias to the output of a feed-forward network."""

    def __init__(self, width, fault):
        super().__init__()
        self.fault = fault
        self.bias = nn.Parameter(torch.zeros(width))
        self.other = nn.Parameter(torch.zeros(width, width)) if fault in ("type", "unused") else None

    def change(self, module, inputs, output):
        """Forward hook of the network's last linear map."""
        if self.fault == "device":
            return output + self.bias + torch.zeros(output.shape[-1], device="cpu")
        if self.fault == "type":
            with torch.autocast("cuda", enabled=False):
                return output + self.bias + F.linear(output, self.other)
        if self.fault == "wait" and bool((output > 1).all()):
            return output + 2 * self.bias
        return output + self.bias


def attach(tuned, options):
    """Put a `Part` into every layer."""
    for layer in tuned.layers():
        part = Part(layer.width, options.fault)
        output = layer.ffn_down.module
        tuned.add_part(output, "broken", part)
        tuned.add_hook(output.register_forward_hook(part.change))
