"""PLMs and tokenizers from folders and with random weights; broken or hostile folders are rejected in one line."""

import dataclasses
import json
import pickle
import shutil

import pytest
import torch
from helpers.auto_classes import CLASSIFIER, GENERATOR
from helpers.commands import command
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.plm.load import empty_model, load_model, load_tokenizer, match_padding


def plm_in(folder, *overrides):
    return compose([f"plm.path={folder}", "task.max_length=32", *overrides]).plm


@pytest.fixture
def copy(tiny_roberta_folder, tmp_path):
    """A copy of a good folder, to be broken."""
    return shutil.copytree(tiny_roberta_folder, tmp_path / "tiny_roberta")


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_weights(folder, change):
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def rejection(load, *arguments):
    with pytest.raises(UserError) as caught:
        load(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_local_folder_gives_its_own_weights(tiny_roberta_folder):
    model = load_model(plm_in(tiny_roberta_folder), CLASSIFIER, num_labels=3)
    saved = load_file(tiny_roberta_folder / "model.safetensors")
    own = {name: p for name, p in model.state_dict().items() if name.startswith("roberta.")}
    assert own
    for name, tensor in own.items():
        assert torch.equal(tensor, saved[name]), name
    assert model.classifier.out_proj.out_features == 3


@pytest.mark.parametrize("family", [CLASSIFIER, GENERATOR])
def test_family_decides_the_head(tiny_gpt2_folder, family):
    model = load_model(plm_in(tiny_gpt2_folder, "plm=gpt2"), family, num_labels=2 if family == CLASSIFIER else None)
    expected = {CLASSIFIER: "GPT2ForSequenceClassification", GENERATOR: "GPT2LMHeadModel"}[family]
    assert type(model).__name__ == expected


def test_new_head_follows_the_global_seed(tiny_roberta_folder):
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        heads.append(load_model(plm_in(tiny_roberta_folder), CLASSIFIER, num_labels=2).classifier.dense.weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_half_precision_weights_are_loaded_in_float32(copy):
    edit_weights(copy, lambda tensors: {name: tensor.half() for name, tensor in tensors.items()})
    edit_config(copy, dtype="float16")
    model = load_model(plm_in(copy), CLASSIFIER, num_labels=2)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_head_for_other_labels_starts_anew(copy):
    load_model(plm_in(copy), CLASSIFIER, num_labels=5).save_pretrained(copy)
    model = load_model(plm_in(copy), CLASSIFIER, num_labels=2)
    assert model.classifier.out_proj.out_features == 2
    assert torch.isfinite(model.classifier.out_proj.weight).all()


def test_random_weights_follow_architecture_and_seed():
    sizes = ["hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2", "intermediate_size=8", "vocab_size=50"]
    overrides = [f"plm.architecture.{size}" for size in sizes]
    plm = compose(["plm=roberta-base", "plm.weights=random", "method.r_k=2", *overrides]).plm
    models = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        models.append(load_model(plm, CLASSIFIER, num_labels=2).roberta.embeddings.word_embeddings.weight)
    assert models[0].shape == (50, 16)
    assert torch.equal(models[0], models[1])
    assert not torch.equal(models[0], models[2])


def test_random_weights_of_a_folder_take_its_sizes_and_nothing_else(tiny_roberta_folder):
    model = load_model(plm_in(tiny_roberta_folder, "plm.weights=random"), CLASSIFIER, num_labels=2)
    saved = load_file(tiny_roberta_folder / "model.safetensors")["roberta.embeddings.word_embeddings.weight"]
    assert model.roberta.embeddings.word_embeddings.weight.shape == saved.shape
    assert not torch.equal(model.roberta.embeddings.word_embeddings.weight, saved)


def test_empty_model_has_shapes_and_no_weights():
    model = empty_model(compose(["plm=roberta-large", "method.r_k=2"]).plm, CLASSIFIER, num_labels=2)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert sum(p.numel() for p in model.roberta.parameters()) == 354_310_144


def test_architecture_without_a_name_is_rejected():
    plm = compose(["plm=roberta-base", "plm.weights=random"]).plm
    message = rejection(load_model, dataclasses.replace(plm, architecture={"hidden_size": 16}), CLASSIFIER, 2)
    assert message == "plm.weights: 'roberta-base' names no architecture to build with random weights"


@pytest.mark.parametrize("size", [0, 5, 1000, -100])
def test_truncated_weights_are_rejected(copy, size):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    assert rejection(load_model, plm_in(copy), CLASSIFIER, 2).startswith(f"plm.path: '{copy}' does not load: ")


def test_weights_that_lack_a_layer_are_never_made_up(copy):
    edit_weights(copy, lambda tensors: {name: t for name, t in tensors.items() if "layer.1." not in name})
    assert "16 tensors are missing or of another shape, first 'roberta.encoder.layer.1." in rejection(
        load_model, plm_in(copy), CLASSIFIER, 2
    )


def test_weights_of_another_width_are_rejected(copy):
    edit_config(copy, intermediate_size=48)
    assert "missing or of another shape, first 'roberta.encoder.layer.0." in rejection(
        load_model, plm_in(copy), CLASSIFIER, 2
    )


def test_pickled_weights_are_rejected_and_never_executed(copy, tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "executed"), "w")

    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    assert "model.safetensors" in rejection(load_model, plm_in(copy), CLASSIFIER, 2)
    assert not (tmp_path / "executed").exists()


def test_code_in_a_folder_is_rejected_and_never_executed(copy, tmp_path):
    (copy / "trap.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    names = {"AutoConfig": "trap.Config", "AutoModelForSequenceClassification": "trap.Model"}
    edit_config(copy, model_type="trap", auto_map=names)
    assert "custom code" in rejection(load_model, plm_in(copy), CLASSIFIER, 2)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content", ["", "{", '{"a": 1}', '{"version": "1.0", "added_tokens": [], "model": {"type": "?"}}']
)
def test_broken_tokenizer_is_rejected(copy, content):
    (copy / "tokenizer.json").write_text(content)
    assert rejection(load_tokenizer, plm_in(copy)).startswith(f"plm.tokenizer: '{copy}' ")


def test_folder_without_a_vocabulary_gives_no_tokenizer(copy):
    (copy / "tokenizer.json").unlink()
    assert "holds no vocabulary" in rejection(load_tokenizer, plm_in(copy))


def test_tokenizer_may_come_from_another_folder(tiny_roberta_folder, tiny_gpt2_folder):
    tokenizer = load_tokenizer(plm_in(tiny_roberta_folder, f"plm.tokenizer={tiny_gpt2_folder}"))
    assert tokenizer.get_vocab() == AutoTokenizer.from_pretrained(tiny_gpt2_folder).get_vocab()


def test_decoder_without_a_padding_token_pads_with_its_end(tiny_gpt2_folder):
    plm = plm_in(tiny_gpt2_folder, "plm=gpt2")
    tokenizer, model = load_tokenizer(plm), load_model(plm, CLASSIFIER, num_labels=2)
    assert AutoTokenizer.from_pretrained(tiny_gpt2_folder).pad_token is None
    assert tokenizer.pad_token == tokenizer.eos_token == "<|endoftext|>"
    assert model.config.pad_token_id is None
    match_padding(model, tokenizer)
    assert model.config.pad_token_id == tokenizer.pad_token_id


@pytest.mark.parametrize("family", [CLASSIFIER, GENERATOR])
def test_tokenizer_without_padding_and_end_serves_what_is_not_padded_with_it(tiny_gpt2_folder, family):
    plm = plm_in(tiny_gpt2_folder, "plm=gpt2")
    tokenizer, model = load_tokenizer(plm), load_model(plm, family, num_labels=2 if family == CLASSIFIER else None)
    tokenizer.pad_token = tokenizer.eos_token = None
    if family == GENERATOR:
        match_padding(model, tokenizer)
    else:
        assert rejection(match_padding, model, tokenizer).startswith(
            "plm.tokenizer: found neither a padding token nor "
        )


def test_padding_token_of_an_encoder_stays(tiny_roberta_folder):
    plm = plm_in(tiny_roberta_folder)
    tokenizer, model = load_tokenizer(plm), load_model(plm, CLASSIFIER, num_labels=2)
    match_padding(model, tokenizer)
    assert tokenizer.pad_token == "<pad>"
    assert model.config.pad_token_id == tokenizer.pad_token_id == 1


@pytest.mark.parametrize("pad", [None, 5])  # of config.json; the tokenizer's is 0, whatever that says
def test_padded_decoder_reads_its_last_real_token(tiny_gpt2_folder, tmp_path, pad):
    folder = shutil.copytree(tiny_gpt2_folder, tmp_path / "tiny_gpt2")
    edit_config(folder, pad_token_id=pad)
    plm = plm_in(folder, "plm=gpt2")
    tokenizer, model = load_tokenizer(plm), load_model(plm, CLASSIFIER, num_labels=2).eval()
    match_padding(model, tokenizer)
    texts = ["a great film", "a mess in every scene , if you ask me"]
    with torch.no_grad():
        together = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
        alone = [model(**tokenizer(text, return_tensors="pt")).logits[0] for text in texts]
    torch.testing.assert_close(together, torch.stack(alone))


def test_tokenizer_with_more_tokens_than_embeddings_is_rejected(tiny_roberta_folder):
    plm = plm_in(tiny_roberta_folder)
    tokenizer = load_tokenizer(plm)
    model = load_model(plm, CLASSIFIER, num_labels=2)
    rows = model.config.vocab_size
    match_padding(model, tokenizer)
    tokenizer.add_tokens(["<one more>"])
    message = rejection(match_padding, model, tokenizer)
    assert message == f"plm.tokenizer: found {rows + 1} tokens; allowed: at most {rows}, the PLM's embeddings"


def test_loaded_model_computes_what_transformers_computes(tiny_roberta_folder):
    torch.manual_seed(0)
    ours = load_model(plm_in(tiny_roberta_folder), CLASSIFIER, num_labels=2).eval()
    torch.manual_seed(0)
    theirs = AutoModelForSequenceClassification.from_pretrained(tiny_roberta_folder, num_labels=2).eval()
    inputs = load_tokenizer(plm_in(tiny_roberta_folder))(["a moving film"], return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(ours(**inputs).logits, theirs(**inputs).logits)


def test_fused_activation_computes_what_transformers_computes(tiny_gpt2_folder):
    ours = load_model(plm_in(tiny_gpt2_folder), GENERATOR).double().eval()
    theirs = AutoModelForCausalLM.from_pretrained(tiny_gpt2_folder).double().eval()
    assert type(ours.transformer.h[0].mlp.act) is not type(theirs.transformer.h[0].mlp.act)
    ids = torch.arange(12).view(2, 6)
    logits, expected = ours(ids).logits, theirs(ids).logits
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)
    weight, reference = ours.transformer.wte.weight, theirs.transformer.wte.weight
    (found,) = torch.autograd.grad(logits.square().sum(), weight)
    (wanted,) = torch.autograd.grad(expected.square().sum(), reference)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


LOAD = """
import sys, datasets
from transformers.utils import logging
from inducer_bench.config.compose import compose
from inducer_bench.plm.load import load_model, quiet_libraries
import inducer_bench.tasks.cache

def state():
    return logging.get_verbosity(), logging.is_progress_bar_enabled(), datasets.are_progress_bars_disabled()

assert state() == (logging.WARNING, True, False), state()
if sys.argv[2] == "quiet":
    quiet_libraries()
    assert state() == (logging.ERROR, False, True), state()
load_model(compose([f"plm.path={sys.argv[1]}", "task.max_length=32"]).plm, "AutoModelForSequenceClassification", 2)
"""


@pytest.mark.parametrize("volume", ["quiet", "loud"])
def test_libraries_are_silenced_when_a_run_starts_and_never_by_an_import(tiny_roberta_folder, volume, tmp_path):
    done = command([str(tiny_roberta_folder), volume], tmp_path, program=LOAD)
    assert done.code == 0, done.err
    assert (done.err == "") == (volume == "quiet"), done.err


def test_weights_without_a_place_in_the_model_are_told(tiny_roberta_folder, copy, caplog):
    load_model(plm_in(tiny_roberta_folder), CLASSIFIER, 2)
    edit_config(copy, num_hidden_layers=1)
    load_model(plm_in(copy), CLASSIFIER, 2)
    (told,) = [message for message in caplog.messages if message.startswith("plm:")]
    assert told.startswith("plm: 'tiny_roberta' has 16 tensors without a place in the model of its config.json, first ")


def test_token_ids_with_gaps_are_counted_to_the_highest(copy):
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary[max(vocabulary, key=vocabulary.get)] = 50_000
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    model = load_model(plm_in(copy), CLASSIFIER, 2)
    with pytest.raises(UserError, match=r"^plm\.tokenizer: found 50001 tokens; allowed: at most "):
        match_padding(model, load_tokenizer(plm_in(copy)))
