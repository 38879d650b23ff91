"""One epoch of training on real lengths: ours, padding to the maximum, and peft with transformers' Trainer.

    python scripts/bench_epoch.py --task sst2 --method lora [--data FOLDER] [--device cuda --precision bf16]

The PLM has random weights: RoBERTa-base for SST-2, GPT-2 small for WebNLG. All forms train on batches of as many
examples, loss, clipping and update included:

    ours                our loop's step on its batches of like length
    to the maximum      the same, padded to 512 tokens (SST-2) or to the data set's longest example (WebNLG)
    Trainer             the same PLM with peft's LoRA, prefix or none (fine-tuning) under transformers' Trainer, with
                        dynamic padding and the batches that its group_by_length makes of the whole epoch

An epoch is too long to repeat: a few of its batches are timed, evenly spaced when ordered by length, and the mean is
multiplied by the number of batches. For padding to the maximum one batch stands for all, which are of one shape, or as
many of its rows as `--widest-rows` says: on a CPU time is in proportion to them.
Trainer is timed from `on_train_begin` to `on_epoch_end`, so that its preparation does not count. On GPT-2, peft leaves
the special tokens' embeddings frozen, which spares it a little; its prefix ignores token_type_ids, and goes without
label smoothing, with which Trainer stops at an AttributeError.
"""

import tempfile
from collections.abc import Callable, Sequence
from math import ceil
from time import perf_counter
from typing import Any

import benchmark
import numpy as np
import peft
import torch
from bench_setup import build, real_task, spread, training_step
from torch import Tensor
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_pt_utils import get_length_grouped_indices

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.plm.load import empty_model
from inducer_bench.tasks.base import Batch, Task
from inducer_bench.tasks.cache import Encoded
from inducer_bench.training.batching import training_batches
from inducer_bench.training.loop import make_optimizer


def main(arguments: Sequence[str] | None = None) -> None:
    """One row for each form of one method on one task."""
    parser = benchmark.parser(__doc__)
    parser.add_argument("--task", default="sst2", choices=["sst2", "webnlg"])
    parser.add_argument("--method", default="lora", choices=["lora", "prefix", "fine_tune"])
    parser.add_argument("--forms", nargs="+", default=["ours", "to the maximum", "Trainer"])
    parser.add_argument("--batches", type=int, default=6, help="timed in each round (default: %(default)s)")
    parser.add_argument("--widest-rows", type=int, help="time so many rows of a batch padded to the maximum, not all")
    args = parser.parse_args(arguments)

    # -- batches of one epoch ------------------------------------------------------------------------------------------
    _, task = real_task(args.task, args.data, args.mini)
    examples = task.examples("train")
    lengths = examples.lengths
    config, tuned = build([f"task={args.task}", f"method={args.method}"], args.device, args.mini)
    size = config.trainer.batch_size
    widest = config.task.max_length if config.task.family == "nlu" else max(lengths)
    grouped = get_length_grouped_indices(lengths, size, generator=torch.Generator().manual_seed(0))
    epochs = {"ours": training_batches(lengths, size, seed=0, epoch=0),
              "Trainer": [grouped[start : start + size] for start in range(0, len(grouped), size)]}  # fmt: skip
    sampled = {form: spread(batches, lengths, args.batches) for form, batches in epochs.items()}
    widest_rows = args.widest_rows or size
    sampled["to the maximum"] = [sampled["ours"][0][:widest_rows]]
    data = {form: [examples.take(batch) for batch in batches] for form, batches in sampled.items()}

    # -- the three forms -----------------------------------------------------------------------------------------------
    optimizer, parameters = make_optimizer(tuned, config.trainer), list(tuned.trained_parameters().values())

    def step(batch: Batch, count: int) -> None:
        batch = {name: tensor.to(args.device) for name, tensor in batch.items()}

        def loss() -> Tensor:
            return task.loss(tuned, batch, config.trainer.label_smoothing) / count

        training_step(parameters, optimizer, loss, args.device, args.precision)

    def ours() -> None:
        for members in data["ours"]:
            step(task.collate(members), task.count(members))

    def to_the_maximum() -> None:
        for members in data["to the maximum"]:
            step(task.pad_to_multiple(task.collate(members), widest), task.count(members))

    trainer, seconds = peer(config, task, data["Trainer"], args.method, args.device, args.precision)
    candidates: dict[str, Callable[[], object]] = {
        "ours": ours,
        "to the maximum": to_the_maximum,
        "Trainer": trainer.train,
    }
    times = benchmark.alternate({form: candidates[form] for form in args.forms}, args.rounds, device=args.device)
    if "Trainer" in times:
        times["Trainer"] = seconds[-args.rounds :]
    parts = {form: sum(map(len, batches)) / size for form, batches in sampled.items()}  # batches, not all whole
    per_batch = {form: [second / parts[form] for second in times[form]] for form in times}

    # -- rows ----------------------------------------------------------------------------------------------------------
    rows = []
    for form, values in per_batch.items():
        middle, low, high = benchmark.ratio(per_batch, form, "ours")
        tokens = [widest if form == "to the maximum" else max(lengths[i] for i in batch) for batch in sampled[form]]
        rows.append({
            "task": args.task, "method": args.method, "form": form, "batch": size, "batches timed": parts[form],
            "tokens a batch": size * float(np.mean(tokens)), "seconds a batch": benchmark.median(values),
            "hours an epoch": benchmark.median(values) * ceil(len(lengths) / size) / 3600,
            "times ours": middle, "p10": low, "p90": high,
        })  # fmt: skip
    note = f"{len(lengths):,} examples; an epoch is extrapolated from the batches timed. {args.precision}."
    name = f"epoch_{args.task}_{args.method}_{args.precision}"
    benchmark.publish(name, rows, args.device, benchmark.command_line(), note, out=args.out)


# -- peft and Trainer --------------------------------------------------------------------------------------------------


class Stopwatch(TrainerCallback):
    """Appends the seconds from the start of training to the end of its one epoch."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, list[float]()

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        """Start."""
        benchmark.synchronize(self.device)
        self.started = perf_counter()

    def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
        """Stop."""
        benchmark.synchronize(self.device)
        self.seconds.append(perf_counter() - self.started)


def peer(
    config: ExperimentConfig,
    task: Task,
    batches: list[list[Encoded]],
    method: str,
    device: torch.device,
    precision: str,
) -> tuple[Trainer, list[float]]:
    """A Trainer whose `train` goes once through the batches, and where it leaves the seconds of each time."""
    beta1, beta2 = config.trainer.betas
    options = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=config.trainer.batch_size,
        num_train_epochs=1,
        train_sampling_strategy="sequential",  # the batches are made already
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
    """The PLM with peft's form of the method, at the same size."""
    ours = empty_model(config.plm, config.task.auto_class, config.task.outputs())
    model: PreTrainedModel = type(ours)(ours.config)  # with transformers' own activation
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
    """Labels as transformers' language models read them: (B, T), -100 where there is no loss."""
    if "logits_at" not in batch:
        return batch
    before = batch.pop("logits_at")
    return {**batch, "labels": batch["input_ids"].masked_fill(~before.roll(1, dims=1), -100)}


if __name__ == "__main__":
    main()
