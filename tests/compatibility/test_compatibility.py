"""Records and adapters of earlier versions are read, and give what they gave; `make.py` made them, once."""

import json
from pathlib import Path

import pytest
import torch
from compatibility.make import ADAPTERS, INPUTS
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

import inducer_bench as ib
from inducer_bench.report import store
from inducer_bench.report.examples import read_predictions
from inducer_bench.runs import artefacts
from inducer_bench.runs import record as records
from inducer_bench.runs.record import FinishedRecord

HERE = Path(__file__).parent
SCHEMAS = ("schema_3", "schema_4")
STATUS = {"nlu": "done", "nlg": "done", "failed": "failed", "oom": "oom", "interrupted": "interrupted"}


def the_run(schema, name):
    """The only run of a fixture: its folder and its record."""
    found, left_out = records.find(HERE / schema / name)
    assert left_out == []
    ((folder, record),) = found
    return folder, record


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("name", STATUS)
def test_record_is_read_without_loss(schema, name):
    folder, record = the_run(schema, name)
    written = json.loads((folder / records.FILE).read_text())
    assert record.status == STATUS[name]
    for key in written.keys() - {"schema", "checksum"}:
        assert as_plain(getattr(record, key)) == written[key], key
    (group,) = store.load(HERE / schema / name).groups  # its configuration is understood, too
    assert [run.record for run in group.runs] == [record]


def as_plain(value):
    return json.loads(json.dumps(value, default=vars))


@pytest.mark.parametrize("schema", SCHEMAS)
def test_scores_and_labels_are_those_that_were_recorded(schema):
    nlu, nlg = the_run(schema, "nlu")[1], the_run(schema, "nlg")[1]
    assert isinstance(nlu, FinishedRecord)
    assert {name: score.value for name, score in nlu.scores.items()} == {"accuracy": 50.0}
    assert (nlu.labels, nlu.best_epoch, nlu.steps, nlu.metric) == (["negative", "positive"], 1, 4, "accuracy")
    assert nlg.scores.keys() == {"em", "em_in_domain", "em_news", "f1", "f1_in_domain", "f1_news"}
    assert nlg.labels is None
    assert nlg.config["method"] == {
        "name": "lora", "r": 2, "alpha": 106.0, "targets": ["q", "v"], "dropout": 0.0, "bias": True,
    }  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("name", ["nlu", "nlg"])
def test_files_of_a_finished_run_are_whole(schema, name):
    folder, record = the_run(schema, name)
    assert artefacts.state(folder, record) == ""
    assert len(read_predictions(folder, record)) == {"nlu": 8, "nlg": 6}[name]
    assert bool(record.files) == (schema != "schema_3")


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapter_gives_the_outputs_that_it_gave(name):
    plm = ADAPTERS[name][0]
    expected = json.loads((HERE / "adapters" / "outputs.json").read_text())[name]
    found = ib.load(model(plm), HERE / "adapters" / name)(input_ids=torch.tensor(INPUTS)).logits[..., -1]
    torch.testing.assert_close(found.detach(), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize(("name", "plm"), [("nlu", "roberta"), ("nlg", "gpt2")])
def test_adapter_of_a_run_is_loaded(schema, name, plm):
    tuned = ib.load(model(plm), the_run(schema, name)[0] / "adapter")
    assert tuned.parameter_counts()["method"] == the_run(schema, name)[1].parameters.method


def model(plm):
    auto = AutoModelForSequenceClassification if plm == "roberta" else AutoModelForCausalLM
    return auto.from_pretrained(HERE / "plms" / plm, dtype=torch.float64).eval()
