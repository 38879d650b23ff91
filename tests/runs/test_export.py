"""`inducer-bench export`: folders that others load, with a model card."""

import base64
import dataclasses
import errno
import http.server
import json
import os
import shutil
import threading

import peft
import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification

import inducer_bench as ib
from inducer_bench import escape, files
from inducer_bench.cli import main
from inducer_bench.config.compose import compose
from inducer_bench.metrics.score import Score
from inducer_bench.runs.card import model_card
from inducer_bench.runs.finished import open_run
from inducer_bench.runs.run import run

TOKENS = torch.tensor([[0, 9, 30, 7, 2], [0, 8, 8, 11, 2]])


@pytest.fixture(scope="module")
def runs(tiny_run, tmp_path_factory):
    """Finished runs of three methods."""
    root = tmp_path_factory.mktemp("runs")
    shared = [
        *tiny_run, "task.max_eval=8", "trainer.epochs=1", "trainer.lr=0.05", "trainer.device=cpu", f"output_dir={root}",
    ]  # fmt: skip
    return {
        method: run(compose([*shared, f"method={method}", *options])).folder
        for method, options in {"inducer": ["method.r_k=4"], "lora": [], "prefix": []}.items()
    }


def export(run_folder, folder):
    return main.main(["export", str(run_folder), str(folder)])


def logits(model):
    with torch.no_grad():
        return model.eval()(input_ids=TOKENS).logits


def plain_model(folder):
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)


def header(folder):
    return yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])


@pytest.mark.parametrize("method", ["inducer", "prefix"])
def test_exported_adapter_gives_the_outputs_of_the_run(runs, method, tiny_roberta_folder, tmp_path):
    assert export(runs[method], tmp_path / "shared") == 0
    expected = logits(ib.load(plain_model(tiny_roberta_folder), runs[method] / "adapter"))
    assert torch.equal(logits(ib.load(plain_model(tiny_roberta_folder), tmp_path / "shared")), expected)
    assert header(tmp_path / "shared")["library_name"] == "inducer-bench"


def test_exported_lora_is_loaded_by_peft_with_its_head(runs, tiny_roberta_folder, capsys, tmp_path):
    assert export(runs["lora"], tmp_path) == 0  # an empty folder will do
    assert capsys.readouterr().out == f"{tmp_path}: peft format\n"
    expected = logits(ib.load(plain_model(tiny_roberta_folder), runs["lora"] / "adapter"))
    loaded = peft.PeftModel.from_pretrained(plain_model(tiny_roberta_folder), tmp_path)
    torch.testing.assert_close(logits(loaded), expected, rtol=0, atol=1e-6)
    assert header(tmp_path)["base_model"] == tiny_roberta_folder.name


def test_model_card_tells_scores_and_origin(runs, tmp_path):
    export(runs["inducer"], tmp_path)
    card, record = (tmp_path / "README.md").read_text(), json.loads((runs["inducer"] / "record.json").read_text())
    for part in (
        f"{record['scores']['accuracy']['value']:.2f}",
        escape.markdown(record["scores"]["accuracy"]["signature"]),
        record["config_hash"],
        f"{record['parameters']['method']:,}",
        "r_k: 4",
    ):
        assert part in card


def use(folder, monkeypatch, plm=None):
    """The names that are left by the lines of Python in a model card, run in its folder; `plm` is beside it."""
    monkeypatch.chdir(folder)
    if plm is not None:
        (folder / plm.name).symlink_to(plm)
    room = {}
    exec((folder / "README.md").read_text().split("```python\n")[1].split("```")[0], room)
    return room


@pytest.mark.parametrize(("method", "arguments"), [("inducer", []), ("lora", []), ("lora", ["--merge"])])
def test_usage_in_the_model_card_runs_as_it_stands(
    runs, method, arguments, tiny_roberta_folder, tmp_path, monkeypatch, capsys
):
    assert main.main(["export", str(runs[method]), str(tmp_path / "shared"), *arguments]) == 0
    capsys.readouterr()
    room = use(tmp_path / "shared", monkeypatch, None if arguments else tiny_roberta_folder)
    expected = logits(ib.load(plain_model(tiny_roberta_folder), runs[method] / "adapter"))
    torch.testing.assert_close(logits(room["model"]), expected, rtol=0, atol=1e-5)
    label = capsys.readouterr().out.strip()
    assert main.main(["predict", str(runs[method]), "--text", "text of sentence"]) == 0
    assert json.loads(capsys.readouterr().out)["prediction"] == label


