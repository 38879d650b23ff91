"""Full and read-only disks, and places in a run's folder that something else has taken."""

import errno
import os

import pytest
from helpers.runs import results

from inducer_bench import files
from inducer_bench.config.compose import compose
from inducer_bench.errors import ExitCode, UserError
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import identify, run_folder
from inducer_bench.runs.outcome import diagnosis
from inducer_bench.runs.run import run


@pytest.fixture
def short(overrides):
    """One epoch of two steps."""
    return [*overrides, "task.max_train=16", "task.max_eval=16", "trainer.epochs=1"]


def folder_of(overrides):
    config = compose(overrides)
    return run_folder(config, identify(config))


@pytest.mark.parametrize("name", ["log.txt", "metrics.jsonl", "config.yaml", "predictions.jsonl.gz"])
def test_folder_in_the_place_of_a_file_is_told_before_training(short, name):
    folder = folder_of(short)
    (folder / name / "mine").mkdir(parents=True)
    with pytest.raises(UserError, match=f"output_dir: .*{folder / name}'"):
        run(compose(short))
    assert (folder / name / "mine").is_dir()
    assert records.read(folder) is None


@pytest.mark.parametrize("name", ["adapter", "checkpoint"])
def test_file_in_the_place_of_a_folder_is_told_before_training(short, name):
    folder = folder_of(short)
    folder.mkdir(parents=True)
    (folder / name).write_text("mine")
    with pytest.raises(UserError, match=f"output_dir: found '{folder / name}', which is not a folder; move it away"):
        run(compose(short))
    assert (folder / name).read_text() == "mine"


@pytest.mark.parametrize("name", ["log.txt", "metrics.jsonl", "config.yaml", "predictions.jsonl.gz"])
def test_pipe_in_the_place_of_a_file_is_told_and_nothing_waits_for_its_reader(short, name):
    folder = folder_of(short)
    folder.mkdir(parents=True)
    os.mkfifo(folder / name)
    with pytest.raises(UserError, match=f"output_dir: found '{folder / name}', which is not a file; move it away"):
        run(compose(short))


@pytest.mark.parametrize("name", ["adapter", "checkpoint", "metrics.jsonl", "config.yaml", "log.txt"])
def test_link_to_itself_in_the_place_of_a_file_or_folder_is_told_before_training(short, name):
    folder = folder_of(short)
    folder.mkdir(parents=True)
    (folder / name).symlink_to(name)
    with pytest.raises(UserError, match=f"output_dir: found '{folder / name}', which is not a (file|folder); move it"):
        run(compose(short))


@pytest.mark.parametrize("name", ["", "checkpoint", "metrics.jsonl"])
def test_place_without_write_permission_is_told_before_training(short, monkeypatch, name):
    """The system's answer is replaced: the user of the tests may be one who may write everywhere."""
    folder = folder_of(short)
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "metrics.jsonl").touch()
    monkeypatch.setattr(os, "access", lambda path, _: path != folder / name)
    with pytest.raises(UserError, match=f"output_dir: '{folder / name}' is read-only; make it writable"):
        run(compose(short))


class FullDisk:
    """A disk that is full from the n-th sync or rename on."""

    def __init__(self, monkeypatch, at):
        self.writes, self.at = 0, at
        for name in ("fsync", "replace"):
            monkeypatch.setattr(os, name, self.filling(getattr(os, name)))

    def filling(self, function):
        def wrapper(*arguments):
            self.writes += 1
            if self.writes >= self.at:
                raise OSError(errno.ENOSPC, "No space left on device")
            return function(*arguments)

        return wrapper


def answer(overrides):
    """Exit code and message of a run, also of one that is refused."""
    try:
        outcome = run(compose(overrides))
        return outcome.code, outcome.message
    except UserError as error:
        return ExitCode.BAD_INPUT, str(error)


def test_disk_that_fills_at_any_write_is_told_and_the_run_goes_on_later(short, monkeypatch, tmp_path, capsys):
    whole = run(compose([*short, f"output_dir={tmp_path / 'whole'}"]))
    with monkeypatch.context() as counted:
        disk = FullDisk(counted, 10**6)
        run(compose([*short, f"output_dir={tmp_path / 'counted'}"]))
    for at in range(1, disk.writes + 1, 4):
        capsys.readouterr()
        with monkeypatch.context() as full:
            FullDisk(full, at)
            code, message = answer(short)
        if code == ExitCode.DONE:  # the record was on disk before
            break
        then = ", or give another folder" if code == ExitCode.BAD_INPUT else "; then the same command goes on"
        assert code in (ExitCode.BAD_INPUT, ExitCode.FAILED)
        assert f"'{folder_of(short)}" in message
        assert f"No space left on device; free space there{then}" in message
        assert "Traceback" not in capsys.readouterr().err
    assert results(run(compose(short)).folder) == results(whole.folder)


def test_log_that_cannot_be_written_stops_the_run_without_a_traceback(short, monkeypatch, capsys):
    class Full:
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

        def flush(self):
            pass

        close = flush

    monkeypatch.setattr("logging.FileHandler._open", lambda *_: Full())
    outcome = run(compose(short))
    assert outcome.code == ExitCode.FAILED
    assert outcome.message.startswith(f"'{outcome.folder / 'log.txt'}': No space left on device; free space there; ")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("write", ["write_atomic", "append"])
def test_error_names_the_file_that_was_to_be_written(tmp_path, monkeypatch, write):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    path = tmp_path / "there" if write == "append" else tmp_path / "file"
    if write == "append":
        path.mkdir()
    with pytest.raises(OSError, match=f"'{path}'"):
        getattr(files, write)(path, b"text")


@pytest.mark.parametrize(
    "message",
    [
        "could not create a primitive",
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to",
        "CUDA error: out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "std::bad_alloc",
        "libtorch_cpu.so: failed to map segment from shared object: Cannot allocate memory",
    ],
)
def test_lack_of_memory_is_known_in_all_its_words(message):
    for error in (RuntimeError(message), ImportError(message)):
        status, code, told = diagnosis(error)
        assert (status, code) == ("oom", ExitCode.OUT_OF_MEMORY)
        assert told.startswith("out of memory: ")
    assert diagnosis(OSError(errno.ENOMEM, "Cannot allocate memory"))[0] == "oom"
    assert diagnosis(RuntimeError("a shape does not fit"))[0] == "failed"
