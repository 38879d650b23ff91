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
from helpers import parsed_once
from inducer_bench.config.compose import compose

parsed_once.install()
for words in ([], ["preset=mini", "task=sst2", "method=lora"]):  # what Hydra's parser, too, keeps for the next time
    compose(words)
gc.freeze()  # a collection would look at all of this again in each process, and so copy the memory it shares
