"""The PLMs that travel with the package."""

import json
import math
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import torch
from torch.nn import functional as F
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from inducer_bench.mini.facts import random_record
from inducer_bench.mini.lexicon import ANYTHING
from inducer_bench.mini.prose import documents
from inducer_bench.mini.suite import plm_dir, sst2_splits

FOLDER, GPT2_FOLDER = plm_dir("mini_roberta"), plm_dir("mini_gpt2")
HELD_OUT_SEED = 77


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return AutoModelForMaskedLM.from_pretrained(FOLDER).eval()


def test_the_folders_are_small_and_hold_no_pickle():
    common = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "pretraining.json"}
    total = 0
    for folder, own in ((FOLDER, set()), (GPT2_FOLDER, {"generation_config.json"})):
        files = {file.name: file.stat().st_size for file in folder.iterdir()}
        assert set(files) == common | own
        total += sum(files.values())
    assert total < 12_000_000


def test_it_loads_as_a_classifier_in_single_precision():
    classifier = AutoModelForSequenceClassification.from_pretrained(FOLDER, num_labels=2)
    assert classifier.dtype == torch.float32
    assert sum(weight.numel() for weight in classifier.parameters()) < 1_500_000


def test_the_tokenizer_gives_the_text_back_and_frames_it_as_roberta_does(tokenizer: PreTrainedTokenizerBase):
    text = "Naïve? The plot isn't dull; it's a delight."
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.convert_ids_to_tokens([ids[0], ids[-1]]) == ["<s>", "</s>"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    pair = tokenizer.convert_ids_to_tokens(tokenizer("a", "b")["input_ids"])
    assert [pair.index("<s>"), pair.count("</s>")] == [0, 3]
    special = [tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id]
    assert special == [0, 1, 2]
    assert tokenizer.mask_token == "<mask>"
    assert tokenizer.model_max_length == 256


def test_common_words_are_single_tokens(tokenizer: PreTrainedTokenizerBase):
    sentences = [sentence for sentence, _ in sst2_splits()["dev"]]
    tokens = sum(len(tokenizer(sentence)["input_ids"]) - 2 for sentence in sentences)
    words = sum(len(sentence.split()) for sentence in sentences)
    assert tokens / words < 1.6


def test_its_masked_loss_on_unseen_text_is_far_below_the_unigram_entropy(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
):
    texts = list(documents(HELD_OUT_SEED, 300, reviews=0.6))
    encoded = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    ids, attention_mask = encoded["input_ids"], encoded["attention_mask"]
    maskable = ids >= len(tokenizer.all_special_tokens)
    chosen = maskable & (torch.rand(ids.shape, generator=torch.Generator().manual_seed(0)) < 0.15)
    with torch.no_grad():
        logits = model(ids.masked_fill(chosen, tokenizer.mask_token_id), attention_mask=attention_mask).logits
    loss = F.cross_entropy(logits[chosen], ids[chosen]).item()
    counts = Counter(ids[maskable].tolist())
    entropy = -sum(count / counts.total() * math.log(count / counts.total()) for count in counts.values())
    assert loss < 0.3 * entropy


def guesses_praise(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, sentences: list[str]) -> torch.Tensor:
    """Whether "a good film" is likelier than "a bad film" after each sentence, without any fine-tuning; the median is
    the border, for one of the two words is commoner."""
    encoded = tokenizer(
        [f"{sentence} In short, a<mask> film." for sentence in sentences], padding=True, return_tensors="pt"
    )
    good, bad = (tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in (" good", " bad"))
    with torch.no_grad():
        logits = model(**encoded).logits[encoded["input_ids"] == tokenizer.mask_token_id]
    lead = logits[:, good] - logits[:, bad]
    return lead > lead.median()


def test_it_knows_which_words_praise(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase):
    words = [(word, polarity) for polarity in (False, True) for word in ANYTHING[polarity].entries]
    guessed = guesses_praise(model, tokenizer, [f"The film is {word}." for word, _ in words])
    assert (guessed == torch.tensor([polarity for _, polarity in words])).float().mean() > 0.95


def test_it_has_begun_to_see_how_a_sentence_turns_them(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase):
    """Bag-of-words models reach 64 % with 4,000 labelled sentences; this PLM 69 % without one."""
    rows = sst2_splits()["dev"]
    guessed = guesses_praise(model, tokenizer, [sentence for sentence, _ in rows])
    assert (guessed == torch.tensor([bool(label) for _, label in rows])).float().mean() > 0.68


@pytest.mark.parametrize("folder", [FOLDER, GPT2_FOLDER])
def test_the_figures_of_a_pretraining_are_beside_the_plm(folder: Path):
    figures = json.loads((folder / "pretraining.json").read_text(encoding="utf-8"))
    assert figures["loss"] < 0.4 * figures["unigram_entropy"]  # whole spans are masked


# ---- GPT-2 ----


@pytest.fixture(scope="module")
def gpt2_tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(GPT2_FOLDER)


@pytest.fixture(scope="module")
def gpt2() -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(GPT2_FOLDER).eval()


def test_gpt2_is_small_tied_and_takes_long_inputs(gpt2: PreTrainedModel, gpt2_tokenizer: PreTrainedTokenizerBase):
    assert gpt2.dtype == torch.float32
    assert 1_000_000 < sum(weight.numel() for weight in gpt2.parameters()) < 1_600_000
    assert gpt2.get_input_embeddings().weight is gpt2.get_output_embeddings().weight
    assert gpt2.config.n_positions == gpt2_tokenizer.model_max_length == 512
    assert len(gpt2_tokenizer) == gpt2.config.vocab_size


def test_gpt2_has_one_special_token_and_no_padding(gpt2_tokenizer: PreTrainedTokenizerBase):
    assert gpt2_tokenizer.all_special_tokens == ["<|endoftext|>"]
    assert gpt2_tokenizer.bos_token_id == gpt2_tokenizer.eos_token_id == 0
    assert gpt2_tokenizer.pad_token is None
    text = "Naïve? Ada_Barlow's birthPlace isn't Oakbridge."
    ids = gpt2_tokenizer(text)["input_ids"]
    assert gpt2_tokenizer.decode(ids) == text
    assert 0 not in ids


def mean_loss(gpt2: PreTrainedModel, ids: torch.Tensor, first: int = 0) -> float:
    """Nats per token after the first, with the sequence put at position `first`."""
    with torch.no_grad():
        logits = gpt2(ids[None], position_ids=torch.arange(first, first + len(ids))[None]).logits[0]
    return F.cross_entropy(logits[:-1], ids[1:]).item()


def test_gpt2_predicts_unseen_text_far_better_than_token_frequencies(
    gpt2: PreTrainedModel, gpt2_tokenizer: PreTrainedTokenizerBase
):
    texts = [text for text in documents(HELD_OUT_SEED, 150, reviews=0.1) if len(text) > 100]
    encoded = [torch.tensor([0, *gpt2_tokenizer(text)["input_ids"]]) for text in texts]
    counts = Counter(token for ids in encoded for token in ids.tolist())
    entropy = -sum(count / counts.total() * math.log(count / counts.total()) for count in counts.values())
    for first in (0, 300):
        loss = sum(mean_loss(gpt2, ids, first) * len(ids) for ids in encoded) / sum(map(len, encoded))
        assert loss < 0.4 * entropy


def test_gpt2_looks_up_in_the_text_what_it_cannot_know(gpt2: PreTrainedModel, gpt2_tokenizer: PreTrainedTokenizerBase):
    rng, right = Random(HELD_OUT_SEED), 0
    for _ in range(50):
        person, other = (random_record(rng, "actor", labelled=True) for _ in range(2))
        place = person.fact("birthPlace").object
        prompt = (
            f"{person.name} was born in {place}. {person.pronouns[0].capitalize()} is married to {other.name}. "
            f"Where was {person.name} born? In"
        )
        ids = torch.tensor([[0, *gpt2_tokenizer(prompt)["input_ids"]]])
        with torch.no_grad():
            guessed = gpt2.generate(ids, max_new_tokens=4, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
        right += gpt2_tokenizer.decode(guessed).strip().startswith(place)
    assert right >= 35
