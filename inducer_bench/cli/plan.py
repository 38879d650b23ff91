"""`inducer-bench plan ...`: what a command would do, before anything runs: jobs, hours, disk, and seeds needed.

    inducer-bench plan nlu_mini                        # an experiment
    inducer-bench plan task=sst2 method=lora,inducer   # a sweep; also with -m
    inducer-bench plan tune task=sst2 trials=16        # a study
    inducer-bench --plan -m ...                        # the same for any command line

Hours come from finished runs in the output folder: those of the same task, PLM, method and device with the nearest
settings, multiplied by the ratio of epochs x examples; else those of other methods; else a few steps are timed in a
process of its own. Nothing is recorded, but timing fills the cache of encoded examples, as a run would.
"""

import re
import sys
from collections.abc import Iterable
from math import inf

from inducer_bench.cli import plan_page
from inducer_bench.cli.parser import Parser
from inducer_bench.cli.plan_summary import summary
from inducer_bench.cli.planned import Planned, PlannedRun, planned_study, planned_sweep
from inducer_bench.config.compose import choices
from inducer_bench.errors import ExitCode, UserError, unknown
from inducer_bench.report.costs import Costs
from inducer_bench.runs.machine import expected_device
from inducer_bench.runs.timing import Timing
from inducer_bench.runs.timing_process import timings

FLAG = "--plan"  # on other command lines
TUNE = "tune"
_SECONDS = 60.0  # of timing, at most


def main(arguments: list[str]) -> int:
    """Print the plan; the exit code is 2 if a job does not compose, as that of the sweep would be."""
    args = _parser().parse_intermixed_args(arguments)
    words: list[str] = args.overrides
    study = words[:1] == [TUNE]
    if study:
        words = words[1:]
    elif words and re.fullmatch(r"[\w-]+", words[0]):
        experiments = choices("experiment", args.config_dir)
        if words[0] not in experiments:
            raise unknown("plan", words[0], [*experiments, TUNE])
        words = [f"experiment={words[0]}", *words[1:]]
    planned = (planned_study if study else planned_sweep)(words, args.config_dir)
    plan = summary(planned, *_costs(planned, args.time), args.difference)
    if args.json:
        plan_page.print_json(plan)
    else:
        plan_page.print_page(plan, plan_page.command(words, study, len(planned.jobs), args.config_dir))
    return ExitCode.BAD_INPUT if plan.refused else ExitCode.DONE


def _parser() -> Parser:
    parser = Parser(prog="inducer-bench plan", description=(__doc__ or "").splitlines()[0].partition(": ")[2])
    parser.add_argument("overrides", nargs="*", metavar="EXPERIMENT | tune | group=choice | key=value")
    parser.add_config_dir()
    parser.add_argument("-m", "--multirun", action="store_true", help="as for a sweep; lists need it not here")
    about = "say how many seeds it takes to see a difference of D, in the score's unit"
    parser.add_argument("--difference", type=_positive, metavar="D", help=about)
    about = "where no finished run helps, time a few steps for so long at most (default: 60; 0: not)"
    parser.add_argument("--time", type=_seconds, default=_SECONDS, metavar="SECONDS", help=about)
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _costs(planned: Planned, seconds: float) -> tuple[Costs, list[str]]:
    """What the runs cost, some of them timed, and notes about that."""
    runs = [run for job in planned.jobs for run in job.runs]
    wanted = runs[0].config.trainer.device if runs else "auto"
    costs = Costs(planned.output_dir, expected_device(wanted, min(planned.workers or 1, max(len(planned.jobs), 1))))
    unknown_ones = [*_without_cost(runs, costs)]
    if not unknown_ones or not seconds:
        return costs, []
    names = ", ".join(f"{run.config.method.name} on {run.config.task.name}" for run in unknown_ones)
    print(
        f"inducer-bench: timing a few steps, for at most {seconds:g} s (--time 0: not), as no finished run says what "
        f"these take: {names}",
        file=sys.stderr,
    )
    notes = []
    found = [*timings([run.config for run in unknown_ones], seconds)]
    for run, timing in zip(unknown_ones, found, strict=False):
        if isinstance(timing, Timing):
            costs.add(run.config, timing, run.state.data)
        else:
            notes.append(f"{run.config.method.name} on {run.config.task.name} could not be timed: {timing}")
    if len(found) < len(unknown_ones):
        notes.append(f"time was over before {len(unknown_ones) - len(found)} of them were timed; --time gives more")
    return costs, notes


def _without_cost(runs: Iterable[PlannedRun], costs: Costs) -> Iterable[PlannedRun]:
    """One run of each task, PLM and method about which nothing is known, and whose data and PLM are here.

    It is the one with the most data: from those of a part of them does not follow how many there are.
    """
    found: dict[tuple[str, ...], PlannedRun] = {}
    for run in runs:
        config = run.config
        key = (config.task.name, config.plm.name, config.method.name)
        if run.state.name in ("to do", "failed", "interrupted", "oom") and costs.of(config, run.state.data) is None:
            found[key] = max(found.get(key, run), run, key=lambda run: run.config.task.max_train or inf)
    return found.values()


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
        raise UserError(f"{option}: found '{text}'; allowed: a number above 0")
    return number
