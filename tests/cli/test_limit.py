"""`--limit N` is short for overrides: what it runs is recorded as what it is."""

import json

import pytest

from inducer_bench.cli import commands
from inducer_bench.cli.limit import limited
from inducer_bench.config.compose import compose
from inducer_bench.errors import UserError
from inducer_bench.runs.identity import canonical

STANDS_FOR = ["task.max_train=8", "task.max_eval=8", "trainer.epochs=1"]


def parsed(*words):
    """The overrides that a run gets from a command line."""
    args = commands.parser(commands.RUN).parse_intermixed_args(words)
    return limited(args.overrides, args.limit)


@pytest.mark.parametrize(
    "given", [["--limit", "8", "task=sst2"], ["task=sst2", "--limit", "8"], ["--limit=8", "task=sst2"]]
)
def test_limit_becomes_overrides(given):
    assert parsed(*given) == ["task=sst2", *STANDS_FOR]


def test_command_line_without_it_stays_as_it_is():
    assert parsed("-m", "seed=0,1") == ["seed=0,1"]


def test_key_that_the_command_line_sets_itself_wins():
    assert parsed("trainer.epochs=2", "--limit", "8", "task.max_eval=4") == [
        "trainer.epochs=2", "task.max_eval=4", "task.max_train=8",
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", ["0", "-1", "1.5", "eight", "", "1e3", "٣", "9" * 30])
@pytest.mark.parametrize("command", [commands.RUN, "tune", "plan", "params", "validate"])
def test_number_that_is_none_is_a_line(command, wrong):
    with pytest.raises(UserError, match=r"^--limit: found '.*'; allowed: a number of examples, from 1 on$"):
        commands.run(command, [f"--limit={wrong}"])


def test_limit_without_a_number_is_a_line():
    with pytest.raises(UserError, match="--limit: expected one argument"):
        parsed("task=sst2", "--limit")


def test_limited_run_is_one_of_those_settings_and_of_no_others():
    given = ["preset=mini", "task=sst2", "method=lora"]
    limited = compose(parsed(*given, "--limit", "8"))
    assert canonical(limited) == canonical(compose([*given, *STANDS_FOR])) != canonical(compose(given))


def test_limited_run_has_so_many_examples_and_says_how_to_go_on(tiny_roberta_folder, sst2_folder, run_cli):
    base = [f"plm.path={tiny_roberta_folder}", f"task.data_dir={sst2_folder}", "task.max_length=32"]
    one = run_cli(*base, "method=lora", "--limit", "8")
    assert one.returncode == 0, one.stderr
    first = one.stdout.splitlines()
    *_, result, folder = first
    assert result.startswith("accuracy ")
    assert folder.startswith("runs/sst2/")
    assert [line.split()[0] for line in first[:6]] == ["method", "model", "task", "training", "seed", "folder"]
    rows = dict(line.split(maxsplit=1) for line in first if len(line.split()) > 1)
    assert rows["data"] == "train 8, dev 8"
    assert rows["steps"] == "1, 1 an epoch"
    assert rows["best"] == "epoch  1 of 1"
    assert f"next\n  inducer-bench predict {folder} --input FILE\n" in one.stderr


def test_plan_counts_what_it_leaves(capsys):
    commands.run("plan", ["preset=mini", "task=sst2", "method=lora,bitfit", "--limit", "8", "--time", "0", "--json"])
    assert json.loads(capsys.readouterr().out)["totals"]["runs"] == 2


def test_sweep_takes_it_and_its_jobs_have_no_header(tiny_roberta_folder, sst2_folder, run_cli):
    base = [f"plm.path={tiny_roberta_folder}", f"task.data_dir={sst2_folder}", "task.max_length=32"]
    swept = run_cli("-m", *base, "method=lora,bitfit", "--limit", "8")
    assert swept.returncode == 0, swept.stderr
    assert "device " not in swept.stdout
    assert "\nnext\n" not in swept.stderr
    assert swept.stdout.count("accuracy") == 2
