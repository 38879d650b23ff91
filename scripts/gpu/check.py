"""Run the items of one call, each a process of its own with a limit of time, and say which passed.

    sh scripts/gpu_check.sh a|b|c|d|e [--device cpu] [--small] [--only ITEM...] [--out FOLDER]

Items run in order of their value. One that fails or takes too long does not stop the others; one for which no time is
left is skipped. Any of them can be run alone: its command is printed, and its output is in .gpu/logs.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from scripts.bench import harness
from scripts.gpu.prepare import unpack_plm

SECONDS = 510  # of a whole call, and of its items together: with its start, below nine minutes
LEAST = 5  # seconds left with which an item is started
SKIPPED = "no time left"
SHOWN = 15  # lines of the output of an item that failed
RUNS = "scripts.gpu.runs"  # trains the real PLM
METHODS = "fine_tune bitfit prefix adapter lora mam kernel_mix inducer inducer_lora inducer_ffn".split()
FEW = ["lora", "inducer", "fine_tune"]
GRAPHED = ["fine_tune", "prefix", "adapter", "lora", "inducer"]  # so many that both tasks fit into the limit


@dataclass(frozen=True)
class Item:
    """One check: a Python module with its arguments, stopped after `seconds`."""

    name: str
    seconds: int
    module: str
    arguments: list[str] = field(default_factory=list)


def items(call: str, small: bool, device: str) -> list[Item]:
    """The items of a call; `small`: the same with little to compute."""
    precision = ["--precision", "bf16"]
    methods = ["--methods", *(FEW if small else METHODS)]
    short, long = (["8", "12"], ["12", "24"]) if small else (["16", "43"], ["70", "373"])
    half, compiled = ("4", ["lora"]) if small else ("8", ["lora", "inducer"])
    if call == "a":
        return [
            Item("environment", 40, "scripts.gpu.environment"),
            Item("tests", 210, "pytest", ["-q", "-p", "no:cacheprovider", "tests/cuda"]),
            Item("gradients", 60, "scripts.gpu.attention", ["--check"]),
            Item("graphs", 90, "scripts.gpu.graphs", ["--check", "--methods", *FEW]),
            Item("profile", 110, "scripts.gpu.profile", methods),
        ]
    if call == "b":
        return [
            Item("step_sst2", 80, "scripts.bench.step",
                 ["--task", "sst2", "--batch", "16", "--lengths", *short, *methods, *precision]),
            Item("step_webnlg", 90, "scripts.bench.step",
                 ["--task", "webnlg", "--batch", half, "--lengths", *long, *methods, *precision]),
            Item("graphs", 110, "scripts.gpu.graphs", ["--methods", *(FEW if small else GRAPHED)]),
            Item("attention", 60, "scripts.gpu.attention"),
            Item("decoding", 120, "scripts.bench.decoding", ["--slow", "2", *precision]),
        ]  # fmt: skip
    if call == "c":
        return [Item("resume", 180, RUNS, ["resume"]), Item("memory", 90, RUNS, ["memory"]),
                Item("jobs", 180, RUNS, ["jobs"])]  # fmt: skip
    if call == "d":
        return [Item("seeds", 240, RUNS, ["seeds", "--methods", "lora", "inducer"]),
                Item("epoch", 260, RUNS, ["epoch", "--methods", *FEW])]  # fmt: skip
    return [
        Item(f"compile_{mode}", 250, "scripts.bench.compile",
             ["--task", "sst2", "--methods", *compiled, "--batches", "2", "--mode", mode, *precision])
        for mode in (["default"] if device == "cpu" else ["default", "reduce-overhead"])
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line for each item as it ends, the ends of outputs of those that failed, and a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("call", choices=["a", "b", "c", "d", "e"])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--small", action="store_true", help="the mini PLM and data, few steps")
    parser.add_argument("--times", type=float, default=1.0, help="of all limits, for a rehearsal on a busy machine")
    parser.add_argument("--only", nargs="+", default=[], metavar="ITEM")
    parser.add_argument("--folder", type=Path, default=harness.ROOT / ".gpu", help="what `prepare` filled")
    parser.add_argument("--out", type=Path, help="folder of results (default: results/bench; with --small, .gpu/small)")
    parser.add_argument("--room", type=Path, required=True, help="a new folder for what is not kept")
    args = parser.parse_args(arguments)
    args.out = args.out or (args.folder / "small" if args.small else harness.RESULTS)
    chosen = [item for item in items(args.call, args.small, args.device) if not args.only or item.name in args.only]
    logs = args.folder / "logs" / args.call
    logs.mkdir(parents=True, exist_ok=True)
    if not args.small and any(item.module == RUNS for item in chosen):
        unpack_plm(args.folder / "minilm", args.room / "minilm")
    end = perf_counter() + SECONDS * args.times
    environment = {**os.environ, "CUDA_TESTS_ON": args.device, "GPU_CHECK_PLM": str(args.room / "minilm")}
    rows: list[harness.Row] = []
    for item in chosen:
        command, log = command_of(item, args), logs / f"{item.name}.txt"
        print(f"-- {item.name}: python {shlex.join(command[1:])}", flush=True)
        result, seconds = run(command, min(item.seconds * args.times, end - perf_counter()), log, environment)
        print(f"   {result}, {seconds:.1f} s", flush=True)
        rows.append({"item": item.name, "result": result, "seconds": seconds, "limit": item.seconds})
    failed = [row["item"] for row in rows if row["result"] not in ("passed", SKIPPED)]
    for name in failed:
        print(f"\n== {name}: the end of its output")
        print("\n".join((logs / f"{name}.txt").read_text(errors="replace").splitlines()[-SHOWN:]))
    print(f"\n{harness.table(rows)}", end="")
    sys.exit(1 if failed else 0)


def command_of(item: Item, args: argparse.Namespace) -> list[str]:
    """The command of an item; benchmarks are told where to compute and what to read and write."""
    command = [sys.executable, "-m", item.module, *item.arguments]
    if item.module == "pytest":
        return command
    command += ["--device", args.device, "--out", str(args.out), "--data", str(args.folder / "data")]
    return command + (["--mini", "--rounds", "2"] if args.small else [])


def run(command: Sequence[str], limit: float, log: Path, environment: dict[str, str]) -> tuple[str, float]:
    """Run a command to its end or for `limit` seconds; how it ended, and its seconds."""
    if limit < LEAST:
        return SKIPPED, 0.0
    started = perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            code = process.wait(limit)
            result = "passed" if code == 0 else f"exit {code}"
        except subprocess.TimeoutExpired:
            result = f"stopped after {limit:.0f} s"
            os.killpg(process.pid, signal.SIGKILL)  # with all that it started
            process.wait()
    return result, perf_counter() - started


if __name__ == "__main__":
    main()
