"""Completion, by the script that users load, in a real bash."""

import shutil
import subprocess
import sys

import pytest

from inducer_bench.cli import commands, main
from inducer_bench.config.choices import choices

SCRIPT = r"""
eval "$($PYTHON -m inducer_bench completion bash)"
inducer-bench() { $PYTHON -m inducer_bench "$@"; }
while IFS= read -r line; do
    COMP_LINE=$line COMP_POINT=${#line} COMP_TYPE=9 COMPREPLY=()
    _python_argcomplete inducer-bench
    (IFS='|'; echo "${COMPREPLY[*]}")
done
"""


@pytest.fixture
def complete(tmp_path):
    """Gives what bash offers for each line, in a folder with some files."""
    for path in ("mine/method/small.yaml", "mine/task/_shared.yaml", "data/train.tsv", "_hidden/x", "notes.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("defaults: [lora, _self_]\nr: 1\nextra: 2\n")

    def offered(*lines):
        process = subprocess.run(
            ["bash", "-c", SCRIPT.replace("$PYTHON", sys.executable)],
            input="".join(f"inducer-bench {line}\n" for line in lines),
            cwd=tmp_path, capture_output=True, text=True, timeout=100, check=True,
        )  # fmt: skip
        found = [[word.rstrip(" ") for word in line.split("|") if word] for line in process.stdout.splitlines()]
        assert process.stderr == ""
        return found

    return offered


def test_first_word_is_a_command_a_group_or_a_key(complete):
    everything, com, tab, groups = complete("", "com", "tab", "t")
    assert {*commands.NAMES, "task=", "method=", "seed=", "trainer."} <= {*everything}
    assert (com, tab) == (["compare", "completion"], ["tables"])
    assert {*groups} == {"tune", "tables", "task=", "trainer=", "tracker=", "task.", "trainer.", "tracker."}


def test_groups_are_completed_by_their_choices_those_of_the_user_among_them(complete):
    tasks, sst, second, method, own = complete(
        "task=", "task=ss", "-m method=lora,ind", "method=sm", "--config-dir mine method=sm"
    )
    assert tasks == choices("task")  # without _glue and the like
    assert (sst, second) == (["sst2"], ["lora,inducer", "lora,inducer_ffn", "lora,inducer_lora"])
    assert (method, own) == ([], ["small"])


def test_keys_are_those_of_the_chosen_method_and_task(complete):
    lr, prefix, nested, own, text, value = complete(
        "trainer.l", "method=prefix method.l", "method=mam method.prefix.l",
        "--config-dir mine method=small method.e", "task=webnlg task.decoding.b", "trainer.device=",
    )  # fmt: skip
    assert lr == ["trainer.lr=", "trainer.label_smoothing=", "trainer.log_every="]
    assert (prefix, nested, own) == (["method.length="], ["method.prefix.length="], ["method.extra="])
    assert (text, value) == (["task.decoding.beams="], ["auto", "cpu", "cuda"])


def test_files_are_offered_where_files_are_meant(complete):
    data, folder, run, hidden, nothing, what = complete(
        "task.data_dir=d", "tables --runs m", "predict ", "predict _", "trainer.lr=", "ls e"
    )
    assert (data, folder, hidden, nothing) == (["data/"], ["mine/"], ["_hidden/"], [])
    assert {"data/", "mine/", "notes.txt"} <= {*run}
    assert "_hidden/" not in run
    assert what == ["experiments"]


def test_commands_complete_their_own_options_and_words(complete):
    options, plan, tune, methods, cfg, module = complete(
        "ls runs --f", "plan nlu", "tune tune.tr", "tune methods=[lora,bit", "--cfg ", "completion "
    )
    assert (options, plan, tune) == (["--filter"], ["nlu_main", "nlu_mini"], ["tune.trials="])
    assert [word.replace("\\", "") for word in methods] == ["[lora,bitfit"]
    assert (cfg, module) == (["job", "hydra", "all"], ["--help", "bash", "zsh", "fish"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_is_one_that_its_shell_reads(shell, capsys):
    assert main.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "inducer-bench" in script
    program = shutil.which(shell)
    if program is not None:
        process = subprocess.run([program, "-n"], input=script, capture_output=True, text=True, check=False)
        assert (process.returncode, process.stderr) == (0, "")
    assert f"  {shell}:" in help_of("completion", capsys)


def test_groups_of_other_commands_and_files_that_others_share_are_never_offered(complete):
    words = complete("", "t", "task=", "plm=", "experiment=", "plm=_")
    assert not [word for found in words for word in found if word.startswith(("table=", "_"))]


def help_of(command, capsys):
    assert main.main([command, "-h"]) == 0
    return capsys.readouterr().out


ANSWERS = ("--help", "--version", "ls", "ls runs", "completion bash", "params --help", "")


def test_answers_that_need_no_run_take_less_than_half_a_second_of_a_processor():
    """The less of two, in processes of their own; twice as much is allowed where the machine is busy."""
    program = "import resource, sys; from inducer_bench.cli.main import main; sys.stdout = open('/dev/null', 'w'); " \
              "main(sys.argv[1:]); used = resource.getrusage(resource.RUSAGE_SELF); " \
              "print(used.ru_utime + used.ru_stime, *{'torch', 'transformers', 'datasets'} & {*sys.modules}, " \
              "file=sys.stderr)"  # fmt: skip
    for answer in ANSWERS:
        printed = [
            subprocess.run([sys.executable, "-c", program, *answer.split()], capture_output=True, text=True, check=True)
            for _ in range(2)
        ]
        seconds = [process.stderr.split() for process in printed]
        assert [len(words) for words in seconds] == [1, 1], (answer, seconds)
        assert min(float(words[0]) for words in seconds) < 1.0, answer
