"""What the gates of finished inducer runs do, before and after training, as JSON and Markdown.

    python -m scripts.evidence.gates RUN... --out FOLDER

A run is built once more, which gives its start (its seed decides every new weight), and then gets its trained weights.
Measured on the first examples of the task's dev split, one at a time, so that there is no padding:

    g, s - lse     per layer, over all tokens and heads: g = sigmoid(s - lse), s the self score, lse = logsumexp_j s_ij
    gradients      root mean square at the start, per part; AdamW hardly moves what stays below `trainer.eps`
    moved          |W - W_0| / |W_0| of each part W, W_0 its start
    across         the same without what lies along W_0, such as the pull of weight decay towards 0
    scores         of the trained model, with g = 1, with each head's g held at its mean, and without MLP_k
"""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from inducer_bench.errors import UserError
from inducer_bench.files import write_atomic
from inducer_bench.methods import inducer as inducers
from inducer_bench.methods.inducer import Inducer
from inducer_bench.methods.options import InducerOptions
from inducer_bench.methods.virtual_key import attend_with_gate, f_and_log_odds
from inducer_bench.runs import artefacts
from inducer_bench.runs.experiment import build
from inducer_bench.runs.finished import FinishedRun, open_run
from inducer_bench.tasks.cache import EncodedExamples
from inducer_bench.training.evaluation import evaluate, predict
from inducer_bench.training.loop import Experiment, add_gradients
from scripts.evidence.markdown import table

Weights = list[dict[str, Tensor]]  # of each layer, by the part's name
Values = dict[str, float | None]
OPEN = 0.95
KEY_SIDE = ("A_k", "a_k", "B_k", "b_k")
DIGITS = 5  # significant ones that are written


def main(arguments: list[str]) -> None:
    """Measure the runs, and write `gates.json` and `gates.md` into the folder."""
    parser = argparse.ArgumentParser(prog="gates", description="what the gates of finished inducer runs do")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the results are written")
    parser.add_argument("--examples", type=int, default=64, metavar="N", help="of dev, for gates and gradients")
    parser.add_argument("--scored", type=int, default=1000, metavar="N", help="of dev, for the scores")
    args = parser.parse_args(arguments)
    found = [measure(open_run(folder), args.examples, args.scored) for folder in args.runs]
    args.out.mkdir(parents=True, exist_ok=True)
    write_atomic(args.out / "gates.json", (json.dumps(found, indent=1) + "\n").encode())
    write_atomic(args.out / "gates.md", "\n".join(map(markdown, found)).encode())


def measure(run: FinishedRun, examples: int, scored: int) -> dict[str, Any]:
    """All that is measured of a run, as plain values.

    Raises:
        UserError: the run's method has no gates, or its files, its data or its PLM are not there.
    """
    config, method = run.config, run.config.method
    if not isinstance(method, InducerOptions) or not method.gate:
        raise UserError(f"RUN: '{run.folder}' is of method {run.record.method} without gates; allowed: one with gates")
    artefacts.check(run.folder, run.record, artefacts.WEIGHTS)
    with build(config) as experiment:
        tuned = experiment.tuned
        dev = experiment.task.examples("dev")
        some = dev[:examples]
        layers = [part for part in tuned.modules() if isinstance(part, Inducer)]
        start, before = copied(layers), gates(experiment, some)
        gradients = gradients_at(experiment, layers, some, run)
        tuned.load_weights(run.folder / artefacts.WEIGHTS)
        after, end = gates(experiment, some), copied(layers)
        held = [log_odds.sigmoid().mean(dim=1) for log_odds in after]
        scores = scores_of(experiment, layers, held, dev[:scored], config.trainer.eval_batch_size)
    eps = config.trainer.eps
    rows = [
        {"layer": number, "before": values(old), "after": values(new), "norms": norms(w_0, w),
         "gradients": sized(gradient, eps)}
        for number, (old, new, w_0, w, gradient) in enumerate(
            zip(before, after, start, end, gradients, strict=True), start=1)
    ]  # fmt: skip
    found: dict[str, Any] = rounded({
        "run": run.folder.name, "task": run.record.task, "plm": run.record.plm, "method": run.record.method,
        "seed": run.record.seed, "key_residual": method.key_residual, "self_temperature": method.self_temperature,
        "lr": config.trainer.lr, "eps": eps, "precision": config.trainer.precision,
        "examples": len(some), "scored": len(dev[:scored]),
        "all": {"before": values(torch.cat(before)), "after": values(torch.cat(after)),
                "norms": norms(joined(start), joined(end)), "gradients": sized(joined(gradients), eps)},
        "scores": scores, "layers": rows,
    })  # fmt: skip
    return found


