"""Runs from Python: the same as those of the command line, and errors that a notebook can show."""

import json
import pickle
import subprocess
import sys

import pytest

import inducer_bench as ib
from inducer_bench.cli.main import main
from inducer_bench.errors import ExitCode
from inducer_bench.runs import record as records
from inducer_bench.training import loop


@pytest.fixture(scope="module")
def words(tiny_run):
    return [*tiny_run, "trainer.epochs=1", "trainer.log_every=2", "trainer.batch_size=4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def lora(words, folder):
    return ib.run([*words, "method=lora", f"output_dir={folder}"], quiet=True)


def test_run_is_the_one_of_the_command_line_and_is_found_done(words, folder, lora, capsys):
    arguments = [*words, "method=lora", f"output_dir={folder}"]
    assert main(arguments) == ExitCode.DONE
    printed = capsys.readouterr().out.splitlines()
    assert "already done" in printed[0]
    assert printed[-1] == str(lora.folder)
    again = ib.run(arguments)
    assert (again.folder, again.record) == (lora.folder, lora.record)
    assert records.read(lora.folder) == lora.record


def test_record_has_the_command_line_that_says_the_same(lora, words, folder):
    assert lora.record.command.startswith(f"inducer-bench {words[0]}")
    assert lora.record.command.endswith(f"method=lora output_dir={folder}")


def test_run_has_the_fields_of_its_record_and_prints_as_a_few_lines(lora):
    assert lora.status == "done"
    assert lora.scores["accuracy"].value == lora.record.scores["accuracy"].value
    assert {"scores", "folder", "record", "predict", "train_seconds"} <= set(dir(lora))
    lines = repr(lora).splitlines()
    assert lines[0] == "LoRA on tiny_roberta for sst2, seed 0"
    assert f"accuracy {lora.scores['accuracy'].value:.1f}" in lines[1]
    assert "of the method" in lines[2]
    assert lines[-1].strip() == str(lora.folder)
    assert pickle.loads(pickle.dumps(lora)) == lora
    with pytest.raises(AttributeError, match="score_"):
        _ = lora.score_


def test_opened_run_is_the_run_and_predicts_what_it_recorded(lora):
    opened = ib.open_run(str(lora.folder))
    assert opened == lora
    (found,) = opened.predict([{"sentence": "a dull and clumsy film for the whole family"}])
    assert set(found["probabilities"]) == set(lora.labels)
    assert found["prediction"] in lora.labels
    with pytest.raises(ib.UserError, match="inputs, 0: found 'a film'; allowed: columns by name"):
        opened.predict(["a film"])
    with pytest.raises(ib.UserError, match="inputs, 1"):
        opened.predict([{"sentence": "a film"}, {"text": "a film"}])


def test_seeds_give_a_list_of_runs(words, folder):
    found = ib.run([*words, "method=bitfit", "seeds=2", f"output_dir={folder}"], quiet=True)
    assert [run.seed for run in found] == [0, 1]
    assert found[0].folder != found[1].folder


def test_quiet_run_prints_nothing_but_warnings(words, folder, capfd, monkeypatch):
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "soon")
    ib.run([*words, "method=head_only", f"output_dir={folder}"], quiet=True)
    captured = capfd.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert "HF_HUB_DOWNLOAD_TIMEOUT" in line


def test_run_that_is_not_quiet_shows_its_progress(words, folder, capfd):
    ib.run([*words, "method=bitfit", "seed=5", f"output_dir={folder}"])
    assert "loss" in capfd.readouterr().err


BAD = {
    "a text": ("task=sst2", "overrides: found 'task=sst2'; allowed: a list of texts, as in ib.run"),
    "a number": (3, "overrides: found '3'; allowed: a list of texts"),
    "a number in the list": (["task=sst2", 3], "overrides: found '3' in the list; allowed: texts"),
    "a flag": (["-m", "seed=0,1"], "overrides: found '-m'; allowed: key=value; or: inducer-bench -m seed=0,1"),
    "a sweep": (["method=lora,bitfit"], "method: found several values; .* inducer-bench -m method=lora,bitfit"),
    "a range": (["seed=range(3)"], r"seed: found several values; .* inducer-bench -m 'seed=range\(3\)'"),
    "a dry run": (["preset=mini", "dry_run=true"], "dry_run: found true; .*inducer-bench preset=mini dry_run=true"),
    "an unknown choice": (["task=sts2"], "task: unknown 'sts2'; did you mean"),
    "a wrong value": (["preset=mini", "trainer.lr=fast"], "trainer.lr: found 'fast'"),
    "no override": (["nonsense"], "override 'nonsense': not understood"),
    "half an override": (["method.r=[1"], r"override 'method.r=\[1': not understood"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(case):
    overrides, message = BAD[case]
    with pytest.raises(ib.UserError, match=message) as caught:
        ib.run(overrides)
    assert "\n" not in str(caught.value)


def test_folder_of_configuration_files_is_that_of_the_command_line(tmp_path, words):
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "small.yaml").write_text("defaults: [lora, _self_]\nr: 2\n")
    run = ib.run([*words, "method=small", f"output_dir={tmp_path / 'runs'}"], config_dir=tmp_path, quiet=True)
    assert run.config.method.r == 2
    assert f"--config-dir {tmp_path}" in run.command
    with pytest.raises(ib.UserError, match="config_dir: found 'nowhere', which is not a folder"):
        ib.run(words, config_dir="nowhere")


def test_run_that_fails_raises_and_says_where_its_log_is(words, tmp_path):
    with pytest.raises(ib.RunFailed, match=r"diverged: .*log\.txt") as caught:
        ib.run([*words, "method=lora", "trainer.lr=1e30", "trainer.clip_norm=null", f"output_dir={tmp_path}"])
    assert caught.value.record.status == "failed"
    assert (caught.value.folder / "log.txt").is_file()


def test_interrupted_run_raises_the_interrupt_and_the_same_call_resumes_it(words, tmp_path, monkeypatch):
    overrides = [*words, "method=lora", f"output_dir={tmp_path}"]
    original, steps = loop.Checkpoint.due, []

    def due(self, progress):
        steps.append(progress.step)
        return original(self, progress)

    monkeypatch.setattr(loop.Checkpoint, "due", due)
    monkeypatch.setattr(loop.interruption, "requested", lambda: bool(steps))
    with pytest.raises(KeyboardInterrupt, match="the same command resumes"):
        ib.run(overrides, quiet=True)
    monkeypatch.undo()
    run = ib.run(overrides, quiet=True)
    assert "resuming at step " in (run.folder / "log.txt").read_text()


def test_comparison_prints_as_the_command_shows_it(lora, words, folder, capsys):
    other = ib.run([*words, "method=lora", "method.r=2", f"output_dir={folder}"], quiet=True)
    comparison = ib.compare(lora, other.folder)
    assert main(["compare", str(lora.folder), str(other.folder)]) == ExitCode.DONE
    shown = [line for line in capsys.readouterr().out.splitlines()[2:] if line]
    assert [line for line in repr(comparison).splitlines() if line] == shown
    with pytest.raises(ib.UserError, match="holds no record"):
        ib.compare(lora, folder)


def test_what_needs_no_torch_does_not_import_it(lora, words, folder):
    code = f"""
import json, sys
import inducer_bench as ib
ib.methods()
frame = ib.runs({str(folder)!r})
run = ib.run({[*words, "method=lora", f"output_dir={folder}"]!r})
print(json.dumps([sys.modules.get("torch") is None, len(frame) > 0, str(run.folder)]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [True, True, str(lora.folder)]
