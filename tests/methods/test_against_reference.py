"""Every method, in values and gradients, against `helpers/reference.py`; padding on either side changes nothing."""

from itertools import product

import pytest
import torch
from helpers.reference import Reference
from torch import nn
from transformers import GPT2Config, GPT2Model, RobertaConfig, RobertaModel

import inducer_bench as ib

LAYERS, HEADS, PAD = 2, 3, 1
SENTENCES = [[0, 7, 3, 9, 12, 2], [0, 5, 11, 2], [8]]
PADDING = {"roberta": ["none", "right"], "gpt2": ["none", "right", "left"]}

INDUCER = {"r_k": 3, "r_v": 2, "extension": True, "share_output": False, "gate": True, "value_residual": True,
           "sqrt_position": False, "key_residual": "query", "self_temperature": 1.0,
           "gate_before_mask": False}  # fmt: skip
LORA = {"r": 2, "alpha": 3.0, "targets": ["q"], "bias": True}
ADAPTER = {"r": 5, "sites": ["ffn"], "placement": "parallel", "scale": 1.7, "layer_norm": "none"}
PREFIX = {"length": 2, "reparameterize": False}
REPARAMETERIZED = {"length": 2, "reparameterize": True, "hidden": 5}
KERNEL_MIX = {"q": 1, "q_shared": 3, "v_o": 2, "v_o_shared": 4}

# Combination of parts -> name of the method.
METHOD = {("inducer", "lora"): "inducer_lora", ("inducer", "lora", "adapter"): "inducer_ffn",
          ("prefix", "adapter"): "mam"}  # fmt: skip
CASES = {
    "lora": {"lora": LORA | {"targets": ["q", "k", "v", "o", "ffn"]}},
    "prefix": {"prefix": PREFIX},
    "prefix-reparameterized": {"prefix": REPARAMETERIZED},
    "kernel_mix": {"kernel_mix": KERNEL_MIX},
    "kernel_mix-other_ranks": {"kernel_mix": {"q": 3, "q_shared": 1, "v_o": 1, "v_o_shared": 2}},
    "mam": {"prefix": PREFIX, "adapter": ADAPTER},
    "mam-reparameterized": {"prefix": REPARAMETERIZED, "adapter": ADAPTER | {"layer_norm": "before"}},
    "inducer": {"inducer": INDUCER},
    "inducer-no_key_mlp": {"inducer": INDUCER | {"r_k": 0}},
    "inducer-shared_output": {"inducer": INDUCER | {"share_output": True}},
    "inducer-inside_the_head": {"inducer": INDUCER | {"extension": False}},
    "inducer-no_gate": {"inducer": INDUCER | {"gate": False}},
    "inducer-no_value_residual": {"inducer": INDUCER | {"value_residual": False}},
    "inducer-attended_key": {"inducer": INDUCER | {"key_residual": "attended"}},
    "inducer-temperature": {"inducer": INDUCER | {"self_temperature": 3.0}},
    "inducer_lora": {"inducer": INDUCER, "lora": LORA},
    "inducer_lora-no_bias": {"inducer": INDUCER | {"r_k": 2}, "lora": LORA | {"bias": False}},
    "inducer_lora-inside_the_head": {"inducer": INDUCER | {"extension": False}, "lora": LORA | {"targets": ["q", "v"]}},
    "inducer_ffn-nlu": {"inducer": INDUCER, "lora": LORA | {"bias": False}, "adapter": ADAPTER},
    "inducer_ffn-nlg": {"inducer": INDUCER, "lora": LORA, "adapter": ADAPTER | {"layer_norm": "before"}},
    "adapter-houlsby": {"adapter": ADAPTER | {"placement": "sequential", "sites": ["attention", "ffn"]}},
}
CASES |= {
    f"adapter-{placement}-{site}-{layer_norm}": {
        "adapter": ADAPTER | {"placement": placement, "sites": [site], "layer_norm": layer_norm}
    }
    for placement, site, layer_norm in product(
        ["pfeiffer", "sequential", "parallel"], ["ffn", "attention"], ["none", "before"]
    )
    if (placement, site) != ("parallel", "attention")
}
each_architecture = pytest.mark.parametrize("architecture", PADDING)


def tiny_plm(architecture):
    """A base model without head or pooler; d = 12, H = 3, p = 4 and the FFN's 20 all differ."""
    if architecture == "roberta":
        config = RobertaConfig(
            vocab_size=13, hidden_size=12, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=20,
            max_position_embeddings=9, type_vocab_size=1, pad_token_id=PAD, layer_norm_eps=1e-5,
        )  # fmt: skip
        return RobertaModel(config, add_pooling_layer=False).double().eval()
    config = GPT2Config(vocab_size=13, n_embd=12, n_layer=LAYERS, n_head=HEADS, n_inner=20, n_positions=8)
    return GPT2Model(config).double().eval()


