"""Parts of a training step in our form and in the usual one: dropout, GPT-2's activation, AdamW.

    python -m scripts.bench.parts [--device cuda]

Dropout: the random signs for the attention weights of one row of 128 tokens in RoBERTa-base, 12 x 128 x 128.
Activation: forward and backward in one layer of GPT-2 small, 16 x 128 tokens. Update: all parameters of RoBERTa-base,
as in full fine-tuning. `peak MiB` is the peak memory of the call.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from transformers.activations import ACT2FN

from inducer_bench.methods.dropout import dropout_signs
from inducer_bench.training.loop import make_optimizer
from scripts.bench import harness
from scripts.bench.setup import build

DROPOUT = 0.1
REPEATS = 20  # draws in each timed run


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish two rows for each part."""
    args = harness.parser(__doc__).parse_args(arguments)
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
        times = harness.alternate(forms, args.rounds, device=args.device)
        for row in harness.ratio_rows(times, "ours"):
            peak = harness.peak_memory(forms[row["candidate"]], args.device) / 2**20
            rows.append({"part": part, **row, "peak MiB": peak})
    count = sum(parameter.numel() for parameter in parameters)
    note = f"Drawing: {REPEATS} x {like.numel():,} numbers. Update: {count:,} parameters. fp32."
    harness.publish("parts", rows, args.device, note, args.out)


def repeated(draw: Callable[[], Tensor]) -> Callable[[], None]:
    """A function that draws often enough to be timed reliably."""

    def run() -> None:
        for _ in range(REPEATS):
            draw()

    return run


def passes(activation: Callable[[Tensor], Tensor], hidden: Tensor) -> None:
    """Run the forward and the backward pass."""
    torch.autograd.grad(activation(hidden).sum(), hidden)


if __name__ == "__main__":
    main()
