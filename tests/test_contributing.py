"""The recipes of CONTRIBUTING.md, done to the letter: its files in a folder of their own, then its commands there."""

import re
import shlex
import textwrap
from pathlib import Path

import pytest
from helpers.commands import command

from inducer_bench.runs import record as records

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = [
    (kind, textwrap.dedent(body)) for _, kind, body in re.findall(r"^( *)```(\w+)\n(.*?)^ *```$", TEXT, re.M | re.S)
]
FILES = {re.search(r"^# (my_\S+)$", body, re.M)[1]: body for kind, body in BLOCKS if kind in ("python", "yaml")}
COMMANDS = [line for kind, body in BLOCKS[1:] if kind == "sh" for line in body.splitlines()]  # the first is of `make`
SMALL = ["task.max_train=16", "task.max_eval=4", "trainer.epochs=1", "trainer.device=cpu", "task.max_length=96"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of the recipes, and data for those that name a FOLDER."""
    folder = tmp_path_factory.mktemp("recipes")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    data = folder / "FOLDER"
    data.mkdir()
    for split, count in (("train", 16), ("dev", 8), ("test", 4)):
        rows = [f"a film,{number % 5 + 1}" for number in range(count)]
        (data / f"{split}.csv").write_text("\n".join(["review,stars", *rows]))
        (data / f"{split}.txt").write_text("\n".join(f"who is {number} = {number}" for number in range(count)))
    return folder


@pytest.fixture(scope="module")
def run(folder, run_cli):
    """Run one command of the text on few examples, from the folder."""

    def run(command):
        program, *words = shlex.split(command)
        assert program == "inducer-bench"
        bundled = [] if "plm=" in command or "preset=mini" in command else ["plm=mini_roberta"]
        return run_cli(*words, *SMALL, *bundled, cwd=folder, timeout=300)

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_a_recipe_works(run, folder, command):
    process = run(command)
    assert process.returncode == 0, process.stderr
    if "dry_run=true" not in command:
        assert records.read(folder / process.stdout.splitlines()[-1]).status == "done"


@pytest.mark.parametrize("name", ["my_package/try_scale.py", "my_package/phi.py"])
def test_program_of_a_recipe_works(folder, name):
    program = f"import sys; sys.path.insert(0, {str(folder)!r})\n{(folder / name).read_text()}"
    ended = command([], folder, program=program)
    assert ended.code == 0, ended.err


def test_method_task_and_metric_take_fewer_than_thirty_lines_each():
    for name in ("scale", "quiz", "exact"):
        lines = [line for line in FILES[f"my_package/{name}.py"].splitlines() if line.strip()]
        assert len(lines) <= 30, name


def test_own_method_and_task_stand_in_a_table_and_a_figure_of_their_own(folder, run_cli):
    own = ["--config-dir", "my_conf"]
    task = ["task=quiz", "task.data_dir=FOLDER", "plm=mini_gpt2", "output_dir=both"]
    process = run_cli(*own, "-m", *task, "method=scale,lora", cwd=folder)
    assert process.returncode == 0, process.stderr
    process = run_cli("tables", *own, "--runs", "both", cwd=folder)
    assert process.returncode == 0, process.stderr
    (table,) = (folder / "tables").rglob("quiz_quiz_*.csv")
    rows = [line for line in table.read_text().splitlines() if ",my_package.scale," in line and ",parameters," in line]
    assert len(rows) == 1
    assert ",512.0," in rows[0]  # 4 layers of width 128
    (figure,) = (folder / "tables").rglob("quiz_quiz_*.tradeoff_parameters.svg")
    assert "<svg" in figure.read_text()
