"""A GGUF file becomes a PLM in float32 once, under a name and an identity that say what its weights were rounded to."""

import importlib.util
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import gguf_model
from helpers.commands import command

from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.files import cache_root
from inducer_bench.plm import gguf_files
from inducer_bench.plm.fetch import plm_files
from inducer_bench.plm.load import load_tokenizer
from inducer_bench.runs.identity import identify, plm_fingerprint
from inducer_bench.runs.snippet import base_model

OPTIONS = ["task=text_to_text", "task.metrics=[chrf]", "task.metric=chrf", "method=lora", "method.r=4"]


@pytest.fixture(scope="module", autouse=True)
def _forked(tmp_path_factory):
    """The process that converts is forked from one that has torch."""
    folder = tmp_path_factory.mktemp("converting")

    def run(words, env, **_):
        assert words[:2] == [sys.executable, "-m"]
        program = f"import runpy; runpy.run_module({words[2]!r}, run_name='__main__')"
        ended = command(words[3:], folder, environment=env, program=program)
        return subprocess.CompletedProcess(words, ended.code, ended.out, ended.err)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gguf_files, "subprocess", SimpleNamespace(**{**vars(subprocess), "run": run}))
        yield


@pytest.fixture(scope="module")
def tiny(tiny_gpt2_folder, tmp_path_factory):
    """A folder with a GGUF file, which this module converts once, and its weights before they were rounded."""
    folder = tmp_path_factory.mktemp("plms") / "tiny llama"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "of no one"}')  # publishers put one beside it
    weights = gguf_model.write(folder / "tiny.gguf", tiny_gpt2_folder / "tokenizer.json")
    return folder, weights


def plm_in(place, *overrides):
    return compose([*OPTIONS, f"plm.path='{place}'", *overrides]).plm


def refusal(call, *arguments):
    with pytest.raises(UserError) as caught:
        call(*arguments)
    return str(caught.value)


def test_weights_are_those_of_the_file_in_float32_within_half_a_step_of_their_rounding(tiny):
    from inducer_bench.plm.load import load_model, load_tokenizer

    folder, weights = tiny
    plm = plm_in(folder)
    model = load_model(plm, "AutoModelForCausalLM")
    found = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    for name, before in weights.items():
        assert found[name].dtype == np.float32
        blocks = before.reshape(-1, 32)  # of Q4_1: 16 steps from the smallest value to the largest
        half = np.ptp(blocks, axis=1, keepdims=True) / 15 / 2
        assert np.all(np.abs(found[name].reshape(-1, 32) - blocks) <= 1.02 * half + 1e-3 * np.abs(blocks)), name
    assert set(found) - set(weights) == {name for name in found if "norm" in name} | {"lm_head.weight"}
    tokenizer = load_tokenizer(plm)
    assert tokenizer.decode(tokenizer("a charming film", add_special_tokens=False).input_ids) == "a charming film"


def test_name_and_identity_say_what_the_weights_were_rounded_to_and_follow_the_content_alone(tiny, tmp_path):
    folder, _ = tiny
    config = compose([*OPTIONS, f"plm.path='{folder}'", f"task.data_dir={tmp_path}"])
    assert config.plm.name == "tiny-llama-q4_1"
    assert config.task.max_length == gguf_model.POSITIONS, "what the model takes"
    fingerprint = plm_fingerprint(config.plm)
    assert fingerprint.startswith("gguf:q4_1:sha256:")
    (tmp_path / "train.jsonl").write_text('{"text": "a", "target": "b"}\n')
    (tmp_path / "dev.jsonl").write_text('{"text": "a", "target": "b"}\n')
    (tmp_path / "test.jsonl").write_text('{"text": "a", "target": "b"}\n')
    assert identify(config).plm == fingerprint
    shutil.copy(folder / "tiny.gguf", tmp_path / "other.Q4_1.gguf")
    renamed = plm_in(tmp_path / "other.Q4_1.gguf")
    assert (renamed.name, plm_fingerprint(renamed)) == ("other.Q4_1", fingerprint), "its name says it already"
    assert plm_files(renamed) == plm_files(config.plm), "converted once"
    assert base_model(config.plm) == "tiny-llama-q4_1", "no card names the model that was not rounded"


