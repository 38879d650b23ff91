"""Inducer-tuning against the equations, written as plain loops in float64."""

import math

import pytest
import torch
from helpers.architectures import PAD, build, loss, tokens
from helpers.attached import logits, randomise

import inducer_bench as ib
from inducer_bench.errors import UserError
from inducer_bench.methods import inducer
from inducer_bench.training.recompute import recompute_activations

SWITCHES = [
    {},
    {"r_k": 0},
    {"r_k": 1},
    {"r_k": 0, "sqrt_position": True},
    {"extension": False},
    {"share_output": True},
    {"gate": False},
    {"value_residual": False},
    {"extension": False, "value_residual": False},
    {"gate": False, "extension": False},
    {"key_residual": "attended"},
    {"key_residual": "attended", "r_k": 0},
    {"self_temperature": 2.5},
    {"sqrt_position": True, "self_temperature": 2.5, "key_residual": "attended"},
]


def tuned_model(architecture, **switches):
    tuned = ib.attach(build(architecture), "inducer", **{"r_k": 3, "r_v": 2, **switches})
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in tuned.method_parameters().values():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return tuned


def mlp(x, A, a, B, b):
    """tanh(x A + a) B + b for one vector x."""
    return torch.tanh(x @ A + a) @ B + b


def naive_attention(q, k, v, visible, part, options, W_O, b_O):
    """out_i of one batch row; q, k, v are (H, T, p), visible (T, T) says where a query may look, W_O is (H p, d)."""
    H, T, p = q.shape
    out = torch.zeros(T, W_O.shape[1], dtype=q.dtype)
    for i in range(T):
        heads, extension = [], torch.zeros(W_O.shape[1], dtype=q.dtype)
        for h in range(H):
            weights = [math.exp(q[h, i] @ k[h, j] / math.sqrt(p)) if visible[i, j] else 0.0 for j in range(T)]
            f = sum(w * v[h, j] for j, w in enumerate(weights)) / sum(weights)
            attended = sum(w * k[h, j] for j, w in enumerate(weights)) / sum(weights)
            own = attended if options.key_residual == "attended" else q[h, i]
            if options.r_k >= 2 and options.gate:
                own = own + mlp(q[h, i], part.A_k[h], part.a_k[h, 0], part.B_k[h], part.b_k[h, 0])
            score = q[h, i] @ own / math.sqrt(p) * (math.sqrt(i + 1) if options.sqrt_position else 1.0)
            score = score / options.self_temperature
            g = math.exp(score) / (math.exp(score) + sum(weights)) if options.gate else 1.0
            if not options.value_residual:
                f = (1 - g) * f
            hidden = torch.tanh(q[h, i] @ part.A_v[h] + part.a_v[h, 0])
            if options.extension:
                extension = extension + g * hidden @ (part.B_v if options.share_output else part.B_v[h])
            else:
                f = f + g * (hidden @ part.B_v[h] + part.b_v[h, 0])
            heads.append(f)
        out[i] = torch.cat(heads) @ W_O + b_O + extension + (part.b_B if options.extension else 0.0)
    return out


def attention_of(tuned, architecture, batch, **inputs):
    """Input (B, T, d) of the first layer's attention and output (B, T, d) of its W_O, recorded by hooks."""
    recorded = {}
    if architecture == "roberta":
        layer = tuned.model.base_model.encoder.layer[0].attention
        attention, output = layer.self, layer.output.dense
    else:
        attention = tuned.model.base_model.h[0].attn
        output = attention.c_proj
    attention.register_forward_pre_hook(
        lambda _, a, k: recorded.update(x=a[0] if a else k["hidden_states"]), with_kwargs=True
    )
    output.register_forward_hook(lambda _, a, o: recorded.update(out=o))
    with torch.no_grad():
        tuned(input_ids=batch, **inputs)
    return attention, output, recorded["x"], recorded["out"]


def project(attention, architecture, x):
    """Q, K, V as (B, H, T, p) and W_O's weights, straight from the model's matrices."""
    if architecture == "roberta":
        q, k, v = (x @ m.weight.T + m.bias for m in (attention.query, attention.key, attention.value))
    else:
        q, k, v = (x @ attention.c_attn.weight + attention.c_attn.bias).chunk(3, dim=-1)
    return [t.view(*t.shape[:2], 4, 4).transpose(1, 2) for t in (q, k, v)]


