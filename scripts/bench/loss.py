"""Logits at labelled positions only, compared with logits everywhere, in training steps of GPT-2 small on WebNLG.

    python -m scripts.bench.loss --method inducer [--data FOLDER] [--device cuda --precision bf16]

A few real batches of similar length, evenly spaced in order of length; random weights. `logits MiB` is one float32
copy of the logits; `peak MiB` is the peak memory of a step without the PLM, method parameters and optimizer state.
"""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from inducer_bench.tasks.base import Batch
from inducer_bench.training.batching import training_batches
from inducer_bench.training.loop import make_optimizer
from scripts.bench import harness
from scripts.bench.released_form import loss_everywhere
from scripts.bench.setup import build, real_task, spread, training_step

Loss = Callable[[nn.Module, Batch, float], Tensor]


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish one row for each form, and one for the savings."""
    parser = harness.parser(__doc__)
    parser.add_argument("--method", default="inducer")
    parser.add_argument("--batches", type=int, default=3, help="timed in each round (default: %(default)s)")
    args = parser.parse_args(arguments)
    _, task = real_task("webnlg", args.data, args.mini)
    config, tuned = build(["task=webnlg", f"method={args.method}"], args.device, args.mini)
    examples = task.examples("train")
    chosen = spread(training_batches(examples.lengths, config.trainer.batch_size, 0, 0), examples.lengths, args.batches)
    batches = [{name: tensor.to(args.device) for name, tensor in task.collate(examples.take(indices)).items()}
               for indices in chosen]  # fmt: skip
    optimizer, parameters = make_optimizer(tuned, config.trainer), list(tuned.trained_parameters().values())
    smoothing = config.trainer.label_smoothing

    def steps(loss: Loss, batches: Sequence[Batch]) -> None:
        for batch in batches:
            training_step(parameters, optimizer, partial(loss, tuned, batch, smoothing), args.device, args.precision)

    forms: dict[str, Loss] = {"labelled": task.loss, "everywhere": loss_everywhere}
    candidates = {name: partial(steps, loss, batches) for name, loss in forms.items()}
    times = harness.alternate(candidates, args.rounds, device=args.device)
    largest = max(batches, key=lambda batch: batch["input_ids"].numel())
    positions = {"labelled": sum(len(batch["labels"]) for batch in batches),
                 "everywhere": sum(batch["input_ids"].numel() for batch in batches)}  # fmt: skip
    rows = [
        {"form": name, "positions": positions[name], "seconds a step": harness.median(times[name]) / len(batches),
         "logits MiB a step": 4 * tuned.config.vocab_size * positions[name] / len(batches) / 2**20,
         "peak MiB, longest batch": harness.peak_memory(partial(steps, loss, [largest]), args.device) / 2**20}
        for name, loss in forms.items()
    ]  # fmt: skip
    middle, low, high = harness.ratio(times, "labelled", "everywhere")
    rows.append({"form": "saved, %", "positions": percent(rows, "positions"), "seconds a step": 100 * (1 - middle),
                 "logits MiB a step": percent(rows, "logits MiB a step"),
                 "peak MiB, longest batch": percent(rows, "peak MiB, longest batch")})  # fmt: skip
    note = (
        f"{args.method}, {len(batches)} batches of {config.trainer.batch_size}; time saved: median of {args.rounds} "
        f"rounds, 10th to 90th percentile {100 * (1 - high):.1f} to {100 * (1 - low):.1f} %. {args.precision}."
    )
    name = f"loss_{args.method}_{args.precision}"
    harness.publish(name, rows, args.device, note, args.out)


def percent(rows: Sequence[harness.Row], column: str) -> float:
    """The saving of the first row, in percent of the second."""
    return float(100 * (1 - rows[0][column] / rows[1][column]))


if __name__ == "__main__":
    main()
