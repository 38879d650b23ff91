"""What users ask of the benchmark results, as Markdown: speed, memory, CUDA graphs, peft's Trainer, decoding, start-up.

    python -m scripts.bench.summary [FOLDER]

Reads `<device>/*.json` in the folder, by default results/bench; `make results` writes the output to its README.md.
Of a method that several results have at one length, the one with most rounds counts.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from inducer_bench.methods.options import method_title
from scripts.bench import harness
from scripts.bench.harness import Row

Results = Mapping[str, Mapping[str, Any]]  # by name


def main(results: str | Path = harness.RESULTS) -> None:
    """Print a section for each device."""
    for folder in sorted({path.parent for path in Path(results).glob("*/*.json")}):
        print("\n".join(section({path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))})))


def section(results: Results) -> Iterator[str]:
    """The Markdown of one device."""
    names = sorted({result["device"]["name"] for result in results.values()})
    yield f"## {'; '.join(names)}\n"
    for title, text, rows in (
        ("How fast is a training step, and what memory does it take?", _STEPS, steps(results)),
        ("How much faster would a step in a CUDA graph be?", _GRAPHS, graphs(results)),
        ("How fast is it beside peft and Trainer?", _EPOCHS, epochs(results)),
        ("How fast is decoding?", _DECODING, decoding(results)),
        ("How long until something happens?", _STARTUP, startup(results)),
    ):
        if rows:
            yield f"### {title}\n\n{text}\n\n{harness.table(rows)}"


# -- training steps ----------------------------------------------------------------------------------------------------

_STEPS = """
Forward, backward and update on one batch of one length: RoBERTa-base on SST-2, GPT-2 small on WebNLG. `LoRA = 1` is
the median over rounds of the ratio to LoRA in the same round, with its 10th and 90th percentile. `fine-tuning = 1` is
that to fine-tuning; with ≈ it is the quotient of two such medians, as fine-tuning was measured in other rounds.
Memory: tensors at the peak of the step, beyond model and optimiser.
""".strip()


def steps(results: Results) -> list[Row]:
    """A row for each task, length and method; from the fastest on."""
    best: dict[tuple[str, int, str], tuple[Row, Mapping[str, Any]]] = {}
    for name, result in results.items():
        for row in result["rows"] if name.startswith("step_") else ():
            key = name.split("_")[1], row["T"], row["candidate"]
            if key not in best or row["rounds"] > best[key][0]["rounds"]:
                best[key] = row, result
    found = []
    for (task, length, method), (row, result) in best.items():
        tuned = best.get((task, length, "fine_tune"))
        of_tuned = _number(row.get("ratio to fine_tune"))
        if of_tuned == "-" and tuned:
            of_tuned = f"≈ {_number(row['ratio to lora'] / tuned[0]['ratio to lora'])}"
        found.append({
            "task": task, "tokens": length, **_from_note(result), "method": method_title(method),
            "seconds": row["seconds"], "LoRA = 1": _number(row["ratio to lora"]),
            "p10 to p90": "-" if method == "lora" else f"{row['p10']:.2f} to {row['p90']:.2f}",
            "fine-tuning = 1": of_tuned, "memory, MiB": round(row["peak MiB"]), "rounds": row["rounds"],
            "threads": result["device"]["threads"],
        })  # fmt: skip
    return sorted(found, key=lambda row: (row["task"], row["precision"], row["tokens"], float(row["LoRA = 1"])))


def _from_note(result: Mapping[str, Any]) -> Row:
    """Batch and precision, which the notes of results say."""
    batch, precision = (re.search(found, result["note"]) for found in (r"batch (\d+)", r"\b(fp32|bf16)\b"))
    return {"batch": int(batch[1]) if batch else "-", "precision": precision[1] if precision else "-"}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


_GRAPHS = """
A step on random tokens, eager and captured in a CUDA graph, which the GPU replays without the host. The difference is
nearly all of the time that the GPU waits for the host. `eager = 1` is the median of the ratio, with its 10th and 90th
percentile. A prototype (`scripts/gpu/graphs.py`): the package itself captures no graphs.
""".strip()


def graphs(results: Results) -> list[Row]:
    """A row for each task, length and method; from the shortest step in a graph on."""
    found = [
        {"task": row["task"], "tokens": row["T"], "batch": row["batch"],
         "method": method_title(row["method"]), "eager, ms": 1e3 * row["eager, seconds"],
         "in a graph, ms": 1e3 * row["seconds"], "eager = 1": _number(row["ratio"]),
         "p10 to p90": f"{row['p10']:.2f} to {row['p90']:.2f}"}
        for name, result in results.items() if name == "graphs" for row in result["rows"]
    ]  # fmt: skip
    return sorted(found, key=lambda row: (row["task"], row["tokens"], row["in a graph, ms"]))


# -- epochs, decoding, start-up ----------------------------------------------------------------------------------------

_EPOCHS = """
The same batches with peft and transformers' Trainer, and with batches padded to the maximum, of our time: the median,
and its 95 % interval over rounds. Hours of an epoch are extrapolated from the batches timed.
""".strip()


def epochs(results: Results) -> list[Row]:
    """A row for each task, method and other form, of our time."""
    found = []
    for result in _of(results, "epoch_"):
        ours = next(row for row in result["rows"] if row["form"] == "ours")
        for row in result["rows"]:
            if row is not ours:
                found.append({
                    "task": row["task"], "method": method_title(row["method"]), "batch": row["batch"],
                    "compared with": "peft and Trainer" if row["form"] == "Trainer" else row["form"],
                    "its time, ours = 1": _number(row["times ours"]),
                    "95 % interval": row.get("95 % of the median"), "our hours an epoch": ours["hours an epoch"],
                    "its hours an epoch": row["hours an epoch"], "threads": result["device"]["threads"],
                })  # fmt: skip
    return found


_DECODING = """
GPT-2 small continues prompts of WebNLG greedily by up to 40 tokens: all in one batch with a key/value cache, and one
at a time without.
""".strip()


def decoding(results: Results) -> list[Row]:
    """A row for each method and form."""
    return [
        {"method": method_title(row["method"]), "form": row["form"], "seconds a prompt": row["seconds"],
         "batched with a cache = 1": _number(row["ratio to batched with a cache"]),
         "threads": result["device"]["threads"]}
        for result in _of(results, "decoding") for row in result["rows"]
    ]  # fmt: skip


_STARTUP = (
    "Seconds from typing a command: help, lists, a run that is done already, and a new run's first training step."
)


def startup(results: Results) -> list[Row]:
    """A row for each command."""
    return [
        {"command": row["command"], "seconds": row["seconds"], "p10 to p90": f"{row['p10']:.2f} to {row['p90']:.2f}",
         "measured": result["date"]}
        for result in _of(results, "startup") for row in result["rows"]
    ]  # fmt: skip


def _of(results: Results, prefix: str) -> Sequence[Mapping[str, Any]]:
    return [result for name, result in results.items() if name.startswith(prefix)]


if __name__ == "__main__":
    main(*sys.argv[1:])
