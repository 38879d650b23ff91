"""Shared by all benchmarks: alternating runs, ratios, peak memory, and results on disk.

Candidates take turns in one process, in an order that is shuffled each round, so that a temporary slowdown of the
machine affects all of them. The ratio of two candidates is taken within each round, of the seconds that the device was
busy: on a CPU those of this process, of all its threads, which other processes hardly change; on a GPU those between
two events. A result, rows and provenance, is written to `results/bench/<device>/<name>.json`.
"""

import argparse
import json
import platform
import random
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from scipy.stats import binom
from torch.profiler import ProfilerActivity, profile

from inducer_bench.files import write_atomic
from inducer_bench.runs.provenance import code, versions

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results" / "bench"
CPU = torch.device("cpu")
SPREAD = ("ratio to SDPA", "ratio to lora", "ratio to ours", "ratio to batched with a cache", "times ours", "ratio")
Row = dict[str, Any]


# -- measuring -----------------------------------------------------------------------------------------------------


class Seconds(float):
    """Wall-clock seconds of a run; `busy` are those that the device was busy with it."""

    busy: float

    def __new__(cls, wall: float, busy: float) -> "Seconds":
        """Both in seconds."""
        made = super().__new__(cls, wall)
        made.busy = busy
        return made

    def __truediv__(self, count: float) -> "Seconds":
        """The seconds of one of `count` equal parts."""
        return Seconds(float(self) / count, self.busy / count)


def timed(call: Callable[[], object], device: torch.device = CPU) -> Seconds:
    """The seconds of one call."""
    synchronize(device)
    events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if device.type == "cuda" else []
    wall, cpu = perf_counter(), process_time()
    for event in events[:1]:
        event.record()
    call()
    for event in events[1:]:
        event.record()
    synchronize(device)
    busy = events[0].elapsed_time(events[1]) / 1000 if events else process_time() - cpu
    return Seconds(perf_counter() - wall, busy)


def busy(runs: Sequence[float]) -> list[float]:
    """The busy seconds of runs; of other numbers, those."""
    return [run.busy if isinstance(run, Seconds) else run for run in runs]


def alternate(
    candidates: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 1, device: torch.device = CPU
) -> dict[str, list[Seconds]]:
    """Time the candidates in turn; name -> seconds of its run in each round.

    Args:
        candidates: the functions to time, by name; each is called `warmup + rounds` times.
        rounds: timed runs of each candidate.
        warmup: untimed runs of each candidate at the start.
        device: the device they compute on; a GPU is synchronized before and after each run.
    """
    times: dict[str, list[Seconds]] = {name: [] for name in candidates}
    shuffle = random.Random(0)
    for index in range(warmup + rounds):
        for name in shuffle.sample(sorted(candidates), len(candidates)):
            seconds = timed(candidates[name], device)
            if index >= warmup:
                times[name].append(seconds)
    return times


def ratio(times: Mapping[str, Sequence[float]], name: str, baseline: str) -> tuple[float, float, float]:
    """Median, 10th and 90th percentile over the rounds of the ratio of `name` to `baseline`, by busy seconds."""
    ratios = np.divide(busy(times[name]), busy(times[baseline]))
    middle, low, high = np.percentile(ratios, [50, 10, 90]).tolist()
    return middle, low, high


def interval(times: Mapping[str, Sequence[float]], name: str, baseline: str) -> str:
    """The 95 % confidence interval of the median ratio, from order statistics: it assumes no distribution.

    As wide as all rounds if there are fewer than six.
    """
    ratios = sorted(np.divide(busy(times[name]), busy(times[baseline])).tolist())
    rounds = len(ratios)
    below = int(binom.ppf(0.025, rounds, 0.5)) - 1 if rounds > 5 else 0  # so that P(fewer below the median) < 2.5 %
    return f"{ratios[max(below, 0)]:.3f} to {ratios[rounds - 1 - max(below, 0)]:.3f}"


def median(seconds: Sequence[float]) -> float:
    """The median as a plain number."""
    return float(np.median(seconds))


def ratio_rows(times: Mapping[str, Sequence[float]], baseline: str) -> list[Row]:
    """One row for each candidate: median seconds by the wall clock, and busy, and the ratio to the baseline."""
    rows = []
    for name, seconds in times.items():
        middle, low, high = ratio(times, name, baseline)
        rows.append({"candidate": name, "seconds": median(seconds), "busy seconds": median(busy(seconds)),
                     f"ratio to {baseline}": middle, "p10": low, "p90": high,
                     "95 % of the median": interval(times, name, baseline), "rounds": len(seconds)})  # fmt: skip
    return rows


def peak_memory(call: Callable[[], object], device: torch.device = CPU) -> int:
    """Peak bytes of tensors during `call`, in addition to those allocated before it.

    As torch's allocators count them: on a GPU by `torch.cuda` (without the cache), on the CPU from the profiler's
    record of every allocation and release. Memory that a library allocates for itself (oneDNN) is not counted.
    """
    if device.type == "cuda":
        synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        call()
    results: Any = record.profiler.kineto_results
    events = [event for event in results.events() if event.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(0, int(np.cumsum(changes).max(initial=0)))


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished; nothing to do on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# -- reporting -----------------------------------------------------------------------------------------------------


def parser(doc: str | None, rounds: int = 7) -> argparse.ArgumentParser:
    """A parser with the options common to all benchmarks: device, precision, rounds, data and output folder."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--device", type=torch.device, default=CPU, help="cpu (default) or cuda")
    made.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    made.add_argument("--rounds", type=int, default=rounds, help="timed runs of each candidate (default: %(default)s)")
    made.add_argument("--mini", action="store_true", help="a quick check on the mini PLM and data")
    made.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="default: ../shared/data")
    made.add_argument("--out", type=Path, default=RESULTS, help="folder of results (default: results/bench)")
    return made


def device_name(device: torch.device = CPU) -> str:
    """The vendor's name of the GPU, or of the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def slug(device: torch.device = CPU) -> str:
    """The device's name in the form of a folder name."""
    return re.sub(r"[^a-z0-9]+", "-", device_name(device).lower()).strip("-")


def command_line() -> str:
    """The command that runs now, without the directories of folders given by absolute paths."""
    script, *arguments = sys.argv
    return shlex.join(
        ["python", "-m", ".".join(Path(script).with_suffix("").parts[-3:]),
         *(re.sub(r"(^|=)/.*/", r"\1", argument.rstrip("/")) for argument in arguments)]
    )  # fmt: skip


def publish(
    name: str,
    rows: Sequence[Row],
    device: torch.device = CPU,
    note: str = "",
    out: Path = RESULTS,
) -> Path:
    """Write the rows with their provenance to `<out>/<device>/<name>.json`, print them, and return the path."""
    described = {
        "name": name, "note": note, "command": command_line(), "date": date.today().isoformat(),
        "device": {"type": device.type, "name": device_name(device), "threads": torch.get_num_threads()},
        "code": asdict(code()), "versions": versions(),
    }  # fmt: skip
    path = out / slug(device) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps({**described, "rows": list(rows)}, indent=1) + "\n").encode())
    print(table(rows))
    return path


def has_spread(row: Row, column: str) -> bool:
    """Whether the row has p10 and p90, and they belong to this column."""
    return "p10" in row and (column in SPREAD or (column == "seconds" and "command" in row))


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table; its columns are all keys, in order of first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ["---"] * len(columns), *([_cell(row.get(key)) for key in columns] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: Any) -> str:
    """Integers with thousands separators, other numbers with four significant digits."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
