"""`inducer-bench --help`: usage, examples, commands, and the choices of each config group."""

from collections.abc import Sequence
from textwrap import fill

from inducer_bench.cli import commands
from inducer_bench.cli.parser import Parser
from inducer_bench.config.choices import choices
from inducer_bench.errors import ExitCode

_TEXT = """\
inducer-bench: experiments that compare ways of tuning a pre-trained language model

usage:
  inducer-bench [group=choice | key=value]...     train, evaluate and record one experiment
  inducer-bench -m key=value,value...             a sweep: one run for each combination; finished runs are skipped
  inducer-bench COMMAND ...                       inducer-bench COMMAND --help: its arguments

examples:
  inducer-bench preset=mini task=sst2 method=inducer         no network, no GPU: bundled small model and data
  inducer-bench task=sst2 method=inducer seed=1
  inducer-bench task=sst2 task.data_dir=FOLDER plm.path=FOLDER method=inducer method.r_k=4
  inducer-bench -m preset=mini task=sst2 method=fine_tune,inducer 'seed=range(3)'

commands:
{commands}

groups:
{groups}

keys used most (all of them, with their values: inducer-bench --cfg job):
  seed=0  output_dir=runs  dry_run=true  recipe=FILE
  task.data_dir=FOLDER  task.max_train=N  task.max_eval=N
  plm.path=FOLDER  plm.weights=random  plm.tokenizer=FOLDER
  trainer.epochs=N  trainer.batch_size=N  trainer.lr=X  trainer.device=cpu

Configuration files of your own: --config-dir DIR; DIR/method/mine.yaml is method=mine. Code of your own: method=own
method.name=my_package.my_module, task.kind=my_package.my_module.
Options, anywhere: --limit N for a smoke run of N examples, --plan says what a run or sweep would take, --cfg job prints
its configuration (--resolve, --package KEY); -m, --config-dir, --config-name, --info, --hydra-help, --version alone.

A run is stored in <output_dir>/<task>/<plm>/<method>/<hash>; the last line on stdout is that folder.
Exit codes: 0 done or already done, 1 the run failed, 2 bad input, 3 out of memory, 130 interrupted (resumable)."""

_GROUPS = ("task", "plm", "method", "ablation", "trainer", "protocol", "tracker", "preset", "experiment")


def show(arguments: Sequence[str]) -> int:
    """Print the text of `--help`; of the arguments only `--config-dir` matters."""
    parser = Parser(prog="inducer-bench", add_help=False)
    parser.add_config_dir()
    config_dir = parser.parse_known_args(arguments)[0].config_dir
    lines = [f"  {name:<12}{commands.module(name).HELP}" for name in commands.NAMES]
    indent = " " * len(f"  {'':<12}")
    groups = [
        fill(", ".join(choices(group, config_dir)), 130, initial_indent=f"  {group:<12}", subsequent_indent=indent)
        for group in _GROUPS
    ]
    print(_TEXT.format(commands="\n".join(lines), groups="\n".join(groups)))
    return ExitCode.DONE
