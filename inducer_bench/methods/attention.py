"""The attention function that this package registers with transformers' attention interface, and its mask.

Shapes, here and in `methods/`: B batch, T query length, S key length, H heads, G key heads (G < H in grouped-query
attention), p head width, d model width, L prefix length, r rank or bottleneck.

A tuning method that changes attention adds an `AttentionPart` to the attention module under the name `PART`. The
registered function hands the layer's heads to that part. A module without a part gets transformers' own SDPA, or the
equivalent `attend` where SDPA is slow. The maths is in `kernels.py`.
"""

from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from inducer_bench.errors import UserError
from inducer_bench.methods.kernels import attend, autocast_dtype, slow_in_sdpa

IMPLEMENTATION = "inducer_bench"  # the name under which transformers knows `tuned_attention`
PART = "tuning"  # the name of a part inside its attention module


class AttentionPart(Protocol):
    """The module that a method adds to an attention module, as `tuned_attention` sees it."""

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, dropout: float
    ) -> Tensor:
        """Heads (B, H, T, p), (B, G, S, p), (B, G, S, p) and an additive mask -> heads (B, H, T, p)."""
        ...


def tuned_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Transformers' attention interface: queries (B, H, T, p), keys and values (B, G, S, p) in, (B, T, H, p) out.

    Raises:
        UserError: the architecture changes scores in a way that none of our kernels does.
    """
    for name in ("softcap", "s_aux"):  # Gemma 2 caps its scores, GPT-OSS has scores of no key
        if kwargs.get(name) is not None:
            raise UserError(
                f"plm: {type(module).__name__} has '{name}' in its attention; allowed: methods that do not work inside "
                "attention, such as lora"
            )
    if (dtype := autocast_dtype(query.device.type)) is not None:
        # As SDPA does outside `torch.vmap`. Rotary positions give float32, as do linear maps with a bias inside it.
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    part = cast(AttentionPart | None, module._modules.get(PART))
    if part is None and not slow_in_sdpa(query, key, value, dropout):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal, **kwargs
        )
    scale = query.shape[-1] ** -0.5
    if scaling is not None and scaling != scale:
        # So that s_ij = Q_i.K_j / sqrt p for every part: OPT passes queries that are scaled already.
        query = query * (scaling / scale)
    if is_causal is None:
        is_causal = getattr(module, "is_causal", True)
    mask = additive_mask(attention_mask, query, key.shape[2], is_causal)
    function = attend if part is None else part.attend
    output = function(query, key, value, mask, scale, dropout)
    return output.transpose(1, 2).contiguous(), None


def refuse_probabilities(body: nn.Module, inputs: tuple[Any, ...], arguments: dict[str, Any]) -> None:
    """Forward pre-hook of the body of a model whose attention is `tuned_attention`, which keeps no probabilities.

    Raises:
        UserError: the call asks for them; transformers would return an empty tuple.
    """
    config = cast(PreTrainedConfig, body.config)
    if arguments.get("output_attentions", config.output_attentions):
        raise UserError(
            "output_attentions: found True; allowed: False with a method in attention, whose kernels keep no "
            "probabilities; for another method, load the model with attn_implementation='eager'"
        )


def additive_mask(mask: Tensor | None, query: Tensor, key_length: int, is_causal: bool) -> Tensor | None:
    """The additive mask of the scores: 0 where a query may attend, the lowest finite number where it may not.

    Args:
        mask: (B or 1, H or 1, T, S), boolean (True: may attend) or already additive; None where `is_causal` alone
            decides.
        query: (B, H, T, p); gives T, dtype and device. A single cached query sees every key.
        key_length: S. Without a mask, as in SDPA's `is_causal`, the T queries are the first T of the S positions: later
            ones are places of a static cache that are still empty. Transformers gives a mask in all other cases.
        is_causal: whether position i may attend to j <= i only, where `mask` is None.

    Returns:
        (B or 1, H or 1, T, S), or None if nothing is masked. Finite, so that a row with every key masked (a padding
        row of a left-padded batch) stays free of NaN.
    """
    query_length = query.shape[2]
    if mask is None:
        if not is_causal or query_length == 1:
            return None
        mask = torch.ones(1, 1, query_length, key_length, dtype=torch.bool, device=query.device)
        mask = mask.tril()
    if mask.dtype == torch.bool:
        return additive(mask, query.dtype)
    return mask.to(torch.promote_types(mask.dtype, query.dtype))  # never to one in which its numbers become infinite


def additive(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where a mask is True, the lowest finite number elsewhere."""
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill(~visible, torch.finfo(dtype).min)


def attention_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    attention_mask: Tensor | None = None,
    allow_is_causal_skip: bool = True,
    allow_is_bidirectional_skip: bool = False,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    **kwargs: Any,
) -> Tensor | None:
    """Transformers' mask interface: the mask of all layers, made once in a forward pass.

    `sdpa_mask` looks whether a mask of tokens hides any, which on a GPU is a wait, and inside `torch.vmap` impossible:
    there it counts as one that does.

    Args:
        batch_size, q_length, kv_length: B, T, S.
        attention_mask: (B, S), False where a token is padding.
        allow_is_causal_skip, allow_is_bidirectional_skip: whether it may be left out where nothing is hidden.
        dtype: of the embeddings.
        device: of the embeddings.
        kwargs: the pattern of the model, such as that of a sliding window; see `sdpa_mask`.

    Returns:
        Additive, (B, 1, T, S), in the dtype that attention computes in; or None.
    """
    look = attention_mask is None or (
        attention_mask.device.type == "cpu" and not torch._C._functorch.is_batchedtensor(attention_mask)
    )
    visible = sdpa_mask(
        batch_size,
        q_length,
        kv_length,
        attention_mask=attention_mask,
        allow_is_causal_skip=allow_is_causal_skip and look,
        allow_is_bidirectional_skip=allow_is_bidirectional_skip and look,
        device=device,
        **kwargs,
    )
    if visible is None:
        return None
    dtype = autocast_dtype(visible.device.type) or dtype
    if visible.device.type == "cuda":  # the memory-efficient kernel wants rows that begin at multiples of 16 numbers
        return additive(F.pad(visible, (0, -kv_length % 16)), dtype)[..., :kv_length]
    return additive(visible, dtype)


AttentionInterface.register(IMPLEMENTATION, tuned_attention)
AttentionMaskInterface.register(IMPLEMENTATION, attention_mask)
