"""A saved adapter is loaded as it was saved; one that is damaged, forged or of another model is refused in one line."""

import json
import math
import os

import pytest
import torch
from helpers.architectures import build, tokens
from helpers.attached import assert_as_built, logits, randomise
from safetensors.torch import load_file, save_file

import inducer_bench as ib
from inducer_bench.errors import UserError

INPUTS = tokens(2, 5)
OPTIONS = {"r_k": 2, "r_v": 3}


@pytest.fixture
def saved(tmp_path):
    tuned = ib.attach(build("roberta"), "inducer", **OPTIONS)
    randomise(tuned)
    tuned.save(tmp_path / "adapter")
    return tmp_path / "adapter"


def refusal(folder, architecture="roberta"):
    """The line with which a folder is refused, after which the model is as it was."""
    model = build(architecture)
    with pytest.raises(UserError) as caught:
        ib.load(model, folder)
    assert_as_built(model, architecture)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def describe(folder, **changes):
    path = folder / "adapter.json"
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not ...}))


def option(folder, **changes):
    describe(folder, options={**json.loads((folder / "adapter.json").read_text())["options"], **changes})


DESCRIPTIONS = {
    "another format": (lambda folder: describe(folder, format=99), "format: found 99; allowed: 1"),
    "no format": (lambda folder: describe(folder, format=...), "format: missing"),
    "another model": (
        lambda folder: describe(folder, model_type="gpt2"),
        "model_type: found 'gpt2'; allowed: 'roberta'",
    ),
    "no options": (lambda folder: describe(folder, options=...), "options: missing"),
    "options of no method": (lambda folder: describe(folder, options={}), "unknown ''"),
    "text for a flag": (lambda folder: describe(folder, train_head="yes"), "train_head: found 'yes'"),
    "fewer than no tokens": (lambda folder: describe(folder, special_tokens=-1), "special_tokens: found -1"),
    "unknown key": (lambda folder: describe(folder, more=1), "more: there is no such key"),
    "unknown option": (lambda folder: option(folder, rv=3), "unknown 'rv'"),
    "impossible rank": (lambda folder: option(folder, r_v=-1), "method.r_v: found -1"),
    "text for a rank": (lambda folder: option(folder, r_v="3"), "method.r_v: found '3'"),
    "huge rank": (lambda folder: option(folder, r_v=1_000_000_000), "too small for the sizes in adapter.json"),
    "huge tokens": (lambda folder: describe(folder, special_tokens=10**9), "too small for the sizes in adapter.json"),
    "another rank": (lambda folder: option(folder, r_v=4), "does not fit this model"),
    "list": (lambda folder: (folder / "adapter.json").write_text("[1]"), "not written by this tool"),
    "empty": (lambda folder: (folder / "adapter.json").write_bytes(b""), "not written by this tool"),
    "not UTF-8": (lambda folder: (folder / "adapter.json").write_bytes(b"\xff"), "not written by this tool"),
    "deep": (lambda folder: (folder / "adapter.json").write_text("[" * 100_000), "nested too deeply"),
    "NaN": (lambda folder: (folder / "adapter.json").write_text('{"format": NaN}'), "NaN is not a JSON value"),
    "gone": (lambda folder: (folder / "adapter.json").unlink(), "allowed: a folder that tuned.save has written"),
}


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_description_that_does_not_fit_is_refused_in_one_line(saved, case):
    change, part = DESCRIPTIONS[case]
    change(saved)
    assert part in refusal(saved)


def test_description_that_is_a_pipe_is_refused_at_once(saved):
    (saved / "adapter.json").unlink()
    os.mkfifo(saved / "adapter.json")
    assert "not a regular file" in refusal(saved)


def with_value(folder, value):
    tensors = load_file(folder / "adapter.safetensors")
    tensors[sorted(tensors)[0]].view(-1)[-1] = value
    save_file(tensors, folder / "adapter.safetensors")


WEIGHTS = {
    "gone": (lambda path: path.unlink(), "not there"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "not there, or not a file"),
    "pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "not there, or not a file"),
    "empty": (lambda path: path.write_bytes(b""), "too small"),
    "short": (lambda path: path.write_bytes(path.read_bytes()[:-4]), "not a whole file of weights"),
    "garbage": (lambda path: path.write_bytes(bytes(range(256)) * 100), "not a whole file of weights"),
    "pickle": (lambda path: torch.save({}, path), ""),
    "NaN": (lambda path: with_value(path.parent, math.nan), "is not finite"),
    "infinite": (lambda path: with_value(path.parent, -math.inf), "is not finite"),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights_that_are_damaged_are_refused_in_one_line(saved, case):
    change, part = WEIGHTS[case]
    change(saved / "adapter.safetensors")
    assert part in refusal(saved)


def test_huge_rank_of_a_method_of_peft_is_refused_in_one_line(tmp_path):
    tuned = ib.attach(build("gpt2"), "peft", peft_type="LORA", config={"r": 2, "target_modules": ["c_attn"]})
    tuned.save(tmp_path)
    option(tmp_path, config={"r": 10**12, "target_modules": ["c_attn"]})
    assert "cannot be attached" in refusal(tmp_path, "gpt2")


def test_prefix_in_its_form_for_training_is_refused(tmp_path):
    ib.attach(build("roberta"), "prefix", length=2, hidden=4).save(tmp_path)
    option(tmp_path, reparameterize=True, hidden=65536)
    assert "expected those of its deployed form" in refusal(tmp_path)


def test_model_of_another_architecture_is_refused(saved):
    assert "model_type: found 'roberta'; allowed: 'gpt2'" in refusal(saved, "gpt2")


def test_adapter_that_was_refused_leaves_the_model_free_for_another(saved, tmp_path):
    other = tmp_path / "other"
    tuned = ib.attach(build("roberta"), "inducer", **OPTIONS)
    tuned.save(other)
    expected = logits(tuned, INPUTS)
    with_value(saved, math.nan)
    model = build("roberta")
    with pytest.raises(UserError):
        ib.load(model, saved)
    assert torch.equal(logits(ib.load(model, other), INPUTS), expected)
