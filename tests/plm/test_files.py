"""Every file of a PLM that is read is hashed, nothing else is read, and whatever is broken is one line."""

import dataclasses
import json
import os
import shutil

import pytest
import torch
import transformers as tf
from helpers.auto_classes import CLASSIFIER, GENERATOR
from safetensors.torch import load_file, save_file

from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.plm import files, load, reuse
from inducer_bench.plm.load import load_model, load_tokenizer
from inducer_bench.runs.identity import plm_fingerprint
from inducer_bench.tasks.options import Decoding
from inducer_bench.training.decoding import generation_config

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "moving", "film"]


def plm_in(folder, *overrides):
    return compose([f"plm.path={folder}", "task.max_length=32", *overrides]).plm


@pytest.fixture
def copy(tiny_roberta_folder, tmp_path):
    """A copy of a good folder, to be changed."""
    return shutil.copytree(tiny_roberta_folder, tmp_path / "tiny_roberta")


@pytest.fixture
def gpt2_copy(tiny_gpt2_folder, tmp_path):
    return shutil.copytree(tiny_gpt2_folder, tmp_path / "tiny_gpt2")


def rejection(load, *arguments):
    with pytest.raises(UserError) as caught:
        load(*arguments)
    return str(caught.value)


def bert_with_a_vocabulary(folder, model=tf.BertForSequenceClassification):
    """A BERT as it was saved before there was tokenizer.json."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model(tf.BertConfig(vocab_size=len(WORDS), max_position_embeddings=40, **sizes)).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    return folder


def split(folder, **other):
    """Save the weights in two files, with an index that also says `other`."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    where = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(sorted(tensors))}
    for part in set(where.values()):
        own = {name: tensor for name, tensor in tensors.items() if where[name] == part}
        save_file(own, folder / part, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {**where, **other}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_vocabulary_is_read_and_hashed(tmp_path):
    folder = bert_with_a_vocabulary(tmp_path / "bert")
    before, tokens = plm_fingerprint(plm_in(folder)), load_tokenizer(plm_in(folder)).tokenize("a moving film")
    (folder / "vocab.txt").write_text("\n".join([*WORDS[:6], "film", "moving"]))
    assert tokens == ["a", "moving", "film"]
    assert load_tokenizer(plm_in(folder)).convert_tokens_to_ids(["moving", "film"]) == [7, 6]
    assert plm_fingerprint(plm_in(folder)) != before


@pytest.mark.parametrize("name", ["added_tokens.json", "vocab.txt", "spiece.model", "chat_template.jinja", "any.json"])
def test_each_file_that_a_library_may_read_is_hashed_with_its_name(copy, name):
    before = plm_fingerprint(plm_in(copy))
    (copy / name).write_text("{}")
    after = plm_fingerprint(plm_in(copy))
    (copy / name).write_text("{ }")
    changed = plm_fingerprint(plm_in(copy))
    (copy / name).rename(copy / f"x{name}")
    assert len({before, after, changed, plm_fingerprint(plm_in(copy))}) == 4


@pytest.mark.parametrize("name", ["generation_config.json", "README.md", "pytorch_model.bin", ".hidden.json", "a.py"])
def test_what_is_not_hashed_is_not_visible(copy, name):
    before = plm_fingerprint(plm_in(copy))
    (copy / name).write_text("{")
    assert plm_fingerprint(plm_in(copy)) == before
    with files.opened(copy, "plm.path", weights=True) as view:
        assert {path.name for path in view.iterdir()} == {path.name for path in copy.iterdir()} - {name}


def test_config_beside_a_tokenizer_is_hashed_as_it_chooses_the_class(copy):
    def fingerprint():
        return plm_fingerprint(compose(["plm.weights=random", f"plm.tokenizer={copy}"]).plm)

    before = fingerprint()
    (copy / "config.json").write_text(json.dumps({**json.loads((copy / "config.json").read_text()), "x": 1}))
    assert fingerprint() != before


def test_bundled_plms_keep_their_fingerprints():
    """Those of the records in results/mini."""
    found = {task: plm_fingerprint(compose(["preset=mini", f"task={task}"]).plm) for task in ("sst2", "coqa")}
    assert found == {"sst2": "sha256:e00b404dd1303f99", "coqa": "sha256:f0a2598297f4dae5"}


def test_decoding_takes_nothing_from_the_folder(gpt2_copy):
    settings = {"repetition_penalty": 1.3, "temperature": 9.0, "min_new_tokens": 5, "suppress_tokens": [7]}
    (gpt2_copy / "generation_config.json").write_text(json.dumps(settings))
    decoding = Decoding(
        max_new_tokens=8, beams=1, length_penalty=1.0, no_repeat_ngram=0, sample=False, temperature=1.0, top_p=1.0
    )
    plm = plm_in(gpt2_copy, "plm=gpt2")
    first_special, ids = 10_000, torch.arange(8).view(1, -1)

    def generated(model):
        return model.eval().generate(ids, generation_config=generation_config(decoding, first_special)).tolist()

    plain = tf.GPT2LMHeadModel.from_pretrained(gpt2_copy)
    assert plain.generation_config.repetition_penalty == 1.3
    found = generated(load_model(plm, GENERATOR))
    assert found != generated(plain)
    plain.generation_config = tf.GenerationConfig()
    assert found == generated(plain)


def test_links_are_followed_as_in_the_cache_of_the_hub(copy):
    before = plm_fingerprint(plm_in(copy))
    blobs = copy.with_name("blobs")
    blobs.mkdir()
    for path in list(copy.iterdir()):
        path.rename(blobs / path.name)
        path.symlink_to(f"../blobs/{path.name}")
    assert plm_fingerprint(plm_in(copy)) == before
    assert load_model(plm_in(copy), CLASSIFIER, 2).config.hidden_size == 32
    assert len(load_tokenizer(plm_in(copy))) > 256


def test_weights_in_several_files_are_read_and_hashed_with_their_index(copy):
    whole = load_model(plm_in(copy), CLASSIFIER, 2).roberta.state_dict()
    split(copy)
    before, parts = plm_fingerprint(plm_in(copy)), load_model(plm_in(copy), CLASSIFIER, 2).roberta.state_dict()
    assert all(torch.equal(parts[name], tensor) for name, tensor in whole.items())
    (copy / "model.safetensors.index.json").write_text((copy / "model.safetensors.index.json").read_text() + "\n")
    assert plm_fingerprint(plm_in(copy)) != before


@pytest.mark.parametrize("name", ["../base/model.safetensors", "/x/model.safetensors", "part-2.safetensors", "a/b", 5])
def test_index_names_only_files_of_its_folder(copy, name):
    split(copy, more=name)
    for read in (plm_fingerprint, lambda plm: load_model(plm, CLASSIFIER, 2)):
        message = rejection(read, plm_in(copy))
        index = copy / "model.safetensors.index.json"
        assert message == f"plm.path: '{index}' names '{name}'; allowed: a *.safetensors in the same folder"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": 5}', '{"weight_map": {"a": []}}'])
def test_broken_index_is_told(copy, content):
    split(copy)
    (copy / "model.safetensors.index.json").write_text(content)
    assert "model.safetensors.index.json' is not an index of weights" in rejection(plm_fingerprint, plm_in(copy))


def test_adapter_beside_the_weights_is_refused_and_beside_a_tokenizer_not_read(copy):
    (copy / "adapter_config.json").write_text("{}")
    assert "holds an adapter, adapter_config.json" in rejection(plm_fingerprint, plm_in(copy))
    assert "holds an adapter, adapter_config.json" in rejection(load_model, plm_in(copy), CLASSIFIER, 2)
    load_tokenizer(plm_in(copy))


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "dangling link"])
def test_what_is_no_file_is_named_and_never_waited_for(copy, name, kind):
    path = copy / name
    path.unlink(missing_ok=True)
    {"pipe": os.mkfifo, "folder": os.mkdir, "dangling link": lambda at: os.symlink("nowhere", at)}[kind](path)
    assert rejection(plm_fingerprint, plm_in(copy)) == (
        f"plm.path: '{path}' is not a file; allowed: a file, or a link to one"
    )


