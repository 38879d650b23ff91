"""The whole comparison as the projections count it: tasks, methods, seeds, steps and tokens.

Methods and seeds are those of `conf/experiment/{nlu,nlg}_main.yaml`, batch sizes and epochs those of `conf/trainer`,
numbers of examples those that are published. Tokens of a step are counted on real data, in batches of similar length:
8,999 training pairs of MNLI and the dev dialogues of CoQA stand for all of train, and train for dev.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from inducer_bench.training.batching import evaluation_batches, training_batches
from scripts.bench import harness
from scripts.bench.setup import real_task

# Training examples, sequences scored after each epoch, texts decoded at the end: published sizes.
SIZES = {
    "sst2": (67_349, 872, 0),
    "mnli": (392_702, 9_815, 0),
    "webnlg": (18_025, 2_258, 1_862),
    "coqa": (108_647, 7_983, 7_983),
}
FAMILIES = {"sst2": "nlu", "mnli": "nlu", "webnlg": "nlg", "coqa": "nlg"}
NEW_TOKENS = {"webnlg": 40, "coqa": 10}  # decoded steps of a batch of texts, about
LEAST_EPOCHS = 6  # of ten with a patience of five: the first epoch was the best


@dataclass(frozen=True)
class Part:
    """All runs on one task.

    Args:
        task, family: names.
        methods: of the experiment.
        seeds: their number.
        epochs: of a run that does not stop early.
        epoch: steps of an epoch.
        tokens: of a training step, padded.
        dev, dev_tokens: sequences that an epoch is scored on, and padded tokens of each.
        eval_batch: sequences of a batch that is scored or decoded.
        prompts: texts that are decoded at the end of a run.
        patience: whether a run may stop after `LEAST_EPOCHS`.
    """

    task: str
    family: str
    methods: tuple[str, ...]
    seeds: int
    epochs: int
    epoch: int
    tokens: float
    dev: int
    dev_tokens: float
    eval_batch: int
    prompts: int
    patience: bool

    @property
    def steps(self) -> int:
        """Of a run."""
        return self.epochs * self.epoch

    @property
    def dev_batches(self) -> int:
        """Batches that an epoch is scored on."""
        return ceil(self.dev / self.eval_batch)


def parts(data: Path, mini: bool = False) -> list[Part]:
    """The tasks of the comparison.

    Args:
        data: real data as `setup.real_task` reads them.
        mini: count tokens on the mini data: a quick check.
    """
    return [part(task, data, mini) for task in SIZES]


def part(task: str, data: Path, mini: bool) -> Part:
    """One task."""
    config, made = real_task(task, data, mini)
    lengths = made.examples("train").lengths
    train, dev, prompts = SIZES[task]
    methods, seeds = experiment(FAMILIES[task])
    batch, eval_batch = config.trainer.batch_size, config.trainer.eval_batch_size
    return Part(
        task, FAMILIES[task], methods, seeds, config.trainer.epochs, ceil(train / batch),
        padded(lengths, training_batches(lengths, batch, seed=0, epoch=0)), dev,
        padded(lengths, evaluation_batches(lengths, eval_batch)) / eval_batch, eval_batch, prompts,
        config.trainer.patience is not None,
    )  # fmt: skip


def padded(lengths: Sequence[int], batches: Sequence[list[int]]) -> float:
    """Mean padded tokens of a full batch."""
    size = max(map(len, batches))
    longest = [max(lengths[index] for index in batch) for batch in batches if len(batch) == size]
    return size * sum(longest) / len(longest)


def experiment(family: str) -> tuple[tuple[str, ...], int]:
    """The methods and the number of seeds of an experiment file."""
    folder = harness.ROOT / "conf"
    content = yaml.safe_load((folder / "experiment" / f"{family}_main.yaml").read_text())
    params = content["hydra"]["sweeper"]["params"]
    parser = OverridesParser.create()
    known = sorted(path.stem for path in (folder / "method").glob("*.yaml"))
    chosen: Any = parser.parse_override(f"method={params['method']}").value()
    return tuple(chosen.filter(known)), len(list(parser.parse_override(f"seed={params['seed']}").sweep_iterator()))
