"""The promises of every tuning method, on every supported architecture."""

import copy
from typing import Any

import pytest
import torch
from helpers.architectures import DECODERS, PAD, build, loss, tokens
from helpers.method_options import IMPOSSIBLE, OPTIONS, PAIRS

import inducer_bench as ib
from inducer_bench.errors import UserError
from inducer_bench.methods.attention import IMPLEMENTATION
from inducer_bench.methods.options import METHODS
from inducer_bench.training.recompute import recompute_activations

IDENTITY_AT_START = {"fine_tune", "head_only", "bitfit", "adapter", "lora", "peft"}
# Later architectures differ in little: methods that touch every part are in every test run, the others are slow tests.
LATER = ("gemma3", "modernbert", "deberta")
QUICK = ("inducer_ffn", "mam", "lora")


def param(method: str, architecture: str) -> Any:
    slow = architecture in LATER and method not in QUICK
    return pytest.param(method, architecture, marks=pytest.mark.slow if slow else [])


each_pair = pytest.mark.parametrize(("method", "architecture"), [param(*pair) for pair in PAIRS])
# Tracing takes seconds for each pair: one architecture is in every test run, the others are slow tests.
QUICKLY_COMPILED = [(method, "roberta") for method in ("prefix", "inducer_lora")]
each_pair_compiled = pytest.mark.parametrize(
    ("method", "architecture"),
    [pytest.param(m, a, marks=[] if (m, a) in QUICKLY_COMPILED else pytest.mark.slow) for m, a in PAIRS],
)
each_decoder = pytest.mark.parametrize(
    ("method", "architecture"), [param(*pair) for pair in PAIRS if pair[1] in DECODERS]
)


def attached(method: str, architecture: str, dropout: float = 0.0) -> ib.TunedModel:
    """A tuned tiny model whose method parameters are far from their start values."""
    tuned = ib.attach(build(architecture, dropout=dropout), method, **OPTIONS[method])
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in tuned.method_parameters().values():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return tuned


def logits(model: torch.nn.Module, input_ids: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=input_ids, **inputs).logits


def train_steps(tuned: torch.nn.Module, steps: int = 3) -> None:
    optimizer = torch.optim.AdamW([p for p in tuned.parameters() if p.requires_grad], lr=0.05)
    tuned.train()
    for step in range(steps):
        optimizer.zero_grad()
        loss(tuned, tokens(3, 7, seed=step)).backward()
        optimizer.step()
    tuned.eval()


def test_contract_covers_every_method():
    assert set(OPTIONS) == set(METHODS)


@pytest.mark.parametrize(("method", "architecture"), IMPOSSIBLE)
def test_impossible_pair_is_rejected_and_leaves_the_model_alone(method, architecture):
    model = build(architecture)
    with pytest.raises(UserError, match=IMPOSSIBLE[method, architecture]):
        ib.attach(model, method)
    assert all(parameter.requires_grad for parameter in model.parameters())


@each_pair
def test_frozen_weights_do_not_change_in_training(method, architecture):
    tuned = attached(method, architecture)
    trained = set(tuned.trained_parameters())
    assert trained == set(tuned.method_parameters()) | set(tuned.head_parameters())
    before = copy.deepcopy(dict(tuned.model.named_parameters()))
    train_steps(tuned)
    for name, parameter in tuned.model.named_parameters():
        assert torch.equal(parameter, before[name]) == (name not in trained), name


@each_pair
def test_every_trained_parameter_gets_a_gradient(method, architecture):
    """Distributed training requires this too: no unused parameters."""
    tuned = attached(method, architecture)
    loss(tuned, tokens(2, 6)).backward()
    for name, parameter in tuned.trained_parameters().items():
        assert parameter.grad is not None, name


@each_pair
def test_saved_and_loaded_gives_the_same_outputs_bit_for_bit(method, architecture, tmp_path):
    tuned = attached(method, architecture)
    train_steps(tuned)
    tuned.save(tmp_path)
    again = ib.load(build(architecture), tmp_path)
    inputs = tokens(3, 7)
    assert torch.equal(logits(again, inputs), logits(tuned, inputs))


@each_pair
def test_detach_restores_the_model_bit_for_bit(method, architecture):
    model, untouched = build(architecture), build(architecture)
    tuned = ib.attach(model, method, **OPTIONS[method])
    train_steps(tuned)
    model = tuned.detach()
    assert model.config._attn_implementation == untouched.config._attn_implementation
    expected = untouched.state_dict()
    assert model.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(logits(model, tokens(3, 7)), logits(untouched, tokens(3, 7)))
    ib.attach(model, method, **OPTIONS[method])  # and it can be tuned again


@each_pair
def test_step_zero_is_the_identity_where_claimed(method, architecture):
    plain = logits(build(architecture), tokens(3, 7))
    at_start = logits(ib.attach(build(architecture), method, **OPTIONS[method]), tokens(3, 7))
    assert torch.allclose(at_start, plain, rtol=0, atol=1e-12) == (method in IDENTITY_AT_START)


