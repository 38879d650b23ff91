"""`inducer-bench --help`: written for this tool, with the choices that the shipped configuration offers."""

from inducer_bench.config.compose import choices

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
  params [overrides] [--json]       parameters of method, head and PLM; needs neither data nor weights
  validate [overrides]              compose and check a configuration; needs neither data nor weights
  ls [tasks|plms|methods|presets|protocols|experiments|runs] [--runs DIR]
  tables [--runs DIR] [--out DIR]   every table and figure from records: Markdown, CSV, LaTeX, SVG, one HTML page
  predict RUN [--input FILE]        a run's model on new input: JSON lines in, JSON lines out
  export RUN DIR                    a run's adapter as a folder to share, with a model card; LoRA as `peft` loads it
  compare RUN RUN                   two runs of a task: configurations, scores with paired tests, costs
  doctor                            what works on this machine, what does not, and what to do

groups:
{groups}

keys used most (all of them: inducer-bench --cfg job):
  seed=0  output_dir=runs  dry_run=true
  task.data_dir=FOLDER  task.max_train=N  task.max_eval=N
  plm.path=FOLDER  plm.weights=random  plm.tokenizer=FOLDER
  trainer.epochs=N  trainer.batch_size=N  trainer.lr=X  trainer.device=cpu

A run is stored in <output_dir>/<task>/<plm>/<method>/<hash>; the last line on stdout is that folder.
Exit codes: 0 done or already done, 1 the run failed, 2 bad input, 3 out of memory, 130 interrupted (resumable).
Hydra's own options: inducer-bench --hydra-help"""

_GROUPS = ("task", "plm", "method", "trainer", "protocol", "tracker", "preset", "experiment")


def help_text() -> str:
    """The text of `--help`."""
    return _TEXT.format(groups="\n".join(f"  {group:<11}{', '.join(choices(group))}" for group in _GROUPS))
