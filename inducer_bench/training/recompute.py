"""Gradient checkpointing (Chen et al. 2016, https://arxiv.org/abs/1604.06174) in the layers of transformers."""

from functools import partial
from typing import Any

from torch.utils.checkpoint import checkpoint

from inducer_bench.errors import UserError
from inducer_bench.methods.tuned import TunedModel


def recompute_activations(tuned: TunedModel) -> None:
    """Keep only the input of each layer, and compute the rest again in the backward pass, with the same dropout masks.

    `tuned.detach` takes it back.

    Raises:
        UserError: the PLM's class in transformers cannot do so.
    """
    model: Any = tuned.model  # its methods are not typed
    if not model.supports_gradient_checkpointing:
        raise UserError(f"trainer.gradient_checkpointing: {type(model).__name__} cannot do so; allowed: false")
    # Private to transformers. The public function has another name from 5.24 on, and has gradients computed down to the
    # embeddings, which only the reentrant form needs.
    model._set_gradient_checkpointing(True, partial(checkpoint, use_reentrant=False))
    tuned.on_detach(partial(model._set_gradient_checkpointing, False))