def tuned_plm(architecture, parts, method=None):
    """The tiny PLM with these parts, all its weights N(0, 0.3), those of LayerNorms about 1."""
    method = method or METHOD.get(tuple(parts)) or next(iter(parts))
    nested = dict(parts)
    options = {} if method == "mam" or not parts else nested.pop(next(iter(parts)))
    tuned = ib.attach(tiny_plm(architecture), method, **options, **nested)
    torch.manual_seed(0)
    with torch.no_grad():
        for module in tuned.model.modules():
            for parameter in module.parameters(recurse=False):
                parameter.copy_(torch.randn_like(parameter) * 0.3)
            if isinstance(module, nn.LayerNorm):
                module.weight.add_(1.0)
    return tuned


def batches(side):
    """SENTENCES as the arguments of forward passes, and where each sentence's tokens are in their outputs."""
    if side == "none":  # one by one, without a mask
        return [({"input_ids": torch.tensor([ids])}, [(0, slice(0, len(ids)))]) for ids in SENTENCES]
    width = max(map(len, SENTENCES))
    at = [slice(width - len(ids), width) if side == "left" else slice(0, len(ids)) for ids in SENTENCES]
    input_ids, mask = torch.full((len(at), width), PAD), torch.zeros(len(at), width, dtype=torch.long)
    for row, ids in enumerate(SENTENCES):
        input_ids[row, at[row]], mask[row, at[row]] = torch.tensor(ids), 1
    return [({"input_ids": input_ids, "attention_mask": mask}, list(enumerate(at)))]


def outputs(tuned, architecture, side):
    """Hidden states (tokens, d) of all SENTENCES, one after the other."""
    states = []
    for inputs, positions in batches(side):
        if side != "none" and architecture == "gpt2":
            inputs["position_ids"] = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        hidden = tuned(**inputs).last_hidden_state
        states += [hidden[position] for position in positions]
    return torch.cat(states)


def reference_of(architecture, tuned, parts):
    """The reference with copies of the model's weights; name -> those of them that the method trains."""
    weights = {name: parameter.detach().clone() for name, parameter in tuned.model.named_parameters()}
    trained = {name: weights[name].requires_grad_() for name in tuned.method_parameters()}
    return Reference(architecture, weights, LAYERS, HEADS, parts), trained


def values_and_gradients(states, parameters):
    """Name -> tensor: the states (tokens, d), and the gradients of their sum with a weight for each entry."""
    total = (states.flatten() * torch.arange(states.numel()).sin()).sum()
    return {"states": states} | dict(zip(parameters, torch.autograd.grad(total, [*parameters.values()]), strict=True))


def assert_equal(got, wanted, note):
    """Hidden states to 1e-12, gradients to 1e-10."""
    assert got.keys() == wanted.keys()
    for name, tensor in got.items():
        torch.testing.assert_close(
            tensor, wanted[name], rtol=0, atol=1e-12 if name == "states" else 1e-10,
            msg=lambda text, name=name: f"{note}, {name}: {text}",
        )  # fmt: skip


def check(architecture, tuned, parts, sides=None):
    """Our model, on batches padded in several ways, against the reference, which reads one sentence at a time."""
    reference, trained = reference_of(architecture, tuned, parts)
    wanted = values_and_gradients(torch.cat([reference(ids) for ids in SENTENCES]), trained)
    for side in sides or PADDING[architecture]:
        got = values_and_gradients(outputs(tuned, architecture, side), tuned.method_parameters())
        assert_equal(got, wanted, f"padding {side}")


@each_architecture
@pytest.mark.parametrize("method", ["fine_tune", "bitfit"])
def test_reference_is_the_plm_itself_where_a_method_adds_nothing(architecture, method):
    check(architecture, tuned_plm(architecture, {}, method), {})


@each_architecture
@pytest.mark.parametrize("parts", CASES.values(), ids=CASES)
def test_hidden_states_and_gradients_equal_the_equations(architecture, parts):
    check(architecture, tuned_plm(architecture, parts), parts)


@each_architecture
def test_self_score_grows_with_the_root_of_the_position(architecture):
    """Positions are counted in the row, so that left padding counts, as in the released code."""
    parts = {"inducer": INDUCER | {"r_k": 0, "sqrt_position": True}}
    check(architecture, tuned_plm(architecture, parts), parts, sides=["none", "right"])


def test_gates_before_the_mask_see_padding_as_in_the_released_code():
    """The released code's gates in encoders; here the reference reads the padded rows."""
    parts = {"inducer": INDUCER | {"gate_before_mask": True}}
    tuned = tuned_plm("roberta", parts)
    reference, trained = reference_of("roberta", tuned, parts)
    [(inputs, positions)] = batches("right")
    rows = zip(inputs["input_ids"].tolist(), inputs["attention_mask"].bool().tolist(), strict=True)
    padded = torch.stack([reference(ids, real) for ids, real in rows])
    wanted = values_and_gradients(torch.cat([padded[position] for position in positions]), trained)
    got = values_and_gradients(outputs(tuned, "roberta", "right"), tuned.method_parameters())
    assert_equal(got, wanted, "padded rows")
