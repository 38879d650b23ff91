"""The attention functions against explicit formulas in float64."""

import pytest
import torch

from inducer_bench.attention import additive_mask, attend_with_logsumexp

B, H, T, S, P = 2, 3, 4, 6, 5


def heads(length, seed):
    return torch.randn(B, H, length, P, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def causal(query_length, key_length):
    """True where a query may look; the queries are the last positions."""
    offset = key_length - query_length
    return torch.tensor([[j <= i + offset for j in range(key_length)] for i in range(query_length)])


@pytest.mark.parametrize("masked", [False, True])
def test_output_and_logsumexp_equal_the_softmax_formula(masked):
    q, k, v = heads(T, 1), heads(S, 2), heads(S, 3)
    visible = causal(T, S) if masked else torch.ones(T, S, dtype=torch.bool)
    mask = additive_mask(visible[None, None], q, S, is_causal=False)
    f, logsumexp, unmasked = attend_with_logsumexp(q, k, v, mask, scale=0.3, dropout=0.0)
    scores = torch.einsum("bhip,bhjp->bhij", q, k) * 0.3
    weights = scores.exp() * visible
    total = weights.sum(-1)
    torch.testing.assert_close(logsumexp, total.log(), rtol=0, atol=1e-12)
    torch.testing.assert_close(f, weights @ v / total.unsqueeze(-1), rtol=0, atol=1e-12)
    torch.testing.assert_close(unmasked, scores, rtol=0, atol=1e-12)


def test_gradients_pass_a_float64_check():
    inputs = [heads(n, s).requires_grad_() for n, s in ((T, 1), (S, 2), (S, 3))]
    mask = additive_mask(causal(T, S)[None, None], inputs[0], S, is_causal=False)
    assert torch.autograd.gradcheck(lambda q, k, v: attend_with_logsumexp(q, k, v, mask, 0.3, 0.0)[:2], inputs)


@pytest.mark.parametrize(("query_length", "key_length"), [(4, 4), (2, 6), (1, 6)])
def test_missing_mask_of_a_causal_layer_is_filled_in(query_length, key_length):
    query = heads(query_length, 1)
    mask = additive_mask(None, query, key_length, is_causal=True)
    seen = torch.ones(query_length, key_length, dtype=torch.bool) if mask is None else mask == 0
    assert torch.equal(seen, causal(query_length, key_length))


def test_missing_mask_of_an_encoder_layer_hides_nothing():
    assert additive_mask(None, heads(T, 1), S, is_causal=False) is None


def test_row_with_every_key_masked_stays_finite():
    q, k, v = heads(T, 1), heads(S, 2), heads(S, 3)
    mask = additive_mask(torch.zeros(B, 1, T, S, dtype=torch.bool), q, S, is_causal=False)
    f, _, _ = attend_with_logsumexp(q, k, v, mask, 0.3, 0.0)
    assert torch.isfinite(f).all()


def test_half_precision_scores_are_summed_in_float32():
    q, k, v = (t.to(torch.bfloat16) for t in (heads(T, 1), heads(S, 2), heads(S, 3)))
    f, logsumexp, _ = attend_with_logsumexp(q, k, v, None, 0.3, 0.0)
    assert (f.dtype, logsumexp.dtype) == (torch.bfloat16, torch.float32)
