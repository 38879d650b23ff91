"""Candidates for inducers' attention on a GPU: their gradients against float64, their time and memory.

    python -m scripts.gpu.attention --device cuda --check
    python -m scripts.gpu.attention --device cuda [--lengths 64 256 512 1024]

Each gives f_i = softmax_j(s_ij) V and the gate g_i = sigmoid(s_i - logsumexp_j s_ij) of virtual keys with the scores
s_i = (|Q_i|^2 + c_i) / sqrt p for a given c, and is differentiated with respect to Q, K, V and c. Shapes as in
`inducer_bench/methods/attention.py`.

    SDPA        torch's attention alone, without a gate: the floor
    package     what the package does on CUDA: SDPA, and SDPA again with the virtual key as one more key
    explicit    scores written out, P kept for the backward pass: T x S numbers a head

A form passes if its errors relative to the reference, ||x - ref|| / ||ref||, are below `WORST` for every mask and, with
dropout, if differences of its output agree with its gradient under one seed.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from inducer_bench.methods.kernels import ExplicitAttention
from inducer_bench.methods.virtual_key import f_and_gate_by_attention
from scripts.bench import harness

HEADS, WIDTH = 12, 64
SCALE = WIDTH**-0.5
ALIGNED = 16  # elements: the kernels want rows of a mask that begin at multiples of it
DROPOUT = 0.1
MASKS = ("none", "padded", "causal")
WORST = {torch.float32: 1e-3, torch.bfloat16: 3e-2}
WORST_SLOPE = 2e-2
STEP = 1e-2  # of the differences
Heads = tuple[Tensor, Tensor, Tensor, Tensor]  # Q, K, V (B, H, T, p) and c (B, H, T)
Form = Callable[[Heads, Tensor | None, float], tuple[Tensor, Tensor | None]]  # heads, mask, dropout -> f, g


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish one row for each form, length and mask."""
    parser = harness.parser(__doc__)
    parser.add_argument("--check", action="store_true", help="check gradients instead of measuring")
    parser.add_argument("--lengths", type=int, nargs="+")
    args = parser.parse_args(arguments)
    if args.check:
        lengths = args.lengths or ([5, 16] if args.mini else [5, 37, 64, 256])
        rows = [row for name in FORMS for row in checked(name, lengths, args.device)]
        harness.publish("attention_check", rows, args.device, "Errors relative to float64 on the CPU.", args.out)
        failed = sorted({row["form"] for row in rows if not row["passed"]})
        if failed:
            raise SystemExit(f"attention: {', '.join(failed)}: wrong")
        return
    lengths = args.lengths or ([16, 32] if args.mini else [64, 256, 512, 1024])
    batch, dtype = (2, torch.float32) if args.mini else (16, torch.bfloat16)
    rows = [row for length in lengths for row in measured(batch, length, dtype, args)]
    note = f"Batch {batch}, {HEADS} heads of width {WIDTH}, {dtype}, forward and backward pass; padded rows."
    harness.publish("attention_forms", rows, args.device, note, args.out)


