"""The hub is asked once and briefly; without it the answer is one line that says what to do."""

import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
from helpers.handmade import record_of

from inducer_bench import hub
from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.plm.fetch import plm_files
from inducer_bench.runs import record as records
from inducer_bench.runs.fetch import fetch
from inducer_bench.runs.identity import identify, run_folder
from inducer_bench.tasks import source

NO_ONE = "http://127.0.0.1:9"  # the discard port: refused at once


@pytest.fixture(autouse=True)
def _online(monkeypatch):
    """As on a machine that may use the hub; the environment is restored after each test."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_ENDPOINT", NO_ONE)


@pytest.fixture
def server():
    """The address of something that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def refusal(config):
    with pytest.raises(UserError) as caught:
        fetch(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_listening_server_is_reachable(server, monkeypatch):
    assert hub.reachable(server)
    assert not hub.reachable()
    monkeypatch.setenv("HF_ENDPOINT", server)
    assert hub.reachable()


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_offline_mode_is_believed_without_trying(server, monkeypatch, value):
    monkeypatch.setenv("HF_ENDPOINT", server)
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert not hub.reachable()
    assert hub.reachable(server), "other servers are not meant by it"


NONSENSE = ["http://x:99999999", "http://[", "nonsense", "http://", "http://x:0", "http://x:abc", "  "]


@pytest.mark.parametrize("url", NONSENSE)
def test_nonsense_for_the_address_of_the_hub_is_told_and_nothing_is_asked(monkeypatch, sst2_folder, capsys, url):
    monkeypatch.setenv("HF_ENDPOINT", url)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("asked"))
    hub.check_environment()
    assert "'roberta-base' is not on this machine" in refusal(compose([f"task.data_dir={sst2_folder}"]))
    told = f"inducer-bench: HF_ENDPOINT: found '{url}', which is no address, so that the hub is not asked\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("name", ["HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"])
@pytest.mark.parametrize("value", ["abc", "-1", "1.5", "9" * 5000])
def test_nonsense_for_seconds_is_told_and_ignored(monkeypatch, capsys, name, value):
    monkeypatch.setenv(name, value)
    hub.check_environment()
    assert name not in os.environ
    assert capsys.readouterr().err.startswith(f"inducer-bench: {name}: found '{value[:20]}")
    monkeypatch.setenv(name, "20")
    hub.check_environment()
    assert os.environ[name] == "20"


@pytest.mark.parametrize("name", ["http://a..b", "http://" + "x" * 300])
def test_name_that_no_host_can_have_is_not_reachable(name, capfd):
    started = time.perf_counter()
    assert not hub.reachable(name)
    assert time.perf_counter() - started < hub.SECONDS
    assert capfd.readouterr().err == ""


def test_whatever_the_libraries_of_the_hub_raise_is_one_line(monkeypatch, server, sst2_folder):
    def broken(*_, **__):
        raise TypeError("a proxy that cannot be\nmore")

    monkeypatch.setenv("HF_ENDPOINT", server)
    monkeypatch.setattr("huggingface_hub.snapshot_download", broken)
    message = refusal(compose([f"task.data_dir={sst2_folder}"]))
    assert message == "plm.hub: 'FacebookAI/roberta-base' cannot be fetched: a proxy that cannot be"


@pytest.mark.parametrize(
    ("url", "port"), [("https://a.example", 443), ("http://a.example", 80), ("https://a:8443", 8443)]
)
def test_port_follows_the_address(monkeypatch, url, port):
    asked = []
    monkeypatch.setattr(socket, "create_connection", lambda place, timeout: asked.append(place) or socket.socket())
    assert hub.reachable(url)
    assert asked[0][1] == port


def test_look_up_that_hangs_holds_up_neither_the_answer_nor_the_end_of_the_process():
    program = (
        "import socket, time; socket.create_connection = lambda *a, **k: time.sleep(60)\n"
        "from inducer_bench import hub; hub.SECONDS = 0.2; assert not hub.reachable('https://hub.example')"
    )
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    assert time.perf_counter() - started < 20


def test_nothing_is_asked_where_everything_is_local(monkeypatch, tiny_roberta_folder, sst2_folder):
    monkeypatch.setattr(hub, "reachable", lambda: pytest.fail("the hub was asked"))
    local = [f"task.data_dir={sst2_folder}", "task.max_length=32"]
    fetch(compose([*local, f"plm.path={tiny_roberta_folder}"]))
    fetch(compose([*local, "plm.weights=random", f"plm.tokenizer={tiny_roberta_folder}"]))


def test_missing_plm_without_network_says_what_to_do(sst2_folder):
    message = refusal(compose([f"task.data_dir={sst2_folder}"]))
    assert message.startswith("plm: 'roberta-base' is not on this machine and the hub cannot be reached; ")
    assert "plm.path=FOLDER" in message
    assert "preset=mini" in message