@each_pair
def test_gradients_match_finite_differences(method, architecture):
    tuned = attached(method, architecture)
    inputs, step = tokens(2, 5), 1e-6
    loss(tuned, inputs).backward()
    generator = torch.Generator().manual_seed(0)
    for name, parameter in tuned.trained_parameters().items():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            parameter.add_(step * direction)
            above = loss(tuned, inputs)
            parameter.sub_(2 * step * direction)
            below = loss(tuned, inputs)
            parameter.add_(step * direction)
        numeric = (above - below) / (2 * step)
        analytic = (parameter.grad * direction).sum()
        torch.testing.assert_close(
            analytic, numeric, rtol=1e-5, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


@each_pair
def test_padded_batch_gives_what_each_row_gives_alone(method, architecture):
    tuned = attached(method, architecture)
    long, short = tokens(1, 8, seed=1), tokens(1, 5, seed=2)
    padding = torch.full((1, 3), PAD)
    batch = torch.cat([long, torch.cat([short, padding], dim=1)])
    padded = logits(tuned, batch, attention_mask=(batch != PAD).long())
    alone = logits(tuned, short)
    real = padded[1:, :5] if architecture in DECODERS else padded[1:]
    torch.testing.assert_close(real, alone, rtol=0, atol=1e-12)


@each_decoder
def test_left_padded_batch_gives_what_each_row_gives_alone(method, architecture):
    tuned = attached(method, architecture)
    short = tokens(1, 5, seed=2)
    batch = torch.cat([tokens(1, 8, seed=1), torch.cat([torch.full((1, 3), PAD), short], dim=1)])
    mask = (batch != PAD).long()
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    padded = logits(tuned, batch, attention_mask=mask, position_ids=positions)
    torch.testing.assert_close(padded[1:, 3:], logits(tuned, short), rtol=0, atol=1e-12)


@each_decoder
def test_cached_steps_give_what_the_full_forward_gives(method, architecture):
    tuned = attached(method, architecture)
    inputs = tokens(2, 7)
    cache, pieces = None, []
    with torch.no_grad():
        for piece in (inputs[:, :3], inputs[:, 3:5], inputs[:, 5:6], inputs[:, 6:]):
            output = tuned(input_ids=piece, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            pieces.append(output.logits)
    torch.testing.assert_close(torch.cat(pieces, dim=1), logits(tuned, inputs), rtol=0, atol=1e-12)


@each_decoder
def test_generation_with_a_cache_equals_generation_without(method, architecture):
    tuned = attached(method, architecture)
    prompt = tokens(2, 4)
    arguments = {
        "input_ids": prompt,
        "attention_mask": torch.ones_like(prompt),
        "max_new_tokens": 8,
        "do_sample": False,
    }
    cached = tuned.generate(**arguments, use_cache=True)
    assert cached.shape == (2, 12)
    assert torch.equal(cached, tuned.generate(**arguments, use_cache=False))


@each_pair
def test_gradient_checkpointing_gives_equal_gradients(method, architecture):
    plain, checkpointed = (attached(method, architecture) for _ in range(2))
    recompute_activations(checkpointed)
    for tuned in (plain, checkpointed):
        tuned.train()
        loss(tuned, tokens(2, 6)).backward()
    for name, parameter in checkpointed.trained_parameters().items():
        torch.testing.assert_close(parameter.grad, plain.trained_parameters()[name].grad, rtol=0, atol=1e-12)


@each_pair_compiled
def test_compiled_model_gives_the_same_outputs_and_gradients(method, architecture):
    tuned = attached(method, architecture)
    inputs = tokens(2, 6)
    loss(tuned, inputs).backward()
    expected = {name: parameter.grad.clone() for name, parameter in tuned.trained_parameters().items()}
    tuned.zero_grad()
    torch._dynamo.reset()
    compiled = torch.compile(tuned, backend="aot_eager")
    torch.testing.assert_close(logits(compiled, inputs), logits(tuned, inputs), rtol=0, atol=1e-12)
    loss(compiled, inputs).backward()
    for name, parameter in tuned.trained_parameters().items():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=0, atol=1e-11)


@each_pair
def test_only_methods_in_attention_replace_an_attention_function_that_was_chosen(method, architecture):
    usual = "eager" if architecture == "deberta" else IMPLEMENTATION  # which has no other
    assert attached(method, architecture).model.config._attn_implementation == usual
    chosen = build(architecture)
    chosen.set_attn_implementation("eager")
    tuned = ib.attach(chosen, method, **OPTIONS[method])
    has_parts = any(name.endswith(".tuning") for name, _ in tuned.model.named_modules())
    assert tuned.model.config._attn_implementation == (IMPLEMENTATION if has_parts else "eager")
    assert tuned.detach().config._attn_implementation == "eager"
