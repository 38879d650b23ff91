"""Train a tokenizer and a small PLM of the mini suite on the unlabelled text of its world.

    OMP_NUM_THREADS=1 python -m scripts.mini.pretrain mini_roberta
    OMP_NUM_THREADS=1 python -m scripts.mini.pretrain mini_gpt2

Writes inducer_bench/mini/plms/<name>: config, weights, tokenizer, and the figures of this run in pretraining.json.
About 20 and 30 minutes on one CPU core; equal seed, thread count, versions and kind of CPU give equal weights.

Two abilities do not emerge within minutes on a CPU; `start_weights` builds them into the initial weights.
"""

import argparse
import json
import math
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

from inducer_bench.mini.prose import documents
from inducer_bench.mini.suite import sst2_splits
from scripts.mini.start_weights import start_gpt2, start_roberta

WIDTH, LAYERS, HEADS = 128, 4, 4
INITIALIZER_RANGE = 0.06  # narrow layers need larger weights than the 0.02 of the models that they are shaped after
HELD_OUT_SEED, HELD_OUT_DOCUMENTS = 1_000_003, 2_000
Sequences = list[list[int]]


@dataclass(frozen=True)
class Recipe:
    """The parts of pre-training that differ between the two PLMs."""

    documents: int
    reviews: float  # share of reviews among the documents
    epochs: int
    make_tokenizer: Callable[[list[str], int], PreTrainedTokenizerFast]
    make_model: Callable[[Sequences, int], PreTrainedModel]
    batches: Callable[[Sequences, int, Random], list[Tensor]]  # token ids (B, T)
    losses: Callable[..., Tensor]  # (model, token ids, generator) -> one loss for each predicted token


def main(argv: Sequence[str] | None = None) -> None:
    """Pre-train one PLM and write its folder."""
    arguments = parse_arguments(argv)
    recipe = RECIPES[arguments.plm]
    torch.manual_seed(arguments.seed)
    started = time.perf_counter()

    # ---- text and tokenizer ----
    excluded = {sentence for rows in sst2_splits().values() for sentence, _ in rows}
    texts = list(documents(arguments.seed, recipe.documents, recipe.reviews, excluded))
    held_out_texts = list(documents(HELD_OUT_SEED, HELD_OUT_DOCUMENTS, recipe.reviews, excluded))
    tokenizer = recipe.make_tokenizer(texts, arguments.vocabulary)
    train, held_out = tokenizer(texts)["input_ids"], tokenizer(held_out_texts)["input_ids"]
    print(f"{len(texts)} documents, {sum(map(len, train))} tokens, vocabulary {len(tokenizer)}", flush=True)

    # ---- model and training ----
    torch.set_flush_denormal(True)  # the moments of rare words decay to denormals, which are very slow on a CPU
    model = recipe.make_model(train, len(tokenizer))
    print(f"{model.num_parameters()} parameters", flush=True)
    pretrain(model, train, recipe, arguments)

    # ---- figures and folder ----
    figures = {
        "loss": round(held_out_loss(model, held_out, recipe), 4),
        "unigram_entropy": round(unigram_entropy(held_out, set(tokenizer.all_special_ids)), 4),
        "parameters": model.num_parameters(),
        "train_tokens": sum(map(len, train)),
        "seconds": round(time.perf_counter() - started),
        "documents": recipe.documents,
        "reviews": recipe.reviews,
        "epochs": recipe.epochs,
        "arguments": {key: value for key, value in vars(arguments).items() if key != "out"},
    }
    print(json.dumps(figures, indent=2))
    save(arguments.out / arguments.plm, model, tokenizer, figures)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    bundled = Path(__file__).parents[2] / "inducer_bench" / "mini" / "plms"
    parser.add_argument("plm", choices=RECIPES)
    parser.add_argument("--out", type=Path, default=bundled)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vocabulary", type=int, default=3_000)
    parser.add_argument("--batch-tokens", type=int, default=1_024)
    parser.add_argument("--lr", type=float, default=2e-3)
    return parser.parse_args(argv)


# ---- the loop ----


