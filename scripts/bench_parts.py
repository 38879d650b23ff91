"""Parts of a training step as we have them, against the usual form: drawing dropout, and the update of AdamW.

    python scripts/bench_parts.py [--device cuda]

Dropout: what one row of 128 tokens draws for the attention weights of RoBERTa-base, 12 x 128 x 128 signs. Update: all
of RoBERTa-base's parameters, as in full fine-tuning.
"""

from collections.abc import Callable, Sequence

import benchmark
import torch
from bench_setup import build
from torch import Tensor

from inducer_bench.attention import signs
from inducer_bench.training import make_optimizer

DROPOUT = 0.1
REPEATS = 20  # draws in each timed run


def main(arguments: Sequence[str] | None = None) -> None:
    """Two rows for each part."""
    args = benchmark.parser(__doc__).parse_args(arguments)
    like = torch.empty(12, 128, 128, device=args.device)
    config, tuned = build(["task=sst2", "method=fine_tune"], args.device, args.mini)
    parameters = list(tuned.trained_parameters().values())
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 1e-3)
    parts: dict[str, dict[str, Callable[[], object]]] = {
        "drawing dropout": {
            "four from each draw": repeated(lambda: signs(like, DROPOUT)),
            "bernoulli_": repeated(lambda: like.bernoulli_(1 - DROPOUT).sub_(0.5)),
        },
        "update": {
            "fused": make_optimizer(tuned, config.trainer).step,
            "torch's default": torch.optim.AdamW(parameters, lr=config.trainer.lr).step,
        },
    }
    rows = []
    for part, forms in parts.items():
        times = benchmark.alternate(forms, args.rounds, device=args.device)
        rows += [{"part": part, **row} for row in benchmark.ratio_rows(times, next(iter(forms)))]
    count = sum(parameter.numel() for parameter in parameters)
    note = f"Drawing: {REPEATS} x {like.numel():,} numbers. Update: {count:,} parameters. fp32."
    benchmark.publish("parts", rows, args.device, benchmark.command_line(), note, out=args.out)


def repeated(draw: Callable[[], Tensor]) -> Callable[[], None]:
    """As many draws as take a time that can be measured."""

    def run() -> None:
        for _ in range(REPEATS):
            draw()

    return run


if __name__ == "__main__":
    main()
