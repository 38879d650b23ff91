"""`inducer-bench tune`: every method with the same tuning effort, then fresh seeds of each winner."""

import argparse

from inducer_bench.cli.parser import Parser

HELP = "every method with the same tuning effort, then fresh seeds of each winner"
_KEYS = """\
Search the learning rate of every method with the same effort, then run each winner with fresh seeds.

Keys, with their defaults:
  methods=all           all but peft, prefix_direct; with_ranks; or a list of choices: 'methods=[lora,inducer]'
  trials=16             of each method, scored on a held-out part of train; the same points for every method
  seeds=5               runs of each winner, on the reported splits
  tune.max_train=null   examples of train that a trial uses, such as 2000; null: as many as a final run
  tune.epochs=null      epochs of a trial; null: as many as a final run
  tune.confirm=3        with one of these two: the best 3 run again in full, and the best of these wins
  tune.decades=3.0      width of the range of learning rates, whose centre is the method's own
  tune.dimensions=1     2 also searches the first key of the method's `search` (conf/method)
  tune.points=0         seed of the quasi-random points, the same for every method
  tune.held_out=0.2     the part of train on which trials are scored
  tune.budget=null      method.budget for the methods that have ranks, such as 0.5%
  tune.untuned=false    true also runs each method at its own settings, to compare

Several values of another key (task=sst2,mnli) make a study of each. Any launcher runs the jobs:
hydra/launcher=joblib hydra.launcher.n_jobs=2. The same command goes on where it was stopped; `inducer-bench tables`
makes the report, `inducer-bench plan tune ...` says beforehand what it takes."""


def arguments(parser: Parser) -> None:
    """Those of a run, and keys without `tune.` before them."""
    parser.description = _KEYS
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_overrides("trials=16 | group=choice | key=value", _completer)
    parser.add_argument("-m", "--multirun", action="store_true", help="as for a sweep; not needed here")
    parser.set_defaults(config_name=None, config_path=None)


def _completer(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    from inducer_bench.cli.completion_words import of_tune

    return of_tune(prefix, parsed_args.config_dir)


def main(args: argparse.Namespace) -> int:
    """Run what is left of the studies that the command line asks for; returns the worst exit code."""
    from inducer_bench.cli.tuning import tune

    return tune(args)
