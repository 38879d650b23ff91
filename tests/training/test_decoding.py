"""Batched cached decoding equals single uncached greedy decoding, token for token, for every method."""

import dataclasses

import pytest
import torch
from accelerate import Accelerator
from helpers.architectures import VOCABULARY, build, tokens
from helpers.method_options import OPTIONS

import inducer_bench as ib
from inducer_bench.errors import TrainingDiverged
from inducer_bench.tasks.options import Decoding
from inducer_bench.tasks.sequence import SPECIAL_TOKENS
from inducer_bench.training.decoding import generate

GREEDY = Decoding(
    max_new_tokens=12, beams=1, length_penalty=1.0, no_repeat_ngram=0, sample=False, temperature=1.0, top_p=1.0
)
LENGTHS = (5, 9, 3, 9, 7, 4)


def tuned_gpt2(method, architecture="gpt2"):
    model = build(architecture).float()
    tuned = ib.attach(model, method, special_tokens=len(SPECIAL_TOKENS), **OPTIONS[method])
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in tuned.trained_parameters().values():
            parameter.add_(torch.randn_like(parameter) * 0.3)
        for rows in tuned.token_parameters().values():
            rows.copy_(torch.randn_like(rows) * 0.3)  # so that some texts end
        if architecture == "gpt2":  # a tied embedding would repeat its last token forever without changed positions
            model.transformer.wpe.weight.copy_(torch.randn_like(model.transformer.wpe.weight) * 1.5)
    return tuned.eval()


def prompts():
    """Ids and segments of prompts of several lengths."""
    made = []
    for seed, length in enumerate(LENGTHS):
        ids = tokens(1, length, seed)[0].tolist()
        segments = [VOCABULARY + 10 + place % 4 for place in range(length)]
        made.append({"input_ids": [VOCABULARY + 10, *ids[1:]], "token_type_ids": segments, "length": length})
    return made


def slowly(tuned, prompt, segments):
    """One prompt, the whole forward pass for each token, as the released code decodes."""
    ids, types = torch.tensor([prompt["input_ids"]]), torch.tensor([prompt["token_type_ids"]])
    written = []
    while len(written) < GREEDY.max_new_tokens:
        extra = {"token_type_ids": types} if segments else {}
        with torch.no_grad():
            token = tuned(input_ids=ids, **extra).logits[0, -1].argmax().item()
        if token >= VOCABULARY:
            break
        written.append(token)
        ids, types = torch.cat([ids, torch.tensor([[token]])], 1), torch.cat([types, types[:, -1:]], 1)
    return written


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@pytest.mark.parametrize("method", [method for method in OPTIONS if method != "head_only"])
def test_batched_cached_decoding_equals_single_uncached(method, architecture):
    if (method, architecture) == ("bitfit", "llama"):
        pytest.skip("Llama has no biases")
    tuned = tuned_gpt2(method, architecture)
    fast = generate(Accelerator(cpu=True), tuned, prompts(), GREEDY, VOCABULARY, architecture == "gpt2", 4)
    assert fast == [slowly(tuned, prompt, segments=architecture == "gpt2") for prompt in prompts()]


@pytest.mark.parametrize("beams", [1, 2])
@pytest.mark.parametrize("value", [3e38, float("nan")])
def test_scores_that_are_not_finite_give_no_text(beams, value):
    tuned = tuned_gpt2("bitfit")
    with torch.no_grad():
        tuned.model.transformer.ln_f.weight[0] = value  # a finite weight overflows as well
    decoding = dataclasses.replace(GREEDY, beams=beams, no_repeat_ngram=2)
    with pytest.raises(TrainingDiverged, match="bitfit, generation: scores of tokens are not finite"):
        generate(Accelerator(cpu=True), tuned, prompts(), decoding, VOCABULARY, True, 4)


