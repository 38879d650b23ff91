"""One epoch of training on real lengths: our loop, padding to the maximum, and peft with transformers' Trainer.

    python -m scripts.bench.epoch --task sst2 --method lora [--data FOLDER] [--device cuda --precision bf16]

The PLM has random weights: RoBERTa-base for SST-2, GPT-2 small for WebNLG. All forms train with the same batch size and
include loss, clipping and update:

    ours                a step of our loop on its batches of similar length
    to the maximum      the same, padded to 512 tokens (SST-2) or to the longest example of the data set (WebNLG)
    Trainer             the same PLM with peft's LoRA, prefix or nothing (fine-tuning) under transformers' Trainer, with
                        dynamic padding and the batches that its group_by_length forms from the whole epoch

An epoch is too long to repeat. A few of its batches are timed, evenly spaced in order of length, and their mean is
multiplied by the number of batches. With padding to the maximum all batches have one shape, so one is timed, or only
`--widest-rows` of its rows: on a CPU the time is proportional to them. Trainer is timed from `on_train_begin` to
`on_epoch_end`, without its preparation. On GPT-2, peft keeps the embeddings of the special tokens frozen, which saves
some work; its prefix ignores token_type_ids and is trained without label smoothing, with which Trainer raises an
AttributeError.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from time import perf_counter, process_time
from typing import Any

import numpy as np
import peft
import torch
from torch import Tensor
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_pt_utils import get_length_grouped_indices

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.methods.tuned import TunedModel
from inducer_bench.plm.load import empty_model
from inducer_bench.tasks.base import Batch, Task
from inducer_bench.tasks.cache import Encoded
from inducer_bench.training.batching import training_batches
from inducer_bench.training.loop import make_optimizer
from scripts.bench import harness
from scripts.bench.harness import Seconds
from scripts.bench.setup import build, real_task, spread, training_step

FORMS = ["ours", "to the maximum", "Trainer"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish one row for each form of one method on one task."""
    parser = harness.parser(__doc__)
    parser.add_argument("--task", default="sst2", choices=["sst2", "webnlg"])
    parser.add_argument("--method", default="lora", choices=["lora", "prefix", "fine_tune"])
    parser.add_argument("--forms", nargs="+", default=FORMS, choices=FORMS)
    parser.add_argument("--batches", type=int, default=6, help="timed in each round (default: %(default)s)")
    parser.add_argument("--widest-rows", type=int, help="rows that are timed of a batch padded to the maximum")
    args = parser.parse_args(arguments)
    _, task = real_task(args.task, args.data, args.mini)
    config, tuned = build([f"task={args.task}", f"method={args.method}"], args.device, args.mini)
    lengths, size = task.examples("train").lengths, config.trainer.batch_size
    widest = config.task.max_length if config.task.family == "nlu" else max(lengths)
    sampled = sample(lengths, size, args.batches, args.widest_rows)
    whole = {form: sum(map(len, batches)) / size for form, batches in sampled.items()}  # whole batches timed
    times = measured(config, tuned, task, sampled, widest, args)
    per_batch = {form: [seconds / whole[form] for seconds in values] for form, values in times.items()}
    rows = []
    for form, values in per_batch.items():
        middle, low, high = harness.ratio(per_batch, form, "ours")
        tokens = [widest if form == "to the maximum" else max(lengths[i] for i in batch) for batch in sampled[form]]
        rows.append({
            "task": args.task, "method": args.method, "form": form, "batch": size, "batches timed": whole[form],
            "tokens a batch": size * float(np.mean(tokens)),
            "seconds a batch": harness.median(values), "busy seconds a batch": harness.median(harness.busy(values)),
            "hours an epoch": harness.median(harness.busy(values)) * ceil(len(lengths) / size) / 3600,
            "times ours": middle, "p10": low, "p90": high,
            "95 % of the median": harness.interval(per_batch, form, "ours"), "rounds": args.rounds,
        })  # fmt: skip
    note = f"{len(lengths):,} examples; an epoch is extrapolated from the batches timed. {args.precision}."
    name = f"epoch_{args.task}_{args.method}_{args.precision}"
    harness.publish(name, rows, args.device, note, args.out)


def sample(lengths: Sequence[int], size: int, count: int, widest_rows: int | None) -> dict[str, list[list[int]]]:
    """The batches that are timed for each form, as indices of examples."""
    grouped = get_length_grouped_indices(lengths, size, generator=torch.Generator().manual_seed(0))
    in_groups = [grouped[start : start + size] for start in range(0, len(grouped), size)]
    ours = spread(training_batches(lengths, size, seed=0, epoch=0), lengths, count)
    return {"ours": ours, "to the maximum": [ours[0][:widest_rows]], "Trainer": spread(in_groups, lengths, count)}


