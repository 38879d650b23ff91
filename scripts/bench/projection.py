"""Hours of the whole comparison on one H200 by design: a model, and what was measured of its assumptions.

    python -m scripts.bench.projection [--before FILE --now FILES] [--measured FOLDER] [--data FOLDER]

Writes results/bench/projection.md. Launches of a step are counted by `scripts.bench.launches`, before and after the
work on the GPU; the rest of the model is in the constants below, which the page lists.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

from inducer_bench.files import write_atomic
from scripts.bench import harness, paper, simulated
from scripts.bench.harness import Row
from scripts.bench.paper import Part
from scripts.bench.simulated import Launches

HOSTS = (8e-6, 15e-6, 25e-6, 40e-6)  # seconds a launch costs the host in eager mode: autograd, dispatch, Python
HOST = 40e-6  # about as measured on the host of an H200
STEP = 0.6e-3  # of the host a step, beside its launches: batch, collate, loop
WAITS = 0.1e-3  # a step of the design before: four to seven waits
FLOOR = 2.2e-6  # a kernel occupies the GPU at least
UPDATE = {True: 0.04e-3, False: 0.12e-3}  # reading weights: frozen ones in bf16 (lean), or in fp32 and cast
GRAPH_LEAST, GRAPH_START = 0.7e-3, 0.2e-3  # a captured step takes at least that, and the host that much
BLOCKS, HEAD = 85e6, 38.6e6  # parameters of 12 layers, and of GPT-2's head
LABELLED = {"sst2": 0.0, "mnli": 0.0, "webnlg": 0.36, "coqa": 0.012}  # tokens that logits are computed for
STACK_PADDING = 1.04  # tokens of stacked seeds that share the order of lengths
PROCESSES, SHARED = 5, 1.15  # processes on one GPU at a time, and what sharing it costs
EVAL_LAUNCHES, DECODE_LAUNCHES = 450, 600  # of a batch, of a token: where the simulation was not asked for them
EVAL_RATE = 350e12
START = 15.0  # of a run: imports, data from the cache, PLM
CHECKPOINT = {"fine_tune": 3.0}  # seconds; other methods:
SMALL_CHECKPOINT = 0.05
CHECKPOINTS_AN_HOUR = 12
MEASURED = {"sst2": ("nlu", 16, 40, 43), "webnlg": ("nlg", 8, 70, 70)}  # family, rows, tokens: profiled, timed


@dataclass(frozen=True)
class Design:
    """How the runs are computed."""

    name: str
    lean: bool = False
    stacked: bool = False
    graphs: bool = False
    processes: int = 1


DESIGNS = [
    Design("before: eager, one run at a time"),
    Design(f"before, {PROCESSES} processes at a time", processes=PROCESSES),
    Design("now: lean eager", lean=True),
    Design("now, seeds stacked", lean=True, stacked=True),
    Design(f"now, seeds stacked, {PROCESSES} processes at a time", lean=True, stacked=True, processes=PROCESSES),
    Design("now, in CUDA graphs", lean=True, graphs=True),
    Design("now, in CUDA graphs, seeds stacked", lean=True, stacked=True, graphs=True),
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, default=simulated.FOLDER / "before.json")
    parser.add_argument(
        "--now", type=Path, nargs="+", help="of later files, what they have counts",
        default=[simulated.FOLDER / "after.json", simulated.FOLDER / "frozen_bf16.json"],
    )  # fmt: skip
    parser.add_argument("--measured", type=Path, default=harness.RESULTS / "nvidia-h200", help="results of a GPU")
    parser.add_argument("--data", type=Path, default=harness.ROOT.parent / "shared" / "data")
    parser.add_argument("--mini", action="store_true", help="a quick check with the lengths of the mini data")
    parser.add_argument("--out", type=Path, default=harness.RESULTS / "projection.md")
    args = parser.parse_args(arguments)
    now = {key: count for path in args.now for key, count in simulated.read(path).items()}
    launches = {False: simulated.read(args.before), True: now}
    write_atomic(args.out, page(paper.parts(args.data, args.mini), launches, args.measured).encode())
    print(args.out.read_text())


def rate(tokens: float) -> float:
    """Floating-point operations a second that products of so many rows reach, in bf16."""
    return 1e12 * min(400, 60 + 0.12 * tokens)


def operations(task: str, method: str, tokens: float) -> float:
    """Of the products of a training step; the backward pass costs one more product for trained weights."""
    products = {"fine_tune": 3, "head_only": 1}.get(method, 2)
    return 2 * products * tokens * (BLOCKS + HEAD * LABELLED[task])


def occupied(task: str, method: str, tokens: float, count: int, lean: bool) -> float:
    """Seconds that the GPU needs for a training step of so many launches."""
    return count * FLOOR + operations(task, method, tokens) / rate(tokens) + UPDATE[lean]


def captured(device: float) -> float:
    """Seconds of a step in a CUDA graph, by those that the GPU needs."""
    return max(device, GRAPH_LEAST) + GRAPH_START


def step(part: Part, method: str, design: Design, count: int, host: float) -> float:
    """Seconds of a step: of one run, or of a stack of all seeds.

    Args:
        part: the task.
        method: its name.
        design: how it is computed.
        count: launches of a step.
        host: seconds a launch costs the host.
    """
    tokens = part.tokens * (part.seeds * STACK_PADDING if side(part, method, design) > 1 else 1)
    device = occupied(part.task, method, tokens, count, design.lean)
    if design.graphs:
        return captured(device)
    busy = count * host + STEP
    if design.processes > 1:
        return max(busy / design.processes, SHARED * device)
    return max(busy, device) + (0 if design.lean else WAITS)


def side(part: Part, method: str, design: Design) -> int:
    """Seeds that one run computes; full fine-tuning shares no backbone."""
    return part.seeds if design.stacked and method != "fine_tune" else 1


def hours(part: Part, method: str, design: Design, launches: Launches, host: float) -> float:
    """All seeds of one method on one task: training, scoring, decoding, checkpoints and starts."""
    together = side(part, method, design)
    runs = part.seeds / together
    of_family = part.family, method
    training = runs * part.steps * step(part, method, design, launches[(*of_family, "training")], host)
    eval_host = FLOOR if design.graphs else host
    batch = max(
        launches.get((*of_family, "evaluation"), EVAL_LAUNCHES) * eval_host,
        2 * BLOCKS * part.eval_batch * together * part.dev_tokens / EVAL_RATE,
    )
    scoring = runs * part.epochs * part.dev_batches * batch
    tokens = ceil(part.prompts / part.eval_batch) * paper.NEW_TOKENS.get(part.task, 0)
    decoding = part.seeds * tokens * launches.get((*of_family, "decoding"), DECODE_LAUNCHES) * host
    saved = part.seeds * part.epochs + CHECKPOINTS_AN_HOUR * training / 3600 * part.seeds / runs
    saving = saved * CHECKPOINT.get(method, SMALL_CHECKPOINT)
    return (training + (scoring + decoding + runs * START) / design.processes + saving) / 3600


def compared(folder: Path) -> list[Row]:
    """What a GPU measured beside what the model says of the same step, for each task and method."""

    def rows(name: str) -> list[Row]:
        return [row for path in sorted(folder.glob(f"{name}.json")) for row in json.loads(path.read_text())["rows"]]

    profiled = {(row["family"], row["method"]): row for row in rows("profile_step")}
    graphs = {(row["task"], row["method"], row["T"]): row["seconds"] for row in rows("graphs")}
    found = []
    for task, (family, batch, length, timed) in MEASURED.items():
        for row in rows(f"step_{task}_*_bf16"):
            method = row["candidate"]
            if row["T"] != timed or (family, method) not in profiled:
                continue
            counted = profiled[family, method]
            launches, simulated = counted["launches"], counted["launches, simulated"]
            graph = graphs.get((task, method, timed))
            found.append({
                "task": task, "method": method, "launches, simulated": simulated, "launches": launches,
                "eager, ms": row["seconds"] * 1e3, "us a launch": row["seconds"] / launches * 1e6,
                "GPU, ms, model": occupied(task, method, batch * length, simulated, lean=False) * 1e3,
                "GPU, ms": counted["device, seconds"] * 1e3,
                "graph, ms, model": captured(occupied(task, method, batch * timed, simulated, lean=False)) * 1e3,
                "graph, ms": graph and graph * 1e3,
            })  # fmt: skip
    return found


def findings(folder: Path) -> dict[str, Any]:
    """What the page says of the comparison."""
    rows = compared(folder)
    described = json.loads((folder / "environment.json").read_text())
    facts = {row["what"]: row["value"] for row in described["rows"]}

    def spread(column: str, of: str | None = None, form: str = ".2f") -> str:
        values = [row[column] / (row[of] if of else 1) for row in rows if row[column] and (of is None or row[of])]
        return f"{min(values):{form}} to {max(values):{form}}"

    return {
        "device": described["device"]["name"], "date": described["date"],
        "bare": facts["host microseconds a launch"], "a_launch": spread("us a launch", form=".0f"),
        "middle": median(row["us a launch"] for row in rows), "counted": spread("launches, simulated", "launches"),
        "on_gpu": spread("GPU, ms, model", "GPU, ms"), "in_graphs": spread("graph, ms, model", "graph, ms"),
        "idle": spread("GPU, ms", "eager, ms"), "compared": harness.table(rows),
    }  # fmt: skip


def page(parts: Sequence[Part], launches: dict[bool, Launches], measured: Path) -> str:
    """The projection as Markdown."""

    def table(host: float) -> list[Row]:
        rows = []
        for design in DESIGNS:
            of_task = {
                part.task: sum(hours(part, method, design, launches[design.lean], host) for method in part.methods)
                for part in parts
            }
            tuned = sum(hours(part, "fine_tune", design, launches[design.lean], host) for part in parts)
            least = sum(
                value * (paper.LEAST_EPOCHS / part.epochs if part.patience else 1)
                for part, value in zip(parts, of_task.values(), strict=True)
            )
            rows.append({"design": design.name, "hours": round(sum(of_task.values()), 1),
                         "if patience stops as early as it can": round(least, 1),
                         **{task: round(value, 1) for task, value in of_task.items()},
                         "of it fine_tune": round(tuned, 1)})  # fmt: skip
        return rows

    by_host = [table(host) for host in HOSTS]
    totals = [
        {"design": of_host[0]["design"],
         **{f"{host * 1e6:g} us": row["hours"] for host, row in zip(HOSTS, of_host, strict=True)}}
        for of_host in zip(*by_host, strict=True)
    ]  # fmt: skip
    counts = [
        {"method": method, **{f"{family}, {name}": launches[lean][family, method, "training"]
                              for family in ("nlu", "nlg") for name, lean in (("before", False), ("now", True))}}
        for method in parts[0].methods
    ]  # fmt: skip
    work = [
        {"task": p.task, "methods": len(p.methods), "seeds": p.seeds, "steps a run": p.steps,
         "tokens a step": round(p.tokens), "batches scored an epoch": p.dev_batches, "texts decoded": p.prompts}
        for p in parts
    ]  # fmt: skip
    return TEXT.format(
        host=HOST * 1e6, totals=harness.table(totals), at_host=harness.table(by_host[HOSTS.index(HOST)]),
        work=harness.table(work), counts=harness.table(counts), floor=FLOOR * 1e6, step=STEP * 1e3, waits=WAITS * 1e3,
        lean=UPDATE[True] * 1e3, fat=UPDATE[False] * 1e3, graph_least=GRAPH_LEAST * 1e3, graph_start=GRAPH_START * 1e3,
        padding=STACK_PADDING, processes=PROCESSES, shared=SHARED, eval_launches=EVAL_LAUNCHES, decode=DECODE_LAUNCHES,
        start=START, fine_tune=CHECKPOINT["fine_tune"], small=SMALL_CHECKPOINT, hourly=CHECKPOINTS_AN_HOUR,
        **findings(measured),
    )  # fmt: skip


TEXT = """# Projection: the whole comparison on one H200

