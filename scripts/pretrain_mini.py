"""Trains the tokenizer and the RoBERTa of the mini suite on the unlabelled text of its world.

    OMP_NUM_THREADS=1 python scripts/pretrain_mini.py

writes inducer_bench/mini/plms/mini_roberta: config, weights, tokenizer, and this run's figures in pretraining.json.
About 15 minutes on one CPU core; equal seed, thread count and versions give equal weights.

Masked-token prediction alone finds the polarity of words only after very many steps, for every other sentence turns it
round. The word embeddings therefore start from the text's co-occurrence statistics, which tell it at once.
"""

import argparse
import json
import math
import os
import shutil
import time
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import eigsh
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForMaskedLM

from inducer_bench.mini.prose import documents
from inducer_bench.mini.suite import sst2_splits

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # ids 0..4
PAD, MASK = 1, 4
MAX_TOKENS = 256
IGNORED = -100
COUNTED_DOCUMENTS = 8_000
HELD_OUT_SEED, HELD_OUT_DOCUMENTS = 1_000_003, 2_000

Batch = tuple[Tensor, Tensor]  # token ids (B, T), padded; labels (B, T), IGNORED where nothing is masked


def main() -> None:
    arguments = parse_arguments()
    torch.manual_seed(arguments.seed)
    started = time.perf_counter()

    # ---- text and tokenizer ----
    excluded = {sentence for rows in sst2_splits().values() for sentence, _ in rows}
    texts = list(documents(arguments.seed, arguments.documents, excluded))
    held_out_texts = list(documents(HELD_OUT_SEED, HELD_OUT_DOCUMENTS, excluded))
    tokenizer = train_tokenizer(texts, arguments.vocabulary)
    train, held_out = tokenizer(texts)["input_ids"], tokenizer(held_out_texts)["input_ids"]
    print(f"{len(texts)} documents, {sum(map(len, train))} tokens, vocabulary {len(tokenizer)}", flush=True)

    # ---- model and training ----
    torch.set_flush_denormal(True)  # the moments of rare words fade into numbers that a CPU multiplies very slowly
    model = RobertaForMaskedLM(roberta_config(len(tokenizer)))
    with torch.no_grad():
        start = cooccurrence_embeddings(train[:COUNTED_DOCUMENTS], len(tokenizer), model.config.hidden_size)
        model.roberta.embeddings.word_embeddings.weight.copy_(start)
    print(f"{model.num_parameters()} parameters", flush=True)
    pretrain(model, train, arguments)

    # ---- figures and folder ----
    figures = {
        "masked_loss": round(masked_loss(model, held_out, arguments.mask_rate), 4),
        "unigram_entropy": round(unigram_entropy(held_out), 4),
        "parameters": model.num_parameters(),
        "train_tokens": sum(map(len, train)),
        "seconds": round(time.perf_counter() - started),
        "arguments": {key: value for key, value in vars(arguments).items() if key != "out"},
    }
    print(json.dumps(figures, indent=2))
    save(arguments.out, model, tokenizer, figures)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    bundled = Path(__file__).parents[1] / "inducer_bench" / "mini" / "plms" / "mini_roberta"
    parser.add_argument("--out", type=Path, default=bundled)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--documents", type=int, default=60_000)
    parser.add_argument("--vocabulary", type=int, default=3_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-tokens", type=int, default=1_024)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--mask-rate", type=float, default=0.3)
    return parser.parse_args()


def train_tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with RoBERTa's special tokens: `<s> text </s>`, `<s> a </s></s> b </s>`."""
    bpe = Tokenizer(models.BPE(unk_token=None))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    bpe.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
        model_max_length=MAX_TOKENS,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def roberta_config(vocabulary: int) -> RobertaConfig:
    return RobertaConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=MAX_TOKENS + 2,  # RoBERTa counts positions from pad + 1
        type_vocab_size=1,
        initializer_range=0.06,  # narrow layers need larger weights than RoBERTa's 0.02
        bos_token_id=0,
        pad_token_id=PAD,
        eos_token_id=2,
    )


def cooccurrence_embeddings(sequences: list[list[int]], vocabulary: int, width: int) -> Tensor:
    """Start embeddings (V, width): the leading eigenvectors of the positive pointwise mutual information of tokens.

    Two tokens occur together where one document holds both; the special tokens are left out. A little noise keeps
    tokens without statistics apart.
    """
    cells = [(row, token) for row, sequence in enumerate(sequences) for token in set(sequence)]
    rows, columns = zip(*cells, strict=True)
    holds = csr_matrix((np.ones(len(cells)), (rows, columns)), shape=(len(sequences), vocabulary))
    together = (holds.T @ holds).toarray()
    np.fill_diagonal(together, 0)
    margin = together.sum(axis=1) + 1e-9
    information = np.log(np.maximum(together * together.sum() / np.outer(margin, margin), 1.0))
    information[together < 2] = 0
    information[: len(SPECIAL_TOKENS)] = information[:, : len(SPECIAL_TOKENS)] = 0
    values, vectors = eigsh(information, k=width, v0=np.ones(vocabulary))
    embeddings = torch.tensor(vectors * np.sqrt(np.abs(values)), dtype=torch.float32)
    return embeddings * (0.08 / embeddings.std()) + 0.01 * torch.randn(vocabulary, width)


