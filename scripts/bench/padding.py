"""Padding: tokens computed per real token in one epoch, and the number of batch shapes.

    python -m scripts.bench.padding [--data FOLDER]

Compares batches of similar length (`inducer_bench.training.batching`), also with lengths rounded up to multiples of 4,
8 or 16, batches from buckets (`trainer.batches=buckets`), random batches, and padding to the maximum: 512 tokens for
classification, else the longest example of the data set. It only counts and needs no device. A `torch.compile` or CUDA
graph serves one shape (rows, tokens).
"""

from collections.abc import Sequence
from math import ceil

import torch

from inducer_bench.training.batching import epoch_batches, training_batches
from scripts.bench import harness
from scripts.bench.harness import Row
from scripts.bench.setup import DATA, real_task

Padded = tuple[list[int], int]  # indices of a batch, and the tokens that its examples are padded to


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish one row for each task, batch size and form."""
    parser = harness.parser(__doc__)
    parser.add_argument("--tasks", nargs="+", default=["sst2", "mnli", "webnlg"], choices=list(DATA))
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[8, 16, 32])
    args = parser.parse_args(arguments)
    rows = []
    for name in args.tasks:
        config, task = real_task(name, args.data, args.mini)
        lengths = task.examples("train").lengths
        most = config.task.max_length if config.task.family == "nlu" else max(lengths)
        for size in args.batch_sizes:
            rows += [{"task": name, "examples": len(lengths), **row} for row in forms(lengths, size, most)]
    note = "`padded / real`: tokens computed in one epoch per token of the examples. MNLI: 8,999 of its training pairs."
    harness.publish("padding", rows, note=note, out=args.out)


def forms(lengths: Sequence[int], size: int, most: int) -> list[Row]:
    """One row for each way to batch one epoch at one batch size."""
    order = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(0)).tolist()
    by_chance = [order[start : start + size] for start in range(0, len(order), size)]
    ours = training_batches(lengths, size, seed=0, epoch=0)
    rows = [_row("like length", _rounded(ours, lengths, 1, most), lengths, size)]
    rows += [
        _row(f"like length, multiples of {m}", _rounded(ours, lengths, m, most), lengths, size) for m in (4, 8, 16)
    ]
    planned = epoch_batches("buckets", lengths, size, seed=0, epoch=0)
    rows.append(_row("buckets", [(batch.indices, batch.length or 0) for batch in planned], lengths, size))
    rows.append(_row("random", _rounded(by_chance, lengths, 1, most), lengths, size))
    rows.append(_row("to the maximum", [(batch, most) for batch in by_chance], lengths, size))
    return rows


def _rounded(batches: Sequence[list[int]], lengths: Sequence[int], multiple: int, most: int) -> list[Padded]:
    """Batches with their longest length, rounded up to a multiple, but not above `most`."""
    longest = [max(lengths[index] for index in batch) for batch in batches]
    return [
        (batch, min(most, multiple * ceil(length / multiple))) for batch, length in zip(batches, longest, strict=True)
    ]


def _row(form: str, batches: Sequence[Padded], lengths: Sequence[int], size: int) -> Row:
    """The row of one form."""
    padded = sum(len(batch) * width for batch, width in batches)
    shapes = {(len(batch), width) for batch, width in batches}
    return {"batch": size, "form": form, "padded / real": padded / sum(lengths), "shapes": len(shapes),
            "tokens a batch": padded / len(batches), "longest": max(width for _, width in batches)}  # fmt: skip


if __name__ == "__main__":
    main()