def pretrain(model: PreTrainedModel, sequences: Sequences, recipe: Recipe, arguments: argparse.Namespace) -> None:
    """Train with AdamW, 5 % warm-up and linear decay, new masks in each epoch, and no dropout: text is plentiful."""
    rng, generator = Random(arguments.seed), torch.Generator().manual_seed(arguments.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.lr, betas=(0.9, 0.98), weight_decay=0.01)
    total = recipe.epochs * len(recipe.batches(sequences, arguments.batch_tokens, Random(0)))
    warmup = total // 20
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, max(total - step, 0) / (total - warmup))
    )
    model.eval()
    started, recent, step = time.perf_counter(), [], 0
    for epoch in range(recipe.epochs):
        for ids in recipe.batches(sequences, arguments.batch_tokens, rng):
            with torch.autocast("cpu", torch.bfloat16):
                loss = recipe.losses(model, ids, generator).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            step += 1
            recent.append(loss.item())
            if len(recent) == 200:
                seconds, mean = time.perf_counter() - started, sum(recent) / len(recent)
                print(f"epoch {epoch + 1}, step {step} of {total}, {seconds:5.0f} s, loss {mean:.4f}", flush=True)
                recent.clear()


@torch.no_grad()
def held_out_loss(model: PreTrainedModel, sequences: Sequences, recipe: Recipe) -> float:
    """Mean loss in nats over the predicted tokens of held-out text."""
    generator = torch.Generator().manual_seed(0)
    losses = [recipe.losses(model, ids, generator) for ids in recipe.batches(sequences, 4_096, Random(0))]
    return torch.cat(losses).mean().item()


def unigram_entropy(sequences: Sequences, special: set[int]) -> float:
    """Entropy of the tokens in nats: the loss of a model that knows only their frequencies."""
    counts = Counter(token for sequence in sequences for token in sequence if token not in special)
    return -sum(count / counts.total() * math.log(count / counts.total()) for count in counts.values())


def byte_level_bpe(texts: list[str], vocabulary: int, special_tokens: list[str]) -> Tokenizer:
    """A byte-level BPE tokenizer whose first ids are the special tokens."""
    bpe = Tokenizer(models.BPE(unk_token=None))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return bpe


def save(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, figures: dict[str, object]) -> None:
    """Write the folder under a temporary name, then swap it in."""
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


# ---- RoBERTa: masked tokens ----

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # ids 0..4
PAD, MASK = 1, 4
MASK_RATE = 0.3
LONGEST_SPAN, SPAN_ENDS = 10, 0.2  # masked spans: at most so many tokens; the probability that one ends at each token
MAX_TOKENS = 256
COUNTED_DOCUMENTS = 12_000


def roberta_tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A tokenizer that frames texts as RoBERTa does: `<s> text </s>`, `<s> a </s></s> b </s>`."""
    bpe = byte_level_bpe(texts, vocabulary, list(SPECIAL_TOKENS))
    bpe.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
        model_max_length=MAX_TOKENS,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def roberta(sequences: Sequences, vocabulary: int) -> RobertaForMaskedLM:
    """An untrained RoBERTa with the start weights of `start_roberta`."""
    config = RobertaConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=MAX_TOKENS + 2,  # RoBERTa counts positions from pad + 1
        type_vocab_size=1,
        initializer_range=INITIALIZER_RANGE,
        bos_token_id=0,
        pad_token_id=PAD,
        eos_token_id=2,
    )
    model = RobertaForMaskedLM(config)
    start_roberta(model, sequences[:COUNTED_DOCUMENTS], len(SPECIAL_TOKENS))
    return model


def padded_batches(sequences: Sequences, batch_tokens: int, rng: Random) -> list[Tensor]:
    """Batches of documents of similar length, padded, in random order; documents are cut at the longest input."""
    ordered = sorted(
        (sequence[:MAX_TOKENS] for sequence in sequences), key=lambda sequence: len(sequence) + rng.random()
    )
    groups: list[Sequences] = [[]]
    for sequence in ordered:
        if (len(groups[-1]) + 1) * len(sequence) > batch_tokens:
            groups.append([])
        groups[-1].append(sequence)
    rng.shuffle(groups)
    return [
        torch.tensor([sequence + [PAD] * (len(group[-1]) - len(sequence)) for sequence in group]) for group in groups
    ]


def masked_losses(model: RobertaForMaskedLM, ids: Tensor, generator: torch.Generator) -> Tensor:
    """Losses at masked spans: 80 % of their tokens become <mask>, 10 % a random token, 10 % stay, as in BERT."""
    chosen = spans(ids.shape, generator) & (ids >= len(SPECIAL_TOKENS))
    draw = torch.rand(ids.shape, generator=generator)
    random_ids = torch.randint(len(SPECIAL_TOKENS), model.config.vocab_size, ids.shape, generator=generator)
    masked = torch.where(chosen & (draw < 0.8), MASK, ids)
    masked = torch.where(chosen & (draw >= 0.9), random_ids, masked)
    hidden = model.roberta(masked, attention_mask=(ids != PAD).long()).last_hidden_state  # (B, T, d)
    return F.cross_entropy(model.lm_head(hidden[chosen]), ids[chosen], reduction="none")  # logits only where needed


def spans(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Spans of geometric length that cover about MASK_RATE of all positions: (B, T), bool.

    The neighbours of a single masked token give it away, so that it teaches little about the sentence. Spans: Joshi et
    al. 2020, https://arxiv.org/abs/1907.10529, section 3.1; theirs hold whole words and do not overlap.
    """
    mean_length: float = (1 - (1 - SPAN_ENDS) ** LONGEST_SPAN) / SPAN_ENDS
    starts = 1 - (1 - MASK_RATE) ** (1 / mean_length)  # probability that a span starts at a position
    started: Tensor = torch.rand(shape, generator=generator) < starts
    lengths = 1 + (torch.rand(shape, generator=generator).log() / math.log(1 - SPAN_ENDS)).floor()
    covered = started.clone()
    for distance in range(1, LONGEST_SPAN):
        covered[:, distance:] |= (started & (lengths > distance))[:, :-distance]
    return covered


