"""What a tuned model does as its model would, or refuses in one line: losses, caches, saving, probabilities."""

import shlex
from pathlib import Path

import pytest
import torch
from helpers.architectures import DECODERS, VOCABULARY, build, loss, tokens
from helpers.attached import assert_as_built, logits, randomise
from helpers.method_options import OPTIONS
from torch.nn import functional as F
from transformers import DynamicCache, StaticCache

import inducer_bench as ib
from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.methods.kernels import ExplicitAttention, FusedAttention

SQRT = {"r_k": 0, "r_v": 2, "sqrt_position": True}


@pytest.mark.parametrize("architecture", DECODERS)
def test_model_s_own_loss_counts_special_tokens(architecture):
    tuned = ib.attach(build(architecture), "lora", special_tokens=3, r=2, alpha=4.0)
    ids = tokens(2, 6)
    ids[0, 2], ids[1, 5] = VOCABULARY, VOCABULARY + 2
    found = tuned(input_ids=ids, labels=ids)
    expected = F.cross_entropy(found.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert found.loss.item() == pytest.approx(expected.item(), rel=1e-6)
    model = tuned.detach()
    assert (model.config.vocab_size, getattr(model, "vocab_size", VOCABULARY)) == (VOCABULARY, VOCABULARY)


@pytest.mark.parametrize("kind", ["static", "sliding", "dynamic"])
def test_sqrt_position_counts_the_tokens_that_a_cache_has_seen(kind):
    model = build("mistral")
    model.config.sliding_window = 4 if kind == "sliding" else None
    tuned = ib.attach(model, "inducer", **SQRT)
    randomise(tuned)
    inputs, pieces = tokens(2, 9), []
    cache = (
        StaticCache(config=model.config, max_cache_len=20) if kind == "static" else DynamicCache(config=model.config)
    )
    for piece in (inputs[:, :3], inputs[:, 3:7], inputs[:, 7:8], inputs[:, 8:]):
        with torch.no_grad():
            pieces.append(tuned(input_ids=piece, past_key_values=cache, use_cache=True).logits)
    torch.testing.assert_close(torch.cat(pieces, dim=1), logits(tuned, inputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["prefix", "kernel_mix", "inducer_ffn", "lora"])
def test_static_cache_gives_what_the_full_forward_gives(method):
    tuned = ib.attach(build("llama"), method, **OPTIONS[method])
    randomise(tuned)
    inputs, cache = tokens(2, 7), StaticCache(config=tuned.model.config, max_cache_len=12)
    with torch.no_grad():
        pieces = [tuned(input_ids=piece, past_key_values=cache).logits for piece in inputs.split([4, 1, 2], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), logits(tuned, inputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", [ExplicitAttention, FusedAttention])
def test_second_derivative_is_refused(form):
    query, key, value = torch.randn(3, 1, 2, 4, 8, dtype=torch.float64).requires_grad_().unbind()
    f, *_ = form.apply(query, key, value, None, 0.5, 0.0)
    (first,) = torch.autograd.grad((f**2).sum(), query, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@pytest.mark.parametrize("method", ["lora", "inducer", "prefix", "peft"])
def test_save_pretrained_of_a_tuned_model_says_what_to_call(method, tmp_path):
    tuned = ib.attach(build("roberta"), method, **OPTIONS[method])
    for save in (tuned.save_pretrained, tuned.model.save_pretrained, tuned.model.base_model.save_pretrained):
        with pytest.raises(UserError, match=r"save_pretrained: found a model with .*; allowed: tuned\.save\(folder\)"):
            save(tmp_path)
    assert not list(tmp_path.iterdir())
    model = tuned.detach()
    model.save_pretrained(tmp_path)
    assert_as_built(model)
    again = type(model).from_pretrained(tmp_path)
    assert torch.allclose(logits(again, tokens(1, 5)), logits(model, tokens(1, 5)), rtol=0, atol=1e-12)


def test_method_that_adds_no_parts_is_saved_by_transformers(tmp_path):
    tuned = ib.attach(build("roberta"), "fine_tune")
    randomise(tuned)
    tuned.save_pretrained(tmp_path)
    again = type(tuned.model).from_pretrained(tmp_path)
    assert torch.allclose(logits(again, tokens(1, 5)), logits(tuned, tokens(1, 5)), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("method", "attention"), [("inducer", "eager"), ("prefix", "sdpa"), ("lora", "sdpa")])
def test_probabilities_that_no_kernel_keeps_are_refused(method, attention):
    model = build("roberta")
    model.set_attn_implementation(attention)
    tuned = ib.attach(model, method, **OPTIONS[method])
    with pytest.raises(UserError, match="output_attentions: found True; allowed: False with a method in attention"):
        tuned(input_ids=tokens(1, 5), output_attentions=True)
    assert_as_built(tuned.detach()) if attention == "sdpa" else None


def test_probabilities_of_an_eager_model_are_returned():
    model = build("roberta")
    model.set_attn_implementation("eager")
    tuned = ib.attach(model, "lora", **OPTIONS["lora"])
    attentions = tuned(input_ids=tokens(1, 5), output_attentions=True).attentions
    assert [a.shape for a in attentions] == [(1, 4, 5, 5)] * 2


@pytest.mark.parametrize("method", OPTIONS)
def test_methods_run_on_the_meta_device(method):
    tuned = ib.attach(build("roberta").to("meta"), method, **OPTIONS[method])
    tuned.train()(input_ids=tokens(2, 5).to("meta")).logits.sum().backward()
    assert all(parameter.grad.is_meta for parameter in tuned.trained_parameters().values())


def test_command_printed_in_peft_yaml_works_as_printed():
    lines = Path(__file__).parents[2].joinpath("conf/method/peft.yaml").read_text().splitlines()
    commands = [shlex.split(line.lstrip("# ")) for line in lines if line.startswith("#   inducer-bench ")]
    assert commands
    for _, *overrides in commands:
        options = compose(overrides).method
        tuned = ib.attach(build("roberta"), options)
        loss(tuned, tokens(2, 5)).backward()
        assert_as_built(tuned.detach())
