"""Batched decoding with a cache of keys and values: prompts of similar length together, padded on the left."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from torch import nn
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from inducer_bench import distributed
from inducer_bench.errors import TrainingDiverged
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.tasks.cache import Encoded
from inducer_bench.tasks.options import SPECIAL_TOKENS, Decoding
from inducer_bench.training import interruption
from inducer_bench.training.batching import evaluation_batches


def generate(
    accelerator: Accelerator,
    tuned: TunedModel,
    prompts: Sequence[Encoded],
    decoding: Decoding,
    first_special: int,
    segments: bool,
    batch_size: int,
) -> list[list[int]]:
    """The tokens generated after each prompt, up to the special token that ends them, in the order of the prompts.

    Args:
        accelerator: its device and precision are used.
        tuned: the model.
        prompts: `input_ids`, `token_type_ids` and `length` of each.
        decoding: greedy, beam search or sampling.
        first_special: id of the first special token; any of them ends a text.
        segments: whether the model takes `token_type_ids`.
        batch_size: the number of prompts that are decoded together.

    Raises:
        TrainingDiverged: the model gave a token a score of NaN or infinity.
    """
    config = generation_config(decoding, first_special)
    finite = _Finite()
    generated: dict[int, list[int]] = {}
    with inference(tuned):
        for indices in distributed.shard(evaluation_batches([prompt["length"] for prompt in prompts], batch_size)):
            interruption.check()
            batch = padded_left([prompts[index] for index in indices], first_special, segments)
            batch = {name: tensor.to(accelerator.device) for name, tensor in batch.items()}
            with accelerator.autocast():
                sequences = tuned.generate(
                    **batch, generation_config=config, logits_processor=LogitsProcessorList([finite])
                )
            if finite.broken:
                raise TrainingDiverged(f"{tuned.options.name}, generation: scores of tokens are not finite")
            width = batch["input_ids"].shape[1]
            for index, tokens in zip(indices, sequences[:, width:].tolist(), strict=True):
                end = next((position for position, token in enumerate(tokens) if token >= first_special), len(tokens))
                generated[index] = tokens[:end]
    return [tokens for _, tokens in sorted(distributed.all_gather(list(generated.items())))]


class _Finite(LogitsProcessor):
    """Looks at the scores of the next token, which may be -inf for one that is not allowed, and changes none."""

    def __init__(self) -> None:
        self.broken: bool | torch.Tensor = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.broken = self.broken | ~(scores < torch.inf).all()  # a tensor: no synchronisation with a GPU
        return scores


@contextmanager
def inference(model: nn.Module) -> Iterator[None]:
    """No dropout, no gradients, and no `trainer.compile`, which would compile more shapes than it saves time on.

    Afterwards the model is in training or evaluation mode as before.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        model.train(was_training)


def padded_left(prompts: Sequence[Encoded], pad: int, segments: bool) -> dict[str, torch.Tensor]:
    """input_ids, attention_mask and, if the model takes segments, token_type_ids: (B, T), padded on the left."""
    width = max(prompt["length"] for prompt in prompts)
    columns = ("input_ids", "token_type_ids") if segments else ("input_ids",)
    batch = {
        name: torch.tensor([[pad] * (width - prompt["length"]) + prompt[name] for prompt in prompts])
        for name in columns
    }
    mask = [[0] * (width - prompt["length"]) + [1] * prompt["length"] for prompt in prompts]
    return {**batch, "attention_mask": torch.tensor(mask)}


def generation_config(decoding: Decoding, first_special: int) -> GenerationConfig:
    """The settings in transformers' terms; none of the model's own defaults remain."""
    sampling = {"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0} if decoding.sample else {}
    beams = {"length_penalty": decoding.length_penalty, "early_stopping": False} if decoding.beams > 1 else {}
    return GenerationConfig(
        max_new_tokens=decoding.max_new_tokens,
        num_beams=decoding.beams,
        do_sample=decoding.sample,
        no_repeat_ngram_size=decoding.no_repeat_ngram,
        eos_token_id=list(range(first_special, first_special + len(SPECIAL_TOKENS))),
        pad_token_id=first_special,
        use_cache=True,
        **sampling,
        **beams,
    )
