"""The command line, run as a user runs it."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.sweeps import job_lines

from inducer_bench import __version__
from inducer_bench.cli import commands, doctor, main
from inducer_bench.config.choices import choices
from inducer_bench.runs import record as records

# The same commands in one process that then says whether torch came with them.
WITHOUT_TORCH = """
import sys
from inducer_bench.cli.main import main
overrides = sys.argv[1:]
commands = [["--help"], ["--version"], ["ls"], ["ls", "runs"], ["validate"], ["validate", "seed=-1"], overrides]
print([int(main(command)) for command in commands], file=sys.stderr)
print([name for name in ("torch", "transformers", "datasets", "wandb") if name in sys.modules], file=sys.stderr)
"""

BAD_INPUT = {  # command line -> part of the one line that answers it
    ("validate", "method.r_kk=3"): "did you mean 'r_k'?",
    ("validate", "--strict"): "--strict",
    ("vaildate",): "command: unknown 'vaildate'; did you mean 'validate'?",
    ("ls", "task"): "ls: unknown 'task'; did you mean 'tasks'?",
    ("ls", "--all"): "unrecognized arguments: --all",
    ("doctor", "now"): "unrecognized arguments: now",
    ("params", "plm=gpt3"): "plm: unknown 'gpt3'",
    ("task=null",): "task: unknown 'null'",
    ("--sweep", "seed=1"): "--sweep",
    ("seed=1,2",): "seed: found several values, '1,2'; allowed: one, or with -m a sweep",
    ("-m", "method=inducer,inducr"): "did you mean 'inducer'?",
    ("task.data_dir=nowhere",): "task.data_dir: found 'nowhere', which is not a folder",
    ("plm.path=nowhere",): "plm.path: found 'nowhere'",
}


@pytest.fixture(scope="module")
def overrides(tiny_run):
    return [*tiny_run, "task.max_eval=8", "method.r_k=4", "trainer.epochs=1", "trainer.device=cpu"]


@pytest.fixture(scope="module")
def finished(run_cli, overrides, tmp_path_factory):
    """One run of the real command, and the folder it was started in."""
    folder = tmp_path_factory.mktemp("finished")
    return run_cli(*overrides, cwd=folder), folder


@pytest.fixture(scope="module")
def sweep(run_cli, overrides, tmp_path_factory):
    """Four jobs: the first diverges, the second and the last have an impossible rank, the third is fine."""
    folder = tmp_path_factory.mktemp("sweep")
    common = [override for override in overrides if not override.startswith("method.r_k")]
    plan = ["trainer.batch_size=4", "trainer.lr=1e30,1e-3", "method.r_k=4,100"]
    return run_cli("-m", *common, *plan, cwd=folder), folder


def one_line(process):
    """The line that a refused command printed, after checks of all the rest."""
    assert process.returncode == 2, process.stderr
    assert process.stdout == ""
    lines = process.stderr.splitlines()
    assert len(lines) == 1, process.stderr
    assert lines[0].startswith("inducer-bench: ")
    return lines[0]


def test_help_shows_every_choice_of_every_group(run_cli):
    process = run_cli("--help")
    assert (process.returncode, process.stderr) == (0, "")
    for group in ("task", "plm", "method", "trainer", "protocol", "tracker", "preset", "experiment"):
        assert [name for name in choices(group) if name not in process.stdout] == []
    for command in commands.NAMES:
        assert f"\n  {command} " in process.stdout


def test_help_needs_no_working_directory(run_cli, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    program = Path(sys.executable).with_name("inducer-bench")
    script = 'cd "$1" && rmdir "$1" && "$2" --version && "$2" --help'
    process = subprocess.run(["sh", "-c", script, "sh", gone, program], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (0, "")


def test_version_is_that_of_the_package(run_cli):
    process = run_cli("--version")
    assert (process.returncode, process.stdout) == (0, f"inducer-bench {__version__}\n")


def test_ls_lists_everything_that_ships_one_line_each(run_cli):
    process = run_cli("ls")
    assert (process.returncode, process.stderr) == (0, "")
    kinds = dict(zip(*[iter(re.split(r"^(\w+):$", process.stdout, flags=re.M)[1:])] * 2, strict=True))
    for group in (
        "task",
        "plm",
        "method",
        "preset",
        "protocol",
        "experiment",
        "tracker",
        "trainer",
        "table",
        "ablation",
    ):
        for name in choices(group):
            described = [line for line in kinds[f"{group}s"].splitlines() if line.split()[:1] == [name]]
            assert len(described) == 1
            assert len(described[0].split()) > 3, f"{group}/{name}.yaml does not say what it is"


def test_validate_says_what_the_configuration_is(run_cli):
    process = run_cli("validate", "plm=gpt2", "seed=3")
    assert (process.returncode, process.stderr) == (0, "")
    expected = "valid: task=sst2 plm=gpt2 method=inducer protocol=paper suite=full seed=3\n"
    assert process.stdout.startswith(expected)
    assert "\n  training    10 epochs, batch 16, lr 0.0002 (linear, warm-up 0.06)\n" in process.stdout


def test_composed_configuration_can_be_looked_at(run_cli):
    process = run_cli("--cfg", "job", "trainer.epochs=7")
    assert (process.returncode, process.stderr) == (0, "")
    assert "  epochs: 7\n" in process.stdout
    assert "\nhydra:" not in process.stdout


def test_configuration_that_is_looked_at_has_its_values(run_cli):
    process = run_cli("--cfg", "job", "preset=mini", "task=webnlg", "method=inducer_ffn")
    assert "${" not in process.stdout
    assert "\n  lr: 0.01\n" in process.stdout
    assert "\nrecipe: mini_nlg\n" in process.stdout


def test_error_that_shows_when_a_run_resolves_is_one_line(run_cli):
    process = run_cli("trainer.lr=${nowhere}")
    assert one_line(process) == "inducer-bench: trainer.lr: Interpolation key 'nowhere' not found"


def test_error_that_shows_when_a_job_resolves_refuses_that_job_alone(run_cli, overrides, tmp_path):
    process = run_cli("-m", *overrides, "method.r_v=${nowhere},4", cwd=tmp_path)
    assert process.returncode == 2
    lines = process.stderr.splitlines()
    assert not [line for line in lines if line.startswith("Error executing job")]
    summary = job_lines(lines)
    assert [line.split()[0] for line in summary] == ["refused", "done"]


def test_command_line_leaves_the_process_as_it_was(capsys):
    before = dict(os.environ), list(sys.argv)
    assert main.main(["--cfg", "job", "seed=3"]) == 0
    assert (dict(os.environ), sys.argv) == before


def test_params_in_json_are_the_published_numbers(run_cli):
    process = run_cli("params", "plm=roberta-base", "plm.weights=random", "method=inducer", "--json")
    counts = json.loads(process.stdout)
    assert process.returncode == 0
    assert (counts["method"], counts["plm"], counts["tokens"]) == (609_696, 124_055_040, 0)
    assert counts["percent"] == pytest.approx(0.4915, abs=5e-5)


@pytest.mark.parametrize(
    ("overrides", "method", "plm"),
    [
        (["plm=gpt2", "method.r_k=10", "method.r_v=15"], 2_003_472, 124_439_808),
        (["plm=gpt2", "method=fine_tune"], 124_439_808, 124_439_808),
        (["plm=roberta-base", "method=fine_tune"], 124_055_040, 124_055_040),
    ],
)
def test_params_need_neither_weights_nor_network(capsys, overrides, method, plm):
    assert main.main(["params", "--json", *overrides]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["method"], counts["plm"]) == (method, plm)


def test_params_for_a_person_show_the_same_numbers(capsys):
    assert main.main(["params", "plm=roberta-base"]) == 0
    shown = capsys.readouterr().out
    assert "inducer on roberta-base for sst2" in shown
    assert "609,696" in shown
    assert "124,055,040" in shown
    assert "0.4915 %" in shown


def test_doctor_finds_this_installation_in_order(run_cli):
    process = run_cli("doctor")
    assert process.returncode == 0, process.stdout
    for package in ("torch", "transformers", "wandb", "mini suite", "model hub", "Java for METEOR"):
        assert package in process.stdout
    assert process.stdout.splitlines()[-1] == "Every run that needs no network can start here."


def test_doctor_names_what_needs_repair(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_needed", lambda: [("python", True, "3"), ("torch", False, "pip install torch")])
    monkeypatch.setattr(doctor, "_optional", lambda: [("CUDA", False, "runs use the CPU")])
    assert main.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "pip install torch" in shown
    assert shown.splitlines()[-1] == "needs repair: torch"


def test_doctor_lists_a_check_that_breaks_as_one_that_does_not_work():
    def broken():
        raise OSError("[Errno 8] Exec format error:\n'java'")

    assert doctor._checked("Java", broken) == ("Java", False, "OSError: [Errno 8] Exec format error:")


@pytest.mark.parametrize(("arguments", "part"), BAD_INPUT.items(), ids=map(" ".join, BAD_INPUT))
def test_bad_input_is_one_line_and_exit_code_2(run_cli, arguments, part):
    assert part in one_line(run_cli(*arguments))


@pytest.mark.parametrize("missing", ["plm", "data"])
def test_without_network_the_answer_comes_within_ten_seconds(run_cli, overrides, missing, tmp_path):
    local = overrides[1:] if missing == "plm" else [overrides[0], *overrides[2:]]
    started = time.perf_counter()
    process = run_cli(*local, cwd=tmp_path, env={"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"})
    assert time.perf_counter() - started < 10
    assert (process.returncode, process.stdout) == (2, "")
    (line,) = process.stderr.splitlines()
    assert line.startswith(f"inducer-bench: {'plm' if missing == 'plm' else 'task'}: ")
    assert "the hub cannot be reached; give" in line
    assert list(tmp_path.rglob("record.json")) == []


def test_run_prints_its_folder_last(finished):
    process, cwd = finished
    assert process.returncode == 0, process.stderr
    *_, score, folder = process.stdout.splitlines()
    assert score.startswith("accuracy ")
    assert folder.startswith("runs/sst2/tiny_roberta/inducer/")
    record = records.read(cwd / folder)
    assert record.status == "done"
    assert record.command.startswith("inducer-bench plm.path=")
    assert [path for path in cwd.iterdir() if path.name != "runs"] == []


def test_second_launch_is_a_quiet_no_op(finished, run_cli, overrides):
    first, cwd = finished
    path = cwd / first.stdout.splitlines()[-1] / records.FILE
    before = path.stat().st_mtime_ns
    started = time.perf_counter()
    process = run_cli(*overrides, cwd=cwd)
    assert time.perf_counter() - started < 3
    assert (process.returncode, process.stderr) == (0, "")
    *_, score, folder = first.stdout.splitlines()
    assert process.stdout.splitlines() == [f"already done: {score.partition(';')[0]}", folder]
    assert path.stat().st_mtime_ns == before


def test_commands_that_compute_nothing_import_nothing_heavy(finished, overrides):
    _, cwd = finished
    command = [sys.executable, "-c", WITHOUT_TORCH, *overrides]
    process = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=True)
    assert "already done: " in process.stdout
    assert process.stderr.splitlines()[-2:] == ["[0, 0, 0, 0, 0, 2, 0]", "[]"]


def test_ls_runs_shows_status_score_and_folder(finished, capsys, monkeypatch):
    process, cwd = finished
    *_, score, folder = process.stdout.splitlines()
    monkeypatch.chdir(cwd)
    assert main.main(["ls", "runs"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split()[:4] == ["done", "full/sst2", "tiny_roberta", "inducer"]
    assert score.partition(";")[0] in line
    assert line.endswith(folder)


def test_ls_runs_names_a_damaged_record_and_lists_the_others(finished, capsys, tmp_path):
    process, cwd = finished
    run = cwd / process.stdout.splitlines()[-1]
    record = (run / records.FILE).read_text()
    for name, content in (("a", record[:100]), (run.name, record)):
        folder = tmp_path / "sst2" / "tiny_roberta" / "inducer" / name
        folder.mkdir(parents=True)
        (folder / records.FILE).write_text(content)
    assert main.main(["ls", "runs", "--runs", str(tmp_path)]) == 1
    damaged, whole = capsys.readouterr().out.splitlines()
    assert damaged.startswith("  left out ")
    assert "not a whole record" in damaged
    assert whole.startswith("  done ")


def test_bad_and_failing_jobs_do_not_stop_a_sweep(sweep):
    process, cwd = sweep
    status = {folder: record.status for folder, record in records.find(cwd / "runs")[0]}
    assert sorted(status.values()) == ["done", "failed"], process.stderr
    failed = next(folder for folder, found in status.items() if found == "failed")
    assert "Traceback" in (failed / "log.txt").read_text()
    assert "Traceback" not in process.stderr


def test_sweep_ends_with_its_worst_exit_code_and_a_line_for_each_job(sweep):
    process, _ = sweep
    assert process.returncode == 1
    summary = job_lines(process.stderr.splitlines())
    assert [line.split()[0] for line in summary] == ["failed", "refused", "done", "refused"]
    assert "method.r_k=100" in summary[1]
    assert "allowed: 0 to 8" in summary[1]


def test_last_line_of_a_sweep_is_the_folder_of_its_last_run(sweep):
    process, cwd = sweep
    assert records.read(cwd / Path(process.stdout.splitlines()[-1])).status == "done"


def test_closed_pipe_is_no_error():
    program = Path(sys.executable).with_name("inducer-bench")
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run([program, "ls"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (process.returncode, process.stderr) == (0, "")
