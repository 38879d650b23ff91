"""Projected hours of the whole comparison on a device, from steps that were measured on it.

    python -m scripts.bench.project_cost --bench results/bench/nvidia-h200 --precision bf16 --seconds-per-prompt 0.02
    python -m scripts.bench.project_cost --steps-per-second sst2=40 mnli=35 webnlg=30 coqa=15

`scripts.bench.paper` says what is computed. Seconds of a step: from the command line, LoRA's; or of each measured
method from `scaling_sst2_<precision>.json` (RoBERTa-base) and `scaling_webnlg_<precision>.json` (GPT-2 small), both by
`scripts.bench.scaling`: linear between the measured sizes, below the smallest as the smallest, and above the largest by
the slope of the last two. A method that was not measured takes LoRA's time for as many tokens, or, while its launches
take longer, as much more than LoRA's smallest step as it has more launches in the simulation. Dev is scored after each
epoch, in batches of eval_batch_size, at a third of fine-tuning's step for as many tokens. Texts are decoded at the end,
at --seconds-per-prompt (`scripts.bench.decoding`). A checkpoint each epoch and every five minutes, and the start of
each run, at the seconds of the model in `scripts.bench.projection`. All epochs count; NLG's patience of five may end a
run after six of ten. `scripts.bench.projection` is a model for designs and devices that nothing was measured of.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.bench import harness, paper, projection, simulated
from scripts.bench.harness import Row
from scripts.bench.paper import Part
from scripts.bench.simulated import Launches


@dataclass(frozen=True)
class Steps:
    """Seconds of a training step by its padded tokens, for each method that was measured; LoRA is one of them."""

    measured: dict[str, dict[int, float]]  # method -> tokens -> seconds
    launches: dict[str, int]  # of a step, by method: simulated

    def seconds(self, method: str, tokens: float) -> float:
        """Seconds of a step."""
        if method in self.measured:
            return _at(self.measured[method], tokens)
        lora = self.measured["lora"]
        launching = lora[min(lora)] * self.launches[method] / self.launches["lora"]
        return max(launching, _at(lora, tokens))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one row for each task, and their sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, help="folder of a device's results")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--steps-per-second", nargs="+", default=[], metavar="TASK=NUMBER")
    parser.add_argument("--seconds-per-prompt", type=float, default=0.0)
    parser.add_argument("--launches", type=Path, default=simulated.FOLDER / "after.json")
    parser.add_argument("--data", type=Path, default=harness.ROOT.parent / "shared" / "data")
    parser.add_argument("--mini", action="store_true", help="a quick check with the lengths of the mini data")
    args = parser.parse_args(arguments)
    given = {task: float(number) for task, number in (entry.split("=") for entry in args.steps_per_second)}
    if args.bench is None and given.keys() != paper.SIZES.keys():
        parser.error(f"give --bench, or --steps-per-second for each of {', '.join(paper.SIZES)}")
    launches = simulated.read(args.launches)
    rows = []
    for part in paper.parts(args.data, args.mini):
        if part.task in given:
            measured = {"lora": {round(part.tokens): 1 / given[part.task]}}
        else:
            task = {"nlu": "sst2", "nlg": "webnlg"}[part.family]
            measured = read(args.bench / f"scaling_{task}_{args.precision}.json")
        rows.append(project(part, Steps(measured, of_training(launches, part)), args.seconds_per_prompt))
    columns = [column for column in rows[0] if column.startswith("hours, all")]
    rows.append({"task": "all", **{column: sum(row[column] for row in rows) for column in columns}})
    print(f"Projected hours on one device, {args.precision}.\n")
    print(harness.table(rows))


def of_training(launches: Launches, part: Part) -> dict[str, int]:
    """The launches of a training step by method."""
    return {method: launches[part.family, method, "training"] for method in part.methods}


def read(path: Path) -> dict[str, dict[int, float]]:
    """The steps of the whole PLM in a result of `scripts.bench.scaling`: method -> tokens -> seconds."""
    rows = [row for row in json.loads(path.read_text())["rows"] if "layers" in row]
    depth = max(row["layers"] for row in rows)
    measured: dict[str, dict[int, float]] = {}
    for row in rows:
        if row["layers"] == depth:
            measured.setdefault(row["method"], {})[row["batch"] * row["length"]] = row["seconds"]
    return measured


def project(part: Part, steps: Steps, seconds_per_prompt: float) -> Row:
    """The hours of all runs of one task."""
    training = {method: part.steps * steps.seconds(method, part.tokens) / 3600 for method in part.methods}
    scored = part.eval_batch * part.dev_tokens
    scoring = part.epochs * part.dev_batches * steps.seconds("fine_tune", scored) / 3 / 3600
    decoding = part.prompts * seconds_per_prompt / 3600
    saving = {
        method: (part.epochs + projection.CHECKPOINTS_AN_HOUR * hours)
        * projection.CHECKPOINT.get(method, projection.SMALL_CHECKPOINT) / 3600
        for method, hours in training.items()
    }  # fmt: skip
    runs, all_training = len(part.methods) * part.seeds, part.seeds * sum(training.values())
    beside = part.seeds * sum(saving.values()) + runs * projection.START / 3600
    return {
        "task": part.task, "methods": len(part.methods), "seeds": part.seeds, "steps a run": part.steps,
        "tokens a step": part.tokens, "steps a second, lora": 1 / steps.seconds("lora", part.tokens),
        "hours a run, fine_tune": training["fine_tune"] + scoring + decoding,
        "hours a run, inducer": training["inducer"] + scoring + decoding,
        "hours, all training": all_training, "hours, all scoring": runs * scoring,
        "hours, all decoding": runs * decoding, "hours, all starts and checkpoints": beside,
        "hours, all": all_training + runs * (scoring + decoding) + beside,
        "hours, all, if patience stops as early as it can":
            (all_training + runs * scoring) * (paper.LEAST_EPOCHS / part.epochs if part.patience else 1)
            + runs * decoding + beside,
    }  # fmt: skip


def _at(points: dict[int, float], tokens: float) -> float:
    """Linear between the measured points, constant below the smallest; above the largest by the slope of the last."""
    sizes = sorted(points)
    if tokens > sizes[-1] and len(sizes) > 1:
        slope = (points[sizes[-1]] - points[sizes[-2]]) / (sizes[-1] - sizes[-2])
        return points[sizes[-1]] + max(slope, 0.0) * (tokens - sizes[-1])
    return float(np.interp(tokens, sizes, [points[size] for size in sizes]))


if __name__ == "__main__":
    main()