def test_random_weights_without_network_ask_for_a_tokenizer(sst2_folder):
    message = refusal(compose([f"task.data_dir={sst2_folder}", "plm.weights=random"]))
    assert "plm.tokenizer=FOLDER" in message


COMMIT = "c" * 40


@pytest.fixture
def cached_plm(tiny_roberta_folder, tmp_path, monkeypatch):
    """The hub's cache as a download of roberta-base's main branch leaves it, but with a tiny PLM in it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))  # it has read its environment long ago
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--FacebookAI--roberta-base"
    shutil.copytree(tiny_roberta_folder, folder / "snapshots" / COMMIT)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    return folder


def test_cached_plm_serves_without_network_at_the_commit_that_identifies_it(cached_plm, sst2_folder):
    config = compose([f"task.data_dir={sst2_folder}"])
    assert identify(config).plm == f"hub:FacebookAI/roberta-base@{COMMIT}"
    fetch(config)
    assert plm_files(config.plm) == cached_plm / "snapshots" / COMMIT


def test_cached_plm_at_another_commit_than_the_branch_is_none(cached_plm, sst2_folder):
    (cached_plm / "refs" / "main").write_text("d" * 40)
    assert "'roberta-base' is not on this machine" in refusal(compose([f"task.data_dir={sst2_folder}"]))


def test_cached_plm_of_no_known_branch_is_not_taken(cached_plm, sst2_folder):
    (cached_plm / "refs" / "main").unlink()
    config = compose([f"task.data_dir={sst2_folder}"])
    assert identify(config).plm == "hub:FacebookAI/roberta-base@main"
    assert "'roberta-base' is not on this machine" in refusal(config)


FINISHED = """
import socket, sys
from inducer_bench.config.compose import compose
from inducer_bench.runs.run import run

def no_network(*arguments, **options):
    raise AssertionError("the network was asked")
socket.create_connection = socket.socket.connect = no_network
print(run(compose([])).message, [name for name in ("torch", "datasets", "huggingface_hub") if name in sys.modules])
"""


def test_finished_run_on_the_hubs_data_and_plm_is_recognised_without_network_and_without_its_libraries(
    cached_plm, tmp_path
):
    reference = tmp_path / "datasets--nyu-mll--glue" / "refs" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text(COMMIT)
    config = compose([])
    identity = identify(config)
    folder = tmp_path / run_folder(config, identity)
    folder.mkdir(parents=True)
    data = records.Data(source="hub", fingerprint=identity.data)
    records.write(folder, record_of(config, score=90.0, data=data, plm_fingerprint=identity.plm))
    process = subprocess.run(
        [sys.executable, "-c", FINISHED], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert process.stdout.startswith("already done: accuracy 90.0; missing: adapter/"), process.stderr
    assert process.stdout.endswith(" []\n")


def test_missing_data_without_network_say_what_to_do(tiny_roberta_folder, monkeypatch):
    def unreachable(data, split):
        assert os.environ["HF_HUB_OFFLINE"] == "1", "the hub's libraries must not retry"
        raise ConnectionError("Couldn't reach the Hugging Face Hub\nfor dataset")

    monkeypatch.setattr(source, "load_from_hub", unreachable)
    message = refusal(compose([f"plm.path={tiny_roberta_folder}", "task.max_length=32"]))
    assert message.startswith("task: the data of 'sst2' are not on this machine and the hub cannot be reached; ")
    assert "task.data_dir=FOLDER" in message
    assert os.environ["HF_HUB_OFFLINE"] == "0", "the next run may find the network again"


def test_cached_data_serve_without_network(tiny_roberta_folder, monkeypatch):
    asked = []
    monkeypatch.setattr(source, "load_from_hub", lambda data, split: asked.append(split))
    fetch(compose([f"plm.path={tiny_roberta_folder}", "task.max_length=32"]))
    assert sorted(asked) == ["dev", "train"]


def test_data_set_unknown_to_the_hub_is_reported_in_the_first_line_of_its_answer(tiny_roberta_folder, monkeypatch):
    def unknown(data, split):
        raise ValueError("BuilderConfig 'sst3' not found.\nAvailable: ['sst2']")

    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(source, "load_from_hub", unknown)
    config = compose([f"plm.path={tiny_roberta_folder}", "task.max_length=32", "task.hub.name=sst3"])
    assert refusal(config) == "task.hub: 'nyu-mll/glue' cannot be loaded: BuilderConfig 'sst3' not found."


def test_plm_folder_that_does_not_exist_is_rejected(tiny_roberta_folder, tmp_path):
    plm = compose([f"plm.path={tiny_roberta_folder}", "task.max_length=32"]).plm
    assert plm_files(plm) == tiny_roberta_folder
    with pytest.raises(UserError, match="which is not a folder; allowed: one in transformers' format"):
        plm_files(dataclasses.replace(plm, path=str(tmp_path / "nowhere")))
