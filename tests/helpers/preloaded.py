"""What the command line imports sooner or later, for the process from which `commands.command` forks the others."""

# ruff: noqa: F401
import gc

import rich._emoji_codes
import sacrebleu.metrics
import sklearn.metrics
import transformers.models.gpt2.modeling_gpt2
import transformers.models.roberta.modeling_roberta

import inducer_bench.cli.launch
import inducer_bench.cli.tables
import inducer_bench.report.across
import inducer_bench.report.figures
import inducer_bench.report.page
import inducer_bench.report.tuned
import inducer_bench.runs.experiment
import inducer_bench.runs.predict
import inducer_bench.training.decoding
from inducer_bench.config.compose import compose

compose([])  # what Hydra's parser and regular expressions keep for the next time
gc.freeze()  # a collection would look at all of this again in each process, and so copy the memory it shares