def pretrain(model: RobertaForMaskedLM, sequences: list[list[int]], arguments: argparse.Namespace) -> None:
    """AdamW, 5 % warm-up, linear decay; masks are drawn anew in each epoch. Without dropout: text is not scarce."""
    rng = Random(arguments.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.lr, betas=(0.9, 0.98), weight_decay=0.01)
    total = arguments.epochs * len(batches(sequences, arguments.batch_tokens, Random(0)))
    warmup = total // 20
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (total - step) / (total - warmup))
    )
    model.eval()
    started, recent = time.perf_counter(), []
    for epoch in range(arguments.epochs):
        for batch in batches(sequences, arguments.batch_tokens, rng):
            loss = masked_losses(model, mask(batch, arguments.mask_rate, model.config.vocab_size)).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            recent.append(loss.item())
            if len(recent) == 200:
                seconds = time.perf_counter() - started
                print(f"epoch {epoch + 1}, {seconds:5.0f} s, loss {sum(recent) / len(recent):.4f}", flush=True)
                recent.clear()


def batches(sequences: list[list[int]], batch_tokens: int, rng: Random) -> list[list[list[int]]]:
    """Batches of sequences of like length, in random order."""
    ordered = sorted(sequences, key=lambda sequence: len(sequence) + rng.random())
    result: list[list[list[int]]] = [[]]
    for sequence in ordered:
        if (len(result[-1]) + 1) * len(sequence) > batch_tokens:
            result.append([])
        result[-1].append(sequence)
    rng.shuffle(result)
    return result


def mask(batch: list[list[int]], rate: float, vocabulary: int, generator: torch.Generator | None = None) -> Batch:
    """Chooses positions at `rate`: 80 % become <mask>, 10 % a random token, 10 % stay (BERT's recipe)."""
    width = max(map(len, batch))
    ids = torch.tensor([sequence + [PAD] * (width - len(sequence)) for sequence in batch])  # (B, T)
    draw = torch.rand(ids.shape, generator=generator)
    chosen = (draw < rate) & (ids >= len(SPECIAL_TOKENS))
    labels = ids.masked_fill(~chosen, IGNORED)
    random_ids = torch.randint(len(SPECIAL_TOKENS), vocabulary, ids.shape, generator=generator)
    masked = torch.where(chosen & (draw < 0.8 * rate), MASK, ids)
    return torch.where(chosen & (draw >= 0.9 * rate), random_ids, masked), labels


def masked_losses(model: RobertaForMaskedLM, batch: Batch) -> Tensor:
    """The loss of each chosen position; logits are computed there only."""
    ids, labels = batch
    hidden = model.roberta(ids, attention_mask=(ids != PAD).long()).last_hidden_state  # (B, T, d)
    chosen = labels != IGNORED
    return F.cross_entropy(model.lm_head(hidden[chosen]), labels[chosen], reduction="none")


@torch.no_grad()
def masked_loss(model: RobertaForMaskedLM, sequences: list[list[int]], rate: float) -> float:
    """Mean loss in nats over chosen positions of held-out text."""
    model.eval()
    generator = torch.Generator().manual_seed(0)
    vocabulary = model.config.vocab_size
    losses = [
        masked_losses(model, mask(batch, rate, vocabulary, generator)) for batch in batches(sequences, 4_096, Random(0))
    ]
    return torch.cat(losses).mean().item()


def unigram_entropy(sequences: list[list[int]]) -> float:
    """Entropy in nats of the tokens: the loss of a model that knows their frequencies and nothing else."""
    counts = Counter(token for sequence in sequences for token in sequence if token >= len(SPECIAL_TOKENS))
    total = sum(counts.values())
    return -sum(count / total * math.log(count / total) for count in counts.values())


def save(
    folder: Path, model: RobertaForMaskedLM, tokenizer: PreTrainedTokenizerFast, figures: dict[str, object]
) -> None:
    """Writes the folder beside its place and swaps it in."""
    draft, old = folder.with_name(folder.name + ".draft"), folder.with_name(folder.name + ".old")
    for leftover in (draft, old):
        shutil.rmtree(leftover, ignore_errors=True)
    model.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    (draft / "pretraining.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if folder.exists():
        os.rename(folder, old)
    os.rename(draft, folder)
    shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    main()