**The hours on this page are a model, not measured:** launches counted in a simulation, and the times that a launch, a
product and a start are assumed to take. What a GPU has shown of these assumptions is at the end: the launches and the
time on the GPU are about right; the host needs about {middle:.0f} us a launch, more than was first assumed (8 to 25).

```
python -m scripts.bench.projection
```

Hours of all runs, by what a launch costs the host:

{totals}
At {host:g} us a launch:

{at_host}
"Before" is the code that the work on the GPU started from; "now" is this code with `trainer.frozen=bf16`. CUDA graphs
are a prototype in `scripts/gpu`, not a part of the package.

## What is computed

Methods and seeds of `conf/experiment/nlu_main.yaml` and `nlg_main.yaml`, published sizes of the data, ten epochs. A run
of the NLG protocol stops after six to ten epochs (patience 5): the hours count ten, one column six.

{work}
Launches of a training step, from `scripts.bench.launches` (12 layers, bf16 autocast, batches of 16 x 40 and 8 x 70):

{counts}
## What is assumed

- The host needs the launches x the seconds of a launch, and {step:g} ms for the batch and the loop. A step takes the
  longer of host and GPU; "before" {waits:g} ms more for its waits.
- A kernel occupies the GPU for at least {floor:g} us. Products run at 60 TFLOP/s plus 0.12 for each token of the step,
  up to 400. Two products for each frozen weight and token, three for a trained one, one of a frozen PLM below a
  trained head. Reading and updating weights: {fat:g} ms, or {lean:g} ms with frozen ones in bf16.
