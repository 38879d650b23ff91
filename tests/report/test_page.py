"""The HTML page without a browser: its markup, what is embedded in it, and what it says of runs."""

import dataclasses
import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from helpers import handmade
from helpers.handmade import MINI
from helpers.pages import EVIL, page_of, tables_of
from helpers.searches import tune

from inducer_bench.cli import tables as command
from inducer_bench.config.compose import compose
from inducer_bench.report import page_data, store
from inducer_bench.report.overview import overview
from inducer_bench.runs.identity import canonical

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Checker(HTMLParser):
    """Notes tags that are not closed in their order, addresses, ids that occur twice, scripts and the data."""

    def __init__(self):
        super().__init__()
        self.open, self.faults, self.addresses, self.ids, self.cells, self.scripts = [], [], [], [], 0, []
        self.handlers, self.text = [], []

    def handle_starttag(self, tag, attributes):
        self.note(attributes)
        if tag not in VOID:
            self.open.append(tag)
        self.cells += tag == "td"
        if tag == "script":
            self.scripts.append(dict(attributes).get("type"))

    def handle_startendtag(self, tag, attributes):
        self.note(attributes)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, text):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(text)

    def note(self, attributes):
        for name, value in attributes:
            self.handlers += [name] if name.startswith("on") else []
            if name in ("src", "href", "xlink:href", "data", "action", "poster", "srcset"):
                self.addresses.append(value)
            if name == "id":
                self.ids.append(value)


def read(text):
    checker = Checker()
    checker.feed(text)
    return checker


def embedded(text):
    (found,) = re.findall(r'<script type="application/json" id="report-data">(.*?)</script>', text, re.S)
    return json.loads(found)


@pytest.fixture(scope="module")
def whole(sweep, built, tmp_path_factory):
    return page_of(sweep, tmp_path_factory.mktemp("out"), list(built.values()))


# -- markup ------------------------------------------------------------------------------------------------------------


def test_page_is_well_formed_and_holds_every_cell(whole, built):
    checker = read(whole)
    assert not checker.faults
    assert not checker.open
    assert len(checker.ids) == len(set(checker.ids))
    assert checker.cells >= sum(len(row.cells) for table in built.values() for row in table.rows)


def test_page_refers_to_itself_and_to_files_beside_it_alone(whole):
    addresses = read(whole).addresses
    inside = {address[1:] for address in addresses if address.startswith("#")}
    assert len(inside) > 3
    assert inside <= set(read(whole).ids)
    assert not [address for address in addresses if re.match(r"[a-z]+:|//", address, re.I)]
    assert not re.search(r"@import|<link|<script[^>]* src", whole)


def test_policy_lets_the_scripts_of_the_page_run_and_nothing_be_loaded(whole):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', whole)
    assert "default-src &#39;none&#39;" in policy
    assert "unsafe-eval" not in policy
    scripts = re.search(r"script-src ([^;]*);", policy.replace("&#39;", "'"))[1]
    assert scripts.count("sha256-") == 4 == read(whole).scripts.count(None)
    assert "unsafe-inline" not in scripts


def test_page_without_records_says_so(tmp_path):
    text = page_of(tmp_path, tmp_path)
    assert "There is no record yet." in text
    assert not read(text).faults


# -- hostile texts -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The page of runs in which everything that a record may say at will is `EVIL`."""
    root = tmp_path_factory.mktemp("evil")
    for seed in (0, 1):
        handmade.write_run(root, *MINI, "method=lora", seed=seed, versions={"torch": EVIL}, plm_fingerprint=EVIL,
                           command=EVIL, scores={"accuracy": 80.0, EVIL: 1.0})  # fmt: skip
    handmade.write_run(root, *MINI, "method=bitfit", status="failed", error=EVIL, command=EVIL)
    record = handmade.record_of(handmade.configuration((*MINI, "method=lora")))
    for value in (EVIL, "="):
        config = {**record.config, "method": {"name": "gone.away", "value": value}}
        handmade.write_run(root, *MINI, config=config, method="gone.away")
    tune(root, *MINI, "method=lora")
    tables = tables_of(root)
    odd = [dataclasses.replace(row, label=EVIL, differs=((EVIL, EVIL),)) for row in tables[-1].rows]
    notes = (*tables[-1].notes, ("zz", EVIL))
    tables[-1] = dataclasses.replace(tables[-1], rows=tuple(odd), title=EVIL, text=(EVIL,), notes=notes)
    return page_of(root, root, tables)


