"""Several seeds of one setting, from configuration to exit codes; each leaves what it would leave alone.

    config -> one run for each seed -> (which are done?) -> fetch -> locks -> side by side -> a record each

What a run does alone is in `run.py`; what happens inside, in `side_by_side.py`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from inducer_bench import distributed, hub
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.runs import header
from inducer_bench.runs.fetch import fetch
from inducer_bench.runs.header import tell_no_one
from inducer_bench.runs.identity import Planned, identify, run_folder
from inducer_bench.runs.outcome import Outcome
from inducer_bench.runs.record import FinishedRecord
from inducer_bench.runs.run import already_done, failed, finished, locked, logging_to, run
from inducer_bench.runs.words import Rows
from inducer_bench.training import interruption


def run_all(config: ExperimentConfig, show: Callable[[Rows], None] = tell_no_one) -> list[Outcome]:
    """Run what a configuration asks for: one experiment, or several seeds side by side; see `runs.run.run`.

    Runs that are done already are not run again. If one is left, it runs alone.

    Raises:
        UserError: bad input, found before any training; nothing is recorded.
        KeyboardInterrupt: a signal came before there was a folder to record it in.
    """
    if config.seeds is None:
        return [run(config, show)]
    if distributed.world_size() > 1:
        raise UserError(f"seeds: found {config.seeds}; allowed: null in a run of several processes")
    with interruption.watched():
        hub.check_environment()
        interruption.check()
        outcomes = _run_all(config, show)
    return [
        dataclasses.replace(outcome, message=f"seed {one.seed}: {outcome.message}")
        for one, outcome in zip(config.each_run(), outcomes, strict=True)
    ]


def _run_all(config: ExperimentConfig, show: Callable[[Rows], None]) -> list[Outcome]:
    """The outcome of each seed, in their order."""
    runs: list[Planned] = []
    for own in config.each_run():
        identity = identify(own)
        runs.append(Planned(own, identity, run_folder(own, identity)))
    if config.dry_run:
        from inducer_bench.runs.dry_run import dry_run

        return dry_run([one.config for one in runs], [one.folder for one in runs], show)
    outcomes = {one.folder: outcome for one in runs if (outcome := already_done(one.folder))}
    left = [one for one in runs if one.folder not in outcomes]
    if len(left) == 1:
        outcomes[left[0].folder] = run(left[0].config, show)
    elif left:
        with hub.offline(fetch(left[0].config)), interruption.shielded(), ExitStack() as stack:
            for one in left:
                stack.enter_context(locked(one.folder))
                stack.enter_context(logging_to(one.folder / "log.txt"))
            outcomes |= {one.folder: outcome for one in left if (outcome := already_done(one.folder))}
            show(header.begun(config, left[0].folder.parent))
            outcomes |= _guarded([one for one in left if one.folder not in outcomes], show)
    return [outcomes[one.folder] for one in runs]


def _guarded(runs: Sequence[Planned], show: Callable[[Rows], None]) -> dict[Path, Outcome]:
    """Run the experiments; an error becomes the record of one of them, or of all that have not ended.

    Raises:
        UserError: bad input, which is not recorded.
    """
    outcomes: dict[Path, Outcome] = {}
    try:
        with interruption.exposed():
            from inducer_bench.runs.side_by_side import execute

            results = execute(runs, show)
        for one in runs:
            with interruption.exposed():
                result = next(results)
            outcomes[one.folder] = _recorded(one, result)
    except UserError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        for one in runs:
            if one.folder not in outcomes:
                outcomes[one.folder] = failed(error, *one)
    return outcomes


def _recorded(run: Planned, result: FinishedRecord | Exception) -> Outcome:
    if isinstance(result, FinishedRecord):
        return finished(run.config, run.folder, result)
    try:
        raise result
    except Exception as error:
        return failed(error, *run)