def test_file_that_cannot_be_read_is_named(copy, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(files, "sha256", denied)
    assert rejection(plm_fingerprint, plm_in(copy)) == (
        f"plm.path: '{copy / 'config.json'}' cannot be read (Permission denied); allowed: a readable file"
    )


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("tokenizer.json", "[" * 100_000, "tokenizer.json: not JSON: maximum recursion depth"),
        ("tokenizer.json", "null", "tokenizer.json: no JSON object"),
        ("tokenizer.json", '{"a": 1}', "KeyError: 'added_tokens'"),
        ("added_tokens.json", "5", "added_tokens.json: no JSON object"),
        ("special_tokens_map.json", '{"a"', "special_tokens_map.json: not JSON: "),
        ("tokenizer_config.json", "9" * 5000, "tokenizer_config.json: not JSON: Exceeds the limit (4300 digits)"),
    ],
)
def test_broken_tokenizer_file_is_named(copy, name, content, complaint):
    (copy / name).write_text(content)
    message = rejection(load_tokenizer, plm_in(copy))
    assert message.startswith(f"plm.tokenizer: '{copy}' does not load: {complaint}")
    assert message.endswith("; allowed: one that transformers saved")


def told(caplog):
    return [line.getMessage() for line in caplog.records if line.name == "inducer_bench"]


