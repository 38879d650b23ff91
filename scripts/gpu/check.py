"""Run the items of one call, each a process of its own with a limit of time, and say which passed.

    sh scripts/gpu_check.sh a|b|c [--device cpu] [--small] [--only ITEM...] [--out FOLDER]

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

SECONDS = 510  # of a whole call: with its start, below nine minutes
LEAST = 5  # seconds left with which an item is started
SHOWN = 15  # lines of the output of an item that failed
METHODS = "fine_tune bitfit prefix adapter lora mam kernel_mix inducer inducer_lora inducer_ffn".split()
FEW = ["lora", "inducer", "fine_tune"]


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
    half = "4" if small else "8"
    if call == "a":
        return [
            Item("environment", 60, "scripts.gpu.environment"),
            Item("tests", 240, "pytest", ["-q", "-p", "no:cacheprovider", "tests/cuda"]),
            Item("gradients", 60, "scripts.gpu.attention", ["--check"]),
            Item("graphs", 100, "scripts.gpu.graphs", ["--check", "--methods", *FEW]),
            Item("profile", 120, "scripts.gpu.profile", methods),
        ]
    if call == "b":
        return [
            Item("step_sst2", 80, "scripts.bench.step",
                 ["--task", "sst2", "--batch", "16", "--lengths", *short, *methods, *precision]),
            Item("step_webnlg", 90, "scripts.bench.step",
                 ["--task", "webnlg", "--batch", half, "--lengths", *long, *methods, *precision]),
            Item("graphs", 110, "scripts.gpu.graphs", methods),
            Item("attention", 60, "scripts.gpu.attention"),
            Item("seeds", 40, "scripts.bench.seeds", ["--seeds", "1", "5", "10", *precision]),
            Item("jobs", 90, "scripts.gpu.runs", ["jobs"]),
            *(Item(f"compile_{mode}", 60, "scripts.bench.compile",
                   ["--task", "sst2", "--methods", "lora", "inducer", "--batches", "2", "--mode", mode, *precision])
              for mode in (["default"] if device == "cpu" else ["default", "reduce-overhead"])),
        ]  # fmt: skip
    return [
        Item("epoch", 260, "scripts.gpu.runs", ["epoch", "--methods", *FEW]),
        Item("resume", 90, "scripts.gpu.runs", ["resume"]),
        Item("memory", 60, "scripts.gpu.runs", ["memory"]),
        *(Item(f"decoding_{kind}", 60, "scripts.bench.decoding", ["--slow", "2", "--precision", kind])
          for kind in ("bf16", "fp32")),
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line for each item as it ends, the ends of outputs of those that failed, and a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("call", choices=["a", "b", "c"])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--small", action="store_true", help="the mini PLM and data, few steps")
    parser.add_argument("--only", nargs="+", default=[], metavar="ITEM")
    parser.add_argument("--folder", type=Path, default=harness.ROOT / ".gpu", help="what `prepare` filled")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder of results (default: results/bench)")
    parser.add_argument("--room", type=Path, required=True, help="a new folder for what is not kept")
    args = parser.parse_args(arguments)
    chosen = [item for item in items(args.call, args.small, args.device) if not args.only or item.name in args.only]
    logs = args.folder / "logs" / args.call
    logs.mkdir(parents=True, exist_ok=True)
    unpack_plm(args.folder / "minilm", args.room / "minilm")
    end = perf_counter() + SECONDS
    rows = [{"item": item.name, **run(item, args, logs / f"{item.name}.txt", end)} for item in chosen]
    failed = [str(row["item"]) for row in rows if row["result"] not in ("passed", "skipped")]
    for name in failed:
        print(f"\n== {name}: the end of its output")
        print("\n".join((logs / f"{name}.txt").read_text(errors="replace").splitlines()[-SHOWN:]))
    print()
    print(harness.table(rows), end="")
    sys.exit(1 if failed else 0)


def run(item: Item, args: argparse.Namespace, log: Path, end: float) -> harness.Row:
    """Run one item to its end or limit; its result, seconds and limit."""
    started = perf_counter()
    limit = min(item.seconds, end - started)
    if limit < LEAST:
        return {"result": "skipped", "seconds": 0.0, "limit": item.seconds}
    command = [sys.executable, "-m", item.module, *item.arguments]
    environment = {**os.environ, "CUDA_TESTS_ON": args.device, "GPU_CHECK_PLM": str(args.room / "minilm")}
    if item.module != "pytest":
        command += ["--device", args.device, "--out", str(args.out), "--data", str(args.folder / "data")]
        command += ["--mini", "--rounds", "2"] if args.small else []
    print(f"-- {item.name}: python {shlex.join(command[1:])}", flush=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            code = process.wait(limit)
            result = "passed" if code == 0 else f"exit {code}"
        except subprocess.TimeoutExpired:
            result = f"stopped after {limit:.0f} s"
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # with all that it started
            process.wait()
    seconds = perf_counter() - started
    print(f"   {result}, {seconds:.1f} s", flush=True)
    return {"result": result, "seconds": seconds, "limit": item.seconds}


if __name__ == "__main__":
    main()