@pytest.fixture(scope="module")
def rewriting(tiny_gpt2_folder, tmp_path_factory):
    """A finished run of a task that generates: text to text, on a model that has no special tokens of its own."""
    data = tmp_path_factory.mktemp("texts")
    rows = [{"source": f"a film {number}", "target": f"the film {number} is a delight"} for number in range(8)]
    for split in ("train", "dev", "test"):
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return run(
        compose([
            "task=text_to_text", f"task.data_dir={data}", f"plm.path={tiny_gpt2_folder}", "method=lora", "method.r=4",
            "task.decoding.max_new_tokens=8", "trainer.epochs=1", "trainer.lr=0.05", "trainer.device=cpu",
            f"output_dir={tmp_path_factory.mktemp('runs')}",
        ])
    ).folder  # fmt: skip


@pytest.mark.parametrize("arguments", [[], ["--merge"]])
def test_model_that_generates_writes_what_the_run_does(
    rewriting, arguments, tiny_gpt2_folder, tmp_path, monkeypatch, capsys
):
    """Its special tokens become rows of the embeddings, by peft or in the merged model."""
    assert main.main(["export", str(rewriting), str(tmp_path / "shared"), *arguments]) == 0
    assert capsys.readouterr().out.endswith("transformers format\n" if arguments else "peft format\n")
    room = use(tmp_path / "shared", monkeypatch, None if arguments else tiny_gpt2_folder)
    written = capsys.readouterr().out.removesuffix("\n")
    assert main.main(["predict", str(rewriting), "--text", "A text to be rewritten."]) == 0
    assert json.loads(capsys.readouterr().out)["prediction"] == written
    if arguments:
        tokenizer = room["tokenizer"]
        assert tokenizer.convert_tokens_to_ids("<source_sm>") == room["special"]["<source_sm>"]
        assert not list((tmp_path / "shared").glob("*adapter*"))


def test_method_that_no_weights_can_hold_is_refused_before_anything_is_written(runs, tmp_path, capsys):
    assert main.main(["export", str(runs["inducer"]), str(tmp_path / "merged"), "--merge"]) == 2
    assert "'inducer' cannot be merged into the PLM's weights" in capsys.readouterr().err
    assert not (tmp_path / "merged").exists()


def test_label_names_are_in_what_is_exported(runs, tiny_roberta_folder, tmp_path):
    names = {0: "negative", 1: "positive"}
    export(runs["inducer"], tmp_path / "own")
    assert ib.load(plain_model(tiny_roberta_folder), tmp_path / "own").model.config.id2label == names
    export(runs["lora"], tmp_path / "peft")
    config = peft.PeftConfig.from_pretrained(tmp_path / "peft")
    assert config.auto_mapping["id2label"] == {str(code): name for code, name in names.items()}
    main.main(["export", str(runs["lora"]), str(tmp_path / "merged"), "--merge"])
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged").config.id2label == names


def test_card_names_the_data_and_the_scores_of_each_class(runs, tmp_path):
    """Of data of one's own, on a bundled model or any other, the card says so."""
    export(runs["lora"], tmp_path)
    card, record = (tmp_path / "README.md").read_text(), open_run(runs["lora"]).record
    assert "Trained and scored on local files of whoever made this run (train, dev)" in card
    assert "Labels, in the order of their codes: negative, positive." in card
    assert "By class, dev:" in card
    assert "mini" not in card.partition("## How it was made")[0]
    results = {result["type"]: result for each in header(tmp_path)["model-index"] for found in each["results"]
               for result in found["metrics"]}  # fmt: skip
    assert results["accuracy"]["value"] == pytest.approx(record.scores["accuracy"].value, abs=1e-4)
    assert results["accuracy"]["args"] == {"signature": record.scores["accuracy"].signature}


