"""Copies of a method's parameters, mapped over one model by `torch.vmap`, against one after another."""

import pytest
import torch
from helpers.architectures import build, tokens
from helpers.attached import randomise
from helpers.method_options import OPTIONS
from torch.func import functional_call

import inducer_bench as ib

LANES = 3


@pytest.mark.filterwarnings("error:.*performance drop")
@pytest.mark.parametrize("architecture", ["roberta", "gpt2", "llama"])
@pytest.mark.parametrize("method", ["lora", "prefix", "mam", "adapter", "kernel_mix", "inducer", "inducer_ffn"])
def test_losses_and_gradients_of_mapped_parameters_equal_lone_ones(method, architecture):
    tuned = ib.attach(build(architecture), method, **OPTIONS[method])
    ids = torch.stack([tokens(2, 5, seed=lane) for lane in range(LANES)])
    seen = torch.ones(2, 1, 5, 5, dtype=torch.bool)  # whole: vmap cannot look at a row of ones and leave the mask out
    seen = seen if architecture == "roberta" else seen.tril()
    copies = {name: [] for name in tuned.trained_parameters()}
    for _ in range(LANES):
        randomise(tuned)  # adds to what the lane before had
        for name, parameter in tuned.trained_parameters().items():
            copies[name].append(parameter.detach().clone())
    parameters = {name: torch.stack(lanes).requires_grad_() for name, lanes in copies.items()}

    def loss(lane, ids):
        logits = functional_call(tuned.model, lane, (), {"input_ids": ids, "attention_mask": seen}).logits
        return logits.square().sum()

    together = torch.vmap(loss)(parameters, ids)
    gradients = torch.autograd.grad(together.sum(), list(parameters.values()), allow_unused=True)
    for lane in range(LANES):
        own = {name: copy[lane].requires_grad_() for name, copy in copies.items()}
        alone = loss(own, ids[lane])
        torch.testing.assert_close(together[lane], alone, rtol=1e-12, atol=0)
        expected = torch.autograd.grad(alone, list(own.values()), allow_unused=True)
        for ours, reference in zip(gradients, expected, strict=True):
            if reference is not None:
                torch.testing.assert_close(ours[lane], reference, rtol=1e-9, atol=1e-9 * reference.abs().max())
