"""The PLM that travels with the package."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from inducer_bench.mini.lexicon import ANYTHING
from inducer_bench.mini.prose import documents
from inducer_bench.mini.suite import plm_dir, sst2_splits

FOLDER = plm_dir("mini_roberta")
HELD_OUT_SEED = 77


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return AutoModelForMaskedLM.from_pretrained(FOLDER).eval()


def test_the_folder_is_small_and_holds_no_pickle():
    files = {file.name: file.stat().st_size for file in FOLDER.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "pretraining.json"} == set(
        files
    )
    assert sum(files.values()) <= 6_000_000  # the suite's two PLMs together stay below 12 MB


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
    texts = list(documents(HELD_OUT_SEED, 300))
    encoded = tokenizer(texts, padding=True, return_tensors="pt")
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
    """Bag-of-words models reach 64 % with 4,000 labelled sentences; this PLM 72 % without one."""
    rows = sst2_splits()["dev"]
    guessed = guesses_praise(model, tokenizer, [sentence for sentence, _ in rows])
    assert (guessed == torch.tensor([bool(label) for _, label in rows])).float().mean() > 0.68


def test_the_figures_of_its_pretraining_are_beside_it():
    figures = json.loads((Path(FOLDER) / "pretraining.json").read_text(encoding="utf-8"))
    assert figures["masked_loss"] < 0.3 * figures["unigram_entropy"]
