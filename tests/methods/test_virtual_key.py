"""The two forms of f and gate against the formula in float64; the form of CUDA runs here on a CPU's tensors."""

import pytest
import torch
from helpers.architectures import DECODERS, PAD, build, tokens
from helpers.attached import logits, randomise

import inducer_bench as ib
from inducer_bench.methods import virtual_key
from inducer_bench.methods.attention import additive_mask
from inducer_bench.methods.virtual_key import f_and_gate_by_attention, f_and_gate_by_logsumexp

B, H, G, P, N = 2, 4, 2, 5, 3
SCALE = 0.37  # not 1 / sqrt p
FORMS = pytest.mark.parametrize("form", [f_and_gate_by_attention, f_and_gate_by_logsumexp])
MASKS = {  # name -> (T, S, where a query may look)
    "nothing masked": (4, 4, None),
    "padding": (4, 4, torch.tensor([1, 1, 1, 0, 1, 1, 0, 0]).bool().view(2, 1, 1, 4).expand(2, 1, 4, 4)),
    "causal": (4, 4, torch.ones(1, 1, 4, 4).tril().bool()),
    "one cached query": (1, 6, None),
    "cached queries after left padding": (2, 6, torch.ones(2, 1, 2, 6).tril(4).bool() & (torch.arange(6) > 1)),
    "rows of which all is masked": (4, 4, torch.ones(1, 1, 4, 4).tril().bool() & (torch.arange(4) > 1)),
}


def made(T, S, dtype=torch.float64):
    """Queries, keys, values and two terms, with gradients."""
    torch.manual_seed(0)
    shapes = [(B, H, T, P), (B, G, S, P), (B, G, S, P), (B, H, T, N), (B, H, T, 1)]
    return [torch.randn(shape, dtype=dtype).requires_grad_() for shape in shapes]