def test_shipped_name_of_a_model_never_stands_for_rounded_weights(tiny, tmp_path):
    folder, _ = tiny
    config = tmp_path / "plm" / "tiny.yaml"
    config.parent.mkdir()
    config.write_text(
        "name: tiny\nweights: pretrained\npath: null\nhub: example/tiny\nrevision: main\ntokenizer: null\n"
        f"architecture: {{model_type: llama, hidden_size: {gguf_model.WIDTH}, rms_norm_eps: 1.0e-5}}\n"
    )
    assert compose([*OPTIONS, "plm=tiny", f"plm.path='{folder}'"], tmp_path).plm.name == "tiny-q4_1"


def test_file_that_was_not_rounded_is_not_said_to_be(tiny_gpt2_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_files, "_convert", gguf_files.write)  # in this process, which has torch
    monkeypatch.setenv("INDUCER_BENCH_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "whole.gguf"
    gguf_model.write(file, tiny_gpt2_folder / "tokenizer.json", kind="F16")
    assert plm_in(file).name == "whole"
    assert plm_fingerprint(plm_in(file)).startswith("gguf:f16:sha256:")


def test_file_without_a_tokenizer_is_converted_for_one_of_another_name(tmp_path, monkeypatch):
    gguf_model.write(tmp_path / "BARE.GGUF", None, kind="F16")
    monkeypatch.setattr(gguf_files, "_convert", gguf_files.write)
    monkeypatch.setenv("INDUCER_BENCH_CACHE", str(tmp_path / "cache"))
    plm = plm_in(tmp_path / "BARE.GGUF", "plm.tokenizer=mini_gpt2")
    assert plm.name == "BARE"
    assert load_tokenizer(plm).vocab_size > 0
    assert refusal(load_tokenizer, plm_in(tmp_path)).startswith("plm.tokenizer: ")


@pytest.mark.parametrize("content", [b"", b"{}", b"GGUF and no more"])
def test_file_that_is_not_what_its_name_says_is_told_in_a_line_and_leaves_nothing(tmp_path, monkeypatch, content):
    def as_a_process(file, draft):
        raise UserError(f"plm.path: '{file}' cannot be converted: ValueError: truncated")

    monkeypatch.setattr(gguf_files, "_convert", as_a_process)
    monkeypatch.setenv("INDUCER_BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x.gguf").write_bytes(content)
    assert refusal(plm_in, tmp_path / "x.gguf").startswith(f"plm.path: '{tmp_path / 'x.gguf'}' ")
    assert not list(cache_root().glob("plms/gguf-*[!k]")), "a lock at most"


def test_part_of_a_model_is_refused_and_not_filled_up_with_random_weights(tiny_gpt2_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("INDUCER_BENCH_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "half-00001-of-00002.gguf"
    gguf_model.write(file, tiny_gpt2_folder / "tokenizer.json", without="blk.1.")
    told = refusal(plm_in, file)
    assert "cannot be converted: ValueError: 7 tensors are missing, first 'model.layers.1.mlp.down_proj.weight'" in told
    assert not list(cache_root().glob("plms/gguf-*[!k]"))


def test_converted_copy_that_is_damaged_is_made_again(tiny, tmp_path, monkeypatch):
    folder, _ = tiny
    copy = plm_files(plm_in(folder))
    fingerprint = plm_fingerprint(plm_in(folder))
    for name in ("model.safetensors", "config.json"):
        whole = (copy / name).read_bytes()
        (copy / name).write_bytes(whole[:-9] if name == "model.safetensors" else b"{}")
        assert plm_fingerprint(plm_in(folder)) == fingerprint
        assert (copy / name).read_bytes() == whole


def test_folder_with_several_files_asks_for_one_and_one_with_safetensors_is_read_as_such(tiny_gpt2_folder, tmp_path):
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    assert "allowed: one of a.gguf, b.gguf, by its path" in refusal(plm_in, tmp_path)
    folder = shutil.copytree(tiny_gpt2_folder, tmp_path / "both")
    (folder / "a.gguf").write_bytes(b"GGUF")
    assert plm_files(plm_in(folder)) == folder


def test_missing_package_and_a_cache_that_cannot_be_written_are_told_in_a_line(tmp_path, monkeypatch):
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv("INDUCER_BENCH_CACHE", str(tmp_path / "x.gguf" / "cache"))
    assert "INDUCER_BENCH_CACHE=FOLDER puts what it becomes elsewhere" in refusal(plm_in, tmp_path / "x.gguf")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    message = refusal(plm_in, tmp_path / "x.gguf")
    assert message.endswith("x.gguf' needs the package gguf; pip install 'inducer-bench[gguf]'")
