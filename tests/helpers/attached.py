"""Models before, under and after a method."""

import torch

from helpers.architectures import build, tokens
from inducer_bench.methods.tuned import ATTACHED


def logits(model, inputs):
    with torch.no_grad():
        return model(input_ids=inputs).logits


def randomise(tuned):
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in tuned.trained_parameters().values():
            parameter.add_(torch.randn_like(parameter) * 0.3)


def assert_as_built(model, architecture="roberta"):
    """Bit for bit the model that `build` gives."""
    untouched = build(architecture)
    expected = untouched.state_dict()
    assert model.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.config._attn_implementation == untouched.config._attn_implementation
    assert ATTACHED not in model.__dict__
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.equal(logits(model, tokens(2, 5)), logits(untouched, tokens(2, 5)))
