"""The standard streams of the command: full, closed, or a pipe that nobody reads."""

import subprocess
import sys
from pathlib import Path

import pytest

from inducer_bench.cli import main
from inducer_bench.config.compose import compose
from inducer_bench.runs import record as records
from inducer_bench.runs.run import run

PROGRAM = Path(sys.executable).with_name("inducer-bench")


def shell(script, *arguments, cwd=None):
    """What a shell makes of a command, with `$0` for the program and `$@` for the arguments."""
    return subprocess.run(
        ["sh", "-c", script, PROGRAM, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def test_full_stdout_is_told_and_what_was_recorded_stays(tiny_run, tmp_path):
    command = [*tiny_run, "task.max_eval=8", "method.r_k=4", "trainer.epochs=0", f"output_dir={tmp_path}"]
    folder = run(compose(command)).folder
    process = shell('"$0" "$@" > /dev/full', *command)
    lost = "inducer-bench: stdout: No space left on device; what was printed there is lost, what was recorded is not\n"
    assert (process.returncode, process.stderr) == (1, lost)
    assert records.read(folder).status == "done"


@pytest.mark.parametrize("command", ["ls", "--version"])
def test_full_stdout_is_a_line_and_no_traceback(command):
    process = shell('"$0" "$@" > /dev/full', command)
    assert process.returncode == 1
    assert process.stderr.startswith("inducer-bench: stdout: No space left on device; ")
    assert process.stderr.count("\n") == 1


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&- <&-", "> /dev/null 2> /dev/full"])
def test_closed_streams_change_no_exit_code(closed):
    assert shell(f'"$0" validate {closed}').returncode == 0
    assert shell(f'"$0" validate method=nope {closed}').returncode == 2


def test_message_for_a_closed_stderr_is_not_printed_elsewhere():
    process = shell('"$0" validate method=nope 2>&-')
    assert (process.returncode, process.stdout, process.stderr) == (2, "", "")


def test_deleted_working_directory_is_a_line(tmp_path):
    def there(command):
        gone = tmp_path / "gone"
        gone.mkdir()
        process = shell(f'cd "$1" && rmdir "$1" && exec "$0" {command}', gone)
        return process.returncode, process.stdout, process.stderr

    line = "inducer-bench: working directory: found one that was deleted; allowed: a folder that exists\n"
    for command in ("seed=1", "ls", "-m seed=1,2"):
        assert there(command) == (2, "", line)
    code, out, err = there("")  # help
    assert (code, out.startswith("inducer-bench: "), err) == (0, True, "")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ("WORLD_SIZE=abc", "WORLD_SIZE: found 'abc'"),
        ("WORLD_SIZE=0", "WORLD_SIZE: found '0'"),
        ("WORLD_SIZE=2", "RANK: not set; allowed: 0 to 1"),
        ("WORLD_SIZE=2 RANK=2", "RANK: found '2'; allowed: 0 to 1"),
        ("WORLD_SIZE=2 RANK=-1", "RANK: found '-1'"),
        ("LOCAL_RANK=x RANK=0", "LOCAL_RANK: found 'x'"),
        ("WORLD_SIZE=2 RANK=0", "MASTER_PORT: not set"),
        ("WORLD_SIZE=2 RANK=0 MASTER_PORT=99999", "MASTER_PORT: found '99999'; allowed: 1 to 65535"),
        ("WORLD_SIZE=2 RANK=0 MASTER_PORT=29500", "MASTER_ADDR: not set"),
    ],
)
def test_variables_of_no_launcher_are_told_before_anything_starts(monkeypatch, capsys, variables, told):
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for variable in variables.split():
        monkeypatch.setenv(*variable.split("="))
    assert main.main(["method=inducer"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"inducer-bench: {told}")
    assert line.endswith("as torchrun or accelerate launch sets it")
