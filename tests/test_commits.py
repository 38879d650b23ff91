"""A revision stands for the commit that the hub's cache says; that is what is identified, fetched and loaded."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from inducer_bench import hub
from inducer_bench.hub import hub_cache, known_commit

OLD, NEW = "a" * 40, "b" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def refer(cache, repository, revision, commit):
    path = cache / repository / "refs" / revision
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(commit)


# -- the cache ---------------------------------------------------------------------------------------------------------


def test_revision_is_looked_up_by_kind_and_repository(cache):
    refer(cache, "models--org--name", "main", OLD)
    refer(cache, "datasets--org--name", "main", NEW + "\n")
    refer(cache, "models--gpt2", "refs/pr/3", NEW)
    assert known_commit("model", "org/name", "main") == OLD
    assert known_commit("dataset", "org/name", "main") == NEW
    assert known_commit("model", "gpt2", "refs/pr/3") == NEW


def test_commit_stands_for_itself_and_what_was_never_asked_for_is_not_known(cache):
    refer(cache, "models--org--name", "main", OLD)
    assert known_commit("model", "org/other", NEW) == NEW
    for unknown in [("model", "org/name", "v2"), ("model", "org/other", "main"), ("model", "org/name", NEW[:7])]:
        assert known_commit(*unknown) is None


@pytest.mark.parametrize("content", ["", "main", OLD[:39], "\xff" * 40])
def test_damaged_reference_is_no_commit(cache, content):
    refer(cache, "models--org--name", "main", content)
    assert known_commit("model", "org/name", "main") is None


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"XDG_CACHE_HOME": "/x/$USER"},
        {"XDG_CACHE_HOME": "/x", "HF_HOME": "~/h"},
        {"HF_HOME": "/h", "HUGGINGFACE_HUB_CACHE": "/old"},
        {"HF_HOME": "/h", "HUGGINGFACE_HUB_CACHE": "/old", "HF_HUB_CACHE": "$HOME/new"},
    ],
)
def test_cache_is_where_the_hubs_library_has_it(monkeypatch, variables):
    for name in ("XDG_CACHE_HOME", "HF_HOME", "HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"USER": "someone", **variables}.items():
        monkeypatch.setenv(name, value)
    program = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert str(hub_cache()) == found.strip()


def test_reading_the_cache_imports_nothing_of_the_hub():
    program = (
        f"import sys; from {hub.__name__} import known_commit; known_commit('model', 'a/b', 'main')\n"
        "assert not {'huggingface_hub', 'datasets', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# -- a hub that moves on -----------------------------------------------------------------------------------------------

SCENARIO = """
import json, os, shutil, sys, urllib.request
from pathlib import Path
from inducer_bench.config.compose import compose
from inducer_bench.plm.fetch import plm_files
from inducer_bench.runs.fetch import fetch
from inducer_bench.runs.identity import identify

data = sys.argv[1]
def identity(*overrides):
    return identify(compose([f"task.data_dir={data}", "plm.hub=org/tiny", *overrides]))
config = compose([f"task.data_dir={data}", "plm.hub=org/tiny"])
def served():
    with urllib.request.urlopen(os.environ["HF_ENDPOINT"] + "/asked") as answer:
        return json.load(answer)
def move():
    urllib.request.urlopen(os.environ["HF_ENDPOINT"] + "/move").close()

found = {"first": identity().plm, "modules": "huggingface_hub" in sys.modules}
fetch(config)
found["files"] = plm_files(config.plm).joinpath("config.json").read_text()
before = served()
move()
found["moved"] = identity().plm
found["asked again"] = served() != before
fetch(config)
found["files, moved"] = plm_files(config.plm).joinpath("config.json").read_text()
found["same hash by commit"] = identity().hash == identity("plm.revision=" + "a" * 40).hash
shutil.rmtree(Path(os.environ["HF_HUB_CACHE"]) / "models--org--tiny" / "refs")
found["forgotten"] = identity().plm
fetch(config)
found["files, forgotten"] = plm_files(config.plm).joinpath("config.json").read_text()
print(json.dumps(found))
"""


@pytest.fixture
def moving_hub():
    """The address of a hub with one model, org/tiny; /move gives its main branch another commit, /asked counts."""

    class Hub(BaseHTTPRequestHandler):
        main = OLD
        asked = 0

        def do_GET(self):
            self.answer(body=True)

        def do_HEAD(self):
            self.answer(body=False)

        def answer(self, body):
            path = self.path.partition("?")[0]
            if path == "/asked":
                return self.reply(json.dumps(Hub.asked), {}, body)
            if path == "/move":
                Hub.main = NEW
                return self.reply("", {}, body)
            Hub.asked += 1
            if path == "/api/models/org/tiny/revision/main":
                return self.reply(json.dumps({"id": "org/tiny", "sha": Hub.main, "siblings": []}), {}, body)
            commit = next((commit for commit in (OLD, NEW) if commit in path), None)
            content = json.dumps({"model_type": "roberta", "commit": commit})
            etag = hashlib.sha1(content.encode()).hexdigest()
            if path.startswith("/api/models/org/tiny/tree/"):
                entry = {"type": "file", "path": "config.json", "size": len(content), "oid": etag}
                return self.reply(json.dumps([entry]), {}, body)
            if path.endswith(f"/resolve/{commit}/config.json"):
                return self.reply(content, {"ETag": f'"{etag}"', "X-Repo-Commit": commit}, body)
            self.send_error(404)

        def reply(self, text, headers, body):
            self.send_response(200)
            for name, value in {"Content-Type": "application/json", "Content-Length": len(text), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            if body:
                self.wfile.write(text.encode())

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_hub_is_asked_once_for_a_commit_which_is_then_what_is_identified_fetched_and_loaded(
    moving_hub, tmp_path, sst2_folder
):
    environment = {**os.environ, "HF_ENDPOINT": moving_hub, "HF_HUB_OFFLINE": "0", "HF_HUB_CACHE": str(tmp_path)}
    process = subprocess.run(
        [sys.executable, "-c", SCENARIO, str(sst2_folder)], env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout.splitlines()[-1])
    files = {key: json.loads(text)["commit"] for key, text in found.items() if key.startswith("files")}
    assert found["first"] == found["moved"] == f"hub:org/tiny@{OLD}"
    assert not found["asked again"]
    assert found["same hash by commit"]
    assert found["forgotten"] == f"hub:org/tiny@{NEW}"
    assert files == {"files": OLD, "files, moved": OLD, "files, forgotten": NEW}