# ---- GPT-2: next tokens ----

END_OF_TEXT = 0
CONTEXT, ROW = 512, 256  # the longest input; the tokens of a training row


def gpt2_tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A tokenizer with GPT-2's single special token, which does not frame texts."""
    bpe = byte_level_bpe(texts, vocabulary, ["<|endoftext|>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|endoftext|>", eos_token="<|endoftext|>", unk_token="<|endoftext|>",
        model_max_length=CONTEXT,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def gpt2(sequences: Sequences, vocabulary: int) -> GPT2LMHeadModel:
    """An untrained GPT-2 with the start weights of `start_gpt2`."""
    config = GPT2Config(
        vocab_size=vocabulary,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        n_positions=CONTEXT,
        activation_function="gelu_pytorch_tanh",  # the same function as GPT-2's gelu_new, in one pass
        initializer_range=INITIALIZER_RANGE,
        bos_token_id=END_OF_TEXT,
        eos_token_id=END_OF_TEXT,
    )
    model = GPT2LMHeadModel(config)
    start_gpt2(model)
    return model


def packed_batches(sequences: Sequences, batch_tokens: int, rng: Random) -> list[Tensor]:
    """Documents in random order, each opened by the end-of-text token, cut into rows of equal length."""
    ordered = rng.sample(sequences, len(sequences))
    tokens = torch.tensor([token for sequence in ordered for token in (END_OF_TEXT, *sequence)])
    rows = tokens[: len(tokens) // ROW * ROW].view(-1, ROW)
    return list(rows.split(batch_tokens // ROW))


def causal_losses(model: GPT2LMHeadModel, ids: Tensor, generator: torch.Generator) -> Tensor:
    """The loss of each token but the first; half of the batches start late, so that every position is trained."""
    late, first = torch.randint(0, CONTEXT - ROW + 1, (2,), generator=generator).tolist()
    first = first if late % 2 else 0
    positions = torch.arange(first, first + ROW).expand_as(ids)
    logits = model(ids, position_ids=positions, use_cache=False).logits  # (B, T, V)
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")


RECIPES = {
    "mini_roberta": Recipe(
        documents=60_000,
        reviews=0.8,
        epochs=3,
        make_tokenizer=roberta_tokenizer,
        make_model=roberta,
        batches=padded_batches,
        losses=masked_losses,
    ),
    "mini_gpt2": Recipe(
        documents=55_000,
        reviews=0.1,
        epochs=4,
        make_tokenizer=gpt2_tokenizer,
        make_model=gpt2,
        batches=packed_batches,
        losses=causal_losses,
    ),
}

if __name__ == "__main__":
    main()