# -- gates -------------------------------------------------------------------------------------------------------------


def gates(experiment: Experiment, examples: EncodedExamples) -> list[Tensor]:
    """s - lse of each layer, (heads, tokens of all examples), in float32."""
    with recorded() as found:
        predict(experiment.accelerator, experiment.tuned, experiment.task, examples, batch_size=1)
    layers = sum(isinstance(part, Inducer) for part in experiment.tuned.modules())
    return [torch.cat(found[layer::layers], dim=1) for layer in range(layers)]


@contextmanager
def recorded() -> Iterator[list[Tensor]]:
    """Collect s - lse (H, B T) of each call of an inducer, in their order."""
    found: list[Tensor] = []

    def recording_attend(*inputs: Any) -> Any:
        f, gate = attend_with_gate(*inputs)
        _, log_odds = f_and_log_odds(*inputs)

        def recording(*terms: Tensor, factor: Tensor | None = None) -> Tensor:
            found.append(log_odds(*terms, factor=factor).transpose(0, 1).flatten(1).float().cpu())
            return gate(*terms, factor=factor)

        return f, recording

    with patch.object(inducers, "attend_with_gate", recording_attend):
        yield found


def values(log_odds: Tensor) -> Values:
    """Gates in numbers, from s - lse of any shape."""
    g = log_odds.sigmoid()
    return {
        "mean": g.mean().item(), "median": g.median().item(), "open": (g > OPEN).float().mean().item(),
        "median_log_odds": log_odds.median().item(),
    }  # fmt: skip


# -- weights and gradients ---------------------------------------------------------------------------------------------


def copied(layers: list[Inducer]) -> Weights:
    """The parameters of each layer as they are now."""
    return [
        {name: p.detach().to("cpu", torch.float64, copy=True) for name, p in layer.named_parameters()}
        for layer in layers
    ]


def joined(layers: Weights) -> dict[str, Tensor]:
    """Each part of all layers as one tensor."""
    return {name: torch.stack([layer[name] for layer in layers]) for name in layers[0]}


def norms(start: dict[str, Tensor], end: dict[str, Tensor]) -> dict[str, Values]:
    """Part -> its norm before and after training, and how far it moved, relative to the norm before."""
    found: dict[str, Values] = {}
    for name, before in start.items():
        move = end[name] - before
        along = (move * before).sum() / before.square().sum() * before
        found[name] = {
            "before": before.norm().item(), "after": end[name].norm().item(),
            "moved": (move.norm() / before.norm()).item(), "across": ((move - along).norm() / before.norm()).item(),
        }  # fmt: skip
    return found


def gradients_at(experiment: Experiment, layers: list[Inducer], examples: EncodedExamples, run: FinishedRun) -> Weights:
    """The gradients of the mean loss."""
    tuned = experiment.tuned
    tuned.eval()
    every = examples.take(list(range(len(examples))))
    add_gradients(experiment.accelerator, tuned, experiment.task, every, run.config.trainer)
    found = [
        {name: torch.zeros_like(p) if p.grad is None else p.grad.double().cpu() for name, p in layer.named_parameters()}
        for layer in layers
    ]
    tuned.zero_grad(set_to_none=True)
    return found


def sized(gradients: dict[str, Tensor], eps: float) -> dict[str, Values]:
    """Part -> the root mean square of its gradient, and the share of it below the optimiser's eps."""
    return {
        name: {
            "rms": gradient.square().mean().sqrt().item(),
            "below_eps": (gradient.abs() < eps).double().mean().item(),
        }
        for name, gradient in gradients.items()
    }


