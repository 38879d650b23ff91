"""Several seeds of one method side by side on one frozen PLM, compared with one after another.

    python -m scripts.bench.seeds --seeds 1 2 5 [--method inducer] [--device cuda --precision bf16]

A training step of `training.stack.Stack`, as `seeds=5` takes it, against the steps of each seed alone. RoBERTa-base
with random weights, a batch of random tokens for each seed, with dropout.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inducer_bench.methods.tuned import TunedModel
from inducer_bench.training.loop import make_optimizer, optimizer_of
from inducer_bench.training.stack import Lane, Stack
from scripts.bench import harness
from scripts.bench.setup import autocast, build, random_batch, training_step

Batch = dict[str, Tensor]


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish two rows for each number of seeds."""
    parser = harness.parser(__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 5])
    parser.add_argument("--method", default="lora")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument(
        "--length", type=int, default=16, help="mean of SST-2 in batches of similar length (default: 16)"
    )
    args = parser.parse_args(arguments)
    config, tuned = build(["task=sst2", f"method={args.method}"], args.device, args.mini)
    optimizer = make_optimizer(tuned, config.trainer)
    rows = []
    for seeds in args.seeds:
        # -- the two forms ---------------------------------------------------------------------------------------------
        lanes = [Lane.of(tuned, partial(optimizer_of, config=config.trainer)) for _ in range(seeds)]
        task: Any = _Labels()
        stack = Stack(tuned, task, lanes)
        inputs = random_batch(tuned, seeds * args.batch, args.length)
        whole = {name: tensor.unflatten(0, (seeds, args.batch)) for name, tensor in inputs.items()}
        whole["labels"] = whole["input_ids"][..., 0] % 2
        parts = [{name: tensor[seed] for name, tensor in whole.items()} for seed in range(seeds)]
        forms = {
            "one after another": partial(one_after_another, tuned, optimizer, parts, args.precision),
            "side by side": partial(side_by_side, stack, whole, args.precision),
        }

        # -- rows ------------------------------------------------------------------------------------------------------
        times = harness.alternate(forms, args.rounds, device=args.device)
        for form, call in forms.items():
            middle, low, high = harness.ratio(times, form, "one after another")
            rows.append({
                "seeds": seeds, "form": form, "seconds": harness.median(times[form]),
                "seconds a seed and step": harness.median(times[form]) / seeds, "ratio": middle, "p10": low,
                "p90": high, "peak MiB": harness.peak_memory(call, args.device) / 2**20,
            })  # fmt: skip
    note = (
        f"{args.method}, batch {args.batch}, {args.length} tokens; peak without PLM and optimizer state. "
        f"{args.precision}."
    )
    harness.publish(f"seeds_{args.precision}", rows, args.device, note, args.out)


class _Labels:
    """What a stack needs of a classification task."""

    @staticmethod
    def loss(model: nn.Module, batch: Batch, label_smoothing: float) -> Tensor:
        """Cross entropy, the mean over the batch."""
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        return F.cross_entropy(model(**inputs).logits.float(), batch["labels"])


def one_after_another(
    tuned: TunedModel, optimizer: torch.optim.Optimizer, parts: Sequence[Batch], precision: str
) -> None:
    """Take one step on the batch of each seed."""
    trained = list(tuned.trained_parameters().values())
    for batch in parts:
        training_step(trained, optimizer, partial(_Labels.loss, tuned, batch, 0.0), tuned.device, precision)


def side_by_side(stack: Stack, batch: Batch, precision: str) -> None:
    """Take the same steps together, on a batch (S, B, ...)."""
    with autocast(stack.tuned.device, precision):
        losses = stack.losses(batch, 0.0)
    losses.sum().backward()
    stack.update(1.0)


if __name__ == "__main__":
    main()
