"""Forms of an inducer layer's attention, forward and backward, compared with torch's plain attention (SDPA).

    python -m scripts.bench.attention [--device cuda --precision bf16] [--batch 16] [--lengths 32 128 256 512]
    OMP_NUM_THREADS=1 python -m scripts.bench.attention --name attention_T256 --lengths 256 --batch 4 16 --rounds 15 \\
        --forms SDPA "explicit by rows" --purposes "training with dropout"

Random heads of the size of RoBERTa-base and GPT-2 small (12 of width 64), with padding of random length at the end or
with a causal mask. Every form computes f and g for given self scores s_i = |Q_i|^2 / sqrt p and is differentiated with
respect to Q, K and V. `two softmaxes` is the form of the released code, in which the gate has a softmax of its own over
all scores. `by rows` computes a few rows of the batch at a time. `peak MiB` is the peak memory of the call.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from inducer_bench.methods.attention import additive_mask
from inducer_bench.methods.kernels import ExplicitAttention, FusedAttention, applied, by_rows
from inducer_bench.methods.virtual_key import f_and_gate_by_attention
from scripts.bench import harness

HEADS, WIDTH = 12, 64
SCALE = WIDTH**-0.5
PURPOSES = {"training with dropout": 0.1, "training": 0.0, "evaluation": 0.0}  # -> dropout of attention weights
Form = Callable[[Tensor, Tensor, Tensor, Tensor, float], tuple[Tensor, Tensor | None]]  # q, k, v, mask, dropout -> f, g


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish one row for each form, length, mask and purpose."""
    parser = harness.parser(__doc__)
    parser.add_argument("--name", default="attention", help="of the result (default: %(default)s)")
    parser.add_argument("--batch", type=int, nargs="+", default=[16])
    parser.add_argument("--lengths", type=int, nargs="+", default=[32, 128, 256, 512])
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=list(FORMS))
    parser.add_argument("--purposes", nargs="+", default=list(PURPOSES), choices=list(PURPOSES))
    args = parser.parse_args(arguments)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[args.precision]
    rows: list[harness.Row] = []
    for batch, length, mask_name in product(args.batch, args.lengths, ("padded", "causal")):
        heads, mask = inputs(batch, length, mask_name, dtype, args.device)
        for purpose in args.purposes:
            dropout = PURPOSES[purpose]
            forms = {name: FORMS[name] for name in args.forms if serves(name, dropout, args.device)}
            calls = {name: partial(passes, form, heads, mask, dropout, purpose) for name, form in forms.items()}
            times = harness.alternate(calls, args.rounds, device=args.device)
            for row in harness.ratio_rows(times, "SDPA"):
                peak = harness.peak_memory(calls[row["candidate"]], args.device) / 2**20
                at = {"batch": batch, "T": length, "mask": mask_name, "purpose": purpose}
                rows.append({**at, **row, "peak MiB": peak})
    note = f"{HEADS} heads of width {WIDTH}, {args.precision}. SDPA computes no gate."
    harness.publish(f"{args.name}_{args.precision}", rows, args.device, note, args.out)


def inputs(
    batch: int, length: int, mask: str, dtype: torch.dtype, device: torch.device
) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """Heads Q, K, V (B, H, T, p), strided as the output of a linear map, and an additive mask (B or 1, 1, T, T)."""
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(batch, length, HEADS, WIDTH, generator=generator) for _ in range(3)]
    query, key, value = (x.to(device, dtype).transpose(1, 2).requires_grad_() for x in made)
    ends = torch.randint(length // 2, length + 1, (batch,), generator=generator)
    visible = torch.arange(length) < ends[:, None, None, None]
    visible = visible.expand(batch, 1, length, length) if mask == "padded" else torch.ones(length, length).tril() > 0
    additive = additive_mask(visible.view(-1, 1, length, length).to(device), query, length, is_causal=False)
    assert additive is not None
    return (query, key, value), additive


def passes(form: Form, heads: tuple[Tensor, Tensor, Tensor], mask: Tensor, dropout: float, purpose: str) -> None:
    """Run the forward pass and, in training, the backward pass with gradients of both outputs."""
    with torch.set_grad_enabled(purpose != "evaluation"):
        f, g = form(*heads, mask, dropout)
    if f.requires_grad:
        loss = f.float().sum() if g is None else f.float().sum() + g.float().sum()
        torch.autograd.grad(loss, heads)


def serves(name: str, dropout: float, device: torch.device) -> bool:
    """Whether the form supports this dropout of attention weights, and the device."""
    if dropout and name in ("fused", "fused by rows"):
        return False
    return device.type == "cpu" or name not in CPU_ONLY


# ---- the forms ----


def sdpa(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, dropout: float) -> tuple[Tensor, None]:
    """Torch's attention, without a gate."""
    return F.scaled_dot_product_attention(query, key, value, mask, dropout_p=dropout, scale=SCALE), None


def two_softmaxes(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
    """The released form: one softmax over the scores for f, another over the scores and s_i for g."""
    scores = torch.matmul(query, key.transpose(2, 3)) * SCALE + mask
    f = torch.matmul(F.dropout(scores.softmax(dim=-1), dropout), value)
    both = torch.cat((self_scores(query).unsqueeze(-1).to(scores.dtype), scores), dim=-1)
    return f, both.softmax(dim=-1)[..., 0]


def one_softmax(
    kind: type[torch.autograd.Function],
    chunked: bool,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    dropout: float,
) -> tuple[Tensor, Tensor]:
    """For the whole batch at once, or for as many of its rows as a CPU's cache holds the scores of."""
    apply = partial(by_rows, kind) if chunked else applied(kind)
    f, logsumexp = apply(query, key, value, mask, SCALE, dropout)
    return f, torch.sigmoid(self_scores(query) - logsumexp)


def virtual_key(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
    """SDPA for f, and SDPA over one more key for g, as the package does on CUDA."""
    f, gate = f_and_gate_by_attention(query, key, value, mask, SCALE, dropout, before_mask=False)
    return f, gate().squeeze(-1)


def self_scores(query: Tensor) -> Tensor:
    """Self scores s_i (B, H, T) of inducers without MLP_k."""
    scores: Tensor = (query * query).sum(dim=-1, dtype=torch.float32) * SCALE
    return scores


FORMS: dict[str, Form] = {
    "SDPA": sdpa,
    "two softmaxes": two_softmaxes,
    "explicit": partial(one_softmax, ExplicitAttention, False),
    "explicit by rows": partial(one_softmax, ExplicitAttention, True),
    "fused": partial(one_softmax, FusedAttention, False),
    "fused by rows": partial(one_softmax, FusedAttention, True),
    "virtual key": virtual_key,
}
CPU_ONLY = ("explicit by rows", "fused", "fused by rows")

if __name__ == "__main__":
    main()
