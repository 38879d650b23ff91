"""The record of a finished run, made from its configuration, its identity and its results."""

from inducer_bench import distributed
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.metrics.score import Scores
from inducer_bench.options import typed
from inducer_bench.runs import provenance
from inducer_bench.runs.identity import Identity
from inducer_bench.runs.record import FinishedRecord, Parameters, Tokens
from inducer_bench.training import memory
from inducer_bench.training.checkpoint import Progress
from inducer_bench.training.evaluation import Evaluation
from inducer_bench.training.loop import Experiment


def finished(
    config: ExperimentConfig,
    identity: Identity,
    experiment: Experiment,
    progress: Progress,
    evaluations: dict[str, Evaluation],
    eval_seconds: float,
    step_memory: int | None,
    adapter_bytes: int,
    files: dict[str, str],
) -> FinishedRecord:
    """The record of a run that is done."""
    counts = typed(Parameters, experiment.tuned.parameter_counts(), "parameters")
    device = experiment.accelerator.device
    cuda = device.type == "cuda"
    trained = sum(p.numel() for p in experiment.tuned.trained_parameters().values())
    return FinishedRecord(
        **provenance.known(config, identity),
        status="done",
        scores=named_by_split(evaluations),
        losses={split: result.loss for split, result in evaluations.items() if result.loss is not None},
        labels=experiment.task.labels,
        confusion={
            split: matrix
            for split, result in evaluations.items()
            if (matrix := experiment.task.confusion(result.predictions)) is not None
        },
        remarks=[
            f"{split}: {remark}"
            for split, result in evaluations.items()
            for remark in experiment.task.remarks(result.predictions)
        ],
        best_epoch=progress.best_epoch,
        selection_score=progress.best_score,
        evaluations=progress.evaluations,
        steps=progress.step,
        examples={
            "train": len(experiment.splits.train),
            "selection": len(experiment.splits.selection),
            **{split: len(data) for split, data in experiment.eval_data.items()},
        },
        parameters=counts,
        train_seconds=progress.train_seconds,
        side_by_side=progress.side_by_side,
        eval_seconds=eval_seconds,
        peak_memory_bytes=memory.gpu_peak(device) if cuda else step_memory,
        peak_memory_of="cuda_allocated" if cuda else "tensors_allocated",
        adapter_bytes=adapter_bytes,
        tokens=Tokens(real=progress.real_tokens, padded=progress.padded_tokens),
        # Estimate: 2 per parameter and token forward, 2 for the gradients of activations, 2 for those of weights.
        train_flops=(4 * counts.plm + 2 * trained) * progress.padded_tokens,
        device=provenance.device(device),
        precision="tf32" if config.trainer.precision == "tf32" else experiment.accelerator.mixed_precision,
        processes=distributed.world_size(),
        files=files,
    )


def named_by_split(evaluations: dict[str, Evaluation]) -> Scores:
    """The scores of all splits: the first split's by their plain names, `accuracy_mismatched` for dev_mismatched."""
    first = next(iter(evaluations))
    return {
        name if split == first else f"{name}_{split.removeprefix(f'{first}_')}": score
        for split, result in evaluations.items()
        for name, score in result.scores.items()
    }
