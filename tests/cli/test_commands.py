"""Commands are defined once: what each says of itself, and where it is listed."""

import json

import pytest

from inducer_bench.cli import commands, main
from inducer_bench.config.choices import choices, groups
from inducer_bench.metrics.table import METRICS

METRIC_NAMES = {metric.name for metric in METRICS}
LINES = (["-h"], ["--help"], ["task=sst2", "--help"], ["--nope", "-h"], ["-h", "--json", "x"])


@pytest.mark.parametrize("name", commands.NAMES)
@pytest.mark.parametrize(
    "arguments", [["-h"], ["--help"], ["task=sst2", "--help"], ["--nope", "-h"], ["-h", "--json", "x"]]
)
def test_every_command_has_help_whatever_else_is_on_the_line(name, arguments, capsys):
    assert main.main([name, *arguments]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"usage: inducer-bench {name} ")
    assert shown.err == ""


def test_help_of_all_fits_a_screen_and_lists_each_command_once(capsys):
    assert main.main(["--help"]) == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert len(lines) <= 56
    assert max(map(len, lines)) <= 130
    assert lines.index("examples:") < lines.index("commands:") < lines.index("groups:")
    for name in commands.NAMES:
        assert [line for line in lines if line.startswith(f"  {name} ")] == [
            f"  {name:<12}{commands.module(name).HELP}"
        ]


@pytest.mark.parametrize("arguments", [[], ["-h"], ["task=sst2", "-h"], ["-m", "seed=1,2", "--help"]])
def test_without_arguments_or_with_help_among_them_help_is_printed_and_nothing_runs(arguments, capsys, monkeypatch):
    monkeypatch.setattr("inducer_bench.cli.launch.launch", lambda args: pytest.fail("it ran"))
    assert main.main(arguments) == 0
    assert capsys.readouterr().out.startswith("inducer-bench: experiments that compare")


@pytest.mark.parametrize("word", ["vaildate", "foo", "run-it", "tables/x"])
def test_word_that_is_no_command_is_told_with_the_commands(word, capsys):
    assert main.main([word]) == 2
    assert capsys.readouterr().err.startswith(f"inducer-bench: command: unknown '{word}'; ")


@pytest.mark.parametrize("group", groups())
def test_files_that_others_share_are_no_choices(group, capsys):
    for line in (["validate", f"{group}=zzzz"], ["-m", f"{group}=zzzz,yyyy"], ["validate", f"{group}=_mini"]):
        assert main.main(line) == 2
        allowed = capsys.readouterr().err.partition("allowed: ")[2]
        names = {name.strip(" \n") for name in allowed.partition(";")[0].split(",")}
        assert names == {*choices(group)}
        assert not [name for name in names if name.startswith("_")]


def test_table_is_no_group_of_runs(capsys):
    assert main.main(["table=glue"]) == 2
    assert "unknown 'table'" in capsys.readouterr().err


def test_glob_stands_for_choices_alone(capsys):
    assert main.main(["plan", "task=glob(*)", "preset=mini", "--json", "--time", "0"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"] == len(choices("task"))
    assert main.main(["-m", "task=glob(_*)"]) == 2
    assert "task: found glob(_*), which matches no value" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "answer"),
    [
        ("trainer.device=gpu", "trainer.device: found 'gpu'; did you mean 'cuda'?"),
        ("trainer.device=cuda:0", "trainer.device: found 'cuda:0'; did you mean 'cuda'?"),
        ("trainer.precision=half", "trainer.precision: found 'half'; did you mean 'bf16'?"),
        ("trainer.precision=float16", "did you mean 'bf16'?"),
        ("trainer.precision=FP32", "did you mean 'fp32'?"),
        ("method=LoRA", "method: unknown 'LoRA'; did you mean 'lora'?"),
        ("method=fine-tune", "did you mean 'fine_tune'?"),
        ("method=finetuning", "did you mean 'fine_tune'?"),
        ("method=prefix_tuning", "did you mean 'prefix'?"),
        ("method=linear_probe", "did you mean 'head_only'?"),
        ("plm=roberta", "plm: unknown 'roberta'; did you mean 'roberta-base'?"),
        ("plm=t5-small", "; any other model: plm.path=FOLDER"),
        ("plm=GPT-2", "did you mean 'gpt2'?"),
        ("task=MNLI-m", "did you mean 'mnli'?"),
        ("task=SST-2", "did you mean 'sst2'?"),
        ("task=sts2", "did you mean 'sst2'"),
        ("trainer.epochs='4'", "trainer.epochs: found '4'; allowed: a whole number"),
        ("seed=1.5", "seed: found 1.5; allowed: a whole number"),
    ],
)
def test_what_people_type_for_a_known_value_gets_a_hint(override, answer, capsys):
    assert main.main(["validate", override]) == 2
    assert answer in capsys.readouterr().err


@pytest.mark.parametrize("method", ["fine_tune", "head_only", "bitfit"])
def test_budget_of_a_method_without_ranks_is_refused_with_the_reason(method, capsys):
    assert main.main([f"method={method}", "method.budget=0.1%"]) == 2
    assert capsys.readouterr().err == (
        f"inducer-bench: method.budget: method={method} has no rank that a budget could size; remove it\n"
    )


def test_printed_commands_have_the_users_folder_as_it_was_typed(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "method").mkdir(parents=True)
    assert main.main(["--config-dir", "mine", "--plan", "-m", "seed=0,1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "start it: inducer-bench -m --config-dir mine seed=0,1"


@pytest.mark.parametrize("kind", ["trackers", "trainers", "tables", "ablations", "metrics"])
def test_ls_lists_every_kind(kind, capsys):
    assert main.main(["ls", kind]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert not [name for name in names if name.startswith("_")]
    assert {*names} == {*(METRIC_NAMES if kind == "metrics" else choices(kind.removesuffix("s")))}


def test_ls_experiments_says_how_many_jobs_each_has(capsys):
    assert main.main(["ls", "experiments"]) == 0
    jobs = {line.split()[0]: " ".join(line.split()[1:3]) for line in capsys.readouterr().out.splitlines()}
    methods = len(choices("method")) - len(("own", "peft", "prefix_direct"))
    assert jobs["nlu_main"] == f"{2 * methods * 5} jobs"
    assert jobs["tuned_mini"] == "2 studies"