@pytest.mark.parametrize("architecture", ["roberta", "gpt2"])
@pytest.mark.parametrize("switches", SWITCHES, ids=lambda s: "-".join(s) or "plain")
def test_attention_equals_the_equations(architecture, switches):
    tuned = tuned_model(architecture, **switches)
    batch = torch.cat([tokens(1, 6, seed=3), torch.cat([tokens(1, 4, seed=4), torch.full((1, 2), PAD)], dim=1)])
    mask = (batch != PAD).long()
    attention, output, x, got = attention_of(tuned, architecture, batch, attention_mask=mask)
    q, k, v = project(attention, architecture, x)
    W_O = output.weight.T if architecture == "roberta" else output.weight
    with torch.no_grad():
        for row in range(2):
            visible = mask[row].bool().expand(6, 6)
            visible = visible.tril() if architecture == "gpt2" else visible
            expected = naive_attention(
                q[row], k[row], v[row], visible, attention.tuning, tuned.options, W_O, output.bias
            )
            real = mask[row].bool()
            torch.testing.assert_close(got[row][real], expected[real], rtol=0, atol=1e-12)


def test_gate_before_mask_lets_padding_dilute_the_gate():
    """The released code's gates in encoders, which also see padding."""
    batch = torch.cat([tokens(1, 5), torch.full((1, 3), PAD)], dim=1)
    mask = (batch != PAD).long()
    gates = {}
    for before in (False, True):
        tuned = tuned_model("roberta", gate_before_mask=before)
        part = tuned.model.base_model.encoder.layer[0].attention.self.tuning
        original = part.gate
        part.gate = lambda *a, original=original, before=before, **k: gates.setdefault(before, original(*a, **k))
        with torch.no_grad():
            tuned(input_ids=batch, attention_mask=mask)
    assert (gates[True][:, :, :5] < gates[False][:, :, :5]).all()


def test_dropout_falls_on_the_attention_weights_and_separately_on_the_gate():
    """With every attention weight dropped, f is 0; with every gate dropped, only the bias of the inducer is left."""
    tuned = tuned_model("roberta")
    part = tuned.model.base_model.encoder.layer[0].attention.self.tuning
    q, k, v = torch.randn(3, 2, 4, 5, 4, dtype=torch.float64)
    assert torch.equal(part.attend(q, k, v, None, 0.5, dropout=1.0), torch.zeros_like(q))
    assert torch.equal(inducer._handed.gated, torch.zeros_like(inducer._handed.gated))
    torch.manual_seed(0)
    part.attend(q, k, v, None, 0.5, dropout=0.5)
    dropped = (inducer._handed.gated == 0).all(dim=-1)
    assert 0 < dropped.sum() < dropped.numel()


def test_start_values_are_small_and_bounded():
    torch.manual_seed(0)
    tuned = ib.attach(build("roberta"), "inducer", r_k=4, r_v=4)
    values = torch.cat([p.flatten() for p in tuned.method_parameters().values()])
    assert values.abs().max() < 0.02
    assert values.std().item() == pytest.approx(0.0088, rel=0.1)  # of fmod(N(0, 1), 2) * 0.01, by integration


def test_misspelt_option_is_rejected_with_the_nearest_one():
    with pytest.raises(UserError, match="unknown 'rk'; did you mean 'r_k'"):
        ib.attach(build("roberta"), "inducer", rk=5, r_v=1)


def test_second_method_on_one_model_is_rejected():
    model = build("roberta")
    ib.attach(model, "inducer", r_k=2, r_v=1)
    with pytest.raises(UserError, match="detach"):
        ib.attach(model, "fine_tune")


def test_unsupported_architecture_is_rejected_in_one_line():
    from transformers import AlbertConfig, AlbertForSequenceClassification

    config = AlbertConfig(vocab_size=20, hidden_size=8, embedding_size=8, num_attention_heads=2, intermediate_size=8)
    with pytest.raises(UserError, match=r"no layout is known for model type 'albert'; supported: bert, .*gpt2, "):
        ib.attach(AlbertForSequenceClassification(config), "inducer", r_k=2, r_v=1)


def test_training_in_bfloat16_autocast_stays_finite_and_close():
    tuned = tuned_model("gpt2").float()
    inputs = tokens(2, 8)
    with torch.no_grad():
        exact = tuned(input_ids=inputs).logits
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = tuned(input_ids=inputs).logits
    assert torch.isfinite(rough).all()
    assert (rough.float() - exact).abs().max() < 0.1 * exact.abs().max()


