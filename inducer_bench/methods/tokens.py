"""Special tokens as a side parameter: n trained rows next to a frozen embedding of V rows.

    embedding(id) = E[id] if id < V else S[id - V]
    logits(h)     = [h E_out^T, h S^T]                      (V + n classes)

The rows of a tied embedding (38.6 M parameters for GPT-2) stay frozen: they need neither gradients nor optimiser state.
A model that adds embeddings of `token_type_ids` (GPT-2) takes those of special tokens from the same rows.

    tuned = ib.attach(model, "lora", special_tokens=16, r=8, alpha=16.0)    # with any method; model: a language model
"""

from functools import partial

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
        UserError: the model is not a language model.
    """
    embedding, output = tuned.model.get_input_embeddings(), output_embedding(tuned.model)
    if output is None:
        raise UserError(f"special tokens need a language model; {type(tuned.model).__name__} has no output embedding")
    assert isinstance(embedding, nn.Embedding)
    tokens = SpecialTokens(count, embedding)
    tuned.add_tokens(embedding, "special_tokens", tokens)
    tuned.replace_forward(embedding, tokens.embed)
    config = tuned.model.config  # whose size the model's own loss reads
    tuned.on_detach(partial(setattr, config, "vocab_size", config.vocab_size))
    config.vocab_size = tokens.first_id + count
    tuned.add_hook(output.register_forward_hook(tokens.extend_logits))


class SpecialTokens(nn.Module):
    """Parameters: rows (n, d), which start as a PLM's embedding does, N(0, 0.02)."""

    def __init__(self, count: int, embedding: nn.Embedding) -> None:
        super().__init__()
        self.first_id, width = embedding.weight.shape  # V
        self._embedding = Unregistered(embedding)  # this module's parent
        self.rows = nn.Parameter(torch.randn(count, width) * INITIALIZER_RANGE)

    def embed(self, ids: Tensor) -> Tensor:
        """Token ids (B, T) below V + n -> embeddings (B, T, d)."""
        base = self._embedding.value
        ordinary = F.embedding(ids.clamp(max=self.first_id - 1), base.weight, base.padding_idx)
        special = F.embedding((ids - self.first_id).clamp(min=0), self.rows)
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
