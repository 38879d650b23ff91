"""What the benchmarks measure: models of real size with random weights, training steps, and tasks on real data."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inducer_bench.config.compose import compose
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.plm.load import load_model, load_tokenizer
from inducer_bench.plm.location import architecture
from inducer_bench.runs.experiment import attach_method
from inducer_bench.tasks.base import Task
from inducer_bench.tasks.registry import make_task
from inducer_bench.training.loop import update

DATA = {  # task -> its folder of real data, and overrides for files there with unusual names
    "sst2": ("sst2", []),
    "mnli": ("mnli", ["task.files.train=train_part1"]),
    "webnlg": ("webnlg2017", []),
    "coqa": ("coqa", ["task.files.train=dev"]),
}

LABELLED = 0.36  # the share of target tokens in WebNLG
COMMAND = str(Path(sys.executable).with_name("inducer-bench"))
SMALL_RUN = ["preset=mini", "task=sst2", "method=inducer", "task.max_train=32", "task.max_eval=32", "trainer.epochs=1"]


def build(overrides: Sequence[str], device: torch.device, mini: bool = False) -> tuple[ExperimentConfig, TunedModel]:
    """The configured method on the configured PLM with random weights, in training mode; the same in every call.

    With `mini` it is the PLM of the mini suite: a quick check that a benchmark works.
    """
    config = compose([*(["preset=mini"] if mini else []), *overrides, "plm.weights=random"])
    torch.manual_seed(0)
    model = load_model(config.plm, config.task.auto_class, config.task.outputs())
    return config, attach_method(config, model).to(device).train()


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Mixed precision as in training for `bf16`; disabled for `fp32`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def training_step(
    parameters: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    loss: Callable[[], Tensor],
    device: torch.device,
    precision: str,
) -> None:
    """Take a step as training does: forward, backward, clipping and update."""
    with autocast(device, precision):
        value = loss()
    value.backward()
    update(parameters, optimizer, 1.0)


def real_task(name: str, data: Path, mini: bool = False) -> tuple[ExperimentConfig, Task]:
    """A task on real data, laid out as `DATA` says with `tokenizers/<PLM>` next to it, or on the mini suite's data."""
    folder, files = DATA[name]
    plm = "roberta-base" if name in ("sst2", "mnli") else "gpt2"
    real = [f"task.data_dir={data / folder}", *files, "plm.weights=random", f"plm.tokenizer={data}/tokenizers/{plm}"]
    config = compose([f"task={name}", *(["preset=mini"] if mini else real)])
    return config, make_task(config.task, load_tokenizer(config.plm), architecture(config.plm))


def spread(batches: Sequence[list[int]], lengths: Sequence[int], count: int) -> list[list[int]]:
    """A sample of `count` full batches that represents an epoch: evenly spaced in order of padded length."""
    full = max(map(len, batches))
    ordered = sorted((b for b in batches if len(b) == full), key=lambda batch: max(lengths[i] for i in batch))
    return [ordered[int((place + 0.5) * len(ordered) / count)] for place in range(count)]


def random_batch(tuned: TunedModel, rows: int, length: int) -> dict[str, Tensor]:
    """Unpadded input_ids and attention_mask (rows, length) on the model's device, the same in every call."""
    ids = torch.randint(10, tuned.config.vocab_size, (rows, length), generator=torch.Generator().manual_seed(0))
    ids = ids.to(tuned.device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def random_loss(
    config: ExperimentConfig, tuned: TunedModel, rows: int, length: int, everywhere: bool = False
) -> Callable[[], Tensor]:
    """A function that computes the loss of a random batch.

    Classification: one label per row. Generation: the last tokens of each row, the same share as WebNLG's targets; with
    `everywhere` the model computes the logits of all positions, as in the released code.
    """
    batch = random_batch(tuned, rows, length)
    ids, labelled = batch["input_ids"], max(1, round(LABELLED * length))
    at = torch.arange(rows * length, device=ids.device).view(rows, length)[:, -labelled:].flatten()

    def loss() -> Tensor:
        if config.task.family == "nlu":
            return F.cross_entropy(tuned(**batch).logits.float(), ids[:, 0] % 2)
        logits = tuned(**batch).logits.flatten(0, 1)[at] if everywhere else tuned(**batch, logits_at=at)
        return F.cross_entropy(logits.float(), ids.flatten()[at])

    return loss
