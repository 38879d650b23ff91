"""A pooler between the hidden states and a classifier is a part of the head: trained, counted and saved with it."""

import pytest
import torch
import transformers as tf
from helpers.architectures import build, loss, tokens
from safetensors.torch import load_file, save_file

import inducer_bench as ib
from inducer_bench.methods.saved import WEIGHTS_FILE

POOLER = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
CLASSIFIERS = ["roberta", "bert", "distilbert", "gpt2_cls"]


@pytest.mark.parametrize("architecture", CLASSIFIERS)
def test_plm_is_what_hidden_states_depend_on_and_the_head_is_the_rest(architecture):
    model = build(architecture)
    tuned = ib.attach(model, "fine_tune")
    model.base_model(tokens(2, 5)).last_hidden_state.square().sum().backward()
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert reached == set(tuned.plm_parameters())
    assert set(tuned.head_parameters()) == dict(model.named_parameters()).keys() - reached


@pytest.mark.parametrize("kind", ["Bert", "Albert", "FNet", "Ernie", "RemBert", "XLMRoberta"])
def test_pooler_is_found_in_every_architecture_that_has_one(kind):
    """Their classes are built in full size, without memory for weights; XLM-RoBERTa has none."""
    config = getattr(tf, f"{kind}Config")(num_hidden_layers=1)
    with torch.device("meta"):
        model, bare = (getattr(tf, f"{kind}{head}")(config) for head in ("ForSequenceClassification", "Model"))
    counts = ib.attach(model, "head_only").parameter_counts()
    width = config.hidden_size
    pooler = 0 if kind == "XLMRoberta" else width * width + width
    assert counts["plm"] == sum(p.numel() for p in bare.parameters()) - (width * width + width)
    assert counts["head"] == pooler + sum(p.numel() for p in model.classifier.parameters())


def test_base_model_by_itself_has_no_head():
    model = build("bert").bert
    assert ib.attach(model, "fine_tune").head_parameters() == {}


@pytest.mark.parametrize(
    ("method", "train_head"),
    [("head_only", True), ("bitfit", True), ("bitfit", False), ("lora", True), ("lora", False), ("fine_tune", False)],
)
def test_pooler_is_trained_with_the_head_and_only_with_it(method, train_head):
    tuned = ib.attach(build("bert"), method, train_head=train_head)
    assert set(tuned.head_parameters()) == {"classifier.weight", "classifier.bias", *POOLER}
    assert not POOLER & tuned.method_parameters().keys()
    loss(tuned, tokens(2, 5)).backward()
    with_gradient = {name for name, parameter in tuned.model.named_parameters() if parameter.grad is not None}
    assert with_gradient & POOLER == (POOLER if train_head else set())


def test_adapter_from_before_the_pooler_was_saved_has_that_of_the_model(tmp_path):
    tuned = ib.attach(build("bert"), "lora", r=2, alpha=4.0)
    with torch.no_grad():
        for name, parameter in tuned.trained_parameters().items():
            if name not in POOLER:
                parameter.add_(0.1)
    tuned.save(tmp_path)
    expected = tuned(input_ids=tokens(2, 5)).logits
    tensors = load_file(tmp_path / WEIGHTS_FILE)
    assert tensors.keys() >= POOLER
    save_file({name: tensor for name, tensor in tensors.items() if name not in POOLER}, tmp_path / WEIGHTS_FILE)
    assert torch.equal(ib.load(build("bert"), tmp_path)(input_ids=tokens(2, 5)).logits, expected)
    save_file({name: tensor for name, tensor in tensors.items() if "classifier" not in name}, tmp_path / WEIGHTS_FILE)
    with pytest.raises(ib.UserError, match=r"2 tensors differ, first 'classifier\.bias'"):
        ib.load(build("bert"), tmp_path)
