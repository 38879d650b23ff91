"""Several seeds in one experiment: data + PLM -> a lane for each -> training -> evaluation -> records."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.runs import header, places
from inducer_bench.runs.experiment import build, checkpoint_of, closed, conclude, log_parameters, mirrors
from inducer_bench.runs.header import tell_no_one
from inducer_bench.runs.identity import Planned
from inducer_bench.runs.record import FinishedRecord
from inducer_bench.runs.words import Rows
from inducer_bench.training import interruption, memory
from inducer_bench.training.checkpoint import Progress
from inducer_bench.training.loop import Experiment, check_weights, longest_batch, optimizer_of
from inducer_bench.training.side_by_side import Run, add_gradients_of_each, train_side_by_side
from inducer_bench.training.stack import Lane, Stack
from inducer_bench.training.tracking import Tracker
from inducer_bench.training.watch import account


def execute(
    plan: Sequence[Planned], show: Callable[[Rows], None] = tell_no_one
) -> Iterator[FinishedRecord | Exception]:
    """Train side by side, evaluate one after another, and write every file but the records.

    Args:
        plan: the runs.
        show: is given what is known once data and model are there.

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
        log_parameters(config, experiment.tuned, f"; side by side: seeds {seeds}")
        header.announce(config, experiment, show)

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
    tracker = Tracker(plan.folder, mirrors(config, plan.identity, plan.folder), name=f"seed {config.seed}", shows=first)
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


def one_step(configs: Sequence[ExperimentConfig]) -> list[float]:
    """The mean losses of one step of runs side by side, each on the longest examples; nothing is recorded."""
    lanes = []
    for config in configs:
        with build(config) as experiment:
            lanes.append(Lane.of(experiment.tuned, partial(optimizer_of, config=config.trainer)))
    with build(configs[0]) as experiment:
        trainer, train = configs[0].trainer, experiment.splits.train
        longest = sorted(range(len(train)), key=train.lengths.__getitem__)[-trainer.batch_size :]
        examples = train.take(longest)
        stack = Stack(experiment.tuned.train(), experiment.task, lanes)
        losses = add_gradients_of_each(experiment, trainer, stack, [examples] * len(lanes), None)
        norms = stack.update(trainer.clip_norm)
        found = []
        for loss, norm in zip(losses.tolist(), norms.tolist(), strict=True):
            progress = Progress(step=1, interval_count=experiment.task.count(examples))
            account(progress, [(loss, norm)], configs[0].method.name)
            found.append(progress.end_interval())
        return found
