"""Runs and methods as tables."""

import dataclasses
import inspect
import pydoc

import pandas as pd
import pytest
from helpers import handmade

import inducer_bench as ib
from inducer_bench.config.compose import compose
from inducer_bench.methods.options import METHODS
from inducer_bench.methods.published import defaults
from inducer_bench.options import typed
from inducer_bench.runs import record as records

FIRST = ["task", "plm", "method", "seed", "status"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Finished runs of two tasks, and what else may lie there."""
    root = tmp_path_factory.mktemp("runs")
    for seed, overrides in (
        (0, ["task=sst2", "method=lora"]), (1, ["task=sst2", "method=lora"]),
        (0, ["task=sst2", "method=lora", "method.r=2"]), (0, ["task=sst2", "method=prefix", "trainer.lr=1e-3"]),
        (0, ["task=mnli", "method=lora"]),
    ):  # fmt: skip
        handmade.write_run(root, "preset=mini", *overrides, seed=seed)
    return root


def test_every_run_is_a_row_with_its_scores_its_settings_and_its_folder(root):
    frame = ib.runs(root)
    assert len(frame) == 5
    assert list(frame.columns[:5]) == FIRST
    assert set(frame.method) == {"lora", "prefix"}
    for row in frame.itertuples():
        record = records.read(type(root)(row.folder))
        assert (row.task, row.seed, row.status) == (record.task, record.seed, "done")
        assert row.accuracy == record.scores["accuracy"].value
        assert row.parameters == record.parameters.method
        assert row.train_seconds == record.train_seconds
    assert pd.api.types.is_datetime64_any_dtype(frame.date)


def test_keys_are_columns_where_runs_differ_and_only_there(root):
    frame = ib.runs(root)
    settings = [name for name in frame.columns if "." in name]
    assert {"method.r", "trainer.lr", "method.length"} <= set(settings)
    assert "trainer.batch_size" not in settings, "all runs have the same"
    assert [name for name in settings if name.startswith(("task.", "plm.", "tracker."))] == [], "as tasks differ"
    assert sorted(frame["method.r"].dropna()) == [2, 8, 8, 8]
    assert pd.api.types.is_numeric_dtype(frame["trainer.lr"])


def test_means_over_seeds_are_one_line(root):
    frame = ib.runs(root)
    mean = frame.groupby(["task", "method", "method.r"]).accuracy.agg(["mean", "count"])
    assert mean.loc[("sst2", "lora", 8), "count"] == 2


def test_folder_without_runs_is_a_table_without_rows(tmp_path):
    frame = ib.runs(tmp_path)
    assert len(frame) == 0
    assert list(frame.columns[:5]) == FIRST


def test_folder_that_is_none_is_bad_input(tmp_path):
    with pytest.raises(ib.UserError, match=r"folder: found '.*nowhere', which is not a folder"):
        ib.runs(tmp_path / "nowhere")


def test_damaged_record_is_left_out_with_a_warning(root, tmp_path):
    path = handmade.write_run(tmp_path, "preset=mini", "task=sst2", "method=lora")
    handmade.write_run(tmp_path, "preset=mini", "task=sst2", "method=bitfit")
    path = next(tmp_path.rglob("lora/*/record.json"))
    path.write_text(path.read_text()[:100])
    with pytest.warns(UserWarning, match=r"record\.json: not a whole record"):
        frame = ib.runs(tmp_path)
    assert list(frame.method) == ["bitfit"]


def test_run_without_scores_has_its_status_and_its_error(tiny_run, tmp_path):
    words = [*tiny_run, "method=lora", "trainer.epochs=1", "trainer.lr=1e30", "trainer.clip_norm=null"]
    with pytest.raises(ib.RunFailed):
        ib.run([*words, f"output_dir={tmp_path}"], quiet=True)
    (row,) = ib.runs(tmp_path).to_dict("records")
    assert row["status"] == "failed"
    assert "diverged" in row["error"]
    assert pd.isna(row["train_seconds"])


# -- methods -----------------------------------------------------------------------------------------------------------


def test_methods_are_listed_with_titles_sources_and_published_options():
    frame = ib.methods()
    assert list(frame.index) == list(METHODS)
    assert frame.loc["lora", "title"] == "LoRA"
    assert frame.loc["lora", "sources"] == ["https://arxiv.org/abs/2106.09685"]
    assert frame.loc["lora", "options"] == {
        "r": 16, "alpha": 32.0, "targets": ["q", "v"], "dropout": 0.0, "bias": False,
    }  # fmt: skip
    assert all(frame.summary.str.len() > 20)
    assert all(frame.sources.str.len() > 0)


@pytest.mark.parametrize("name", METHODS)
def test_published_options_are_those_of_the_command_line(name):
    assert typed(METHODS[name], defaults(name)) == compose(["task=sst2", f"method={name}"]).method


def test_help_of_attach_lists_every_method_with_its_options():
    text = inspect.getdoc(ib.attach).replace(",\n" + 20 * " ", ", ")  # options that go on in the next line
    lines = {words[0]: " ".join(words[1:]) for line in text.splitlines() if (words := line.split())}
    for name, kind in METHODS.items():
        options = [field.name for field in dataclasses.fields(kind) if field.name != "name"]
        if not options:
            assert name in lines["fine_tune,"].split() or f"{name}," in f"fine_tune, {lines['fine_tune,']}"
            continue
        line = lines[name].replace("those of inducer", lines["inducer"])
        assert [word.strip(",:").partition("=")[0] for word in line.split(": ")[0].split()] == options


def test_interface_is_listed_before_it_is_used_and_its_help_needs_no_repository():
    assert {"attach", "load", "run", "runs", "methods", "compare", "UserError"} <= set(dir(ib))
    assert dir(ib) == sorted(ib.__all__)
    for name in (
        "attach",
        "load",
        "run",
        "open_run",
        "compare",
        "Run",
        "TunedModel",
        "MethodOptions",
        "runs",
        "methods",
    ):
        text = pydoc.render_doc(getattr(ib, name), renderer=pydoc.plaintext)
        assert "conf/" not in text.partition("PACKAGE CONTENTS")[0], name
    for function in (ib.run, ib.attach, ib.api.frames.runs, ib.api.frames.methods):
        assert "ib." in inspect.getdoc(function)


def test_packages_that_can_be_called_are_still_packages():
    import inducer_bench.methods.options as options
    import inducer_bench.runs.record as record

    assert record is records
    assert options.METHODS is METHODS
    assert inspect.ismodule(ib.runs)
    assert callable(ib.methods)


def test_types_are_shipped():
    from importlib.resources import files

    assert files("inducer_bench").joinpath("py.typed").is_file()