- A captured step takes what the GPU needs, at least {graph_least:g} ms, and {graph_start:g} ms to start it.
- Stacked seeds need the launches of one and {padding:g} x its tokens for each seed. Full fine-tuning is not stacked.
- {processes} processes share the host's work evenly and cost the GPU {shared:g} x its time.
- Dev is scored after each epoch in batches of `eval_batch_size`; a batch takes its launches ({eval_launches} where the
  simulation was not asked) or its products at 350 TFLOP/s. Decoding: 40 tokens a text of WebNLG, 10 of CoQA, in
  batches, {decode} launches a token where the simulation was not asked; not captured.
- A checkpoint after each epoch and {hourly} an hour: {fine_tune:g} s for fine-tuning, {small:g} s for other methods.
  A run takes {start:g} s to start.

## What was measured of it

On one {device}, {date}, with `trainer.frozen=fp32` (`nvidia-h200/`): launches and the GPU's time by
`scripts.gpu.profile` (batches of 16 x 40 and 8 x 70), steps by `scripts.bench.step` and `scripts.gpu.graphs` (16 x 43
and 8 x 70).

- Launches: the simulation, of an earlier commit, counts {counted} of those that the profiler counts.
- The host: a bare launch in a loop takes {bare:.1f} us, but an eager step {a_launch} us for each of its launches, with
  Python, dispatch and autograd; the median is {middle:.0f} us. On this host the columns of fewer us are too favourable
  to eager steps; of other hosts nothing is known.
- The GPU is busy for {idle} of an eager step: the host decides. The model says {on_gpu} of the
  GPU's time, and {in_graphs} of a step's in a CUDA graph.
- Not compared: stacked seeds, several processes, `trainer.frozen=bf16`, dev, decoding, checkpoints and starts.

{compared}"""


if __name__ == "__main__":
    main()