def inputs(batch: int, heads: int, length: int, mask: str) -> tuple[Heads, Tensor | None]:
    """Heads in float64 on the CPU, strided as a linear map's output; which keys are seen, (B or 1, 1, T, S)."""
    generator = torch.Generator().manual_seed(length)
    query, key, value = (
        torch.randn(batch, length, heads, WIDTH, generator=generator).double().transpose(1, 2) for _ in range(3)
    )
    change = 16 * torch.randn(batch, heads, length, generator=generator) - 40  # gates from 0 to 1
    visible = None
    if mask == "padded":
        ends = torch.randint(length // 2, length + 1, (batch,), generator=generator).clamp(min=1)
        visible = (torch.arange(length) < ends[:, None, None, None]).expand(batch, 1, length, length)
    elif mask == "causal":
        visible = torch.ones(1, 1, length, length, dtype=torch.bool).tril()
    return (query, key, value, change.bfloat16().double()), visible


def on_device(
    heads: Heads, visible: Tensor | None, dtype: torch.dtype, device: torch.device
) -> tuple[Heads, Tensor | None]:
    """Copies as leaves of a graph, c in float32 or better; and the additive mask, its rows aligned in memory."""
    query, key, value = (x.to(device, dtype).requires_grad_() for x in heads[:3])
    change = heads[3].to(device, torch.promote_types(dtype, torch.float32)).requires_grad_()
    if visible is None:
        return (query, key, value, change), None
    length = visible.shape[-1]
    mask = torch.zeros(*visible.shape[:-1], length + -length % ALIGNED, dtype=dtype, device=device)[..., :length]
    return (query, key, value, change), mask.masked_fill_(~visible.to(device), torch.finfo(dtype).min)


# -- the forms ---------------------------------------------------------------------------------------------------------


def sdpa(heads: Heads, mask: Tensor | None, dropout: float) -> tuple[Tensor, None]:
    """Torch's attention, without a gate."""
    query, key, value, _ = heads
    return F.scaled_dot_product_attention(query, key, value, mask, dropout_p=dropout, scale=SCALE), None


def package(heads: Heads, mask: Tensor | None, dropout: float) -> tuple[Tensor, Tensor]:
    """What inducers call on CUDA; here on a CPU, too."""
    f, gate = f_and_gate_by_attention(*heads[:3], mask, SCALE, dropout, False)
    return f, gate(heads[3].unsqueeze(-1).to(f.dtype)).squeeze(-1)


def explicit(heads: Heads, mask: Tensor | None, dropout: float) -> tuple[Tensor, Tensor]:
    """What inducers call on a CPU with dropout."""
    apply: Any = ExplicitAttention.apply  # has no types
    f, logsumexp, *_ = apply(*heads[:3], mask, SCALE, dropout)
    return f, gate_of(heads, logsumexp)


def gate_of(heads: Heads, logsumexp: Tensor) -> Tensor:
    """g (B, H, T), in float32 or better."""
    query, _, _, change = heads
    own = query.to(change.dtype).square().sum(-1) + change
    return torch.sigmoid(own * SCALE - logsumexp)


FORMS: dict[str, Form] = {"SDPA": sdpa, "package": package, "explicit": explicit}


# -- checks and measurements -------------------------------------------------------------------------------------------


def checked(name: str, lengths: Sequence[int], device: torch.device) -> Iterator[harness.Row]:
    """The errors of a form at each length, with each mask and in each precision; and of its slope with dropout."""
    for length in lengths:
        for kind in MASKS:
            heads, visible = inputs(2, 2, length, kind)
            expected = passes(reference, *on_device(heads, visible, torch.float64, harness.CPU), 0.0)
            for dtype, worst in WORST.items():
                found = passes(FORMS[name], *on_device(heads, visible, dtype, device), 0.0)
                errors = {
                    what: relative(found[what], expected[what]) for what in found if name != "SDPA" or what == "f"
                }
                yield {"form": name, "T": length, "mask": kind, "dtype": str(dtype), **errors,
                       "passed": max(errors.values()) < worst}  # fmt: skip
            error = slope_error(FORMS[name], *on_device(heads, visible, torch.float32, device))
            yield {"form": name, "T": length, "mask": kind, "dtype": str(torch.float32), "slope, dropout": error,
                   "passed": error < WORST_SLOPE}  # fmt: skip


def reference(heads: Heads, mask: Tensor | None, dropout: float) -> tuple[Tensor, Tensor]:
    """Written out, with autograd's own gradients; in float64."""
    query, key, value, _ = heads
    scores = query @ key.mT * SCALE + (0 if mask is None else mask)
    return scores.softmax(-1) @ value, gate_of(heads, scores.logsumexp(-1))


def weighted(f: Tensor, g: Tensor | None) -> Tensor:
    """A number that depends on every output, differently."""
    total = (f.float() * torch.linspace(-1, 1, f.numel(), device=f.device).view(f.shape)).sum()
    if g is not None:
        total = total + 8 * (g.float() * torch.linspace(1, -2, g.numel(), device=g.device).view(g.shape)).sum()
    return total


def passes(form: Form, heads: Heads, mask: Tensor | None, dropout: float) -> dict[str, Tensor]:
    """The outputs of a form, and the gradients of a weighted sum of them."""
    f, g = form(heads, mask, dropout)
    wanted = heads if g is not None else heads[:3]
    grads = torch.autograd.grad(weighted(f, g), wanted)
    return {"f": f, **({} if g is None else {"g": g}),
            **dict(zip(("dQ", "dK", "dV", "dc"), grads, strict=False))}  # fmt: skip


def relative(found: Tensor, expected: Tensor) -> float:
    """||found - expected|| / ||expected||; infinite where something is not finite."""
    found, expected = found.detach().double().cpu(), expected.detach().double()
    error = float((found - expected).norm() / expected.norm())
    return error if error == error else float("inf")


def slope_error(form: Form, heads: Heads, mask: Tensor | None) -> float:
    """The gradient against differences along a random direction, relative, with the same dropout in each call."""
    generator = torch.Generator().manual_seed(0)
    directions = [torch.randn(x.shape, generator=generator).to(x) for x in heads]

    def value(shift: float) -> Tensor:
        torch.manual_seed(3)
        moved = [x.detach() + shift * d for x, d in zip(heads, directions, strict=True)]
        return weighted(*form((moved[0], moved[1], moved[2], moved[3]), mask, DROPOUT)).double()

    torch.manual_seed(3)
    f, g = form(heads, mask, DROPOUT)
    wanted = heads if g is not None else heads[:3]
    grads = torch.autograd.grad(weighted(f, g), wanted)
    slope = float(sum((grad * d).double().sum() for grad, d in zip(grads, directions, strict=False)))
    numeric = float((value(STEP) - value(-STEP)) / (2 * STEP))
    sizes = [float(grad.double().norm() * d.double().norm()) / d.numel() ** 0.5
             for grad, d in zip(grads, directions, strict=False)]  # fmt: skip
    return abs(slope - numeric) / math.hypot(*sizes)


def measured(batch: int, length: int, dtype: torch.dtype, args: argparse.Namespace) -> Iterator[harness.Row]:
    """Time and peak memory of each form, with and without dropout."""
    heads, mask = on_device(*inputs(batch, HEADS, length, "padded"), dtype, args.device)
    for dropout in (DROPOUT, 0.0):
        calls = {name: partial(passes, form, heads, mask, dropout) for name, form in FORMS.items()}
        times = harness.alternate(calls, args.rounds, device=args.device)
        for row in harness.ratio_rows(times, "SDPA"):
            peak = harness.peak_memory(calls[row["candidate"]], args.device) / 2**20
            yield {"T": length, "dropout": dropout, **row, "peak MiB": peak}


if __name__ == "__main__":
    main()
