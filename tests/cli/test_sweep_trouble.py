"""Whatever happens in or around a job, a sweep ends with its table and its exit code."""

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from helpers.sweeps import job_lines

from inducer_bench.cli import launch, main, sweep_folder
from inducer_bench.cli.sweep import Job, Sweep
from inducer_bench.errors import ExitCode
from inducer_bench.runs.outcome import Outcome


@pytest.fixture
def sweep(tmp_path, monkeypatch, capsys):
    """A sweep over seeds whose runs are replaced by a function; gives the exit code and the lines of the table."""
    monkeypatch.chdir(tmp_path)

    def start(run, *arguments):
        def outcome(config, show):
            run(config.seed)
            return [Outcome(ExitCode.DONE, Path("folder"), "skipped", "already done: accuracy 50.00")]

        monkeypatch.setattr(launch, "run_all", outcome)
        code = main.main(["-m", *arguments])
        lines = capsys.readouterr().err.splitlines()
        assert not [line for line in lines if line.startswith(("Traceback", "Error executing job"))]
        return code, [line.split()[0] for line in job_lines(lines)], lines

    return start


def fine(seed):
    pass


def test_error_of_any_type_fails_its_job_alone(sweep):
    errors = {
        1: RecursionError("deep"),
        2: IsADirectoryError(21, "Is a directory", "x"),
        3: SystemExit(3),
        4: MemoryError(),
    }

    def run(seed):
        if seed in errors:
            raise errors[seed]

    code, statuses, lines = sweep(run, "seed=range(6)")
    assert (code, statuses) == (1, ["skipped", "failed", "failed", "failed", "oom", "skipped"])
    assert [line.split("  ")[-1] for line in job_lines(lines)[1:4]] == [
        "RecursionError: deep", "IsADirectoryError: [Errno 21] Is a directory: 'x'", "SystemExit: 3"]  # fmt: skip


def test_job_that_does_not_compose_is_refused_alone(sweep):
    code, statuses, lines = sweep(fine, "method.r_k=2,${nope}", "method=inducer,bitfit")
    assert (code, statuses) == (2, ["skipped", "refused", "refused", "refused"])
    assert job_lines(lines)[-3].endswith("method.r_k: there is no such key; allowed in method: name")
    assert job_lines(lines)[-2].endswith("method.r_k: Interpolation key 'nope' not found")


def test_interrupted_sweep_tells_what_was_not_started_and_exits_with_130(sweep):
    def run(seed):
        if seed == 1:
            raise KeyboardInterrupt
        if seed == 0:
            raise ValueError("this job failed before")

    code, statuses, _ = sweep(run, "seed=0,1,2")
    assert (code, statuses) == (130, ["failed", "interrupted", "not"])


def test_jobs_of_a_worker_that_was_killed_are_lost_and_the_others_are_kept(sweep, monkeypatch):
    def killed(options, sweep, conf_dir, jobs, explained):
        jobs.sweep.keep(Job(0, "seed=0").ended("done", ExitCode.DONE, "accuracy 50.00", 1.0))
        Job(1, "seed=1").write(jobs.sweep.folder)  # as another process does
        raise BrokenProcessPool("A worker process was unexpectedly terminated.")

    monkeypatch.setattr(launch, "run_hydra", killed)
    code, statuses, lines = sweep(fine, "seed=0,1,2")
    assert (code, statuses) == (1, ["done", "lost", "not"])
    assert "inducer-bench: the sweep ended early: A worker process was unexpectedly terminated." in lines


def test_output_folder_that_cannot_be_written_stops_no_sweep_of_finished_jobs(sweep, tmp_path):
    (tmp_path / "file").touch()
    code, statuses, lines = sweep(fine, "output_dir=file/runs", "seed=0,1")
    assert (code, statuses) == (0, ["skipped", "skipped"])
    assert lines[0].startswith(f"inducer-bench: output_dir: '{tmp_path}/file/runs/sweeps/")
    assert "cannot be written (Not a directory); the sweep writes to '" in lines[0]


def test_table_is_made_from_memory_where_the_disk_is_full(sweep, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Job, "write", full)
    assert sweep(fine, "seed=0,1")[:2] == (0, ["skipped", "skipped"])


def test_folder_chosen_by_the_user_must_be_writable(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main.main(["-m", f"hydra.sweep.dir={tmp_path}/file/x", "seed=0,1"]) == 2
    assert capsys.readouterr().err.startswith(
        f"inducer-bench: hydra.sweep.dir: '{tmp_path}/file/x' cannot be written ("
    )


def test_two_sweeps_in_the_same_folder_tell_of_their_own_jobs_alone(sweep, tmp_path):
    assert sweep(fine, "hydra.sweep.dir=out", "seed=0,1,2")[1] == ["skipped"] * 3
    _, statuses, lines = sweep(fine, "hydra.sweep.dir=out", "seed=0")
    assert statuses == ["skipped"]
    assert lines[0] == f"inducer-bench: hydra.sweep.dir: another sweep has that; this one writes to '{tmp_path}/out-2'"


def test_folder_is_claimed_by_one_of_many_that_start_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(sweep_folder.claimed, [tmp_path / "2026-01-01_00-00-00"] * 8))
    assert len(set(claimed)) == 8
    assert all((folder / "jobs").is_dir() and not list((folder / "jobs").iterdir()) for folder in claimed)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "NaN", "[" * 100_000, '{"number": 0}', "\ud800".encode("utf-8", "surrogatepass"),
     json.dumps({"number": 0, "overrides": "", "status": "done", "code": 7, "message": "", "seconds": 0}),
     json.dumps({"number": 0, "overrides": "", "status": "done", "code": 0, "message": "", "seconds": float("nan")})],
)  # fmt: skip
def test_damaged_job_file_is_a_lost_job(content, tmp_path, capsys):
    Job(1, "seed=1").ended("done", ExitCode.DONE, "fine", 1.0).write(tmp_path)
    (tmp_path / "jobs" / "0.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert Sweep(tmp_path, 2, 0.0).report() == ExitCode.FAILED
    first, second = job_lines(capsys.readouterr().err.splitlines())
    assert (first.split()[0], second.split()[0]) == ("lost", "done")
    assert "cannot be read" in first


def test_folder_and_foreign_files_among_the_jobs_are_no_trouble(tmp_path, capsys):
    (tmp_path / "jobs" / "0.json").mkdir(parents=True)
    (tmp_path / "jobs" / "notes.json").write_text("mine")
    assert Sweep(tmp_path, None, 0.0).report() == ExitCode.FAILED
    assert [line.split()[0] for line in job_lines(capsys.readouterr().err.splitlines())] == ["lost"]


def test_table_shows_no_control_characters(tmp_path, capsys):
    Job(0, "task.name=\x1b[31m\nx").ended("failed", ExitCode.FAILED, "line\r\n\x1b]0;title\x07", 1.0).write(tmp_path)
    Sweep(tmp_path, 1, 0.0).report()
    lines = capsys.readouterr().err.split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
