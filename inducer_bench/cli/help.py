"""`inducer-bench --help`: usage, examples, commands, and the choices of each config group."""

from inducer_bench.cli.parser import Parser
from inducer_bench.config.compose import choices
from inducer_bench.errors import ExitCode

_TEXT = """\
inducer-bench: experiments that compare ways of tuning a pre-trained language model

usage:
  inducer-bench [group=choice | key=value]...     train, evaluate and record one experiment
  inducer-bench -m key=value,value...             a sweep: one run for each combination; finished runs are skipped
  inducer-bench COMMAND ...

examples:
  inducer-bench preset=mini task=sst2 method=inducer         no network, no GPU: bundled small PLM and data
  inducer-bench task=sst2 method=inducer seed=1
  inducer-bench task=sst2 task.data_dir=FOLDER plm.path=FOLDER method=inducer method.r_k=4
  inducer-bench -m preset=mini task=sst2 method=fine_tune,inducer seed=range(3)

commands:
  tune [overrides]                  every method with the same tuning effort, then fresh seeds of each winner
  plan [EXPERIMENT | tune] [overrides] [--difference D] [--time SECONDS] [--json]
                                    before anything runs: jobs, how many are done, hours, disk, and the seeds that
                                    it takes to see a difference of D; `--plan` on a command line does the same
  params [overrides] [--json]       parameters of method, head and PLM; needs neither data nor weights
  validate [overrides]              compose and check a configuration; needs neither data nor weights
  ls [tasks|plms|methods|presets|protocols|experiments|runs] [--runs DIR]
  tables [--runs DIR] [--out DIR] [--wandb PROJECT]
                                    every table and figure from records: Markdown, CSV, LaTeX, SVG, one HTML page
  predict RUN [--input FILE]        a run's model on new input: JSON lines in, JSON lines out
  export RUN DIR                    a run's adapter as a folder to share, with a model card; LoRA as `peft` loads it
  compare RUN RUN                   two runs of a task: configurations, scores with paired tests, costs
  doctor                            what works on this machine, what does not, and what to do

Your own configuration files: --config-dir DIR, for runs, params, validate, ls, tables and --help; DIR/method/mine.yaml
is method=mine. Your own code: method=own method.name=my_package.my_module, task.kind=my_package.my_module.

groups:
{groups}

keys used most (all of them: inducer-bench --cfg job):
  seed=0  output_dir=runs  dry_run=true
  task.data_dir=FOLDER  task.max_train=N  task.max_eval=N  recipe=FILE
  plm.path=FOLDER  plm.weights=random  plm.tokenizer=FOLDER
  trainer.epochs=N  trainer.batch_size=N  trainer.lr=X  trainer.device=cpu

A run is stored in <output_dir>/<task>/<plm>/<method>/<hash>; the last line on stdout is that folder.
Exit codes: 0 done or already done, 1 the run failed, 2 bad input, 3 out of memory, 130 interrupted (resumable).
Hydra's own options: inducer-bench --hydra-help"""

_GROUPS = ("task", "plm", "method", "trainer", "protocol", "tracker", "preset", "experiment")


def main(arguments: list[str]) -> int:
    """Print the text of `--help`; of the arguments only `--config-dir` matters."""
    parser = Parser(prog="inducer-bench", add_help=False)
    parser.add_config_dir()
    config_dir = parser.parse_known_args(arguments)[0].config_dir
    groups = "\n".join(f"  {group:<11}{', '.join(choices(group, config_dir))}" for group in _GROUPS)
    print(_TEXT.format(groups=groups))
    return ExitCode.DONE
