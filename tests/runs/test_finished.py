"""A finished run opened again: its folder alone leads back to it, whatever kind of run it was."""

import json

import pytest
from helpers.runs import PEOPLE, write_table
from helpers.webnlg_files import as_json
from omegaconf import OmegaConf

from inducer_bench.config.compose import compose
from inducer_bench.config.validate import validated
from inducer_bench.errors import UserError
from inducer_bench.runs.finished import open_run
from inducer_bench.runs.identity import identify, run_folder
from inducer_bench.runs.run import run

SHORT = ("trainer.epochs=1", "trainer.batch_size=8", "trainer.device=cpu", "task.max_train=16", "task.max_eval=8")
WRITING = ("task.decoding.max_new_tokens=4", "method.r_k=4", "method.r_v=4")


def write_rows(folder, row):
    for split in ("train", "dev"):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row(i)) + "\n" for i in range(16)))


def write_webnlg(folder):
    for split in ("train", "dev", "test"):
        entries = [("A", [(person, "likes", "film")], [("good", f"{person} likes it .")]) for person in PEOPLE]
        (folder / f"{split}.json").write_text(as_json(entries))


def write_coqa(folder):
    rows = [
        {
            "source": "cnn",
            "story": f"{person} saw a film .",
            "questions": ["Who ?"],
            "answers": {"input_text": [person]},
        }
        for person in PEOPLE
    ]
    for split in ("train", "dev"):
        (folder / f"coqa-{split}-v1.0.jsonl").write_text("\n".join(map(json.dumps, rows)))


OWN_TEXTS = ("task=classification", "task.text=review", "task.label=stars")
ONE_TEXT = ("task=text_to_text", "task.metrics=[chrf]", "task.metric=chrf")
KINDS = {  # name -> the PLM's fixture, what writes the data, overrides
    "labels found in train": (
        "roberta",
        lambda to: write_rows(to, lambda i: {"review": "a", "stars": i % 4}),
        OWN_TEXTS,
    ),
    "listed labels": (
        "roberta",
        lambda to: write_rows(to, lambda i: {"review": "a", "stars": "ab"[i % 2]}),
        (*OWN_TEXTS, "task.labels=[b,a]"),
    ),
    "regression": (
        "roberta",
        lambda to: write_rows(to, lambda i: {"sentence1": "a", "sentence2": "b " * (i % 4), "label": float(i % 4)}),
        ("task=stsb",),
    ),
    "webnlg": ("gpt2", write_webnlg, ("task=webnlg", "task.metrics=[bleu]", *WRITING)),
    "coqa": ("gpt2", write_coqa, ("task=coqa", *WRITING)),
    "text to text": ("gpt2", write_table, (*ONE_TEXT, *WRITING)),
    "budget": ("roberta", None, ("method=lora", "method.budget=5%")),
    "clean protocol": ("roberta", None, ("protocol=clean", "protocol.held_out=0.25")),
    "mini": ("mini", None, ("preset=mini", "task=sst2", "task.max_length=16")),
}


@pytest.fixture
def finished(request, tiny_roberta_folder, tiny_gpt2_folder, sst2_folder, tmp_path):
    """The folder of a run of one of `KINDS`."""

    def finished(kind):
        plm, write, own = KINDS[kind]
        data = sst2_folder
        if write:
            data = tmp_path / "data"
            data.mkdir()
            write(data)
        folder = {"roberta": tiny_roberta_folder, "gpt2": tiny_gpt2_folder}.get(plm)
        local = [f"plm.path={folder}", f"task.data_dir={data}", "task.max_length=60"] if folder else []
        return run(compose([*local, *own, *SHORT, f"output_dir={tmp_path / 'runs'}"])).folder

    return finished


@pytest.mark.parametrize("kind", KINDS)
def test_recorded_configuration_hashes_to_the_recorded_hash(finished, kind):
    folder = finished(kind)
    opened = open_run(folder)
    assert identify(opened.config).hash == opened.record.config_hash == folder.name
    config = validated(OmegaConf.to_container(OmegaConf.load(folder / "config.yaml")))
    assert config == opened.config
    assert run_folder(config, identify(config)) == folder
    assert run(config).status == "skipped"


def test_folder_without_a_finished_run_is_named(tmp_path):
    with pytest.raises(UserError, match="which holds no record; `inducer-bench ls runs` lists runs"):
        open_run(tmp_path)