def test_token_that_is_not_allowed_is_no_such_score():
    decoding = dataclasses.replace(GREEDY, no_repeat_ngram=1)
    written = generate(Accelerator(cpu=True), tuned_gpt2("bitfit"), prompts(), decoding, VOCABULARY, True, 4)
    assert all(len(set(tokens)) == len(tokens) for tokens in written)


def test_some_texts_end_early_and_some_do_not():
    """Otherwise the test above would prove less than it seems to."""
    lengths = {
        len(written)
        for method in ("inducer", "prefix", "lora")
        for written in generate(Accelerator(cpu=True), tuned_gpt2(method), prompts(), GREEDY, VOCABULARY, True, 4)
    }
    assert max(lengths) == GREEDY.max_new_tokens
    assert len(lengths) > 2


def test_batch_size_changes_nothing():
    tuned = tuned_gpt2("inducer")
    one, many = (generate(Accelerator(cpu=True), tuned, prompts(), GREEDY, VOCABULARY, True, size) for size in (1, 6))
    assert one == many


def test_beam_search_finds_what_is_likelier_than_greedy():
    tuned = tuned_gpt2("lora")
    beams = Decoding(**{**vars(GREEDY), "beams": 4, "length_penalty": 0.0})
    greedy, searched = (
        generate(Accelerator(cpu=True), tuned, prompts(), decoding, VOCABULARY, True, 3) for decoding in (GREEDY, beams)
    )
    gains = [
        score(tuned, prompt, better) - score(tuned, prompt, plain)
        for prompt, plain, better in zip(prompts(), greedy, searched, strict=True)
    ]
    assert sum(gains) > 0


def score(tuned, prompt, written):
    """Log-probability of a text and of its end."""
    ids = torch.tensor([prompt["input_ids"] + written])
    types = torch.tensor([prompt["token_type_ids"] + prompt["token_type_ids"][-1:] * len(written)])
    with torch.no_grad():
        log_probabilities = tuned(input_ids=ids, token_type_ids=types).logits[0].log_softmax(-1)
    start = prompt["length"] - 1
    total = sum(log_probabilities[start + place, token].item() for place, token in enumerate(written))
    if len(written) < GREEDY.max_new_tokens:
        total += log_probabilities[start + len(written), VOCABULARY:].max().item()
    return total


def test_sampling_depends_on_the_seed_alone():
    tuned = tuned_gpt2("lora")
    sampling = Decoding(**{**vars(GREEDY), "sample": True, "temperature": 1.5, "top_p": 0.9})
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(generate(Accelerator(cpu=True), tuned, prompts(), sampling, VOCABULARY, True, 6))
    assert drawn[0] == drawn[1] != drawn[2]


def test_no_ngram_occurs_twice_where_that_is_forbidden():
    tuned = tuned_gpt2("lora")
    decoding = Decoding(**{**vars(GREEDY), "no_repeat_ngram": 1})
    for prompt, written in zip(
        prompts(), generate(Accelerator(cpu=True), tuned, prompts(), decoding, VOCABULARY, True, 6), strict=True
    ):
        assert len(set(written)) == len(written)
        assert not set(written) & set(prompt["input_ids"])


@pytest.mark.parametrize("training", [True, False])
def test_model_is_in_training_mode_afterwards_only_if_it_was_before(training):
    tuned = tuned_gpt2("lora").train(training)
    generate(Accelerator(cpu=True), tuned, prompts(), GREEDY, VOCABULARY, True, 6)
    assert tuned.training is training


def test_failed_decoding_leaves_the_model_in_training_mode(monkeypatch):
    tuned = tuned_gpt2("lora").train()
    in_training = []

    def fail(**_):
        in_training.append(tuned.training)
        raise MemoryError

    monkeypatch.setattr(tuned.model, "generate", fail)
    with pytest.raises(MemoryError):
        generate(Accelerator(cpu=True), tuned, prompts(), GREEDY, VOCABULARY, True, 6)
    assert in_training == [False]
    assert tuned.training
