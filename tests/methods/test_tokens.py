"""Special tokens as side rows: the same model as one whose embedding has grown, with the base frozen."""

import copy

import pytest
import torch
from helpers.architectures import DECODERS, PAD, VOCABULARY, build, tokens

import inducer_bench as ib

NEW = 3


def with_tokens(architecture, method="lora", **options):
    options = options or ({"r": 2, "alpha": 4.0} if method == "lora" else {})
    tuned = ib.attach(build(architecture), method, special_tokens=NEW, **options)
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in tuned.trained_parameters().values():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return tuned


def grown(architecture, rows):
    """The plain model with a resized embedding that holds the same rows."""
    model = build(architecture)
    model.resize_token_embeddings(VOCABULARY + NEW, mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight[VOCABULARY:] = rows
        model.get_output_embeddings().weight[VOCABULARY:] = rows
    return model.double()


def inputs_with_new_tokens():
    ids = tokens(2, 7)
    ids[0, 2], ids[1, 0], ids[1, 6] = VOCABULARY, VOCABULARY + 1, VOCABULARY + 2
    return ids


@pytest.mark.parametrize("architecture", DECODERS)
def test_side_rows_equal_rows_of_a_grown_embedding(architecture):
    tuned = ib.attach(build(architecture), "lora", special_tokens=NEW, r=2, alpha=4.0)  # LoRA starts as the identity
    (rows,) = tuned.token_parameters().values()
    ids = inputs_with_new_tokens()
    segments = {"token_type_ids": ids.flip(1)} if architecture == "gpt2" else {}
    with torch.no_grad():
        found = tuned(input_ids=ids, **segments).logits
        expected = grown(architecture, rows)(input_ids=ids, **segments).logits
    assert found.shape == (2, 7, VOCABULARY + NEW)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("architecture", DECODERS)
def test_logits_of_ordinary_tokens_are_those_of_the_model_alone(architecture):
    ids = tokens(2, 7)
    with torch.no_grad():
        expected = build(architecture)(input_ids=ids).logits
        found = ib.attach(build(architecture), "fine_tune", special_tokens=16)(input_ids=ids).logits
    assert torch.equal(found[..., :VOCABULARY], expected)


@pytest.mark.parametrize("architecture", DECODERS)
def test_merged_model_has_the_rows_in_its_embeddings(architecture, tmp_path):
    tuned = with_tokens(architecture)
    ids = inputs_with_new_tokens()
    segments = {"token_type_ids": ids.flip(1)} if architecture == "gpt2" else {}
    with torch.no_grad():
        expected = tuned(input_ids=ids, **segments).logits
        merged = tuned.merge()
        torch.testing.assert_close(merged(input_ids=ids, **segments).logits, expected, rtol=0, atol=1e-11)
        assert merged.config.vocab_size == VOCABULARY + NEW
        merged.save_pretrained(tmp_path)
        loaded = type(merged).from_pretrained(tmp_path, dtype=torch.float64).eval()
        # Rotary frequencies are computed again, in another precision, and norms of each layer.
        atol = 1e-6 * merged.config.num_hidden_layers
        torch.testing.assert_close(loaded(input_ids=ids, **segments).logits, expected, rtol=0, atol=atol)


def test_gradient_of_side_rows_is_that_of_tied_rows():
    tuned = ib.attach(build("gpt2"), "lora", special_tokens=NEW, r=2, alpha=4.0)
    (rows,) = tuned.token_parameters().values()
    model = grown("gpt2", rows)
    ids = inputs_with_new_tokens()
    for each in (tuned, model):
        each(input_ids=ids, token_type_ids=ids.flip(1)).logits.log_softmax(-1)[..., -1].sum().backward()
    expected = model.get_input_embeddings().weight.grad[VOCABULARY:]
    torch.testing.assert_close(rows.grad, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("architecture", DECODERS)
def test_logits_at_positions_are_those_of_the_whole_forward(architecture):
    tuned, ids = with_tokens(architecture), inputs_with_new_tokens()
    wanted = torch.rand(2, 7, generator=torch.Generator().manual_seed(0)) < 0.4
    with torch.no_grad():
        torch.testing.assert_close(
            tuned(input_ids=ids, logits_at=wanted.flatten().nonzero().squeeze(1)),
            tuned(input_ids=ids).logits[wanted],
            rtol=0,
            atol=1e-13,
        )


@pytest.mark.parametrize("method", ["fine_tune", "lora"])
def test_tokens_are_trained_saved_loaded_and_taken_off(method, tmp_path):
    tuned, ids = with_tokens("gpt2", method), inputs_with_new_tokens()
    counts = tuned.parameter_counts()
    assert (counts["tokens"], counts["plm"]) == (NEW * 16, sum(p.numel() for p in build("gpt2").parameters()))
    assert set(tuned.token_parameters()) <= set(tuned.trained_parameters())
    assert not set(tuned.token_parameters()) & set(tuned.method_parameters())
    tuned.save(tmp_path)
    again = ib.load(build("gpt2"), tmp_path)
    with torch.no_grad():
        assert torch.equal(again(input_ids=ids).logits, tuned(input_ids=ids).logits)
    restored, untouched = tuned.detach(), build("gpt2")
    expected = untouched.state_dict()
    assert restored.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in restored.state_dict().items())
    assert torch.equal(restored(input_ids=tokens(2, 5)).logits, untouched(input_ids=tokens(2, 5)).logits)


def test_frozen_embedding_gets_no_gradient():
    tuned = with_tokens("gpt2")
    before = copy.deepcopy(tuned.model.get_input_embeddings().weight)
    tuned(input_ids=inputs_with_new_tokens()).logits.sum().backward()
    embedding = tuned.model.get_input_embeddings()
    assert embedding.weight.grad is None
    assert torch.equal(embedding.weight, before)


def test_generation_may_end_with_a_special_token_and_extends_segments():
    """The segment of a generated token is that of the last one; a cached generation equals one without a cache."""
    tuned = with_tokens("gpt2")
    ids = inputs_with_new_tokens()
    arguments = {
        "input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": ids.flip(1),
        "max_new_tokens": 9, "do_sample": False, "pad_token_id": PAD,
    }  # fmt: skip
    cached = tuned.generate(**arguments)
    assert torch.equal(cached, tuned.generate(**arguments, use_cache=False))
    step, segments = ids, ids.flip(1)
    for _ in range(9):
        with torch.no_grad():
            following = tuned(input_ids=step, token_type_ids=segments).logits[:, -1:].argmax(-1)
        step, segments = torch.cat([step, following], 1), torch.cat([segments, segments[:, -1:]], 1)
    assert torch.equal(cached, step)


def test_classifier_has_no_use_for_special_tokens():
    with pytest.raises(ib.errors.UserError, match="special tokens need a language model"):
        ib.attach(build("roberta"), "lora", special_tokens=NEW, r=2, alpha=4.0)
