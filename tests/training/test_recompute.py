"""Gradient checkpointing: the same gradients with less kept for the backward pass."""

import pytest
import torch
from helpers.architectures import build, loss, tokens
from helpers.attached import assert_as_built
from helpers.method_options import OPTIONS

import inducer_bench as ib
from inducer_bench.errors import UserError
from inducer_bench.training.recompute import recompute_activations

PAIRS = [
    (method, name) for name in ("roberta", "gpt2") for method in OPTIONS if (method, name) != ("head_only", "gpt2")
]


def gradients(method, architecture, recomputed):
    """The gradients of one step with dropout, and the bytes that were kept for the backward pass."""
    tuned = ib.attach(build(architecture, dropout=0.2), method, **OPTIONS[method]).train()
    if recomputed:
        recompute_activations(tuned)
    kept = {}

    def keep(tensor):
        kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    torch.manual_seed(3)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        value = loss(tuned, tokens(4, 24))
    value.backward()
    return {name: p.grad for name, p in tuned.trained_parameters().items()}, sum(kept.values())


@pytest.mark.parametrize(("method", "architecture"), PAIRS)
def test_gradients_with_dropout_are_equal(method, architecture):
    plain, kept = gradients(method, architecture, recomputed=False)
    again, kept_again = gradients(method, architecture, recomputed=True)
    assert all(torch.equal(again[name], gradient) for name, gradient in plain.items())
    if method != "head_only":
        assert kept_again < kept / 2


def test_detached_model_is_as_it_was():
    model = build("roberta")
    tuned = ib.attach(model, "inducer", **OPTIONS["inducer"])
    recompute_activations(tuned)
    assert all(layer.gradient_checkpointing for layer in model.base_model.encoder.layer)
    tuned.detach()
    assert not any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
    assert_as_built(model)


def test_model_that_cannot_is_told(monkeypatch):
    tuned = ib.attach(build("roberta"), "bitfit")
    monkeypatch.setattr(type(tuned.model), "supports_gradient_checkpointing", False)
    with pytest.raises(
        UserError, match=r"trainer.gradient_checkpointing: RobertaForSequenceClassification cannot do so"
    ):
        recompute_activations(tuned)
