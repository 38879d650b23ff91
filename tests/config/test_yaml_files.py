"""Configuration files of the user's that cannot be read: one line that names the file, in every command."""

import pytest
from helpers import handmade

from inducer_bench.cli import main
from inducer_bench.config import yaml_files
from inducer_bench.errors import UserError

BAD = {
    "syntax": (b"a: 1\nb: c: d\n", "line 2: mapping values are not allowed here"),
    "open": (b"a: [\n", "line 2: expected the node content, but found '<stream end>'"),
    "encoding": (b"a: \xff\n", "'utf-8' codec can't decode byte 0xff in position 3: invalid start byte"),
    "control": (b"a: \x00\n", "unacceptable character #x0000: special characters are not allowed"),
    "list": (b"- a\n", "found a list; allowed: keys and values"),
}


@pytest.mark.parametrize(("content", "problem"), BAD.values(), ids=BAD)
def test_a_bad_file_is_told_with_its_name_and_line(tmp_path, content, problem):
    path = tmp_path / "task" / "mine.yaml"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        yaml_files.read(path)
    assert str(refused.value) == problem
    assert str(yaml_files.problem_in(tmp_path)) == f"--config-dir: '{path}': {problem}"


@pytest.mark.parametrize("name", ["syntax", "encoding", "control"])
@pytest.mark.parametrize("group", ["task", "method", "experiment"])
def test_a_run_that_chooses_a_bad_file_names_it(tmp_path, capsys, name, group):
    content, problem = BAD[name]
    path = tmp_path / group / "mine.yaml"
    path.parent.mkdir()
    path.write_bytes(content)
    assert main.main(["--config-dir", str(tmp_path), "preset=mini", f"{group}=mine"]) == 2
    assert capsys.readouterr().err == f"inducer-bench: --config-dir: '{path}': {problem}\n"


def test_tables_and_lists_survive_or_name_a_bad_file(tmp_path, capsys):
    handmade.write_run(tmp_path / "runs", "preset=mini", "task=sst2", "method=lora", score=80.0)
    for group in ("task", "experiment"):
        (tmp_path / "own" / group).mkdir(parents=True)
        (tmp_path / "own" / group / "bad.yaml").write_bytes(BAD["syntax"][0])
    own = ["--config-dir", str(tmp_path / "own")]
    assert main.main(["ls", "experiments", *own]) == 0
    assert "bad" in capsys.readouterr().out
    assert main.main(["tables", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out"), *own]) == 2
    path = tmp_path / "own" / "task" / "bad.yaml"
    assert capsys.readouterr().err == f"inducer-bench: --config-dir: '{path}': {BAD['syntax'][1]}\n"


def test_what_is_no_file_is_no_choice(tmp_path, capsys):
    (tmp_path / "task" / "folder.yaml").mkdir(parents=True)
    (tmp_path / "task" / "loop.yaml").symlink_to("loop.yaml")
    for name in ("folder", "loop"):
        assert main.main(["--config-dir", str(tmp_path), "preset=mini", f"task={name}"]) == 2
        told = capsys.readouterr().err
        assert told.startswith(f"inducer-bench: task: unknown '{name}'; allowed: classification, ")
        assert f"{name}, " not in told


def test_a_value_that_other_files_decide_on_is_none(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("a: {b: 1, c: '${a.b}', d: '${other.key}'}\n")
    assert [yaml_files.value(path, f"a.{key}") for key in "bcde"] == [1, 1, None, None]