def test_page_shows_what_records_say_and_obeys_nothing(hostile):
    checker = read(hostile)
    assert not checker.faults
    assert checker.scripts == ["application/json", None, None, None, None]
    assert not checker.handlers
    assert not [address for address in checker.addresses if address.startswith(("javascript:", "x"))]
    assert "</script><script>alert(1)" in "".join(checker.text)
    for part in ("<script>alert", "<img src=x", "\x1b", "\u202e", "\u2028"):
        assert part not in hostile


def test_embedded_texts_are_whole_and_printable(hostile):
    runs = embedded(hostile)["runs"]
    told = [run["error"] for run in runs if run["method"] == "bitfit"]
    assert told == [EVIL.replace("\x1b", r"\x1b").replace("\u202e", r"\u202e").replace("\u2028", r"\u2028")]
    assert {run["title"] for run in runs} == {"LoRA", "BitFit", "Away"}


# -- what is said of runs ----------------------------------------------------------------------------------------------


def facts(root, out=Path("out")):
    return page_data.facts(store.load(root), str(root), out, None)


def test_every_run_is_there_with_its_scores_and_settings(sweep):
    found, known = facts(sweep), store.load(sweep)
    assert set(found.number) == set(known.runs)
    for name, number in found.number.items():
        config, run = known.runs[name]
        told = found.runs[number]
        assert (told["seed"], told["status"], told["method"]) == (run.seed, run.record.status, config.method.name)
        assert {**found.usual, **told["config"]}["trainer.lr"] == str(config.trainer.lr)
        if run.record.status == "done":
            assert told["scores"] == {name: score.value for name, score in run.record.scores.items()}


def test_command_repeats_the_run(tmp_path):
    for overrides in (
        (*MINI, "method=lora"),
        (*MINI, "method=inducer", "method.gate=false", "trainer.lr=1.5e-3", "trainer.device=cpu"),
        (*MINI, "method=lora", "method.targets=[q,k]", "protocol=clean", "protocol.score=held_out", "seed=7"),
        ("task=mnli", "method=prefix", "trainer.schedule=cosine", "plm=gpt2", "task.max_train=100"),
        ("task=classification", "task.name=mine", "task.text=[a,b]", "task.label='two words'", "task.data_dir=x"),
    ):
        handmade.write_run(tmp_path, *overrides, seed=handmade.configuration(overrides).seed)
    found, known = facts(tmp_path), store.load(tmp_path)
    assert len(found.runs) == 5
    for run in found.runs:
        assert not run["recorded"]
        program, *overrides = shlex.split(run["command"])
        assert program == "inducer-bench"
        assert canonical(compose(overrides)) == canonical(known.runs[run["hash"]][0])
        assert compose(overrides).output_dir == str(tmp_path)


def test_settings_that_are_not_shipped_are_told_with_those_that_are(tmp_path):
    handmade.write_run(tmp_path, *MINI, "method=inducer", "method.gate=false", "trainer.epochs=2")
    (run,) = facts(tmp_path).runs
    assert run["changed"] == [["method.gate", "false", "true"], ["trainer.epochs", "2", "5"]]


def test_run_of_files_that_are_not_there_has_its_recorded_command(tmp_path):
    config = handmade.record_of(handmade.configuration((*MINI, "method=lora"))).config
    config["plm"]["name"] = "mine"
    handmade.write_run(tmp_path, *MINI, "method=lora", command="inducer-bench -m a", plm="mine", config=config)
    (run,) = facts(tmp_path).runs
    assert (run["changed"], run["command"], run["recorded"]) == (None, "inducer-bench -m a", True)


def test_method_from_outside_is_named_by_its_module_though_it_is_gone(tmp_path):
    record = handmade.record_of(handmade.configuration((*MINI, "method=lora")))
    config = {**record.config, "method": {"name": "gone.away", "value": 1}}
    handmade.write_run(tmp_path, *MINI, config=config, method="gone.away")
    (run,) = facts(tmp_path).runs
    assert run["changed"] == [["method.value", "1", None], ["trainer.lr", "0.005", None]]
    assert "method=own method.name=gone.away +method.value=1 trainer.lr=0.005 seed=0" in run["command"]


def test_links_lead_from_the_page_to_the_files(tmp_path):
    root, out = tmp_path / "my #1 runs?", tmp_path / "deep" / "out"
    folder = handmade.write_run(root, *MINI, "method=lora")
    (run,) = facts(root, out).runs
    assert (out / unquote(run["link"]) / run["files"][0]).resolve() == (folder / "record.json").resolve()
    assert run["files"] == ["record.json", "predictions.jsonl.gz"]
    assert not re.search(r"[#? ]", run["link"])


# -- curves ------------------------------------------------------------------------------------------------------------


def curve(folder, lines=None):
    if lines is not None:
        (folder / "metrics.jsonl").write_bytes(lines)
    return facts(folder.parents[3]).runs[0]["curve"]


