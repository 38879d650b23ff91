"""Several seeds in one experiment: data + PLM -> a lane for each -> training -> evaluation -> records."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from inducer_bench.runs import places
from inducer_bench.runs.experiment import build, checkpoint_of, closed, conclude, mirrors
from inducer_bench.runs.identity import Planned
from inducer_bench.runs.record import FinishedRecord
from inducer_bench.training import interruption, memory
from inducer_bench.training.loop import Experiment, check_weights, longest_batch, optimizer_of
from inducer_bench.training.side_by_side import Run, add_gradients_of_each, train_side_by_side
from inducer_bench.training.stack import Lane, Stack
from inducer_bench.training.tracking import Tracker

log = logging.getLogger("inducer_bench")


def execute(plan: Sequence[Planned]) -> Iterator[FinishedRecord | Exception]:
    """Train side by side, evaluate one after another, and write every file but the records.

    Yields:
        For each run its record, or the error that ended it alone.

    Raises:
        UserError: bad data or PLM, a folder that cannot be used, or a method that cannot be trained side by side.
        Interrupted, KeyboardInterrupt: see `training.side_by_side.train_side_by_side`.
    """
    for one in plan:
        places.prepare(one.folder, one.config)
    with ExitStack() as stack:
        # -- data + PLM -> a lane for each -----------------------------------------------------------------------------
        runs: list[Run] = []
        for number, one in enumerate(plan):
            with ExitStack() as model:
                experiment = model.enter_context(build(one.config))
                runs.append(_begun(experiment, one, first=number == 0))
                if number == len(plan) - 1:  # the others' values are in their lanes
                    stack.push(model.pop_all())
            stack.enter_context(closed(runs[-1].tracker))
            stack.enter_context(runs[-1].checkpoint)
        config = plan[0].config
        seeds = ", ".join(str(run.seed) for run in runs)
        log.info(
            "%s on %s: %s; side by side: seeds %s",
            config.method.name, config.plm.name, experiment.tuned.parameter_counts(), seeds,
        )  # fmt: skip

        # -- training --------------------------------------------------------------------------------------------------
        with interruption.shielded():
            train_side_by_side(experiment, config.trainer, runs)

        step_memory = _memory_of_step(experiment, runs, plan) if any(run.progress.step for run in runs) else None

        # -- evaluation and record -------------------------------------------------------------------------------------
        for run, one in zip(runs, plan, strict=True):
            yield run.diverged or _concluded(experiment, run, one, step_memory)


def _memory_of_step(experiment: Experiment, runs: Sequence[Run], plan: Sequence[Planned]) -> int | None:
    """`experiment.memory_of_step` of all runs together."""
    if experiment.accelerator.device.type != "cpu":
        return None
    trainer, train = plan[0].config.trainer, experiment.splits.train
    stack = Stack(experiment.tuned, experiment.task, [run.lane for run in runs])
    batch = longest_batch(trainer, train.lengths, runs[0].seed)
    examples = [train.take(batch.indices)] * len(runs)

    def step() -> None:
        add_gradients_of_each(experiment, trainer, stack, examples, batch.length)

    own = [run.lane.generator for run in runs]
    return memory.of_step(step, experiment.tuned, list(stack.parameters.values()), stack.optimizer, own)


def _begun(experiment: Experiment, plan: Planned, first: bool) -> Run:
    """The run of a model that was just built, from its checkpoint on if there is one."""
    config = plan.config
    lane = Lane.of(experiment.tuned, partial(optimizer_of, config=config.trainer))
    checkpoint = checkpoint_of(config, plan.identity, plan.folder, lane.weights, lane.optimizer)
    tracker = Tracker(plan.folder, mirrors(config, plan.identity, plan.folder), name=f"seed {config.seed}", bar=first)
    return Run.begin(config.seed, lane, checkpoint, tracker)


def _concluded(experiment: Experiment, run: Run, plan: Planned, step_memory: int | None) -> FinishedRecord | Exception:
    """The record of a trained run, whose best weights go into the model; or the error that this ended in."""
    try:
        if run.progress.best_epoch:
            run.checkpoint.load_best(run.progress.best_epoch)
        run.lane.load_into(experiment.tuned)
        check_weights(experiment.tuned)
        with run.random_state().in_place():
            return conclude(plan.config, plan.identity, plan.folder, experiment, run.progress, run.tracker, step_memory)
    except Exception as error:
        return error
