"""The parameter counts of the published settings, as a Markdown table.

python -m scripts.evidence.parameter_table
"""

from typing import Any

from inducer_bench.config.compose import compose
from inducer_bench.methods.attach import attach
from inducer_bench.plm.load import empty_model

_FFN = {"placement": "parallel"}
SETTINGS: list[tuple[str, str, dict[str, Any], int]] = [  # PLM, method, options, published count
    ("gpt2", "inducer", {"r_k": 10, "r_v": 15}, 2_003_472),
    ("gpt2", "inducer_lora", {"r_k": 5, "r_v": 12, "lora": {"r": 24, "bias": True}}, 2_002_320),
    ("gpt2", "inducer_ffn", {"r_k": 3, "r_v": 7, "lora": {"r": 16, "bias": True}, "adapter": {"r": 42}}, 2_001_816),
    (
        "gpt2",
        "inducer_ffn",
        {"r_k": 3, "r_v": 7, "lora": {"r": 16, "bias": True}, "adapter": {"r": 42, "layer_norm": "before"}},
        2_020_248,
    ),
    ("gpt2", "adapter", {"r": 108, "sites": ["attention"], "placement": "sequential"}, 2_001_168),
    (
        "gpt2",
        "adapter",
        {"r": 108, "sites": ["attention"], "placement": "sequential", "layer_norm": "before"},
        2_019_600,
    ),
    ("gpt2", "kernel_mix", {"q": 3, "q_shared": 12, "v_o": 8, "v_o_shared": 8}, 2_009_088),
    ("gpt2", "fine_tune", {}, 124_439_808),
    ("roberta-base", "inducer", {"r_k": 6, "r_v": 4}, 609_696),
    ("roberta-base", "inducer_lora", {"r_k": 2, "r_v": 4, "lora": {"r": 4}}, 609_120),
    ("roberta-base", "inducer_ffn", {"r_k": 2, "r_v": 2, "lora": {"r": 4}, "adapter": {"r": 12}}, 599_760),
    ("roberta-base", "mam", {"prefix": {"length": 16}, "adapter": {"r": 16}}, 599_232),
    ("roberta-base", "kernel_mix", {"q": 1, "q_shared": 2, "v_o": 2, "v_o_shared": 4}, 608_256),
    ("roberta-base", "lora", {"r": 16, "targets": ["q", "v", "ffn"]}, 2_064_384),
    ("roberta-base", "prefix", {"length": 32}, 589_824),
    ("roberta-base", "fine_tune", {}, 124_055_040),
]


def counts(plm: str, method: str, options: dict[str, Any]) -> dict[str, int | float]:
    """Parameter counts of a method on a shipped PLM, which is built without memory for its weights."""
    config = compose([f"plm={plm}", "plm.weights=random"]).plm
    full: dict[str, Any] = dict(options)
    if "lora" in full:
        full["lora"] = {"alpha": 32.0, "targets": ["q"], **full["lora"]}
    if method == "lora":
        full |= {"alpha": 32.0}
    if method in ("mam", "inducer_ffn"):
        full["adapter"] = {**_FFN, **full["adapter"]}
    return attach(empty_model(config, "AutoModelForSequenceClassification", 2), method, **full).parameter_counts()


def main() -> None:
    """Print one row for each setting."""
    print("| PLM | method | setting | parameters | published | % of PLM |")
    print("|---|---|---|---|---|---|")
    for plm, method, options, published in SETTINGS:
        count = counts(plm, method, options)
        setting = ", ".join(f"{name} {value}" for name, value in options.items()) or "-"
        print(f"| {plm} | {method} | {setting} | {count['method']:,} | {published:,} | {count['percent']:.4f} |")


if __name__ == "__main__":
    main()
