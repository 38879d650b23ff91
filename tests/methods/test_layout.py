"""An architecture that the package does not know, with a layout of the user's."""

import json
import re
from dataclasses import replace

import pytest
import torch
import transformers as tf
from helpers.architectures import PAD, VOCABULARY, build, tokens
from helpers.attached import logits, randomise

import inducer_bench as ib
from inducer_bench.errors import UserError
from inducer_bench.methods.architectures import LAYOUTS, sizes
from inducer_bench.methods.tuned import ATTACHED

_SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 24, "max_position_embeddings": 40, "pad_token_id": PAD,
    "bos_token_id": 0, "eos_token_id": None,
}  # fmt: skip
_PROJECTIONS = [f"self_attn.{letter}_proj" for letter in "qkv"]
OUTSIDE = {
    "gemma": (
        lambda: tf.GemmaForCausalLM(tf.GemmaConfig(**_SIZES, head_dim=6)),
        ib.Layout(
            layers="layers", attention="self_attn", projections=_PROJECTIONS, output="self_attn.o_proj",
            ffn_up=["mlp.gate_proj", "mlp.up_proj"], ffn_down="mlp.down_proj",
        ),
    ),
    "phi": (
        lambda: tf.PhiForCausalLM(tf.PhiConfig(**_SIZES)),
        ib.Layout(
            layers="layers", attention="self_attn", projections=_PROJECTIONS, output="self_attn.dense",
            ffn_up=["mlp.fc1"], ffn_down="mlp.fc2",
        ),
    ),
}  # fmt: skip
ON_THEM = {
    "lora": {"r": 2, "alpha": 4.0, "targets": ["q", "k", "v", "o", "ffn"]},
    "adapter": {"r": 3},
    "inducer": {"r_k": 3, "r_v": 2},
    "prefix": {"length": 3, "hidden": 5},
}
each_method = pytest.mark.parametrize("method", ON_THEM)
each_outside = pytest.mark.parametrize("architecture", OUTSIDE)


def build_outside(architecture):
    torch.manual_seed(0)
    return OUTSIDE[architecture][0]().double().eval()


@each_outside
@each_method
def test_layout_lets_a_method_be_attached_to_an_unknown_architecture(architecture, method, tmp_path):
    assert architecture not in LAYOUTS
    layout, options, inputs = OUTSIDE[architecture][1], ON_THEM[method], tokens(2, 6)
    plain = logits(build_outside(architecture), inputs)
    tuned = ib.attach(build_outside(architecture), method, layout=layout, **options)
    counted = tuned.parameter_counts()["method"]
    assert counted == tuned.options.parameters(sizes(tuned.model.config.to_dict(), layout))
    assert torch.allclose(logits(tuned, inputs), plain, rtol=0, atol=1e-6) == (method in ("lora", "adapter"))
    randomise(tuned)
    changed = logits(tuned, inputs)
    assert not torch.allclose(changed, plain)

    tuned.save(tmp_path)
    again = ib.load(build_outside(architecture), tmp_path)
    assert again.layout == layout
    assert torch.equal(logits(again, inputs), changed)
    assert torch.equal(logits(tuned.detach(), inputs), plain)


@each_outside
def test_inducers_without_gates_and_values_are_the_identity_on_an_unknown_architecture(architecture):
    """Zero value MLPs add nothing after W_O: the rest of the attention path must be transformers' own."""
    tuned = ib.attach(build_outside(architecture), "inducer", r_k=3, r_v=2, layout=OUTSIDE[architecture][1])
    with torch.no_grad():
        for name, parameter in tuned.method_parameters().items():
            if name.endswith(("B_v", "b_B")):
                parameter.zero_()
    inputs = tokens(2, 6)
    plain = logits(build_outside(architecture), inputs)
    torch.testing.assert_close(logits(tuned, inputs), plain, rtol=0, atol=1e-6)  # RMSNorm and rotation are in float32


def test_unknown_architecture_without_a_layout_is_rejected_with_what_to_give():
    with pytest.raises(UserError, match=r"no layout is known for model type 'phi'.*`layout=` from Python"):
        ib.attach(build_outside("phi"), "lora", r=2, alpha=4.0)


def test_layout_with_a_wrong_name_is_rejected_with_the_nearest():
    layout = ib.Layout(
        layers="layers", attention="self_attn", projections=_PROJECTIONS, output="self_attn.dens",
        ffn_up=["mlp.fc1"], ffn_down="mlp.fc2",
    )  # fmt: skip
    model = build_outside("phi")
    with pytest.raises(UserError, match=r"layout\.output: found 'self_attn\.dens'; did you mean 'self_attn\.dense'\?"):
        ib.attach(model, "lora", r=2, alpha=4.0, layout=layout)
    assert ATTACHED not in model.__dict__


def test_folder_saved_before_layouts_were_saved_is_loaded(tmp_path):
    tuned = ib.attach(build("roberta"), "lora", r=2, alpha=4.0)
    randomise(tuned)
    tuned.save(tmp_path)
    file = tmp_path / "adapter.json"
    description = json.loads(file.read_text())
    assert description.pop("layout") is None
    file.write_text(json.dumps(description))
    assert torch.equal(logits(ib.load(build("roberta"), tmp_path), tokens(2, 5)), logits(tuned, tokens(2, 5)))


@pytest.mark.parametrize("kind", ["XLMRoberta", "Camembert"])
def test_models_laid_out_as_roberta_are_tuned_as_it(kind):
    roberta = build("roberta")
    config = getattr(tf, f"{kind}Config")(**{**_SIZES, "num_labels": 3, "type_vocab_size": 1})
    other = getattr(tf, f"{kind}ForSequenceClassification")(config).double().eval()
    other.load_state_dict(roberta.state_dict())
    options = {"r_k": 3, "r_v": 2, "lora": {"r": 2, "alpha": 4.0, "targets": ["q"]}, "adapter": {"r": 3}}
    expected, found = (ib.attach(model, "inducer_ffn", **options) for model in (roberta, other))
    randomise(expected)
    with torch.no_grad():
        for name, parameter in found.trained_parameters().items():
            parameter.copy_(expected.trained_parameters()[name])
    assert torch.equal(logits(found, tokens(2, 6)), logits(expected, tokens(2, 6)))


@pytest.mark.parametrize(
    ("method", "changes", "told"),
    [
        (
            "prefix",
            {"attention": "mlp"},
            "layout: what PhiForCausalLM computes does not depend on 'model.layers.0.mlp.",
        ),
        ("inducer", {"attention": "mlp"}, "layout: 'inducer' fails in the modules that it names (AssertionError: "),
        (
            "lora",
            {"output": "input_layernorm"},
            "layout.output: found 'input_layernorm', a LayerNorm; allowed: a linear",
        ),
        (
            "adapter",
            {"ffn_up": ["mlp.activation_fn"]},
            "layout.ffn_up: found 'mlp.activation_fn', a NewGELUActivation;",
        ),
    ],
)
def test_layout_with_modules_that_are_there_and_are_others_is_refused(method, changes, told):
    model = build_outside("phi")
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    with pytest.raises(UserError, match=re.escape(told)):
        ib.attach(model, method, layout=replace(OUTSIDE["phi"][1], **changes), **ON_THEM[method])
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())


def test_layout_has_as_many_names_as_there_can_be():
    for changes in ({"projections": ["a", "b"]}, {"ffn_up": []}):
        with pytest.raises(UserError, match=f"{next(iter(changes))}"):
            replace(OUTSIDE["phi"][1], **changes)
