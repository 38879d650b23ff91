"""Projected hours of the whole comparison on a device: SST-2, MNLI, WebNLG and CoQA x 10 methods x 5 seeds.

    python -m scripts.bench.project_cost --bench results/bench/nvidia-h200 --precision bf16
    python -m scripts.bench.project_cost --steps-per-second sst2=40 mnli=35 webnlg=30 coqa=15 --precision bf16

Steps: the published number of training examples, with the batch size and epochs of `conf/`. Tokens of a step: batches
of similar length on the real data (8,999 training pairs of MNLI, the dev dialogues of CoQA). Seconds of a step: from
the command line, the same for all methods; or from `scaling_sst2_<precision>.json` (RoBERTa-base) and
`scaling_webnlg_<precision>.json` (GPT-2 small), both by `scripts.bench.scaling`, interpolated over the tokens of a step
and extrapolated in proportion. A method that was not measured counts as the slowest measured one except fine-tuning.
Dev is scored after each epoch at a third of fine-tuning's time for as many tokens, and texts are decoded at the end at
--seconds-per-prompt (`scripts.bench.decoding`). Start-up, tokenization and saving are left out.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np

from inducer_bench.training.batching import training_batches
from scripts.bench import harness
from scripts.bench.harness import Row
from scripts.bench.setup import real_task

METHODS = "fine_tune bitfit prefix adapter lora mam kernel_mix inducer inducer_lora inducer_ffn".split()
SEEDS = 5
# Training examples, examples scored after each epoch, texts decoded at the end: published sizes.
SIZES = {
    "sst2": (67_349, 872, 0),
    "mnli": (392_702, 9_815, 0),
    "webnlg": (18_025, 2_258, 1_862),
    "coqa": (108_647, 7_983, 7_983),
}


@dataclass(frozen=True)
class Steps:
    """Seconds of a training step by its padded tokens, for each method that was measured."""

    measured: dict[str, dict[int, float]]  # method -> tokens -> seconds

    def seconds(self, method: str, tokens: float) -> float:
        """Seconds of a step; a method that was not measured counts as the slowest except fine-tuning."""
        if method in self.measured:
            return _between(self.measured[method], tokens)
        return max(_between(points, tokens) for name, points in self.measured.items() if name != "fine_tune")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one row for each task, and their sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, help="folder of a device's results")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--steps-per-second", nargs="+", default=[], metavar="TASK=NUMBER")
    parser.add_argument("--seconds-per-prompt", type=float, default=0.0)
    parser.add_argument("--data", type=Path, default=harness.ROOT.parent / "shared" / "data")
    parser.add_argument("--mini", action="store_true", help="a quick check with the lengths of the mini data")
    args = parser.parse_args(arguments)
    given = {task: float(number) for task, number in (entry.split("=") for entry in args.steps_per_second)}
    if args.bench is None and given.keys() != SIZES.keys():
        parser.error(f"give --bench, or --steps-per-second for each of {', '.join(SIZES)}")
    rows = []
    for name in SIZES:
        tokens, batch, epochs = tokens_of_a_step(name, args.data, args.mini)
        if name in given:
            steps = Steps({method: {round(tokens): 1 / given[name]} for method in METHODS})
        else:
            plm_task = "sst2" if name in ("sst2", "mnli") else "webnlg"
            steps = read(args.bench / f"scaling_{plm_task}_{args.precision}.json")
        rows.append(project(name, steps, tokens, batch, epochs, args.seconds_per_prompt))
    columns = [column for column in rows[0] if column.startswith("hours, all")]
    rows.append({"task": "all", **{column: sum(row[column] for row in rows) for column in columns}})
    print(f"Projected hours of {len(METHODS)} methods x {SEEDS} seeds on one device, {args.precision}.\n")
    print(harness.table(rows))


def tokens_of_a_step(name: str, data: Path, mini: bool) -> tuple[float, int, int]:
    """Mean padded tokens of a batch, the batch size, and the epochs of training."""
    config, task = real_task(name, data, mini)
    lengths, size = task.examples("train").lengths, config.trainer.batch_size
    batches = training_batches(lengths, size, seed=0, epoch=0)
    padded = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
    return padded / len(batches), size, config.trainer.epochs


def read(path: Path) -> Steps:
    """The steps of the whole PLM in a result of `scripts.bench.scaling`."""
    rows = [row for row in json.loads(path.read_text())["rows"] if "layers" in row]
    depth = max(row["layers"] for row in rows)
    measured: dict[str, dict[int, float]] = {}
    for row in rows:
        if row["layers"] == depth:
            measured.setdefault(row["method"], {})[row["batch"] * row["length"]] = row["seconds"]
    return Steps(measured)


def project(name: str, steps: Steps, tokens: float, batch: int, epochs: int, seconds_per_prompt: float) -> Row:
    """The hours of all runs of one task."""
    train, dev, prompts = SIZES[name]
    number = epochs * ceil(train / batch)
    training = {method: number * steps.seconds(method, tokens) / 3600 for method in METHODS}
    scoring = epochs * dev / batch * steps.seconds("fine_tune", tokens) / 3 / 3600
    decoding = prompts * seconds_per_prompt / 3600
    runs = len(METHODS) * SEEDS
    return {
        "task": name, "steps a run": number, "tokens a step": tokens,
        "steps a second, fine_tune": 1 / steps.seconds("fine_tune", tokens),
        "steps a second, inducer": 1 / steps.seconds("inducer", tokens),
        "hours a run, fine_tune": training["fine_tune"] + scoring + decoding,
        "hours a run, inducer": training["inducer"] + scoring + decoding,
        "hours, all training": SEEDS * sum(training.values()), "hours, all scoring": runs * scoring,
        "hours, all decoding": runs * decoding,
        "hours, all": SEEDS * sum(training.values()) + runs * (scoring + decoding),
    }  # fmt: skip


def _between(points: dict[int, float], tokens: float) -> float:
    """Linear between the measured points, constant below the smallest, proportional above the largest."""
    sizes = sorted(points)
    if tokens > sizes[-1]:
        return points[sizes[-1]] * tokens / sizes[-1]
    return float(np.interp(tokens, sizes, [points[size] for size in sizes]))


if __name__ == "__main__":
    main()