def measured(
    config: ExperimentConfig,
    tuned: TunedModel,
    task: Task,
    sampled: dict[str, list[list[int]]],
    widest: int,
    args: argparse.Namespace,
) -> dict[str, list[Seconds]]:
    """The seconds that each form takes in each round for its batches."""
    examples = task.examples("train")
    data = {form: [examples.take(batch) for batch in batches] for form, batches in sampled.items()}
    optimizer, parameters = make_optimizer(tuned, config.trainer), list(tuned.trained_parameters().values())

    def steps(form: str, pad_to: int) -> None:
        for members in data[form]:
            batch = task.collate(members, task.padded_length(members, pad_to))
            batch = {name: tensor.to(args.device) for name, tensor in batch.items()}
            loss = partial(mean_loss, task, tuned, batch, config.trainer.label_smoothing, task.count(members))
            training_step(parameters, optimizer, loss, args.device, args.precision)

    trainer, seconds = peer(config, task, data["Trainer"], args.method, args.device, args.precision)
    candidates: dict[str, Callable[[], object]] = {
        "ours": partial(steps, "ours", 1),
        "to the maximum": partial(steps, "to the maximum", widest),
        "Trainer": trainer.train,
    }
    times = harness.alternate({form: candidates[form] for form in args.forms}, args.rounds, device=args.device)
    return {form: seconds[-args.rounds :] if form == "Trainer" else values for form, values in times.items()}


def mean_loss(task: Task, tuned: TunedModel, batch: Batch, label_smoothing: float, count: int) -> Tensor:
    """The loss of a batch per label."""
    return task.loss(tuned, batch, label_smoothing) / count


# -- peft and Trainer --------------------------------------------------------------------------------------------------


class Stopwatch(TrainerCallback):
    """Append the seconds from the start of training to the end of its one epoch."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, list[Seconds]()

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        """Start."""
        harness.synchronize(self.device)
        self.started = perf_counter(), process_time()

    def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
        """Stop; between two waits for a GPU it is busy."""
        harness.synchronize(self.device)
        wall, cpu = perf_counter() - self.started[0], process_time() - self.started[1]
        self.seconds.append(Seconds(wall, wall if self.device.type == "cuda" else cpu))


def peer(
    config: ExperimentConfig,
    task: Task,
    batches: list[list[Encoded]],
    method: str,
    device: torch.device,
    precision: str,
) -> tuple[Trainer, list[Seconds]]:
    """A Trainer whose `train` takes one pass over the batches, and the list of seconds it adds to in each pass."""
    beta1, beta2 = config.trainer.betas
    options = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=config.trainer.batch_size,
        num_train_epochs=1,
        train_sampling_strategy="sequential",  # the batches are already formed
        learning_rate=config.trainer.lr,
        adam_beta1=beta1,
        adam_beta2=beta2,
        weight_decay=config.trainer.weight_decay,
        label_smoothing_factor=0.0 if method == "prefix" else config.trainer.label_smoothing,
        max_grad_norm=1.0,
        bf16=precision == "bf16",
        use_cpu=device.type == "cpu",
        remove_unused_columns=False,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    stopwatch = Stopwatch(device)
    trainer = Trainer(
        model=peer_model(config, method),
        args=options,
        train_dataset=[example for members in batches for example in members],
        data_collator=lambda members: with_labels(task.collate(members)),
        callbacks=[stopwatch],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, stopwatch.seconds


def peer_model(config: ExperimentConfig, method: str) -> Any:
    """The PLM with peft's implementation of the method, of the same size."""
    ours = empty_model(config.plm, config.task.auto_class, config.task.outputs())
    model: PreTrainedModel = type(ours)(ours.config)  # with transformers' own activation function
    if config.task.special_tokens():
        model.resize_token_embeddings(model.config.vocab_size + config.task.special_tokens(), mean_resizing=False)
    options: Any = config.method
    kind = "SEQ_CLS" if config.task.family == "nlu" else "CAUSAL_LM"
    if method == "lora":
        targets = ["query", "value"] if config.task.family == "nlu" else ["c_attn"]
        lora = peft.LoraConfig(task_type=kind, r=options.r, lora_alpha=options.alpha, target_modules=targets,
                               fan_in_fan_out=targets == ["c_attn"])  # fmt: skip
        return peft.get_peft_model(model, lora)
    if method == "prefix":
        prefix = peft.PrefixTuningConfig(task_type=kind, num_virtual_tokens=options.length, prefix_projection=True,
                                         encoder_hidden_size=options.hidden)  # fmt: skip
        return peft.get_peft_model(model, prefix)
    return model


def with_labels(batch: Batch) -> Batch:
    """The batch with labels (B, T) for transformers' language models: -100 where there is no loss."""
    if "logits_at" not in batch:
        return batch
    labels = torch.full_like(batch["input_ids"], -100)
    labels.view(-1)[batch.pop("logits_at") + 1] = batch["labels"]
    return {**batch, "labels": labels}


if __name__ == "__main__":
    main()
