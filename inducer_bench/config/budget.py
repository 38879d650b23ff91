"""`method.budget`: the ranks that use a parameter budget best without exceeding it, on any PLM.

A budget is a number of deployed method parameters, or a percentage of the PLM's.
"""

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from inducer_bench.config.methods import (
    Adapter,
    Inducer,
    InducerFfn,
    InducerLora,
    KernelMix,
    Lora,
    Mam,
    Options,
    Prefix,
)
from inducer_bench.errors import UserError

Method = TypeVar("Method", bound=Options)
Path = tuple[str, ...]  # where a rank is within the options, for instance ("lora", "r")

# The ranks that a budget decides, by method.
RANKS: dict[str, list[Path]] = {
    "lora": [("r",)],
    "adapter": [("r",)],
    "prefix": [("length",)],
    "mam": [("prefix", "length"), ("adapter", "r")],
    "inducer": [("r_k",), ("r_v",)],
    "inducer_lora": [("r_k",), ("r_v",), ("lora", "r")],
    "inducer_ffn": [("r_k",), ("r_v",), ("lora", "r"), ("adapter", "r")],
    "kernel_mix": [("q",), ("q_shared",), ("v_o",), ("v_o_shared",)],
}


@dataclass(frozen=True)
class Sizes:
    """What parameter counts depend on."""

    layers: int
    width: int  # d
    heads: int  # H
    key_heads: int  # G
    head_width: int  # p
    ffn: int  # width of the FFN
    ffn_ups: int  # its first linear maps: two if it is gated