def test_pooler_that_was_not_saved_starts_from_the_seed_and_is_told_in_each_job(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(reuse, "_kept", None)
    plm = plm_in(bert_with_a_vocabulary(tmp_path / "bert", tf.BertForMaskedLM))
    saved = load_file(tmp_path / "bert" / "model.safetensors")
    poolers = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        with reuse.borrowed(plm, CLASSIFIER, 2) as model:
            poolers.append(model.bert.pooler.dense.weight.clone())
            assert torch.equal(model.bert.embeddings.LayerNorm.weight, saved["bert.embeddings.LayerNorm.weight"])
    assert torch.equal(poolers[0], poolers[1])
    assert not torch.equal(poolers[0], poolers[2])
    line = (
        "plm: 'bert' was saved without a pooler, which BertForSequenceClassification has; its 272 parameters start "
        "from the seed, as the rest of the head"
    )
    assert told(caplog) == [line] * 3


def test_pooler_that_was_saved_is_kept_in_silence(tmp_path, caplog):
    folder = bert_with_a_vocabulary(tmp_path / "bert")
    with reuse.borrowed(plm_in(folder), CLASSIFIER, 2) as model:
        pooler = load_file(folder / "model.safetensors")["bert.pooler.dense.weight"]
        assert torch.equal(model.bert.pooler.dense.weight, pooler)
    assert not any("pooler" in line for line in told(caplog))


def test_head_that_was_saved_is_drawn_anew_as_one_that_was_not(tmp_path, caplog):
    saved, heads = bert_with_a_vocabulary(tmp_path / "bert"), []
    for seed in (0, 1, 0):
        torch.manual_seed(seed)
        with reuse.borrowed(plm_in(saved), CLASSIFIER, 2) as model:
            heads.append(model.classifier.weight.clone())
    own = load_file(saved / "model.safetensors")["classifier.weight"]
    assert own.shape == heads[0].shape
    assert not torch.equal(heads[0], own)
    assert not torch.equal(heads[0], heads[1])
    assert torch.equal(heads[0], heads[2])
    line = "plm: 'bert' was saved with a head ('classifier.bias'), which is not used; a new one is drawn"
    assert told(caplog) == [line]


@pytest.mark.parametrize("weights", ["pretrained", "random"])
def test_class_that_transformers_does_not_have_is_named(tmp_path, weights):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    tf.GraniteForCausalLM(tf.GraniteConfig(vocab_size=40, **sizes)).save_pretrained(tmp_path / "granite")
    plm = plm_in(tmp_path / "granite", f"plm.weights={weights}", "method=head_only")
    message = rejection(load_model, plm, CLASSIFIER, 2)
    assert message == "plm: transformers has no AutoModelForSequenceClassification for model type 'granite'"


def test_methods_without_ranks_need_no_sizes_of_the_plm(tmp_path):
    """BART's config.json has those of an encoder and of a decoder."""
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    tf.BartConfig(vocab_size=40, encoder_attention_heads=2, decoder_attention_heads=2, **sizes).save_pretrained(
        tmp_path
    )
    plm_in(tmp_path, "method=head_only")
    message = rejection(plm_in, tmp_path, "method=lora")
    assert message.startswith("plm: no sizes are known for model type 'bart', whose config.json has none of ")


def test_language_model_without_its_output_embedding_is_refused(gpt2_copy):
    config = json.loads((gpt2_copy / "config.json").read_text())
    (gpt2_copy / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    message = rejection(load_model, plm_in(gpt2_copy, "plm=gpt2"), GENERATOR)
    assert message.endswith("1 tensors are missing or of another shape, first 'lm_head.weight'")


def test_padding_is_at_the_end_whatever_the_tokenizer_says(gpt2_copy):
    file = gpt2_copy / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "padding_side": "left"}))
    assert load_tokenizer(plm_in(gpt2_copy, "plm=gpt2")).padding_side == "right"


def test_bert_that_lacks_more_than_its_pooler_is_refused(tmp_path):
    folder = bert_with_a_vocabulary(tmp_path / "bert")
    tensors = load_file(folder / "model.safetensors")
    kept = {name: t for name, t in tensors.items() if "pooler" not in name and "layer.0.output.dense" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    assert rejection(load_model, plm_in(folder), CLASSIFIER, 2).endswith(
        "2 tensors are missing or of another shape, first 'bert.encoder.layer.0.output.dense.bias'"
    )


@pytest.mark.parametrize("auto_class", [CLASSIFIER, GENERATOR])
def test_settings_that_change_what_a_model_returns_are_not_obeyed(gpt2_copy, auto_class):
    config = json.loads((gpt2_copy / "config.json").read_text())
    (gpt2_copy / "config.json").write_text(json.dumps({**config, "return_dict": False, "output_attentions": True}))
    model = load_model(plm_in(gpt2_copy, "plm=gpt2"), auto_class, 2 if auto_class == CLASSIFIER else None)
    assert model(torch.arange(1).view(1, 1)).logits.shape[0] == 1
    assert not model.config.output_attentions


def test_sizes_that_were_counted_with_are_those_of_the_files_from_the_hub(tiny_roberta_folder, monkeypatch):
    monkeypatch.setattr(load, "plm_files", lambda _: tiny_roberta_folder)
    sizes = json.loads((tiny_roberta_folder / "config.json").read_text())
    plm = compose(["plm=roberta-base", "task.max_length=32"]).plm
    own = dataclasses.replace(plm, architecture={name: sizes[name] for name in plm.architecture})
    assert load_model(own, CLASSIFIER, 2).config.hidden_size == 32
    assert rejection(load_model, plm, CLASSIFIER, 2) == (
        f"plm.architecture.vocab_size: found 50265; allowed: {sizes['vocab_size']}, as in the files of "
        "'FacebookAI/roberta-base'"
    )
