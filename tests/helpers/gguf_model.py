"""A tiny random Llama in a GGUF file, as llama.cpp's own converter lays it out: Q4_1, with norms in float32."""

import json
from pathlib import Path

import numpy as np

LAYERS, WIDTH, HEADS, KEY_HEADS, FFN, POSITIONS = 2, 64, 4, 2, 96, 48


def write(
    path: Path, tokenizer: Path | None, kind: str = "Q4_1", seed: int = 0, without: str = "none"
) -> dict[str, np.ndarray]:
    """Write the file.

    Args:
        path: of it.
        tokenizer: the tokenizer.json of a byte-level BPE, whose vocabulary it gets; None for a file without one.
        kind: what the matrices are rounded to.
        seed: of the weights.
        without: tensors whose names begin so are left out, as in a file that is one part of several.

    Returns:
        The weights before they were rounded, by their names in transformers.
    """
    import gguf

    model = (
        json.loads(tokenizer.read_text())["model"] if tokenizer else {"vocab": dict.fromkeys(map(str, range(96)), 0)}
    )
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(POSITIONS)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    if tokenizer:
        writer.add_tokenizer_model("gpt2")
        writer.add_token_list(tokens)
        writer.add_token_types([gguf.TokenType.CONTROL if "|" in token else gguf.TokenType.NORMAL for token in tokens])
        writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
        writer.add_bos_token_id(0)
        writer.add_eos_token_id(0)
    random, written = np.random.default_rng(seed), {}
    for name, stored, shape, heads in _matrices(len(tokens)):
        if stored.startswith(without):
            continue
        weight = random.normal(0.0, 0.1, shape).astype(np.float32)
        written[name] = weight
        rows = weight if heads is None else _rotated(weight, heads)
        matrix_type = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(stored, gguf.quants.quantize(rows, matrix_type), raw_dtype=matrix_type)
    norms = [f"blk.{n}.{part}_norm.weight" for n in range(LAYERS) for part in ("attn", "ffn")]
    for stored in [*norms, "output_norm.weight"]:
        writer.add_tensor(stored, np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return written


def _matrices(vocabulary: int) -> list[tuple[str, str, tuple[int, int], int | None]]:
    """Name in transformers, name in GGUF, shape, and the number of heads if its rows are ordered for rotation."""
    keys = WIDTH // HEADS * KEY_HEADS
    found = [("model.embed_tokens", "token_embd", (vocabulary, WIDTH), None)]
    for n in range(LAYERS):
        for ours, theirs, shape, heads in (
            ("self_attn.q_proj", "attn_q", (WIDTH, WIDTH), HEADS),
            ("self_attn.k_proj", "attn_k", (keys, WIDTH), KEY_HEADS),
            ("self_attn.v_proj", "attn_v", (keys, WIDTH), None),
            ("self_attn.o_proj", "attn_output", (WIDTH, WIDTH), None),
            ("mlp.gate_proj", "ffn_gate", (FFN, WIDTH), None),
            ("mlp.up_proj", "ffn_up", (FFN, WIDTH), None),
            ("mlp.down_proj", "ffn_down", (WIDTH, FFN), None),
        ):
            found.append((f"model.layers.{n}.{ours}", f"blk.{n}.{theirs}", shape, heads))
    return [(f"{ours}.weight", f"{theirs}.weight", shape, heads) for ours, theirs, shape, heads in found]


def _rotated(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a projection in llama.cpp's order: within a head, the two halves of a rotation beside each other."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
