"""Special tokens as a side parameter: n trained rows next to a frozen embedding of V rows.

    embedding(id) = e(E, id) if id < V else e(S, id - V)    e: what the embedding's own forward does with its table
    logits(h)     = [h E_out^T, h S^T]                      (V + n classes)

Mostly e is a look-up; Gemma's multiplies by sqrt d, others normalise.
The rows of a tied embedding (38.6 M parameters for GPT-2) stay frozen: they need neither gradients nor optimiser state.
A model that adds embeddings of `token_type_ids` (GPT-2) takes those of special tokens from the same rows.

    tuned = ib.attach(model, "lora", special_tokens=16, r=8, alpha=16.0)    # with any method; model: a language model
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from inducer_bench.errors import UserError
from inducer_bench.methods.init import INITIALIZER_RANGE
from inducer_bench.methods.layers import Unregistered, output_embedding
from inducer_bench.methods.tuned import TunedModel


def attach(tuned: TunedModel, count: int) -> None:
    """Give a language model `count` special tokens, whose ids follow those of its embedding.

    Raises:
        UserError: the model is not a language model, or its embedding is no table.
    """
    embedding, output = tuned.model.get_input_embeddings(), output_embedding(tuned.model)
    if output is None:
        raise UserError(f"special tokens need a language model; {type(tuned.model).__name__} has no output embedding")
    if not isinstance(embedding, nn.Embedding):
        found = f"{type(tuned.model).__name__} with {type(embedding).__name__} as its embedding"
        raise UserError(f"special tokens: found {found}; allowed: a model whose embedding is a torch.nn.Embedding")
    tokens = SpecialTokens(count, embedding)
    tuned.add_tokens(embedding, "special_tokens", tokens)
    tuned.replace_forward(embedding, tokens.embed)
    for place in (tuned.model.config.get_text_config(), tuned.model):  # where a model's own loss looks for its size
        if hasattr(place, "vocab_size"):
            tuned.on_detach(partial(setattr, place, "vocab_size", place.vocab_size))
            place.vocab_size = tokens.first_id + count
    tuned.add_hook(output.register_forward_hook(tokens.extend_logits))


class SpecialTokens(nn.Module):
    """Parameters: rows (n, d), which start as a PLM's embedding does, N(0, 0.02)."""

    def __init__(self, count: int, embedding: nn.Embedding) -> None:
        super().__init__()
        self.first_id, width = embedding.weight.shape  # V
        self._embedding = Unregistered(embedding)  # this module's parent
        self._of_rows = Unregistered(_like(embedding, self))
        self.rows = nn.Parameter(torch.randn(count, width) * INITIALIZER_RANGE)

    def embed(self, ids: Tensor) -> Tensor:
        """Token ids (B, T) below V + n -> embeddings (B, T, d)."""
        forward: Any = type(self._embedding.value).forward
        ordinary = forward(self._embedding.value, ids.clamp(max=self.first_id - 1))
        special = forward(self._of_rows.value, (ids - self.first_id).clamp(min=0))
        return torch.where((ids < self.first_id).unsqueeze(-1), ordinary, special)

    @torch.no_grad()
    def append_to(self, model: PreTrainedModel) -> None:
        """Make the rows those that follow a model's embeddings, of the input and of the output, tied or not."""
        model.resize_token_embeddings(self.first_id + len(self.rows), mean_resizing=False)
        for embedding in (model.get_input_embeddings(), output_embedding(model)):
            assert embedding is not None
            for weight in embedding.parameters():
                weight[self.first_id :] = self.rows if weight.dim() == 2 else 0.0

    def extend_logits(self, module: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> Tensor:
        """Forward hook of the output embedding: hidden states (..., d) and logits (..., V) -> (..., V + n)."""
        return torch.cat([logits, F.linear(inputs[0], self.rows)], dim=-1)


class _OfRows:
    """Makes an embedding read its table from special tokens at each call: stacked seeds have rows of their own."""

    tokens: Unregistered[SpecialTokens]

    @property
    def weight(self) -> nn.Parameter:
        return self.tokens.value.rows


def _like(embedding: nn.Embedding, tokens: SpecialTokens) -> nn.Module:
    """An embedding that does to the rows of special tokens what this one does to its own; it shares the buffers."""
    kind = type(embedding)
    own: nn.Module = object.__new__(type(kind.__name__, (_OfRows, kind), {}))
    own.__dict__.update(embedding.__dict__)
    own.__dict__.update(_parameters={}, _modules={}, padding_idx=None, tokens=Unregistered(tokens))
    return own
