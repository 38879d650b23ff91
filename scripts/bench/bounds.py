"""For developers: the bounds that we watch on each device, and every result.

    python -m scripts.bench.bounds [FOLDER]

Reads `<device>/*.json` in the folder, by default results/bench; `make results` writes the output to its developers.md.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.bench import harness


@dataclass(frozen=True)
class Bound:
    """An upper (`most`) or a lower (`least`) bound on a number of one row."""

    what: str
    result: str  # prefix of a result's name
    where: dict[str, Any]  # columns that select the row
    column: str
    most: float | None = None
    least: float | None = None
    of: dict[str, Any] = field(default_factory=dict)  # the number is divided by that of this row


def _steps(task: str, lengths: Sequence[int]) -> list[Bound]:
    """The bounds of training steps."""
    found = []
    for length in lengths:
        for method, most in (("inducer", 1.03), ("inducer_lora", 1.05)):
            what, name = f"{method}, step of {task} at T = {length}", f"step_{task}"
            row, of_lora = {"T": length, "candidate": method}, {"T": length, "candidate": "lora"}
            found += [
                Bound(f"{what}, of LoRA's time", name, row, "ratio to lora", most=most),
                Bound(f"{what}, of full fine-tuning's time", name, row, "ratio to fine_tune", most=0.70),
                Bound(f"{what}, of LoRA's peak memory", name, row, "peak MiB", most=1.10, of=of_lora),
            ]
    return found


BOUNDS = [
    *_steps("sst2", (32, 128, 512)),
    *_steps("webnlg", (32, 128, 512)),
    *(Bound(f"attention to train, T = {length}, {mask}, {purpose}, of SDPA's time", "attention",
             {"batch": 16, "T": length, "mask": mask, "purpose": purpose, "candidate": form}, "ratio to SDPA", most=1.3)
      for length in (256, 512)
      for mask in ("padded", "causal")
      for purpose, form in (("training", "fused"), ("training with dropout", "explicit by rows"))),
    Bound("labelled logits: time saved, %", "loss_inducer", {"form": "saved, %"}, "seconds a step", least=15),
    Bound("labelled logits: memory of logits saved, %", "loss_inducer", {"form": "saved, %"}, "logits MiB a step",
           least=55),
    *(Bound(f"padding of {task}, batch 16", "padding", {"task": task, "batch": 16, "form": "like length"},
             "padded / real", most=1.10) for task in ("sst2", "mnli", "webnlg")),
    Bound("padding to the maximum, SST-2 with LoRA, times ours", "epoch_sst2_lora", {"form": "to the maximum"},
           "times ours", least=10),
    *(Bound(f"peft and Trainer, {task} with {method}, times ours", f"epoch_{task}_{method}", {"form": "Trainer"},
             "times ours", least=1.0) for task in ("sst2", "webnlg") for method in ("lora", "prefix", "fine_tune")),
    *(Bound(f"decoding one by one without a cache, {method}, times ours", "decoding",
             {"method": method, "form": "one by one without"}, "ratio to batched with a cache", least=20)
      for method in ("inducer", "lora")),
    *(Bound(f"start-up: {command}, seconds", "startup", {"command": command}, "seconds", most=most)
      for command, most in (("help", 1.5), ("ls", 1.5), ("a finished run", 1.5), ("first step", 8.0))),
]  # fmt: skip


def main(results: str | Path = harness.RESULTS) -> None:
    """Print a section for each device."""
    for folder in sorted({path.parent for path in Path(results).glob("*/*.json")}):
        print("\n".join(section(folder)))


def section(folder: Path) -> Iterator[str]:
    """The Markdown of one device: the bounds, then each result."""
    results = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    devices = sorted({f"{r['device']['name']}, {r['device']['threads']} threads" for r in results.values()})
    yield f"## {'; '.join(devices)}\n"
    for precision in ("fp32", "bf16"):
        rows = [row for bound in BOUNDS if (row := checked(bound, results, precision))]
        if rows:
            yield f"### Bounds, {precision}\n\n{harness.table(rows)}"
    yield "### Results\n"
    for name, result in results.items():
        yield f"<details><summary><code>{name}</code>: {result['note']}</summary>\n"
        code = result["code"]
        commit = f"{(code['git_sha'] or '-')[:7]}{' with uncommitted changes' if code['git_dirty'] else ''}"
        yield f"{result['date']}, commit {commit}: `{result['command']}`\n"
        yield f"{harness.table(result['rows'])}\n</details>\n"


def checked(bound: Bound, results: dict[str, Any], precision: str) -> harness.Row | None:
    """Value and bound; of several measurements the one with most rounds; None without any."""
    of_it = [result["rows"] for name, result in results.items() if name.startswith(bound.result)
             and (name.endswith(precision) or (name == bound.result and precision == "fp32"))]  # fmt: skip
    found = [(row, rows) for rows in of_it for row in chosen(rows, bound.where) if bound.column in row]
    if not found:
        return None
    row, beside = max(found, key=lambda pair: pair[0].get("rounds", 0))
    value = row[bound.column]
    if bound.of:
        [base] = chosen(beside, bound.of)
        value /= base[bound.column]
    kept = value <= bound.most if bound.most is not None else value >= (bound.least or 0)
    return {
        "what": bound.what, "measured": value,
        "p10 to p90": f"{row['p10']:.3g} to {row['p90']:.3g}" if harness.has_spread(row, bound.column) else None,
        "bound": f"<= {bound.most}" if bound.most is not None else f">= {bound.least}",
        "kept": "yes" if kept else "no",
    }  # fmt: skip


def chosen(rows: Sequence[harness.Row], where: dict[str, Any]) -> list[harness.Row]:
    """The rows with these entries."""
    return [row for row in rows if where.items() <= row.items()]


if __name__ == "__main__":
    main(*sys.argv[1:])