class Hub(http.server.BaseHTTPRequestHandler):
    """Stands in for the hub: makes a repository, and takes a commit of files."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Authorization"], body))
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        here = f"{self.server.address}/ann/films"
        answer = {"url": here, "name": "ann/films"}
        if self.path.endswith("/preupload/main"):
            files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                     for file in json.loads(body)["files"]]  # fmt: skip
            answer = {"files": files}
        elif "/commit/" in self.path:
            answer = {"commitUrl": f"{here}/commit/1", "commitOid": "1" * 40, "success": True}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def stand_in(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked, server.status, server.address = [], 200, f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    yield server
    server.shutdown()
    server.server_close()


def test_export_is_pushed_to_a_private_repository(runs, stand_in, tmp_path, capsys):
    target = tmp_path / "shared"
    assert main.main(["export", str(runs["lora"]), str(target), "--push", "ann/films"]) == 0
    assert capsys.readouterr().out == f"{target}: peft format\n{stand_in.address}/ann/films\n"
    path, token, body = stand_in.asked[0]
    assert (path, token) == ("/api/repos/create", "Bearer hf_secret")
    assert json.loads(body) == {"name": "films", "organization": "ann", "visibility": "private"}
    (path, _, body) = stand_in.asked[-1]
    assert path == "/api/models/ann/films/commit/main"
    lines = [json.loads(line) for line in body.splitlines()]
    sent = {line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines[1:]}
    assert sent == {path.name: path.read_bytes() for path in target.iterdir()}
    assert "folder = snapshot_download('ann/films')" in (target / "README.md").read_text()
    assert main.main(["export", str(runs["lora"]), str(tmp_path / "2"), "--push", "ann/films", "--public"]) == 0
    created = [json.loads(body) for path, _, body in stand_in.asked if path == "/api/repos/create"]
    assert [repository.get("visibility") for repository in created] == ["private", "public"]


def test_push_that_fails_is_one_line_and_leaves_the_folder(runs, stand_in, tmp_path, capsys):
    stand_in.status = 403
    assert main.main(["export", str(runs["lora"]), str(tmp_path / "shared"), "--push", "ann/films"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("inducer-bench: --push: 'ann/films' was not pushed (")
    assert line.endswith(f"); the export is in '{tmp_path / 'shared'}'\n")
    assert line.count("\n") == 1
    assert "hf_secret" not in line
    assert (tmp_path / "shared" / "README.md").is_file()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--push", "a b/c"], "--push: found 'a b/c'; allowed: USER/NAME ("),
        (["--push", "ann/films"], "--push: no token for the hub; set HF_TOKEN"),
        (["--public"], "--public: found without --push"),
    ],
)
def test_push_that_cannot_succeed_is_refused_before_anything_is_written(
    runs, arguments, part, tmp_path, capsys, monkeypatch
):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert main.main(["export", str(runs["lora"]), str(tmp_path / "shared"), *arguments]) == 2
    assert part in capsys.readouterr().err
    assert not (tmp_path / "shared").exists()


def test_export_refuses_what_is_no_finished_run_and_keeps_what_is_there(runs, capsys, tmp_path):
    assert export(tmp_path, tmp_path / "new") == 2
    assert "holds no record" in capsys.readouterr().err
    (tmp_path / "mine.txt").write_text("precious")
    assert export(runs["lora"], tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("method", "arguments"), [("inducer", []), ("lora", []), ("lora", ["--merge"])])
def test_nothing_that_is_exported_tells_of_this_machine(runs, method, arguments, tiny_roberta_folder, tmp_path):
    assert main.main(["export", str(runs[method]), str(tmp_path), *arguments]) == 0
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        for secret in (tiny_roberta_folder.parent, tmp_path.parent, os.uname().nodename):
            assert str(secret).encode() not in content, path


def test_names_and_signatures_are_text_in_the_model_card(runs):
    opened = open_run(runs["lora"])
    scores = {"a|b": Score(value=1.0, signature="<b>[x](http://y)`")}
    opened = dataclasses.replace(opened, record=dataclasses.replace(opened.record, scores=scores))
    card = model_card(opened, "peft")
    assert r"| a\|b | 1.00 | &lt;b&gt;\[x\]\(http:/\/y)\` |" in card


@pytest.mark.parametrize("method", ["inducer", "lora"])
def test_target_that_cannot_be_written_is_one_line_and_left_empty(runs, method, capsys, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    for target in (tmp_path / "file" / "below", tmp_path / ("long" * 100), "/proc/export"):
        assert export(runs[method], target) == 2
        line = capsys.readouterr().err
        assert line.startswith(f"inducer-bench: DIR: '{str(target)[:50]}")
        assert line.count("\n") == 1
        assert "give another folder" in line
    writes = iter([None, OSError(errno.ENOSPC, "No space left on device")])

    def fail(_):
        if error := next(writes):
            raise error

    monkeypatch.setattr("os.fsync", lambda descriptor: fail(descriptor))
    monkeypatch.setattr(files, "_sync_folder", lambda folder: None)
    assert export(runs[method], tmp_path / "full") == 2
    assert "No space left on device); give another folder" in capsys.readouterr().err
    assert list((tmp_path / "full").iterdir()) == []


@pytest.mark.parametrize("name", ["adapter.safetensors", "adapter.json"])
def test_adapter_that_is_not_the_run_s_is_not_exported(runs, name, capsys, tmp_path):
    folder = tmp_path / runs["lora"].name
    shutil.copytree(runs["lora"], folder)
    content = bytearray((folder / "adapter" / name).read_bytes())
    content[-30] ^= 1
    (folder / "adapter" / name).write_bytes(content)
    assert export(folder, tmp_path / "new") == 2
    assert f"{name}: damaged, its sha256 is not that of the record" in capsys.readouterr().err
    (folder / "adapter" / name).unlink()
    assert export(folder, tmp_path / "new") == 2
    assert f"{name}: missing" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
