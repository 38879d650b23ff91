"""LoRA, IA3 and prefix-tuning against the `peft` library, where both are well defined."""

import peft
import pytest
import torch
from helpers.architectures import build, tokens

import inducer_bench as ib


def randomised(parameters):
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(torch.randn_like(parameter) * 0.3)


def logits(model, inputs):
    with torch.no_grad():
        return model(input_ids=inputs).logits


def test_lora_equals_peft_with_the_same_weights():
    ours = ib.attach(build("roberta"), "lora", r=2, alpha=6.0, targets=["q", "v", "ffn"])
    randomised(ours.method_parameters().values())
    names = ["query", "value", "intermediate.dense", "output.dense"]
    config = peft.LoraConfig(r=2, lora_alpha=6, target_modules=names, exclude_modules=".*attention.output.dense")
    theirs = peft.get_peft_model(build("roberta"), config).eval()
    modules = dict(theirs.base_model.model.named_modules())
    with torch.no_grad():
        for name, parameter in ours.method_parameters().items():
            host, _, letter = name.partition(".lora_")[0], None, name[-1]
            getattr(modules[host], f"lora_{letter}")["default"].weight.copy_(parameter)
    inputs = tokens(3, 7)
    torch.testing.assert_close(logits(ours, inputs), logits(theirs, inputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("architecture", ["roberta", "gpt2", "llama"])
def test_merged_lora_gives_the_same_outputs_without_this_tool(architecture):
    tuned = ib.attach(build(architecture), "lora", r=2, alpha=6.0, targets=["q", "k", "v", "o", "ffn"])
    randomised(tuned.method_parameters().values())
    inputs = tokens(3, 7)
    expected = logits(tuned, inputs)
    merged = tuned.merge()
    assert merged.state_dict().keys() == build(architecture).state_dict().keys()
    torch.testing.assert_close(logits(merged, inputs), expected, rtol=0, atol=1e-11)


def test_method_that_changes_attention_cannot_be_merged():
    tuned = ib.attach(build("roberta"), "inducer", r_k=2, r_v=1)
    with pytest.raises(ib.errors.UserError, match="'inducer' cannot be merged"):
        tuned.merge()


def test_prefix_equals_peft_on_a_decoder_with_the_positions_that_peft_shifts():
    """peft puts prefixes into the KV cache, which shifts positions by L; ours gets shifted positions explicitly."""
    length, width = 3, 16
    ours = ib.attach(build("gpt2"), "prefix", length=length, reparameterize=False)
    randomised(ours.method_parameters().values())
    config = peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=length)
    theirs = peft.get_peft_model(build("gpt2"), config).double().eval()
    table = torch.cat([p.detach() for p in ours.method_parameters().values()], dim=1)  # (L, layers * 2 d)
    with torch.no_grad():
        theirs.prompt_encoder["default"].embedding.weight.copy_(table)
    assert table.shape == (length, 2 * 2 * width)
    inputs = tokens(2, 6)
    positions = torch.arange(length, length + 6).expand(2, 6)
    with torch.no_grad():
        shifted = ours(input_ids=inputs, position_ids=positions).logits
    torch.testing.assert_close(shifted, logits(theirs, inputs), rtol=0, atol=1e-12)
    assert not torch.allclose(logits(ours, inputs), shifted)


def test_bridge_gives_what_peft_gives():
    config = {"target_modules": ["query", "value"], "feedforward_modules": []}
    ours = ib.attach(build("roberta"), "peft", peft_type="ia3", config=config)
    theirs = peft.get_peft_model(build("roberta"), peft.IA3Config(**config)).eval()
    for model in (ours, theirs):
        randomised(p for name, p in model.named_parameters() if "ia3" in name)
    inputs = tokens(3, 7)
    torch.testing.assert_close(logits(ours, inputs), logits(theirs, inputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["LORA", "VERA", "IA3", "ADALORA", "OFT"])
def test_bridge_attaches_and_detaches_what_peft_can_inject(kind):
    model, untouched = build("roberta"), build("roberta")
    config = {"target_modules": ["query", "value"]} | ({"feedforward_modules": []} if kind == "IA3" else {})
    config |= {"r": 4, "oft_block_size": 0} if kind == "OFT" else {}
    config |= {"total_step": 10} if kind == "ADALORA" else {}
    tuned = ib.attach(model, "peft", peft_type=kind, config=config)
    assert tuned.parameter_counts()["method"] > 0
    restored = tuned.detach()
    expected = untouched.state_dict()
    assert restored.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in restored.state_dict().items())


def test_type_that_peft_does_not_have_is_rejected_with_the_nearest():
    with pytest.raises(ib.errors.UserError, match="unknown 'LORRA'; did you mean 'LORA'"):
        ib.attach(build("roberta"), "peft", peft_type="LORRA")
