"""Options of every method that suit the tiny models; a new method is one line here."""

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
