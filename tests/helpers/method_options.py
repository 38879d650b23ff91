"""Options of every method that suit the tiny models, where a new method is one line; which goes on which model."""

from helpers.architectures import ARCHITECTURES, DECODERS
from inducer_bench.methods.options import METHODS

LORA = {"r": 2, "alpha": 4.0}
OPTIONS = {
    "fine_tune": {},
    "head_only": {},
    "bitfit": {},
    "prefix": {"length": 3, "hidden": 5},
    "adapter": {"r": 3},
    "lora": {**LORA, "targets": ["q", "k", "v", "o", "ffn"]},
    "mam": {"prefix": {"length": 2, "reparameterize": False}, "adapter": {"r": 3, "placement": "parallel"}},
    "inducer": {"r_k": 3, "r_v": 2},
    "inducer_lora": {"r_k": 3, "r_v": 2, "lora": {**LORA, "targets": ["q"]}},
    "inducer_ffn": {
        "r_k": 3,
        "r_v": 2,
        "lora": {**LORA, "targets": ["q"]},
        "adapter": {"r": 3, "placement": "parallel"},
    },
    "kernel_mix": {"q": 1, "q_shared": 2, "v_o": 2, "v_o_shared": 3},
    "peft": {
        "peft_type": "IA3",
        "config": {"target_modules": ".*(q|k|v|query|value|c_attn|q_lin)(_proj)?", "feedforward_modules": []},
    },
}
# Impossible pairs: a language model's head is part of the PLM, and these PLMs have no biases.
IMPOSSIBLE = {("head_only", name): "trains nothing" for name in DECODERS}
IMPOSSIBLE |= {("bitfit", a): "has none" for a in ("llama", "mistral", "qwen3", "gemma3", "modernbert")}
IMPOSSIBLE |= {(method, "deberta"): "works inside attention" for method, kind in METHODS.items() if kind.in_attention}
PAIRS = [(m, a) for m in OPTIONS for a in ARCHITECTURES if (m, a) not in IMPOSSIBLE]