# -- scores ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Constant:
    """In place of an inducer's `gate`: g of each head (H,) or of all of them (1,), for every token."""

    g: Tensor

    def __call__(self, form: Any, terms: Any, query: Tensor) -> Tensor:
        return self.g.to(query)[:, None, None].expand(*query.shape[:3], 1)


@contextmanager
def constant(layers: list[Inducer], gates: list[Tensor]) -> Iterator[None]:
    """Each layer's gates are these, whatever the query."""
    with ExitStack() as stack:
        for layer, g in zip(layers, gates, strict=True):
            stack.enter_context(patch.object(layer, "gate", _Constant(g)))
        yield


def scores_of(
    experiment: Experiment, layers: list[Inducer], held: list[Tensor], examples: EncodedExamples, batch_size: int
) -> dict[str, Values]:
    """What is changed -> loss and scores by forward passes, of the model as it is trained and of it with one change.

    g = 1 also makes a branch larger. With g held at its mean, (H,) of each layer, it no longer depends on the token.
    """

    def scored() -> Values:
        found = evaluate(experiment.accelerator, experiment.tuned, experiment.task, examples, batch_size)
        return {"loss": found.loss, **{name: score.value for name, score in found.scores.items()}}

    results = {"as trained": scored()}
    for change, g in {"g = 1": [torch.ones(1)] * len(layers), "g at its mean": held}.items():
        with constant(layers, g):
            results[change] = scored()
    if hasattr(layers[0], "A_k"):
        with torch.no_grad():
            for layer in layers:
                for name in KEY_SIDE:
                    layer.get_parameter(name).zero_()
        results["without MLP_k"] = scored()
    return results


# -- text --------------------------------------------------------------------------------------------------------------


def markdown(found: dict[str, Any]) -> str:
    """The numbers of one run as Markdown tables."""
    head = f"## {found['method']} on {found['plm']}, {found['task']}, seed {found['seed']} ({found['run']})"
    options = ", ".join(f"{key}={found[key]}" for key in ("key_residual", "self_temperature", "lr", "eps", "precision"))
    rows = [{"layer": "all", **found["all"]}, *found["layers"]]
    parts = list(found["all"]["gradients"])
    gate = [
        [row["layer"], *(f"{row[when][name]:.3g}" for name in ("mean", "median", "open", "median_log_odds")
                         for when in ("before", "after")), *(f"{row['norms'][part]['moved']:.3g}" for part in parts)]
        for row in rows
    ]  # fmt: skip
    columns = [f"{name}, {when}" for name in ("mean g", "median g", f"g > {OPEN}", "median s - lse")
               for when in ("start", "end")]  # fmt: skip
    part_rows = [
        [part, f"{found['all']['gradients'][part]['rms']:.2g}", f"{found['all']['gradients'][part]['below_eps']:.0%}",
         *(f"{found['all']['norms'][part][key]:.3g}" for key in ("before", "after", "moved", "across"))]
        for part in parts
    ]  # fmt: skip
    names = list(found["scores"]["as trained"])
    score_rows = [[what, *(_shown(scores[name]) for name in names)] for what, scores in found["scores"].items()]
    return "\n\n".join([
        head,
        f"{options}. Gates and gradients over the first {found['examples']} examples of dev, scores over the first "
        f"{found['scored']}.",
        table(["layer", *columns, *(f"{part} moved" for part in parts)], gate),
        table(["part", "gradient, start (rms)", "share below eps", "norm, start", "norm, end", "moved", "across"],
              part_rows),
        table(["model", *names], score_rows),
        "",
    ])  # fmt: skip


def rounded(found: Any) -> Any:
    """Plain values with numbers of `DIGITS` significant digits."""
    if isinstance(found, dict):
        return {key: rounded(value) for key, value in found.items()}
    if isinstance(found, list):
        return [rounded(value) for value in found]
    return float(f"{found:.{DIGITS}g}") if isinstance(found, float) else found


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"gates: {error}")
