"""Ranks are bounded by the map they change: by one check and in the same words, in Python and on the command line."""

import dataclasses

import pytest
import torch
from helpers.architectures import build

import inducer_bench as ib
from inducer_bench.config.choices import choices
from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.methods.architectures import sizes
from inducer_bench.methods.budget import check_ranks, value_of
from inducer_bench.methods.options import SHIPPED, InducerOptions, MethodOptions, Rank
from inducer_bench.options import options

S = sizes({"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64})


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("inducer", {"r_k": 400, "r_v": 2}, r"method\.r_k: found 400; allowed: 0 to \d+, the head width of this PLM"),
        ("lora", {"r": 99_999, "alpha": 1.0}, r"method\.r: found 99999; allowed: 1 to \d+, the width of this PLM"),
        ("adapter", {"r": 10_000}, r"method\.r: found 10000; allowed: 1 to \d+, the width of the FFN of this PLM"),
    ],
)
def test_rank_beyond_the_model_is_refused_from_python_and_leaves_the_model_as_it_was(method, given, message):
    model = build("roberta")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UserError, match=message):
        ib.attach(model, method, **given)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    ib.attach(model, "lora", r=2, alpha=4.0).detach()


def test_command_line_says_the_same():
    with pytest.raises(UserError) as configured:
        compose(["preset=mini", "task=sst2", "method=lora", "method.r=129"])
    config = compose(["preset=mini", "task=sst2", "method=lora", "method.r=128"])
    with pytest.raises(UserError) as attached:
        check_ranks(dataclasses.replace(config.method, r=129), sizes({**_bundled(), "hidden_size": 128}))
    assert str(configured.value) == str(attached.value)


def _bundled():
    return {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 512}


def test_each_bound_is_reached_and_not_passed():
    check_ranks(InducerOptions(r_k=8, r_v=64), S)
    for key, beyond in (("r_k", 9), ("r_v", 65)):
        with pytest.raises(UserError, match=f"method.{key}: found {beyond}"):
            check_ranks(InducerOptions(**{"r_k": 8, "r_v": 64, key: beyond}), S)


def test_rank_of_a_method_from_outside_has_a_bound_only_if_it_says_so():
    @options
    class Unbounded(MethodOptions):
        r: int
        shipped_as = "unbounded"
        ranks = (Rank(("r",)),)

    check_ranks(Unbounded(r=10**6), S)


@pytest.mark.parametrize("method", [name for name in choices("method") if name not in ("own", "peft")])
@pytest.mark.parametrize("task", ["sst2", "webnlg"])
def test_published_settings_are_within_the_bounds(method, task):
    for preset in ([], ["preset=mini"]):
        config = compose([*preset, f"task={task}", f"method={method}"])
        assert all(value_of(config.method, rank) >= 1 for rank in config.method.ranks)


def test_every_rank_of_a_shipped_method_has_a_bound():
    assert all(rank.within is not None for kind in SHIPPED for rank in kind.ranks)