def test_long_curves_are_thinned_and_keep_both_ends(tmp_path):
    lines = [json.dumps({"event": "train", "step": step, "loss": 1 / step, "lr": 0.1}) for step in range(1, 5001)]
    found = curve(handmade.write_run(tmp_path, *MINI, "method=lora"), "\n".join(lines).encode())
    assert found["score"] == "accuracy"
    assert [epoch for epoch, _ in found["epochs"]] == [1, 2, 3]
    assert len(found["losses"]) == 200
    assert (found["losses"][0][0], found["losses"][-1][0]) == (1, 5000)
    assert all(loss == pytest.approx(1 / step, rel=1e-5) for step, loss in found["losses"])


@pytest.mark.parametrize(
    "lines", [b"\xff", b"{", b"[1]\n3", b'{"event": "train", "step": "x", "loss": null}', b'{"event": "train"}', None]
)
def test_damaged_metrics_leave_the_curve_of_the_record(tmp_path, lines):
    found = curve(handmade.write_run(tmp_path, *MINI, "method=lora"), lines)
    assert len(found["epochs"]) == 3
    assert found["losses"] == []


def test_run_that_failed_has_the_curve_up_to_there(tmp_path):
    folder = handmade.write_run(tmp_path, *MINI, "method=lora", status="failed")
    train = b'{"event": "train", "step": 5, "loss": 2.0}\n'
    found = curve(folder, train + b'{"event": "evaluation", "epoch": 1, "step": 9, "accuracy": 60}\n')
    assert [*map(list, found["epochs"])] == [[1, 60]]
    assert [*map(list, found["losses"])] == [[5, 2]]


# -- overview ----------------------------------------------------------------------------------------------------------


def test_overview_counts_runs_and_names_what_failed_and_what_was_left_out(sweep, built):
    known = store.load(sweep)
    found = overview(known, list(built.values()), known.left_out)
    counts = dict(found.counts)
    assert counts["run failed"] == counts["run out of memory"] == 1
    assert counts["runs finished"] == sum(run.record.status == "done" for _, run in known.runs.values())
    assert [(end, [run.record.method for run in runs]) for end, runs in found.unfinished] == [
        ("failed", ["prefix"]),
        ("out of memory", ["fine_tune"]),
    ]
    assert len(found.left_out) == 2
    assert "random weights" in found.left_out[1]
    assert ("lora", "LoRA") in found.methods


def test_overview_says_the_best_of_each_task_and_what_is_tied_with_it(sweep, built):
    found = overview(store.load(sweep), list(built.values()), [])
    mini = next(best for best in found.best if best.table.scope.suite == "mini")
    assert (mini.rows[0].method, mini.number, mini.tested) == ("lora", "91.0", True)


def test_overview_of_a_study_has_its_verdict(tmp_path):
    for method, score in (("lora", 90), ("bitfit", 90), ("head_only", 50)):
        tune(tmp_path, *MINI, f"method={method}", tried=(float(score), score - 1.0, score - 2.0, score - 3.0))
    tables = tables_of(tmp_path)
    found = overview(store.load(tmp_path), tables, [])
    assert [best.table.kind for best in found.best] == ["study"]
    verdict = {row.method: row.cells[[c.value for c in tables[0].columns].index("verdict")].shown()[0]
               for row in tables[0].rows}  # fmt: skip
    told = {row.method for row in found.best[0].rows}
    assert told == {method for method, word in verdict.items() if word in ("best", "tied")}
    text = page_of(tmp_path, tmp_path)
    assert "equal tuning effort" in text
    assert "Effort, equal for every method" in text


def test_cells_of_trials_open_the_trials(tmp_path):
    tune(tmp_path, *MINI, "method=lora", tried=(80.0, 81.0, 82.0))
    tables = tables_of(tmp_path)
    text = page_of(tmp_path, tmp_path, tables)
    runs = embedded(text)["runs"]
    at = [column.value for column in tables[0].columns].index("trials")
    row = re.search(r'<tr data-method="lora".*?</tr>', text, re.S)[0]
    cells = re.findall(r"<td.*?</td>", row, re.S)
    opened = [runs[int(number)] for number in re.search(r'data-runs="([^"]*)"', cells[at])[1].split()]
    assert len(opened) == 3
    assert all(run["trial"] for run in opened)


def test_what_fails_later_leaves_what_was_written_before(tmp_path):
    def parts():
        yield {"mini/a.csv": b"1"}
        raise UserWarning("no figure today")

    for _ in range(2):
        with pytest.raises(UserWarning):
            command._write(tmp_path, parts())
        assert (tmp_path / "mini" / "a.csv").read_bytes() == b"1"
        assert (tmp_path / command.MANIFEST).read_text() == "mini/a.csv\n"
