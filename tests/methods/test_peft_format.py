"""An adapter in peft's format is loaded by `peft` itself and gives the same outputs."""

import json

import peft
import pytest
import torch
from helpers.architectures import DECODERS, VOCABULARY, build, tokens
from safetensors.torch import save_file

import inducer_bench as ib
from inducer_bench.methods import peft_format

TARGETS = ["q", "k", "v", "o", "ffn"]
CASES = {
    "two of three maps in one module": ("gpt2_cls", {"targets": ["q", "v"]}),
    "biases in one module": ("gpt2_cls", {"targets": ["q", "v"], "bias": True}),
    "all maps, ranks that differ": ("gpt2", {"targets": TARGETS}),
    "one map per module": ("roberta", {"targets": ["q", "v", "ffn"], "bias": True}),
    "a head of two layers": ("distilbert", {"targets": TARGETS}),
    "a pooler in the base model": ("bert", {"targets": TARGETS}),
    "grouped queries, gated FFN": ("llama", {"targets": TARGETS}),
}


def randomised(parameters):
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(torch.randn_like(parameter) * 0.3)


def through_peft(tuned, architecture, folder):
    config, tensors = peft_format.to_peft(tuned, "base")
    (folder / peft_format.CONFIG_FILE).write_text(json.dumps(config))
    save_file(tensors, folder / peft_format.WEIGHTS_FILE)
    return peft.PeftModel.from_pretrained(build(architecture), folder).double().eval()


def check_equal(tuned, loaded):
    inputs = tokens(3, 7)
    with torch.no_grad():
        expected, found = tuned(input_ids=inputs).logits, loaded(input_ids=inputs).logits
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("architecture", "options"), CASES.values(), ids=CASES)
@pytest.mark.filterwarnings("error::UserWarning:peft")
def test_lora_is_loaded_by_peft(architecture, options, tmp_path):
    tuned = ib.attach(build(architecture), "lora", r=2, alpha=6.0, **options)
    randomised(tuned.trained_parameters().values())  # the head as well
    check_equal(tuned, through_peft(tuned, architecture, tmp_path))


@pytest.mark.parametrize("kind", ["IA3", "VERA", "LORA"])
def test_method_of_peft_is_loaded_by_peft(kind, tmp_path):
    config = {"target_modules": ["query", "value"]} | ({"feedforward_modules": []} if kind == "IA3" else {})
    config |= {"use_dora": True} if kind == "LORA" else {}
    tuned = ib.attach(build("roberta"), "peft", peft_type=kind, config=config)
    randomised(tuned.trained_parameters().values())
    check_equal(tuned, through_peft(tuned, "roberta", tmp_path))


SPECIAL = 3


@pytest.mark.parametrize("architecture", DECODERS)
@pytest.mark.parametrize("of_peft", [False, True])
@pytest.mark.filterwarnings("error::UserWarning:peft")
def test_rows_of_special_tokens_are_loaded_by_peft_into_larger_embeddings(architecture, of_peft, tmp_path):
    """With embeddings that are tied and those that are not; GPT-2 adds those of segments as well."""
    options = {"r": 2, "alpha": 6.0}
    if of_peft:
        target = {"target_modules": "all-linear", "fan_in_fan_out": architecture == "gpt2"}
        options = {"peft_type": "LORA", "config": target}
    tuned = ib.attach(build(architecture), "peft" if of_peft else "lora", special_tokens=SPECIAL, **options)
    randomised(tuned.trained_parameters().values())
    config, tensors = peft_format.to_peft(tuned, "base")
    (tmp_path / peft_format.CONFIG_FILE).write_text(json.dumps(config))
    save_file(tensors, tmp_path / peft_format.WEIGHTS_FILE)
    model = build(architecture)
    model.resize_token_embeddings(VOCABULARY + SPECIAL, mean_resizing=False)
    loaded = peft.PeftModel.from_pretrained(model, tmp_path).double().eval()
    ids = torch.tensor([[3, VOCABULARY, 5, VOCABULARY + 2, 6], [VOCABULARY + 1, 4, 3, 2, 8]])
    segments = {"token_type_ids": ids.flip(1)} if architecture == "gpt2" else {}
    with torch.no_grad():
        expected, found = (model(input_ids=ids, **segments).logits for model in (tuned, loaded))
    assert found.shape[-1] == VOCABULARY + SPECIAL
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def test_names_of_outputs_stand_beside_the_class_of_the_model():
    config, _ = peft_format.to_peft(ib.attach(build("roberta"), "lora", r=2, alpha=2.0), "base", ["no", "yes"])
    assert config["auto_mapping"]["id2label"] == {0: "no", 1: "yes"}
    assert config["auto_mapping"]["base_model_class"] == "RobertaForSequenceClassification"


def test_method_that_peft_lacks_has_no_such_form():
    assert not peft_format.has_peft_form(ib.attach(build("roberta"), "inducer", r_k=2, r_v=1))


@pytest.mark.parametrize("architecture", ["roberta", "bert"])  # classifier.dense, bert.pooler.dense
def test_method_of_peft_inside_the_head_has_no_such_form(architecture):
    for targets, inside in (("dense", True), ("query", False)):
        config = {"target_modules": [targets]}
        tuned = ib.attach(build(architecture), "peft", peft_type="LORA", config=config)
        assert peft_format.has_peft_form(tuned) is not inside


def test_biased_lora_that_does_not_fit_one_map_merges_none():
    """Qwen2 has biases on Q, K and V, and none on O."""
    model, untouched = build("qwen2"), build("qwen2").state_dict()
    tuned = ib.attach(model, "lora", r=2, alpha=4.0, targets=["q", "o"], bias=True)
    randomised(tuned.method_parameters().values())
    with pytest.raises(ib.errors.UserError, match=r"method.bias: .* has none"):
        tuned.merge()
    assert all(torch.equal(value, untouched[name]) for name, value in tuned.detach().state_dict().items())
