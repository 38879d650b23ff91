"""Seeds stacked on one frozen PLM, against each of them trained alone by plain torch."""

from functools import partial

import pytest
import torch
from helpers.architectures import PAD, build, tokens
from helpers.method_options import OPTIONS
from torch.nn import functional as F

import inducer_bench as ib
from inducer_bench.training.stack import Lane, Stack

LANES, STEPS, CLIP = 3, 2, 3.5
METHODS = [name for name in OPTIONS if name != "fine_tune"]
NOTHING_TO_TRAIN = {("llama", "head_only"), ("llama", "bitfit")}  # no head, and no biases
optimizer_of = partial(torch.optim.AdamW, lr=1e-2, weight_decay=0.1, fused=True)


class NextToken:
    """The parts of a task that a stack uses; the inputs are their own labels."""

    @staticmethod
    def loss(model, batch, label_smoothing):
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        labels = batch["input_ids"][:, -1] % 3 if logits.ndim == 2 else batch["input_ids"]
        return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="sum")

    @staticmethod
    def predict(model, batch):
        return {"logits": model(**batch).logits, "shared": batch["input_ids"]}


def attached(architecture, method, seed, dropout=0.3):
    model = build(architecture, dropout=dropout)
    torch.manual_seed(seed)
    return ib.attach(model, method, **OPTIONS[method]).train()


def batch_of(seed, step):
    ids = tokens(4, 6, seed=100 * seed + step)
    mask = torch.ones_like(ids)
    mask[1, 3 + seed :] = 0  # another padding in each lane
    return {"input_ids": ids.masked_fill(mask == 0, PAD), "attention_mask": mask}


def alone(tuned, seed):
    """Losses and norms of each step, and the logits of the trained model for a batch."""
    trained = list(tuned.trained_parameters().values())
    optimizer = optimizer_of(trained)
    steps = []
    for step in range(STEPS):
        loss = NextToken.loss(tuned, batch_of(seed, step), 0.0)
        (loss / (seed + 1)).backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimizer.step()
        optimizer.zero_grad()
        steps.append((loss.item(), norm.item()))
    with torch.no_grad():
        return steps, NextToken.predict(tuned.eval(), batch_of(9, 9))["logits"]


def lane_of(tuned):
    lane = Lane.of(tuned, optimizer_of)
    lane.generator.set_state(torch.get_rng_state())
    return lane


def take_steps(stack, steps=range(STEPS)):
    """(n, 2, N)"""
    found = []
    for step in steps:
        batches = [batch_of(seed, step) for seed in range(len(stack.lanes))]
        batch = {name: torch.stack([own[name] for own in batches]) for name in batches[0]}
        losses = stack.losses(batch, 0.0)
        (losses / (torch.arange(len(batches)) + 1)).sum().backward()
        found.append(torch.stack([losses.detach(), stack.update(CLIP)]))
    return torch.stack(found)


@pytest.mark.filterwarnings("error:.*performance drop")  # of what torch maps by going through the lanes
@pytest.mark.parametrize("architecture", ["roberta", "gpt2_cls", "llama"])
@pytest.mark.parametrize("method", METHODS)
def test_lanes_of_a_stack_equal_their_lone_runs_with_dropout(architecture, method):
    if (architecture, method) in NOTHING_TO_TRAIN:
        pytest.skip("this method has nothing to train there")
    expected = [(alone(tuned := attached(architecture, method, seed), seed), tuned) for seed in range(LANES)]
    lanes = []
    for seed in range(LANES):
        tuned = attached(architecture, method, seed)
        lanes.append(lane_of(tuned))
    stack = Stack(tuned, NextToken, lanes)
    found = take_steps(stack)
    stack.share()
    tuned.eval()
    with torch.no_grad():
        logits = stack.predict(batch_of(9, 9))["logits"]
    for i, ((steps, own_logits), own) in enumerate(expected):
        torch.testing.assert_close(found[..., i], torch.tensor(steps, dtype=found.dtype), rtol=1e-9, atol=0)
        torch.testing.assert_close(logits[:, i], own_logits, rtol=1e-7, atol=1e-7)
        for name, parameter in own.trained_parameters().items():
            torch.testing.assert_close(lanes[i].weights[name], parameter, rtol=1e-7, atol=1e-7)


def test_norms_are_clipped_in_some_lanes_alone():
    """Otherwise the test above would not tell one factor for all lanes from one each."""
    norms = [norm for seed in range(LANES) for _, norm in alone(attached("roberta", "lora", seed), seed)[0]]
    assert min(norms) < CLIP < max(norms)


def test_lane_that_leaves_goes_on_alone_and_the_others_without_it():
    whole = Stack(tuned := attached("roberta", "lora", 0), NextToken, [lane_of(tuned) for _ in range(LANES)])
    expected = take_steps(whole, range(4))
    stack = Stack(tuned := attached("roberta", "lora", 0), NextToken, [lane_of(tuned) for _ in range(LANES)])
    take_steps(stack, range(2))
    stack.share()
    rest = take_steps(Stack(tuned, NextToken, stack.lanes[:2]), range(2, 4))
    torch.testing.assert_close(rest, expected[2:, :, :2], rtol=1e-12, atol=0)


def test_lane_that_is_not_finite_changes_no_other():
    results = []
    for broken in (False, True):
        tuned = attached("roberta", "inducer", 0)
        lanes = [lane_of(tuned) for _ in range(LANES)]
        if broken:
            next(iter(lanes[1].weights.values())).data.fill_(torch.nan)
        stack = Stack(tuned, NextToken, lanes)
        results.append((take_steps(stack), stack.parameters))
    (expected, weights), (found, found_weights) = results
    assert found[:, :, 1].isnan().all()
    assert torch.equal(found[:, :, [0, 2]], expected[:, :, [0, 2]])
    assert all(torch.equal(found_weights[name][[0, 2]], weights[name][[0, 2]].detach()) for name in weights)


def test_what_lanes_draw_but_do_not_train_is_stacked_too():
    """A frozen head, which each seed draws for itself."""
    expected, lanes = [], []
    for seed in range(LANES):
        model = build("roberta")
        with torch.no_grad():
            model.classifier.out_proj.weight.fill_(seed / 10)
        tuned = ib.attach(model, "lora", train_head=False, **OPTIONS["lora"])
        expected.append(NextToken.predict(tuned, batch_of(9, 9))["logits"].detach())
        lanes.append(lane_of(tuned))
    assert not torch.equal(expected[0], expected[1])
    found = Stack(tuned, NextToken, lanes).predict(batch_of(9, 9))
    for i, logits in enumerate(expected):
        torch.testing.assert_close(found["logits"][:, i].detach(), logits, rtol=1e-9, atol=1e-12)
        assert torch.equal(found["shared"][:, i], batch_of(9, 9)["input_ids"])
        lanes[i].load_into(tuned)
        assert torch.equal(NextToken.predict(tuned, batch_of(9, 9))["logits"], logits)
