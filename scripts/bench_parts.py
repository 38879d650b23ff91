"""Parts of a training step as we have them, against the usual form: dropout, GPT-2's activation, AdamW.

    python scripts/bench_parts.py [--device cuda]

Dropout: what one row of 128 tokens draws for the attention weights of RoBERTa-base, 12 x 128 x 128 signs. Activation:
forward and backward in one layer of GPT-2 small, 16 x 128 tokens. Update: all of RoBERTa-base's parameters, as in full
fine-tuning. `peak MiB` is what the call holds at most.
"""

from collections.abc import Callable, Sequence
from functools import partial

import benchmark
import torch
from bench_setup import build
from torch import Tensor
from transformers.activations import ACT2FN

from inducer_bench.methods.kernels import dropout_signs
from inducer_bench.training.loop import make_optimizer

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
    hidden = torch.randn(16, 128, 3072, device=args.device, requires_grad=True)
    parts: dict[str, dict[str, Callable[[], object]]] = {
        "drawing dropout": {
            "ours": repeated(lambda: dropout_signs(like, DROPOUT)),
            "bernoulli_": repeated(lambda: like.bernoulli_(1 - DROPOUT).sub_(0.5)),
        },
        "activation": {
            "ours": partial(passes, ACT2FN["gelu_pytorch_tanh"], hidden),
            "gelu_new": partial(passes, ACT2FN["gelu_new"], hidden),
        },
        "update": {
            "ours": make_optimizer(tuned, config.trainer).step,
            "torch's default": torch.optim.AdamW(parameters, lr=config.trainer.lr).step,
        },
    }
    rows = []
    for part, forms in parts.items():
        times = benchmark.alternate(forms, args.rounds, device=args.device)
        for row in benchmark.ratio_rows(times, "ours"):
            peak = benchmark.peak_memory(forms[row["candidate"]], args.device) / 2**20
            rows.append({"part": part, **row, "peak MiB": peak})
    count = sum(parameter.numel() for parameter in parameters)
    note = f"Drawing: {REPEATS} x {like.numel():,} numbers. Update: {count:,} parameters. fp32."
    benchmark.publish("parts", rows, args.device, benchmark.command_line(), note, out=args.out)


def repeated(draw: Callable[[], Tensor]) -> Callable[[], None]:
    """As many draws as take a time that can be measured."""

    def run() -> None:
        for _ in range(REPEATS):
            draw()

    return run


def passes(activation: Callable[[Tensor], Tensor], hidden: Tensor) -> None:
    """Forward and backward."""
    torch.autograd.grad(activation(hidden).sum(), hidden)


if __name__ == "__main__":
    main()
