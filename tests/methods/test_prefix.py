"""The trunk of a reparameterised prefix: computed once in each forward pass, with the numbers of the per-layer form."""

import copy

import pytest
import torch
from helpers.architectures import build, loss, tokens

import inducer_bench as ib
from inducer_bench.methods import prefix
from inducer_bench.methods.prefix import Trunk

OPTIONS = {
    "prefix": {"length": 3, "hidden": 5},
    "mam": {"prefix": {"length": 3, "hidden": 5}, "adapter": {"r": 2, "placement": "parallel"}},
}


@pytest.fixture
def computed(monkeypatch):
    """The calls that compute a trunk."""
    calls, original = [], Trunk.forward
    monkeypatch.setattr(Trunk, "forward", lambda self: calls.append(1) or original(self))
    return calls


def tuned_model(architecture="roberta", method="prefix"):
    tuned = ib.attach(build(architecture), method, **OPTIONS[method])
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in tuned.method_parameters().values():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return tuned


def in_every_layer(tuned):
    """Make each layer compute the trunk for itself."""
    trunk = tuned.model.base_model.prefix_trunk
    trunk.rows = trunk.forward
    return tuned


def gradients(tuned):
    return {name: parameter.grad for name, parameter in tuned.trained_parameters().items()}


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(
            gradient, expected[name], rtol=0, atol=1e-12, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize("method", OPTIONS)
@pytest.mark.parametrize("architecture", ["roberta", "gpt2", "opt", "llama"])
def test_trunk_runs_once_per_forward_and_changes_no_number(architecture, method, computed):
    once, per_layer = tuned_model(architecture, method), in_every_layer(tuned_model(architecture, method))
    inputs = tokens(2, 6)
    outputs = once(input_ids=inputs).logits
    assert len(computed) == 1
    assert torch.equal(outputs, per_layer(input_ids=inputs).logits)
    for tuned in (once, per_layer):
        loss(tuned, inputs).backward()
    assert_equal(gradients(once), gradients(per_layer))


def test_two_forward_passes_before_one_backward_have_a_trunk_each(computed):
    once, per_layer = tuned_model(), in_every_layer(tuned_model())
    first, second = loss(once, tokens(2, 6)), loss(once, tokens(3, 4, seed=1))
    assert len(computed) == 2
    (first + second).backward()
    (loss(per_layer, tokens(2, 6)) + loss(per_layer, tokens(3, 4, seed=1))).backward()
    assert_equal(gradients(once), gradients(per_layer))


def test_two_backward_passes_after_two_forward_passes_free_nothing_that_the_other_needs():
    once, per_layer = tuned_model(), in_every_layer(tuned_model())
    for tuned in (once, per_layer):
        first, second = loss(tuned, tokens(2, 6)), loss(tuned, tokens(3, 4, seed=1))
        second.backward()
        first.backward()
    assert_equal(gradients(once), gradients(per_layer))


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing_gives_the_same_gradients(reentrant):
    checkpointed, per_layer = tuned_model(), in_every_layer(tuned_model())
    checkpointed.model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    if reentrant:
        checkpointed.model.enable_input_require_grads()
    checkpointed.train()
    first, second = loss(checkpointed, tokens(2, 6)), loss(checkpointed, tokens(3, 4, seed=1))
    (first + second).backward()
    (loss(per_layer, tokens(2, 6)) + loss(per_layer, tokens(3, 4, seed=1))).backward()
    assert_equal(gradients(checkpointed), gradients(per_layer))


def test_trained_trunk_is_the_one_that_the_next_forward_reads():
    tuned, inputs = tuned_model(), tokens(2, 6)
    with torch.no_grad():
        before = tuned(input_ids=inputs).logits
        tuned.model.base_model.prefix_trunk.embedding.add_(1.0)
        after = tuned(input_ids=inputs).logits
        assert not torch.allclose(before, after)
        assert torch.equal(after, in_every_layer(tuned)(input_ids=inputs).logits)


def test_generation_with_a_cache_computes_the_trunk_once_per_step(computed):
    tuned = tuned_model("gpt2")
    prompt = tokens(2, 4)
    tuned.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=5, do_sample=False)
    assert len(computed) == 5


def test_copy_after_a_pass_has_a_trunk_of_its_own():
    tuned, inputs = tuned_model(), tokens(2, 6)
    loss(tuned, inputs).backward()
    twin = copy.deepcopy(tuned.model)
    with torch.no_grad():
        expected = tuned(input_ids=inputs).logits
        tuned.model.base_model.prefix_trunk.embedding.zero_()
        assert torch.equal(twin(input_ids=inputs).logits, expected)


def test_forward_pass_that_fails_leaves_no_trunk_behind():
    tuned = tuned_model()
    with pytest.raises(IndexError):
        tuned(input_ids=torch.full((1, 3), 10**6))
    assert prefix._handed.trunk is None
    copy.deepcopy(tuned.model)