def test_gates_of_a_decoder_never_see_the_future():
    """Also with `gate_before_mask`, which the released code has in encoders only."""
    tuned = ib.attach(build("gpt2"), "inducer", r_k=2, r_v=2, gate_before_mask=True)
    first, second = tokens(1, 6), tokens(1, 6)
    second[0, -1] = (second[0, -1] + 1) % 30 + 2
    with torch.no_grad():
        assert torch.equal(tuned(input_ids=first).logits[:, :-1], tuned(input_ids=second).logits[:, :-1])


# -- options that are ours ---------------------------------------------------------------------------------------------


def gates(queries, keys, **switches):
    """g (B, H, T) of the first layer for queries and keys (B, H, T, p)."""
    tuned = ib.attach(build("roberta"), "inducer", **{"r_k": 3, "r_v": 2, **switches})
    part, found = tuned.model.base_model.encoder.layer[0].attention.self.tuning, []
    original = part.gate
    part.gate = lambda *a: found.append(original(*a)) or found[0]
    with torch.no_grad():
        part.attend(queries, keys, keys, None, 0.5, 0.0)
    return found[0].squeeze(-1)


def test_a_key_about_the_attended_one_starts_with_the_share_of_one_among_the_keys_in_use():
    torch.manual_seed(0)
    q, k = torch.randn(2, 2, 4, 6, 4, dtype=torch.float64) * 5  # as large as on real PLMs
    weights = (q @ k.mT * 0.5).softmax(dim=-1)
    entropy = -(weights * weights.clamp_min(1e-300).log()).sum(dim=-1)
    alone = gates(q, k, key_residual="attended", r_k=0)
    torch.testing.assert_close(alone, 1 / (1 + entropy.exp()), rtol=0, atol=1e-12)
    assert 1 / 7 <= alone.min() < alone.max() <= 0.5 + 1e-12
    assert (gates(q, k, key_residual="attended") - alone).abs().max() < 0.05  # MLP_k starts small
    assert gates(q, k).median() > 0.95  # the paper's


def test_the_self_temperature_divides_the_whole_self_score():
    q, k = torch.randn(2, 2, 4, 6, 4, dtype=torch.float64)
    logsumexp = (q @ k.mT * 0.5).logsumexp(dim=-1)
    cold, warm = (gates(q, k, self_temperature=tau).logit() + logsumexp for tau in (1.0, 4.0))
    torch.testing.assert_close(warm, cold / 4, rtol=0, atol=0.01)  # each has another MLP_k, which starts small


OURS = [{"key_residual": "attended"}, {"key_residual": "attended", "self_temperature": 2.5}]


@pytest.mark.parametrize("switches", OURS, ids=lambda s: "-".join(s))
def test_options_of_ours_keep_the_promises_of_every_method(switches, tmp_path):
    """Cached steps, generation with a cache, left padding, saving, and recomputed activations."""
    options = {"r_k": 3, "r_v": 2, **switches}
    tuned = ib.attach(build("llama"), "inducer", **options)
    randomise(tuned)
    inputs, cache, pieces = tokens(2, 7), None, []
    expected = logits(tuned, inputs)
    with torch.no_grad():
        for piece in inputs.split([4, 1, 2], dim=1):
            output = tuned(input_ids=piece, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            pieces.append(output.logits)
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected, rtol=0, atol=1e-12)
    asked = {"attention_mask": torch.ones_like(inputs), "max_new_tokens": 5, "do_sample": False}
    cached, whole = (tuned.generate(input_ids=inputs, use_cache=cached, **asked) for cached in (True, False))
    assert torch.equal(cached, whole)
    padded = torch.cat([torch.full((2, 3), PAD), inputs], dim=1)
    mask = (padded != PAD).long()
    with torch.no_grad():
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        found = tuned(input_ids=padded, attention_mask=mask, position_ids=positions).logits
    torch.testing.assert_close(found[:, 3:], expected, rtol=0, atol=1e-12)
    tuned.save(tmp_path)
    again = ib.load(build("llama"), tmp_path)
    assert again.options == tuned.options
    assert torch.equal(logits(again, inputs), expected)
    recompute_activations(again)
    for model in (tuned, again):
        model.train()
        loss(model, inputs).backward()
    for name, parameter in again.trained_parameters().items():
        torch.testing.assert_close(parameter.grad, tuned.trained_parameters()[name].grad, rtol=0, atol=1e-12)


def test_options_of_ours_add_no_parameter():
    counts = [
        ib.attach(build("gpt2"), "inducer", r_k=3, r_v=2, **switches).parameter_counts() for switches in ({}, OURS[1])
    ]
    assert counts[0] == counts[1]
