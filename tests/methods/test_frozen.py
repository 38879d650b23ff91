"""`trainer.frozen`: weights cast once give the numbers of weights that autocast casts at each use."""

import pytest
import torch
from helpers.architectures import build, tokens
from helpers.attached import assert_as_built, randomise
from helpers.method_options import OPTIONS

import inducer_bench as ib
from inducer_bench.errors import UserError
from inducer_bench.methods.frozen import keep_frozen

NOTHING_TO_TRAIN = [("bitfit", "llama"), ("head_only", "gpt2"), ("head_only", "llama")]
METHODS = [name for name in OPTIONS if name != "fine_tune"]


def step(method, architecture, frozen):
    """Loss and gradients of a tuned model in bf16 autocast, and its parameters that are in bf16."""
    tuned = ib.attach(build(architecture).float(), method, **OPTIONS[method])
    randomise(tuned)
    if frozen:
        keep_frozen(tuned, torch.bfloat16)
    ids = tokens(2, 7)
    with torch.autocast("cpu", torch.bfloat16):
        logits = tuned(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    loss = logits.float().log_softmax(-1)[..., 1].sum()
    trained = tuned.trained_parameters()
    loss.backward()
    gradients = {name: p.grad for name, p in trained.items() if p.grad is not None}
    assert all(p.dtype == torch.float32 for p in trained.values())
    return loss, gradients, {name for name, p in tuned.model.named_parameters() if p.dtype == torch.bfloat16}


@pytest.mark.parametrize("architecture", ["roberta", "gpt2", "llama"])
@pytest.mark.parametrize("method", METHODS)
def test_loss_and_gradients_equal_those_of_autocast_bit_for_bit(method, architecture):
    if (method, architecture) in NOTHING_TO_TRAIN:
        pytest.skip("nothing to train")
    loss, gradients, cast = step(method, architecture, frozen=True)
    expected, reference, none = step(method, architecture, frozen=False)
    assert torch.equal(loss, expected)
    assert gradients.keys() == reference.keys()
    assert all(torch.equal(gradients[name], reference[name]) for name in gradients)
    assert not none
    linear = {"roberta": "encoder.layer.0.output.dense.weight", "gpt2": "h.0.mlp.c_fc.weight"}
    assert any(linear.get(architecture, "layers.0.mlp.up_proj.weight") in name for name in cast)
    assert not [name for name in cast if "embed" in name or "wte" in name or "norm" in name.lower()]


@pytest.mark.parametrize("method", ["inducer", "bitfit", "peft"])
def test_detached_model_is_as_it_was(method):
    tuned = ib.attach(build("roberta"), method, **OPTIONS[method])
    keep_frozen(tuned, torch.bfloat16)
    randomise(tuned)
    assert_as_built(tuned.detach())


def test_method_that_trains_all_weights_is_refused():
    tuned = ib.attach(build("roberta"), "fine_tune")
    with pytest.raises(
        UserError, match=r"^trainer\.frozen: found 'bf16', but 'fine_tune' trains all weights; allowed: "
    ):
        keep_frozen(tuned, torch.bfloat16)
