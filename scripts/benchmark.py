"""What the benchmarks share: alternating runs, ratios, peak memory, and results on disk.

Candidates run in turn in one process, in an order that is shuffled each round, so that what slows the machine for a
while slows all of them; the ratio of two candidates is taken within each round. Results go to
`results/bench/<device>/<name>.json` (rows and provenance) and `<name>.md` (the same as a table).
"""

import argparse
import json
import platform
import random
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from inducer_bench.files import write_atomic
from inducer_bench.report.figures import Picture
from inducer_bench.runs.provenance import code, versions

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "bench"
CPU = torch.device("cpu")
Row = dict[str, Any]


# -- measuring -----------------------------------------------------------------------------------------------------


def alternate(
    candidates: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 1, device: torch.device = CPU
) -> dict[str, list[float]]:
    """Run the candidates in turn; name -> seconds of each round's run.

    Args:
        candidates: what to time, by name; all are called `warmup + rounds` times.
        rounds: timed runs of each candidate.
        warmup: runs of each candidate before, not timed.
        device: where they compute; a GPU is waited for before and after each run.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    shuffle = random.Random(0)
    for index in range(warmup + rounds):
        for name in shuffle.sample(sorted(candidates), len(candidates)):
            synchronize(device)
            started = perf_counter()
            candidates[name]()
            synchronize(device)
            if index >= warmup:
                times[name].append(perf_counter() - started)
    return times


def ratio(times: dict[str, list[float]], name: str, baseline: str) -> tuple[float, float, float]:
    """Median, 10th and 90th percentile of the rounds' ratios, `name` to `baseline`."""
    ratios = np.divide(times[name], times[baseline])
    middle, low, high = np.percentile(ratios, [50, 10, 90]).tolist()
    return middle, low, high


def median(seconds: Sequence[float]) -> float:
    """The middle one."""
    return float(np.median(seconds))


def ratio_rows(times: dict[str, list[float]], baseline: str) -> list[Row]:
    """One row for each candidate: median seconds, and the ratio to the baseline with its percentiles."""
    rows = []
    for name, seconds in times.items():
        middle, low, high = ratio(times, name, baseline)
        rows.append({"candidate": name, "seconds": median(seconds), f"ratio to {baseline}": middle,
                     "p10": low, "p90": high, "rounds": len(seconds)})  # fmt: skip
    return rows


def peak_memory(call: Callable[[], object], device: torch.device = CPU) -> int:
    """Most bytes of tensors that `call` holds at any time beyond those there before it.

    As torch's allocators count them: on a GPU by `torch.cuda` (the cache is not counted), on the CPU from the
    profiler's record of every allocation and release. What a library takes for itself (oneDNN) is not seen.
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
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# -- telling -------------------------------------------------------------------------------------------------------


def parser(doc: str | None, rounds: int = 7) -> argparse.ArgumentParser:
    """The options that all benchmarks have: where, how precisely, how often, on what, and where to."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--device", type=torch.device, default=CPU, help="cpu (default) or cuda")
    made.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    made.add_argument("--rounds", type=int, default=rounds, help="timed runs of each candidate (default: %(default)s)")
    made.add_argument("--mini", action="store_true", help="the mini PLM and data: to see that it works")
    made.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="default: ../shared/data")
    made.add_argument("--out", type=Path, default=RESULTS, help="folder of results (default: results/bench)")
    return made


def device_name(device: torch.device = CPU) -> str:
    """What the maker calls the GPU, or the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def slug(device: torch.device = CPU) -> str:
    """The device's name as a folder's."""
    return re.sub(r"[^a-z0-9]+", "-", device_name(device).lower()).strip("-")


def command_line() -> str:
    """The command as it was typed, with names only of this script and of folders given by absolute paths."""
    script, *arguments = sys.argv
    return shlex.join(
        ["python", f"scripts/{Path(script).name}",
         *(re.sub(r"(^|=)/.*/", r"\1", argument.rstrip("/")) for argument in arguments)]
    )  # fmt: skip


def publish(
    name: str,
    rows: Sequence[Row],
    device: torch.device = CPU,
    command: str = "",
    note: str = "",
    pictures: Iterable[Picture] = (),
    out: Path = RESULTS,
) -> Path:
    """Write `<out>/<device>/<name>.json`, `.md` and the pictures; print the table; returns the path of the JSON."""
    folder = out / slug(device)
    folder.mkdir(parents=True, exist_ok=True)
    described = {
        "name": name, "note": note, "command": command, "date": date.today().isoformat(),
        "device": {"type": device.type, "name": device_name(device), "threads": torch.get_num_threads()},
        "code": code(), "versions": versions(),
    }  # fmt: skip
    path = folder / f"{name}.json"
    write_atomic(path, (json.dumps({**described, "rows": list(rows)}, indent=1) + "\n").encode())
    images = []
    for picture in pictures:
        write_atomic(folder / f"{picture.name}.svg", picture.svg)
        write_atomic(folder / f"{picture.name}.png", picture.png)
        images.append(f"![{picture.title}]({picture.name}.png)\n")
    text = table(rows)
    where = f"{device_name(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}, {described['date']}."
    parts = [f"# {name}\n", f"{note}\n" if note else "", f"{where}\n", f"```\n{command}\n```\n", text, *images]
    write_atomic(folder / f"{name}.md", "\n".join(part for part in parts if part).encode())
    print(text)
    return path


def table(rows: Sequence[Row]) -> str:
    """Rows in Markdown; the columns are all keys, in the order of their first use."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ["---"] * len(columns), *([_cell(row.get(key)) for key in columns] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: Any) -> str:
    """Whole numbers with separators, others to four digits."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