def sizes(architecture: dict[str, Any]) -> Sizes:
    """The sizes of a PLM from its transformers config, whatever names that uses.

    Raises:
        UserError: a size is missing.
    """

    def first(*names: str, default: int | None = None) -> int:
        value = next((architecture[name] for name in names if architecture.get(name) is not None), default)
        if value is None:
            raise UserError(f"plm: the configuration has none of {', '.join(names)}")
        return int(value)

    width, heads = first("hidden_size", "n_embd", "dim"), first("num_attention_heads", "n_head", "n_heads")
    return Sizes(
        layers=first("num_hidden_layers", "n_layer", "n_layers"),
        width=width,
        heads=heads,
        key_heads=first("num_key_value_heads", default=heads),
        head_width=first("head_dim", default=width // heads),
        ffn=first("intermediate_size", "n_inner", "ffn_dim", "hidden_dim", default=4 * width),
        ffn_ups=2 if architecture.get("model_type") in ("llama", "mistral", "qwen2", "qwen3") else 1,
    )


def count(options: Options, s: Sizes) -> int:
    """Deployed parameters of a method with ranks, from its options alone."""
    return s.layers * next(formula(options, s) for kind, formula in _FORMULAS if isinstance(options, kind))


def solve(options: Method, budget: int, s: Sizes) -> Method:
    """The options with the ranks that come closest to `budget` parameters, and not above.

    One rank is solved for exactly. Several keep about their proportions: they are scaled together as far as the budget
    goes, of all choices that differ from that by at most two the one with most parameters is taken, and then single
    ranks are raised until not one more fits. MLP_k keeps a rank of at least 2, below which there is none.

    Raises:
        UserError: the method has no ranks, or even the smallest exceed the budget.
    """
    paths = RANKS.get(options.name)
    if paths is None:
        raise UserError(f"method.budget: '{options.name}' has no rank to choose; allowed: {', '.join(RANKS)}")
    least = [2 if path[-1] == "r_k" else 1 for path in paths]
    limits = [s.head_width if path[-1] == "r_k" else budget for path in paths]
    base = [_get(options, path) for path in paths]

    def cost(ranks: list[int]) -> int:
        return count(_with(options, paths, ranks), s)

    def scaled(factor: float) -> list[int]:
        return [min(limit, max(low, int(rank * factor))) for rank, low, limit in zip(base, least, limits, strict=True)]

    smallest = cost(least)
    if smallest > budget:
        raise UserError(
            f"method.budget: found {budget:,}; allowed: at least {smallest:,} for '{options.name}' on this PLM"
        )
    low, high = 0.0, float(budget)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(scaled(middle)) <= budget else (low, middle)
    near = [
        range(max(lowest, rank - 2), min(limit, rank + 2) + 1)
        for rank, lowest, limit in zip(scaled(low), least, limits, strict=True)
    ]
    best = max((list(ranks) for ranks in itertools.product(*near) if cost(list(ranks)) <= budget), key=cost)
    while larger := [ranks for ranks in _one_more(best, limits) if cost(ranks) <= budget]:
        best = max(larger, key=cost)
    solved: Method = _with(options, paths, best)
    return solved


def chosen(options: Options) -> str:
    """The ranks of a method, for a line that says what was chosen."""
    return ", ".join(f"{'.'.join(path)}={_get(options, path)}" for path in RANKS[options.name])


def _one_more(ranks: list[int], limits: list[int]) -> list[list[int]]:
    """The choices with a single rank raised by one."""
    raised = [i for i, limit in enumerate(limits) if ranks[i] < limit]
    return [[rank + (i == j) for j, rank in enumerate(ranks)] for i in raised]


def _get(options: Any, path: Path) -> int:
    for name in path:
        options = getattr(options, name)
    return int(options)


def _with(options: Any, paths: list[Path], ranks: list[int]) -> Any:
    for path, rank in zip(paths, ranks, strict=True):
        if len(path) == 1:
            options = dataclasses.replace(options, **{path[0]: rank})
        else:
            inner = dataclasses.replace(getattr(options, path[0]), **{path[1]: rank})
            options = dataclasses.replace(options, **{path[0]: inner})
    return options


# -- parameters in one layer, in the letters of `methods/` -------------------------------------------------------------


def _lora(o: Lora, s: Sizes) -> int:
    d, heads, keys = s.width, s.heads * s.head_width, s.key_heads * s.head_width
    maps = {"q": [(d, heads)], "k": [(d, keys)], "v": [(d, keys)], "o": [(heads, d)],
            "ffn": [(d, s.ffn)] * s.ffn_ups + [(s.ffn, d)]}  # fmt: skip
    return sum(o.r * (i + out) + o.bias * out for target in o.targets for i, out in maps[target])


def _adapter(o: Adapter, s: Sizes) -> int:
    norm = 0 if o.layer_norm == "none" else 2 * s.width
    return len(o.sites) * (2 * s.width * o.r + o.r + s.width + norm)


def _prefix(o: Prefix, s: Sizes) -> int:
    return o.length * 2 * s.key_heads * s.head_width


def _inducer(o: Inducer, s: Sizes) -> int:
    H, p, d = s.heads, s.head_width, s.width
    key = H * (2 * p * o.r_k + o.r_k + p) if o.gate and o.r_k >= 2 else 0
    value = H * (p * o.r_v + o.r_v)
    output = (1 if o.share_output else H) * o.r_v * d + d if o.extension else H * (o.r_v * p + p)
    return key + value + output


def _kernel_mix(o: KernelMix, s: Sizes) -> int:
    H, G, p, d = s.heads, s.key_heads, s.head_width, s.width
    query = H * (d * o.q + o.q * p + p) + o.q_shared * (d + H * p)
    value = G * (2 * p * o.v_o + p) + o.v_o_shared * (d + G * p)
    return query + value + H * p * o.v_o + H * o.v_o * d + d + o.v_o_shared * (H * p + d)


_FORMULAS: list[tuple[type, Callable[[Any, Sizes], int]]] = [  # the most derived first
    (InducerFfn, lambda o, s: _inducer(o, s) + _lora(o.lora, s) + _adapter(o.adapter, s)),
    (InducerLora, lambda o, s: _inducer(o, s) + _lora(o.lora, s)),
    (Inducer, _inducer),
    (Mam, lambda o, s: _prefix(o.prefix, s) + _adapter(o.adapter, s)),
    (Lora, _lora),
    (Adapter, _adapter),
    (Prefix, _prefix),
    (KernelMix, _kernel_mix),
]
