"""`inducer-bench plan ...`: what a command would do, before anything runs: jobs, hours, disk, and seeds needed.

`inducer-bench --plan -m ...` is the same for any command line.

Hours come from finished runs in the output folder: those of the same task, PLM, method and device with the nearest
settings, multiplied by the ratio of epochs x examples; else those of other methods; else a few steps are timed in a
process of its own. Nothing is recorded, but timing fills the cache of encoded examples, as a run would.
"""

import argparse
import re

from inducer_bench.cli.parser import Parser
from inducer_bench.config.choices import choices
from inducer_bench.errors import ExitCode, UserError, unknown

_EXAMPLES = """\
What a command would do, before anything runs: jobs, hours, disk, and the seeds that show a difference.

  inducer-bench plan nlu_mini                        an experiment; inducer-bench ls experiments
  inducer-bench plan task=sst2 method=lora,inducer   a sweep
  inducer-bench plan tune task=sst2 trials=16        a study with equal effort"""
HELP = "before anything runs: jobs, how many are done, hours, disk, and the seeds that show a difference"
TUNE = "tune"
_SECONDS = 60.0  # of timing, at most


def arguments(parser: Parser) -> None:
    """Those of a sweep or a study, and what to say about it."""
    parser.description = _EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_overrides("EXPERIMENT | tune | group=choice | key=value", _completer)
    parser.add_argument("-m", "--multirun", action="store_true", help="as for a sweep; not needed here")
    about = "say how many seeds it takes to see a difference of D, in the score's unit"
    parser.add_argument("--difference", type=_positive, metavar="D", help=about)
    about = "where no finished run helps, time a few steps for so long at most (default: 60; 0: not)"
    parser.add_argument("--time", type=_seconds, default=_SECONDS, metavar="SECONDS", help=about)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _completer(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    from inducer_bench.cli.completion_words import of_plan

    return of_plan(prefix, parsed_args.config_dir)


def main(args: argparse.Namespace) -> int:
    """Print the plan; the exit code is 2 if a job does not compose, as that of the sweep would be."""
    words: list[str] = args.overrides
    study = words[:1] == [TUNE]
    if study:
        words = words[1:]
    elif words and re.fullmatch(r"[\w-]+", words[0]):
        experiments = choices("experiment", args.config_dir)
        if words[0] not in experiments:
            raise unknown("plan", words[0], [*experiments, TUNE])
        words = [f"experiment={words[0]}", *words[1:]]

    from inducer_bench.cli import plan_page
    from inducer_bench.cli.plan_costs import costs_of
    from inducer_bench.cli.plan_summary import summary
    from inducer_bench.cli.planned import planned_sweep
    from inducer_bench.cli.planned_study import planned_study

    planned = (planned_study if study else planned_sweep)(words, args.config_dir)
    plan = summary(planned, *costs_of(planned, args.time), args.difference)
    if args.json:
        plan_page.print_json(plan)
    else:
        plan_page.print_page(plan, plan_page.command(words, study, len(planned.jobs), args.config_dir))
    return ExitCode.BAD_INPUT if plan.refused else ExitCode.DONE


def _positive(text: str) -> float:
    return _number("--difference", text, least=1e-9)


def _seconds(text: str) -> float:
    return _number("--time", text, least=0.0)


def _number(option: str, text: str, least: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not least <= number <= 1e6:
        above = "from 0" if least == 0 else "above 0"
        raise UserError(f"{option}: found '{text}'; allowed: a number {above}, at most 1,000,000")
    return number
