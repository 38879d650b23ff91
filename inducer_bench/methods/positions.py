"""Logits of a language model at some positions only: its output embedding is given those hidden states alone.

The forward pass stays the model's own, with what follows its output embedding: Gemma 2 caps logits, Granite and Cohere
scale them. Its `logits_to_keep` does not serve here: that takes the same columns of every row.
"""

import threading
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from inducer_bench.errors import UserError


class _Handed(threading.local):
    """What a forward pass hands to the output embedding, which runs in the same thread."""

    positions: Tensor | None = None  # (n)


_handed = _Handed()


def logits(model: PreTrainedModel, positions: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The model's logits (n, V) at positions (n), of which b T + t is position t of row b.

    Args:
        model: its output embedding has the hook `select`.
        positions: numbers and no mask, so that nothing looks at a GPU's memory.
        args, kwargs: of the model's forward pass.

    Raises:
        UserError: the forward pass does not call an output embedding.
    """
    _handed.positions = positions
    try:
        found: Tensor = model(*args, **{"use_cache": False} | kwargs).logits
        if _handed.positions is not None:
            raise UserError(
                f"logits_at: found {type(model).__name__}; allowed: a language model that calls its output embedding"
            )
    finally:
        _handed.positions = None
    return found.squeeze(0)


def select(output: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
    """Forward pre-hook of an output embedding: hidden states (B, T, d) -> (1, n, d), where positions were given."""
    positions, _handed.positions = _handed.positions, None
    if positions is None:
        return None
    hidden, *others = inputs
    return hidden.flatten(0, 1).index_select(0, positions).unsqueeze(0), *others
