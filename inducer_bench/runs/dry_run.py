"""`dry_run=true`: build everything and take one training step, recording nothing."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from inducer_bench import distributed, hub
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import ExitCode, TrainingDiverged, UserError
from inducer_bench.runs.experiment import build
from inducer_bench.runs.fetch import fetch
from inducer_bench.runs.outcome import Outcome, diagnosis
from inducer_bench.tasks.cache import Encoded
from inducer_bench.training.checkpoint import Progress
from inducer_bench.training.loop import Experiment, add_gradients, make_optimizer, optimizer_of, update
from inducer_bench.training.side_by_side import add_gradients_of_each
from inducer_bench.training.stack import Lane, Stack
from inducer_bench.training.watch import Watch, account


def dry_run(configs: Sequence[ExperimentConfig], folders: Sequence[Path]) -> list[Outcome]:
    """The outcome of one step of a run, or of several side by side; their folders are not created.

    Raises:
        UserError: bad configuration, data or PLM.
    """
    offline = fetch(configs[0])
    try:
        with hub.offline(offline):
            losses = [one_step(configs[0])] if len(configs) == 1 else one_step_of_each(configs)
    except UserError:
        raise
    except Exception as error:
        status, code, message = diagnosis(error)
        if distributed.world_size() > 1 or (status == "failed" and not isinstance(error, TrainingDiverged)):
            raise  # other processes wait for this one, or the error is a bug, not the user's mistake
        return [Outcome(code, folder, status, f"dry run: {message}") for folder in folders]
    return [
        Outcome(ExitCode.DONE, folder, "done", f"dry run: one step with loss {loss:.4f}; nothing was recorded")
        for folder, loss in zip(folders, losses, strict=True)
    ]


def one_step(config: ExperimentConfig) -> float:
    """The mean loss of one step on the longest examples, which need the most memory."""
    with build(config) as experiment:
        tuned = experiment.tuned.train()
        optimizer, trained = make_optimizer(tuned, config.trainer), list(tuned.trained_parameters().values())
        examples = _longest(experiment, config)
        shard_loss = add_gradients(experiment.accelerator, tuned, experiment.task, examples, config.trainer)
        (loss,) = distributed.all_reduce_gradients(trained, shard_loss)
        watch, progress = Watch(), Progress(step=1, interval_count=experiment.task.count(examples))
        watch.add(loss, update(trained, optimizer, config.trainer.clip_norm))
        account(progress, watch.read().tolist(), config.method.name)
        return progress.end_interval()


def one_step_of_each(configs: Sequence[ExperimentConfig]) -> list[float]:
    """The mean losses of one step of runs side by side, each on the longest examples."""
    lanes = []
    for config in configs:
        with build(config) as experiment:
            lanes.append(Lane.of(experiment.tuned, partial(optimizer_of, config=config.trainer)))
    with build(configs[0]) as experiment:
        trainer, examples = configs[0].trainer, _longest(experiment, configs[0])
        stack = Stack(experiment.tuned.train(), experiment.task, lanes)
        losses = add_gradients_of_each(experiment, trainer, stack, [examples] * len(lanes), None)
        norms = stack.update(trainer.clip_norm)
        found = []
        for loss, norm in zip(losses.tolist(), norms.tolist(), strict=True):
            progress = Progress(step=1, interval_count=experiment.task.count(examples))
            account(progress, [(loss, norm)], configs[0].method.name)
            found.append(progress.end_interval())
        return found


def _longest(experiment: Experiment, config: ExperimentConfig) -> list[Encoded]:
    """A batch of the longest training examples."""
    lengths = experiment.splits.train.lengths
    longest = sorted(range(len(lengths)), key=lengths.__getitem__)[-config.trainer.batch_size :]
    return experiment.splits.train.take(longest)
