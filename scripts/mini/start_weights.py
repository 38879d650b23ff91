"""Initial weights of the mini PLMs, with two abilities that do not emerge within minutes of training on a CPU.

**Lookup.** All names in a text are random, so they can only be copied from an earlier occurrence. Induction heads do
that (Olsson et al. 2022, https://arxiv.org/abs/2209.11895) but emerge only in far longer training. Here the first two
layers start as such heads. The residual stream starts with separate parts for the position (sinusoids), for the
previous (and next) token, which heads of the first layer fetch, and for the token itself. Heads of the second layer
attend to the position whose previous (next) token matches, and copy the token from there.

**Polarity.** Masked-token prediction needs very many steps to learn which words are positive, because every other
sentence negates them. RoBERTa's word embeddings therefore start from the co-occurrence statistics of the text, which
contain this information.

These weights are trained like all others. Their gains make attention sharp from the start.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import eigsh
from torch import Tensor
from torch.nn import functional as F
from transformers import GPT2LMHeadModel, RobertaForMaskedLM

HEAD = 32  # width of a head
Dims = slice | list[int]


def frequencies(count: int) -> Tensor:
    """The frequencies of the sinusoids, in radians per token."""
    return 2 * 0.02 ** (torch.arange(count) / (count - 1))


def sinusoids(length: int, count: int) -> Tensor:
    """Sines, then cosines, of each position: (length, 2 count)."""
    angles = torch.arange(length)[:, None] * frequencies(count)
    return torch.cat((angles.sin(), angles.cos()), dim=1)


def moved(count: int, by: int) -> Tensor:
    """The map (2 count, 2 count) from the sinusoids of a position to those `by` positions later."""
    cosine, sine = (by * frequencies(count)).cos().diag(), (by * frequencies(count)).sin().diag()
    return torch.cat((torch.cat((cosine, -sine), dim=1), torch.cat((sine, cosine), dim=1)))


def set_head(weights: Sequence[Tensor], head: int, *maps: tuple[Dims, Tensor]) -> None:
    """Set the query, key, value and output maps of a head.

    Args:
        weights: the four weights of an attention module, each (d, H p).
        maps: for each weight a part of the residual stream, and the map (part, at most p).
    """
    for weight, (part, values) in zip(weights, maps, strict=True):
        weight[:, HEAD * head : HEAD * (head + 1)] = 0
        weight[part, HEAD * head : HEAD * head + values.shape[1]] = values


@torch.no_grad()
def start_gpt2(model: GPT2LMHeadModel) -> None:
    """Make two heads of the second layer repeat the token that followed the current one before."""
    place, before, token, half, other_half = (
        slice(*ends) for ends in ((0, 32), (32, 64), (64, 128), (64, 96), (96, 128))
    )
    transformer: Any = model.transformer
    eye = torch.eye(HEAD)
    for layer in transformer.h:  # the layers' outputs must not drown out the embeddings
        layer.attn.c_proj.weight.mul_(0.25)
        layer.mlp.c_proj.weight.mul_(0.25)
    transformer.wte.weight[:, : token.start] = 0
    transformer.wte.weight[:, token] *= math.sqrt(2)
    transformer.wpe.weight.zero_()
    transformer.wpe.weight[:, place] = 0.085 * sinusoids(len(transformer.wpe.weight), 16)

    first, second = (
        [*a.c_attn.weight.split(128, dim=1), a.c_proj.weight.T] for a in (transformer.h[0].attn, transformer.h[1].attn)
    )
    set_head(first, 0, (place, 2.3 * moved(16, -1)), (place, 2.3 * eye), (half, eye), (before, 0.08 * eye))
    for head, part in enumerate((half, other_half)):
        set_head(second, head, (half, 1.45 * eye), (before, 1.45 * eye), (part, eye), (part, 0.2 * eye))


@torch.no_grad()
def start_roberta(model: RobertaForMaskedLM, sequences: list[list[int]], special: int) -> None:
    """Make two heads of the second layer fetch the token between the same neighbours elsewhere, one the same token.

    Args:
        sequences: token ids of some documents, for the co-occurrence statistics.
        special: the number of special tokens, which have the first ids.
    """
    place, token, half, other_half = (slice(*ends) for ends in ((0, 16), (64, 128), (64, 96), (96, 128)))
    neighbours = [list(range(16, 40)), list(range(40, 64))]  # previous and next token, 24 dimensions each
    embeddings: Any = model.roberta.embeddings
    layers: Any = model.roberta.encoder.layer
    eye = torch.eye(HEAD)
    for layer in layers:
        layer.attention.output.dense.weight.mul_(0.5)
        layer.output.dense.weight.mul_(0.25)
    words, positions = embeddings.word_embeddings.weight, embeddings.position_embeddings.weight
    words.zero_()
    start = cooccurrence_embeddings(sequences, len(words), 64, special)
    words[:, token] = 0.095 * math.sqrt(64) * F.normalize(start)  # one norm, else layer norm blows up the short ones
    positions.zero_()
    positions[:, place] = 0.12 * sinusoids(len(positions), 8)
    embeddings.token_type_embeddings.weight.zero_()

    short = torch.linalg.qr(torch.randn(64, 24)).Q  # the projection of a neighbour
    # Fast sinusoids match only at the position itself, which must not attend to itself.
    fast = [*range(4), *range(8, 12)]
    away = 1.5 * torch.eye(8)
    first, second = (
        [a.self.query.weight.T, a.self.key.weight.T, a.self.value.weight.T, a.output.dense.weight]
        for a in (layers[0].attention, layers[1].attention)
    )
    for head, (by, neighbour) in enumerate(zip((-1, 1), neighbours, strict=True)):
        query, key = 2.36 * moved(8, by), 2.36 * torch.eye(16)
        set_head(first, head, (place, query), (place, key), (token, short), (neighbour, 0.8 * torch.eye(24)))
    for head, (neighbour, part) in enumerate(zip(neighbours, (half, other_half), strict=True)):
        match, dims = 2.3 * torch.eye(24), neighbour + fast
        query, key = torch.block_diag(match, -away), torch.block_diag(match, away)
        set_head(second, head, (dims, query), (dims, key), (part, eye), (part, 0.5 * eye))
    match, dims = 1.46 * short, [*range(64, 128), *fast]
    query, key = torch.block_diag(match, -away), torch.block_diag(match, away)
    everywhere = slice(None)
    value, output = (second[part][:, 2 * HEAD : 3 * HEAD].clone() for part in (2, 3))  # unchanged
    set_head(second, 2, (dims, query), (dims, key), (everywhere, value), (everywhere, output))


def cooccurrence_embeddings(sequences: list[list[int]], vocabulary: int, width: int, special: int) -> Tensor:
    """Start embeddings (V, width): the leading eigenvectors of the tokens' positive pointwise mutual information.

    Two tokens co-occur in a document that contains both; the first `special` tokens are excluded. Noise separates
    tokens with the same statistics, such as names.
    """
    cells = [(row, token) for row, sequence in enumerate(sequences) for token in set(sequence)]
    rows, columns = zip(*cells, strict=True)
    holds = csr_matrix((np.ones(len(cells)), (rows, columns)), shape=(len(sequences), vocabulary))
    together = (holds.T @ holds).toarray()
    np.fill_diagonal(together, 0)
    margin = together.sum(axis=1) + 1e-9
    information = np.log(np.maximum(together * together.sum() / np.outer(margin, margin), 1.0))
    information[together < 2] = 0
    information[:special] = information[:, :special] = 0
    values, vectors = eigsh(information, k=width, v0=np.ones(vocabulary))
    embeddings = torch.tensor(vectors * np.sqrt(np.abs(values)), dtype=torch.float32)
    return embeddings * (0.08 / embeddings.std()) + 0.05 * torch.randn(vocabulary, width)
