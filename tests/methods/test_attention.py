"""The attention functions against explicit formulas in float64."""

from types import SimpleNamespace

import pytest
import torch
from helpers.architectures import DECODERS, PAD, build, tokens
from helpers.method_options import OPTIONS, PAIRS
from transformers.masking_utils import bidirectional_mask_function, causal_mask_function

import inducer_bench as ib
from inducer_bench.errors import UserError
from inducer_bench.methods import attention, kernels
from inducer_bench.methods.attention import additive_mask, attention_mask, tuned_attention
from inducer_bench.methods.dropout import dropout_signs
from inducer_bench.methods.kernels import (
    ExplicitAttention,
    FusedAttention,
    applied,
    attend,
    attend_with_logsumexp,
    log_normaliser,
)

B, H, T, S, P = 2, 3, 4, 6, 5


def heads(length, seed):
    return torch.randn(B, H, length, P, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def causal(query_length, key_length):
    """True where a query may look; the queries are the last positions."""
    offset = key_length - query_length
    return torch.tensor([[j <= i + offset for j in range(key_length)] for i in range(query_length)])


def visible_scores(q, k, visible):
    """Scores, with -inf where a query may not look."""
    return (torch.einsum("bhip,bhjp->bhij", q, k) * 0.3).masked_fill(~visible, -torch.inf)


def explicit(q, k, v, mask):
    return applied(ExplicitAttention)(q, k, v, mask, 0.3, 0.0)


def fused(q, k, v, mask):
    return applied(FusedAttention)(q, k, v, mask, 0.3, 0.0)


FORMS = pytest.mark.parametrize("form", [explicit, fused])


@FORMS
@pytest.mark.parametrize("masked", [False, True])
def test_output_and_logsumexp_equal_the_softmax_formula(form, masked):
    q, k, v = heads(T, 1), heads(S, 2), heads(S, 3)
    visible = causal(T, S) if masked else torch.ones(T, S, dtype=torch.bool)
    f, logsumexp = form(q, k, v, additive_mask(visible[None, None], q, S, is_causal=False))
    weights = visible_scores(q, k, visible).exp()
    total = weights.sum(-1)
    torch.testing.assert_close(logsumexp, total.log(), rtol=0, atol=1e-12)
    torch.testing.assert_close(f, weights @ v / total.unsqueeze(-1), rtol=0, atol=1e-12)


@FORMS
@pytest.mark.parametrize("per_batch", [False, True])
def test_gradients_pass_a_float64_check(form, per_batch):
    inputs = [heads(n, s).requires_grad_() for n, s in ((T, 1), (S, 2), (S, 3))]
    visible = causal(T, S).expand(B, 1, T, S).clone()
    visible[0, :, :, 0] = not per_batch  # a key that one row of the batch does not see
    mask = additive_mask(visible, inputs[0], S, is_causal=False)
    assert torch.autograd.gradcheck(lambda q, k, v: form(q, k, v, mask), inputs)


def test_gradients_with_dropout_pass_a_float64_check():
    inputs = [heads(n, s).requires_grad_() for n, s in ((T, 1), (S, 2), (S, 3))]
    mask = additive_mask(causal(T, S)[None, None], inputs[0], S, is_causal=False)

    def same_weights_dropped(q, k, v):
        torch.manual_seed(7)
        return applied(ExplicitAttention)(q, k, v, mask, 0.3, 0.4)

    assert torch.autograd.gradcheck(same_weights_dropped, inputs)


def test_dropout_drops_weights_as_torch_does_and_leaves_the_normaliser():
    q, k, v = heads(T, 1), heads(S, 2), heads(S, 3)
    torch.manual_seed(7)
    f, logsumexp = attend_with_logsumexp(q, k, v, None, 0.3, 0.4)
    torch.manual_seed(7)
    kept = dropout_signs(torch.empty(B, H, T, S, dtype=torch.float64), 0.4) >= 0
    weights = visible_scores(q, k, torch.tensor(True)).softmax(-1) * kept / 0.6
    torch.testing.assert_close(f, weights @ v, rtol=0, atol=1e-12)
    torch.testing.assert_close(logsumexp, explicit(q, k, v, None)[1], rtol=0, atol=0)


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_a_module_without_a_part_gets_plain_attention_with_and_without_dropout(dropout, is_causal):
    q, k = heads(T, 1), heads(T, 2)
    one_hot = torch.eye(T, dtype=torch.float64).expand(B, H, T, T)  # as values: the output is the weights
    output, _ = tuned_attention(torch.nn.Module(), q, k, one_hot, None, dropout, scaling=0.3, is_causal=is_causal)
    visible = causal(T, T) if is_causal else torch.tensor(True)
    expected = visible_scores(q, k, visible).softmax(-1).transpose(1, 2) / (1 - dropout)
    kept = output != 0
    torch.testing.assert_close(output[kept], expected[kept], rtol=0, atol=1e-12)
    dropped = int(((expected != 0) & ~kept).sum())
    assert 0 < dropped < int((expected != 0).sum()) if dropout else dropped == 0


@pytest.mark.parametrize("dropout", [0.001, 0.1, 0.5, 1.0])
def test_as_many_weights_are_dropped_as_asked_for(dropout):
    torch.manual_seed(0)
    dropped = (dropout_signs(torch.empty(1001, 1003), dropout) < 0).double()
    for some in (dropped, dropped.flatten()[0::4], dropped.flatten()[3::4]):  # first and last numbers of each draw
        error = 4 * (dropout * (1 - dropout) / some.numel()) ** 0.5
        assert some.mean().item() == pytest.approx(dropout, abs=error + 1 / 65536)
    neighbours = torch.corrcoef(torch.stack((dropped[:, :-1].flatten(), dropped[:, 1:].flatten())))[0, 1]
    assert dropout == 1.0 or abs(neighbours.item()) < 4e-3


def test_many_scores_go_through_the_fused_kernel_and_keep_none_of_them():
    assert 0 < max(kept_for_backward(length=256, dropout=0.0)) < 256 * 256


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_scores_that_are_written_out_leave_one_tensor_of_their_size(dropout):
    sizes = kept_for_backward(length=64, dropout=dropout)
    assert [size for size in sizes if size >= 64 * 64] == [2 * 64 * 64]


def kept_for_backward(length, dropout):
    """Numbers of elements of what a training step keeps, for two heads."""
    q, k, v = (torch.randn(1, 2, length, 8, requires_grad=True) for _ in range(3))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        attend_with_logsumexp(q, k, v, None, 0.3, dropout)
    return [tensor.numel() for tensor in kept]


@pytest.mark.parametrize("fused_from", [0, 10**9])
@pytest.mark.parametrize("rows_of_mask", [0, 1, 5])
def test_a_batch_in_parts_equals_the_whole(monkeypatch, fused_from, rows_of_mask):
    q, k, v = (torch.randn(5, H, n, P, dtype=torch.float64, requires_grad=True) for n in (T, S, S))
    visible = torch.rand(rows_of_mask, 1, T, S) < 0.7 if rows_of_mask else None
    mask = additive_mask(visible, q, S, is_causal=True)
    monkeypatch.setattr(kernels, "FUSED_FROM", fused_from)

    def outputs_and_gradients():
        f, logsumexp = attend_with_logsumexp(q, k, v, mask, 0.3, 0.0)
        loss = (f * torch.arange(P)).sum() + logsumexp.square().sum()
        return f, logsumexp, *torch.autograd.grad(loss, (q, k, v))

    whole = outputs_and_gradients()
    monkeypatch.setattr(kernels, "CACHE_SCORES", 2 * H * T * S)  # two rows at once, and one is left over
    for part, reference in zip(outputs_and_gradients(), whole, strict=True):
        torch.testing.assert_close(part, reference, rtol=0, atol=1e-12)


def test_without_gradients_the_fused_kernel_gives_the_same():
    q, k, v = (torch.randn(B, H, n, P, dtype=torch.float64) for n in (1, S, S))
    with torch.no_grad():
        evaluated = attend_with_logsumexp(q, k, v, None, 0.3, 0.0)
    for ours, reference in zip(evaluated, explicit(q, k, v, None), strict=True):
        torch.testing.assert_close(ours, reference, rtol=0, atol=1e-12)


def test_grouped_queries_share_their_key_head():
    q, k, v = heads(T, 1).repeat(1, 2, 1, 1), heads(S, 2), heads(S, 3)
    both = attend_with_logsumexp(q, k, v, None, 0.3, 0.0)
    repeated = explicit(q, k.repeat_interleave(2, dim=1), v.repeat_interleave(2, dim=1), None)
    for ours, reference in zip(both, repeated, strict=True):
        torch.testing.assert_close(ours, reference, rtol=0, atol=1e-12)
    torch.testing.assert_close(attend(q, k, v, None, 0.3, 0.0), repeated[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(log_normaliser(q, k, 0.3), repeated[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("query_length", "key_length"), [(4, 4), (2, 6), (1, 6)])
def test_missing_mask_of_a_causal_layer_is_filled_in(query_length, key_length):
    query = heads(query_length, 1)
    mask = additive_mask(None, query, key_length, is_causal=True)
    seen = torch.ones(query_length, key_length, dtype=torch.bool) if mask is None else mask[0, 0] == 0
    if query_length == 1:  # a cached query
        assert seen.all()
    else:  # the places after the queries' own are those of a static cache that are still empty
        assert torch.equal(seen[:, :query_length], causal(query_length, query_length))
        assert not seen[:, query_length:].any()


def test_missing_mask_of_an_encoder_layer_hides_nothing():
    assert additive_mask(None, heads(T, 1), S, is_causal=False) is None


@pytest.fixture
def masks(monkeypatch):
    """The additive masks that are made."""
    made, additive = [], attention.additive
    monkeypatch.setattr(attention, "additive", lambda *given: made.append(additive(*given)) or made[-1])
    return made


def padded_batch():
    ids = tokens(2, 7)
    ids[1, 5:] = PAD
    return {"input_ids": ids, "attention_mask": (ids != PAD).long()}


# Architectures that have layers of two kinds, and the keys that the local one sees of 7 positions.
DISTANCE = torch.arange(7)[:, None] - torch.arange(7)
LOCAL = {"gemma3": (DISTANCE >= 0) & (DISTANCE < 4), "modernbert": DISTANCE.abs() <= 6 // 2}


@pytest.mark.parametrize(
    ("method", "architecture"),
    [(m, a) for m, a in PAIRS if m in ("inducer", "fine_tune") and ("inducer", a) in PAIRS],
)
def test_layers_of_a_kind_share_one_mask_of_a_forward_pass_and_nothing_hidden_is_none(masks, architecture, method):
    tuned = ib.attach(build(architecture), method, **OPTIONS[method])
    batch = padded_batch()
    tuned(**batch)
    window = [LOCAL[architecture]] if architecture in LOCAL else []
    everywhere = causal(7, 7) if architecture in (*DECODERS, "gpt2_cls") else torch.ones(7, 7, dtype=torch.bool)
    for mask, seen in zip(masks, [everywhere, *window], strict=True):
        assert (mask.shape, mask.dtype) == ((2, 1, 7, 7), torch.float64)
        hidden = (batch["attention_mask"] == 0)[:, None, None, :] | ~seen
        assert torch.equal(mask == torch.finfo(torch.float64).min, hidden)
        assert torch.equal(mask == 0, ~hidden)
    masks.clear()
    tuned(input_ids=batch["input_ids"], attention_mask=torch.ones_like(batch["input_ids"]))
    # A window hides something without padding, too; other masks are a part's own, of the order of positions alone.
    whole = [mask[0, 0] == 0 for mask in masks if mask.shape[0] > 1]
    assert [seen.tolist() for seen in whole] == [seen.tolist() for seen in window]


def test_capped_scores_are_refused_and_not_left_uncapped():
    with pytest.raises(UserError, match="plm: Identity has 'softcap' in its attention; allowed: methods that do not"):
        tuned_attention(torch.nn.Identity(), heads(T, 1), heads(S, 2), heads(S, 3), None, softcap=50.0)


def test_sliding_window_hides_what_is_further_back(masks):
    model = build("mistral")
    model.config.sliding_window = 3
    tuned = ib.attach(model, "inducer", **OPTIONS["inducer"])
    tuned(**padded_batch())
    (mask,) = masks
    expected = causal(7, 7) & ~causal(7, 7).tril(-3)
    assert torch.equal(mask[0, 0] == 0, expected)


@pytest.mark.parametrize("method", ["inducer", "prefix", "kernel_mix", "fine_tune"])
@pytest.mark.parametrize("architecture", DECODERS)
def test_left_padding_in_half_precision_hides_by_finite_numbers(masks, architecture, method):
    tuned = ib.attach(build(architecture).float(), method, **OPTIONS[method])
    batch = {name: tensor.flip(1) for name, tensor in padded_batch().items()}  # two rows of it see nothing at all
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = tuned(**batch).logits
    assert len(masks) == (2 if architecture in LOCAL else 1)
    assert all(mask.dtype == torch.bfloat16 and mask.isfinite().all() for mask in masks)
    assert logits.isfinite().all()


@pytest.mark.parametrize("pattern", [bidirectional_mask_function, causal_mask_function])
def test_mask_of_each_model_of_several_at_once_is_its_own(pattern):
    visible = torch.tensor([[[1, 1, 1], [1, 1, 0]], [[1, 1, 1], [1, 1, 1]]], dtype=torch.bool)

    def one(mask, skip):
        return attention_mask(
            2, 3, 3, attention_mask=mask, mask_function=pattern,
            allow_is_causal_skip=skip, allow_is_bidirectional_skip=skip,
        )  # fmt: skip

    expected = torch.stack([one(mask, skip=False) for mask in visible])
    assert torch.equal(torch.vmap(lambda mask: one(mask, skip=True))(visible), expected)
    assert one(visible[1], skip=True) is None


@FORMS
def test_row_with_every_key_masked_stays_finite(form):
    q, k, v = heads(T, 1), heads(S, 2), heads(S, 3)
    mask = additive_mask(torch.zeros(B, 1, T, S, dtype=torch.bool), q, S, is_causal=False)
    assert all(torch.isfinite(output).all() for output in form(q, k, v, mask))


def test_half_precision_scores_are_summed_in_float32():
    q, k, v = (t.to(torch.bfloat16) for t in (heads(T, 1), heads(S, 2), heads(S, 3)))
    f, logsumexp = attend_with_logsumexp(q, k, v, None, 0.3, 0.0)
    assert (f.dtype, logsumexp.dtype) == (torch.bfloat16, torch.float32)


def test_this_torch_has_the_fused_kernel_as_we_call_it():
    assert kernels.has_fused_kernel()
    assert kernels.HAS_FUSED_KERNEL


@pytest.mark.parametrize("operator", ["", "_backward"])
@pytest.mark.parametrize("change", ["missing", "another argument", "another result"])
def test_operator_that_is_missing_or_has_another_schema_is_not_used(operator, change):
    names = ["_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention_for_cpu_backward"]
    operators = {name: getattr(torch.ops.aten, name) for name in names}
    schema = operators[names[0] + operator].default._schema
    arguments, returns = list(schema.arguments), list(schema.returns)
    if change == "another argument":
        arguments.insert(3, SimpleNamespace(name="window"))
    if change == "another result":
        returns.pop()
    changed = SimpleNamespace(default=SimpleNamespace(_schema=SimpleNamespace(arguments=arguments, returns=returns)))
    operators[names[0] + operator] = None if change == "missing" else changed
    assert not kernels.has_fused_kernel(SimpleNamespace(**operators))


def test_without_the_fused_kernel_the_explicit_form_gives_the_same(monkeypatch):
    q, k, v = (torch.randn(B, H, n, P, dtype=torch.float64, requires_grad=True) for n in (T, S, S))
    monkeypatch.setattr(kernels, "FUSED_FROM", 0)

    def outputs_and_gradients():
        f, logsumexp = attend_with_logsumexp(q, k, v, None, 0.3, 0.0)
        name = type(f.grad_fn).__name__
        loss = (f * torch.arange(P)).sum() + logsumexp.square().sum()
        return name, (f, logsumexp, *torch.autograd.grad(loss, (q, k, v)))

    name, fused_results = outputs_and_gradients()
    assert name.startswith("FusedAttention")
    monkeypatch.setattr(kernels, "HAS_FUSED_KERNEL", kernels.has_fused_kernel(SimpleNamespace()))
    name, explicit_results = outputs_and_gradients()
    assert name.startswith("ExplicitAttention")
    for ours, reference in zip(explicit_results, fused_results, strict=True):
        torch.testing.assert_close(ours, reference, rtol=0, atol=1e-12)


MAPPED = pytest.mark.parametrize("in_dims", [(0, 0, 0, 0), (1, 0, 2, None), (0, None, None, 0), (None, 0, 0, None)])


@FORMS
@MAPPED
@pytest.mark.parametrize("rows_of_mask", [0, 1, B])
def test_lanes_of_vmap_equal_calls_one_after_another(form, in_dims, rows_of_mask):
    lanes, q, k, v, mask = mapped_inputs(in_dims, rows_of_mask)
    together = torch.vmap(form, in_dims if rows_of_mask else (*in_dims[:3], None))(q, k, v, mask)
    gradients = torch.autograd.grad(weighed(together), (q, k, v))
    alone = [form(*lane) for lane in lanes]
    expected = [torch.stack(outputs) for outputs in zip(*alone, strict=True)]
    for ours, reference in zip(
        (*together, *gradients), (*expected, *torch.autograd.grad(weighed(expected), (q, k, v))), strict=True
    ):
        torch.testing.assert_close(ours, reference, rtol=0, atol=1e-12)


def mapped_inputs(in_dims, rows_of_mask):
    """Three lanes' inputs, and all inputs with a mapped axis where `in_dims` says so."""
    shapes = [(B, H, T, P), (B, H, S, P), (B, H, S, P), (rows_of_mask, 1, T, S)]
    made = [torch.randn(3, *shape, dtype=torch.float64) for shape in shapes]
    made[3] = torch.zeros_like(made[3]).masked_fill(made[3] < 0, torch.finfo(torch.float64).min)
    inputs = [x[0] if dim is None else x.movedim(0, dim) for x, dim in zip(made, in_dims, strict=True)]
    for x in inputs[:3]:
        x.requires_grad_()
    inputs[3] = inputs[3] if rows_of_mask else None
    lanes = [
        [x if dim is None or x is None else x.select(dim, lane) for x, dim in zip(inputs, in_dims, strict=True)]
        for lane in range(3)
    ]
    return lanes, *inputs


def weighed(outputs):
    """A number that depends on every element of f and of the log-sum-exp in its own way."""
    return sum((x * torch.linspace(1, 2, x.numel(), dtype=x.dtype).view_as(x)).sum() for x in outputs)


def test_dropout_of_mapped_lanes_is_drawn_for_one_lane_after_another():
    _, q, k, v, _ = mapped_inputs((0, 0, 0, None), 0)
    torch.manual_seed(7)
    f, _ = torch.vmap(lambda *heads: applied(ExplicitAttention)(*heads, None, 0.3, 0.4))(q, k, v)
    torch.manual_seed(7)
    kept = dropout_signs(torch.empty(3 * B, H, T, S, dtype=torch.float64), 0.4).unflatten(0, (3, B)) >= 0
    weights = (torch.einsum("nbhip,nbhjp->nbhij", q, k) * 0.3).softmax(-1) * kept / 0.6
    torch.testing.assert_close(f, weights @ v, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("error:.*performance drop")
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("grouped", [1, H])
def test_a_module_without_a_part_runs_all_lanes_of_vmap_at_once(dropout, grouped):
    _, q, k, v, _ = mapped_inputs((0, 0, 0, None), 0)
    heads = (q, k[:, :, :grouped], v[:, :, :grouped])
    module = torch.nn.Module()
    module.num_key_value_groups = H // grouped

    def attention(*heads):
        return tuned_attention(module, *heads, None, dropout, scaling=0.3)[0]

    together = torch.vmap(attention)(*heads)
    assert together.shape == (3, B, T, H, P)
    if not dropout:
        alone = [attention(*lane) for lane in zip(*heads, strict=True)]
        torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=1e-12)
