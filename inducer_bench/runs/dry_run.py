"""`dry_run=true`: build everything and take one training step, recording nothing."""

from pathlib import Path

from inducer_bench import distributed, hub
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import ExitCode, TrainingDiverged, UserError
from inducer_bench.runs.experiment import build
from inducer_bench.runs.fetch import fetch
from inducer_bench.runs.outcome import Outcome, diagnosis
from inducer_bench.training.checkpoint import Progress
from inducer_bench.training.loop import add_gradients, make_optimizer, update
from inducer_bench.training.watch import Watch, account


def dry_run(config: ExperimentConfig, folder: Path) -> Outcome:
    """The outcome of one step; `folder` is that of the run, and is not created.

    Raises:
        UserError: bad configuration, data or PLM.
    """
    offline = fetch(config)
    try:
        with hub.offline(offline):
            loss = one_step(config)
    except UserError:
        raise
    except Exception as error:
        status, code, message = diagnosis(error)
        if distributed.world_size() > 1 or (status == "failed" and not isinstance(error, TrainingDiverged)):
            raise  # other processes wait for this one, or the error is a bug, not the user's mistake
        return Outcome(code, folder, status, f"dry run: {message}")
    return Outcome(ExitCode.DONE, folder, "done", f"dry run: one step with loss {loss:.4f}; nothing was recorded")


def one_step(config: ExperimentConfig) -> float:
    """The mean loss of one step on the longest examples, which need the most memory."""
    with build(config) as experiment:
        tuned = experiment.tuned.train()
        optimizer, trained = make_optimizer(tuned, config.trainer), list(tuned.trained_parameters().values())
        lengths = experiment.splits.train.lengths
        longest = sorted(range(len(lengths)), key=lengths.__getitem__)[-config.trainer.batch_size :]
        examples = experiment.splits.train.take(longest)
        shard_loss = add_gradients(experiment.accelerator, tuned, experiment.task, examples, config.trainer)
        (loss,) = distributed.all_reduce_gradients(trained, shard_loss)
        watch, progress = Watch(), Progress(step=1, interval_count=experiment.task.count(examples))
        watch.add(loss, update(trained, optimizer, config.trainer.clip_norm))
        account(progress, watch.read().tolist(), config.method.name)
        return progress.end_interval()