def naive(q, k, v, first, second, visible, factor, before_mask, about_attended=False):
    """f and g (B, H, T, 1), one query at a time."""
    f, g = torch.zeros_like(q), []
    for b in range(B):
        for h in range(H):
            for i in range(q.shape[2]):
                keys, values = k[b, h * G // H], v[b, h * G // H]
                seen = None if visible is None else visible.expand(B, 1, -1, -1)[b, 0, i]
                if seen is not None and not seen.any():
                    f[b, h, i] = values.mean(0)  # of finite masks; whatever it is, nobody looks at such a row
                    seen = None if before_mask else seen
                    s = torch.zeros(0) if seen is not None else keys @ q[b, h, i] * SCALE
                else:
                    s = keys @ q[b, h, i] * SCALE
                    real = s if seen is None else s[seen]
                    f[b, h, i] = real.softmax(0) @ (values if seen is None else values[seen])
                    s = s if before_mask else real
                attended = s.softmax(0) @ (keys if len(s) == len(keys) else keys[seen]) if len(s) else keys.mean(0)
                own = (
                    q[b, h, i] @ (attended if about_attended else q[b, h, i])
                    + first[b, h, i].sum()
                    + second[b, h, i, 0]
                )
                own = own * SCALE * (factor[0, 0, i, 0] if factor is not None else 1)
                g.append(torch.cat((own[None], s)).softmax(0)[0])
    return f, torch.stack(g).view(B, H, -1, 1)


@FORMS
@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("before_mask", [False, True])
@pytest.mark.parametrize("by_position", [False, True])
@pytest.mark.parametrize("about_attended", [False, True])
def test_f_and_gate_and_their_gradients_equal_the_formula(form, name, before_mask, by_position, about_attended):
    T, S, visible = MASKS[name]
    inputs = made(T, S)
    q, k, v, *terms = inputs
    factor = torch.arange(1.0, T + 1, dtype=torch.float64).sqrt().view(1, 1, T, 1) if by_position else None
    f, gate = form(q, k, v, additive_mask(visible, q, S, is_causal=False), SCALE, 0.0, before_mask, about_attended)
    found = f, gate(*terms, factor=factor)
    expected = naive(*inputs, visible, factor, before_mask, about_attended)
    rows = torch.ones(B, 1, T, dtype=torch.bool) if visible is None else visible.any(-1).expand(B, 1, T)
    weights = rows.unsqueeze(-1) * torch.linspace(1, 2, f.numel(), dtype=f.dtype).view_as(f)
    losses = [(a * weights).sum() + (b * weights[..., :1]).sum() for a, b in (found, expected)]
    gradients = [torch.autograd.grad(loss, inputs) for loss in losses]
    for ours, reference in zip(
        (*(x * rows.unsqueeze(-1) for x in found), *gradients[0]),
        (*(x * rows.unsqueeze(-1) for x in expected), *gradients[1]),
        strict=True,
    ):
        torch.testing.assert_close(ours, reference, rtol=0, atol=1e-12)
    assert all(torch.isfinite(x).all() for x in found)


@FORMS
def test_a_virtual_key_without_terms_is_the_query_itself(form):
    q, k, v, *_ = made(4, 4)
    _, gate = form(q, k, v, None, SCALE, 0.0, False)
    zero = torch.zeros(B, H, 4, 1, dtype=torch.float64)
    torch.testing.assert_close(gate(), gate(zero), rtol=0, atol=1e-14)


@FORMS
@pytest.mark.parametrize("before_mask", [False, True])
def test_gates_in_16_bits_keep_their_relative_precision_at_large_scores(form, before_mask):
    torch.manual_seed(0)
    q = torch.randn(2, 3, 40, 64).mul(1.55).bfloat16()
    k, terms = q.mul(1.1).flip(2), torch.randn(2, 3, 40, 6).mul(0.1).bfloat16()
    own = (q.double().square().sum(-1) + terms.double().sum(-1)) / 8
    logsumexp = (q.double() @ k.double().mT / 8).logsumexp(-1)
    exact = torch.sigmoid(own - logsumexp)
    assert own.mean() > 18
    assert exact.mean() < 0.5
    rounded = torch.sigmoid(own.bfloat16().double() - logsumexp)
    assert ((rounded - exact) / exact).abs().max() > 3e-2  # what must not happen
    g = form(q, k, k, None, 0.125, 0.0, before_mask)[1](terms)
    assert g.dtype == torch.bfloat16
    assert ((g.double().squeeze(-1) - exact) / exact).abs().max() < 1e-2


@FORMS
@pytest.mark.parametrize("autocast", [False, True])
def test_gates_about_the_attended_key_keep_their_precision_in_16_bits(form, autocast):
    torch.manual_seed(0)
    q = torch.randn(2, 3, 40, 64).mul(1.55).bfloat16()
    k = q.mul(1.1).flip(2)
    scores = q.double() @ k.double().mT / 8
    entropy = scores.logsumexp(-1) - (scores.softmax(-1) * scores).sum(-1)
    exact = 1 / (1 + entropy.exp())
    assert scores.amax() > 30
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        g = form(q, k, k, None, 0.125, 0.0, False, True)[1]()
    assert g.dtype == torch.bfloat16
    assert ((g.double().squeeze(-1) - exact) / exact).abs().max() < 1e-2


def test_the_form_of_cuda_drops_gates_separately_from_weights():
    q, k, _, *terms = made(4, 4)
    ones = torch.ones(B, G, 4, P, dtype=torch.float64)
    torch.manual_seed(0)
    f, gate = f_and_gate_by_attention(q, k, ones, None, SCALE, 0.5, False)
    g = gate(*terms)
    whole = f_and_gate_by_attention(q, k, ones, None, SCALE, 0.0, False)[1](*terms)
    kept = g != 0
    assert 0 < kept.sum() < kept.numel()
    torch.testing.assert_close(g[kept], 2 * whole[kept], rtol=0, atol=1e-12)
    assert len(f.detach().unique()) > 2  # sums of the weights that were kept


@pytest.mark.filterwarnings("error:.*performance drop")
@FORMS
@pytest.mark.parametrize("in_dims", [(0, 0, 0, 0, 0, 0), (1, None, 0, 0, None, None), (None, 0, 0, 3, 0, 0)])
@pytest.mark.parametrize("about_attended", [False, True])
def test_lanes_of_vmap_equal_calls_one_after_another(form, in_dims, about_attended):
    T, S, visible = MASKS["padding"]
    inputs = [torch.stack([x.detach() * (lane + 1) / 3 for lane in range(3)]) for x in made(T, S)]
    inputs.append(additive_mask(visible, inputs[0][0], S, is_causal=False).expand(3, -1, -1, -1, -1))
    inputs = [x[0] if dim is None else x.movedim(0, dim) for x, dim in zip(inputs, in_dims, strict=True)]
    for x in inputs[:5]:
        x.requires_grad_()

    def both(q, k, v, first, second, mask):
        f, gate = form(q, k, v, mask, SCALE, 0.0, False, about_attended)
        return f, gate(first, second)

    together = torch.vmap(both, in_dims)(*inputs)
    alone = [
        both(*(x if dim is None else x.select(dim, lane) for x, dim in zip(inputs, in_dims, strict=True)))
        for lane in range(3)
    ]
    expected = [torch.stack(outputs) for outputs in zip(*alone, strict=True)]
    gradients = [
        torch.autograd.grad(sum((x * torch.linspace(1, 2, x.numel()).view_as(x)).sum() for x in outputs), inputs[:5])
        for outputs in (together, expected)
    ]
    for ours, reference in zip((*together, *gradients[0]), (*expected, *gradients[1]), strict=True):
        torch.testing.assert_close(ours, reference, rtol=0, atol=1e-12)


@pytest.fixture
def as_on_cuda(monkeypatch):
    """CPU's tensors take the form of CUDA."""
    monkeypatch.setattr(virtual_key, "f_and_gate_by_logsumexp", f_and_gate_by_attention)


SWITCHES = [
    {}, {"r_k": 0}, {"r_k": 0, "sqrt_position": True}, {"sqrt_position": True}, {"extension": False},
    {"share_output": True}, {"gate": False}, {"value_residual": False}, {"gate_before_mask": True},
    {"key_residual": "attended"}, {"self_temperature": 2.5},
]  # fmt: skip


@pytest.mark.parametrize("architecture", ["roberta", *DECODERS])
@pytest.mark.parametrize("switches", SWITCHES, ids=lambda s: "-".join(s) or "plain")
def test_models_compute_the_same_in_both_forms(architecture, switches, request):
    batch = torch.cat([tokens(1, 6, seed=3), torch.cat([tokens(1, 4, seed=4), torch.full((1, 2), PAD)], dim=1)])
    seen = (batch != PAD).long()
    results = []
    for fixture in (None, "as_on_cuda"):
        if fixture:
            request.getfixturevalue(fixture)
        tuned = ib.attach(build(architecture), "inducer", **{"r_k": 3, "r_v": 2, **switches})
        randomise(tuned)
        found = tuned(input_ids=batch, attention_mask=seen).logits
        found = found if found.ndim == 2 else found[seen.bool()]
        gradients = torch.autograd.grad(
            found.square().sum(), list(tuned.method_parameters().values()), allow_unused=True
        )
        results.append([found, *(x for x in gradients if x is not None)])
    for ours, reference in zip(*results, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-10)


@pytest.mark.usefixtures("as_on_cuda")
@pytest.mark.parametrize("architecture", DECODERS)
def test_cached_decoding_in_the_form_of_cuda_equals_a_whole_pass(architecture):
    tuned = ib.attach(build(architecture), "inducer", r_k=3, r_v=2)
    randomise(tuned)
    inputs, cache, pieces = tokens(2, 7), None, []
    with torch.no_grad():
        for piece in inputs.split([4, 1, 2], dim=1):
            output = tuned(input_ids=piece, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            pieces.append(output.logits)
    torch.testing.assert_close(torch.cat(pieces, dim=1), logits(tuned, inputs), rtol=0, atol=1e-12)
