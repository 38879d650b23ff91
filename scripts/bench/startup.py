"""Start-up: the time until the command line answers, and until training begins.

    python -m scripts.bench.startup

Whole processes of `inducer-bench`: `--help`; `ls`; a run that is already done; and a run on the mini PLM until its
first training step is in metrics.jsonl, with tokenized data in the cache and without (then the mini data are generated
and tokenized first).
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import numpy as np

from scripts.bench import harness
from scripts.bench.setup import COMMAND, SMALL_RUN

FIRST_STEP = ["preset=mini", "task=sst2", "method=inducer", "trainer.log_every=1"]
TARGETS = {"help": 1.5, "ls": 1.5, "a finished run": 1.5, "first step": 8.0}  # seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Publish one row for each command."""
    parser = harness.parser(__doc__)
    parser.add_argument("--commands", nargs="+", default=[*TARGETS, "first step, nothing cached"])
    args = parser.parse_args(arguments)
    device = f"trainer.device={args.device.type}"
    with tempfile.TemporaryDirectory() as room:
        cache, number = Path(room) / "cache", count()
        environment = {**os.environ, "INDUCER_BENCH_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
        finished = [*SMALL_RUN, device, f"output_dir={room}/finished"]

        def call(*arguments: str) -> None:
            subprocess.run([COMMAND, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)

        def first_step(cache: Path) -> None:
            runs = Path(room) / f"runs{next(number)}"
            until_first_step([COMMAND, *FIRST_STEP, device, f"output_dir={runs}"], runs,
                             {**environment, "INDUCER_BENCH_CACHE": str(cache)})  # fmt: skip

        candidates: dict[str, Callable[[], object]] = {
            "help": lambda: call("--help"),
            "ls": lambda: call("ls"),
            "a finished run": lambda: call(*finished),
            "first step": lambda: first_step(cache),
            "first step, nothing cached": lambda: first_step(Path(room) / f"cache{next(number)}"),
        }
        chosen = {name: candidates[name] for name in args.commands}
        times = harness.alternate(chosen, args.rounds)  # the warm-up finishes the run and fills the cache
    rows = []
    for name, seconds in times.items():
        low, median, high = np.percentile(seconds, [10, 50, 90]).tolist()
        rows.append({"command": name, "seconds": median, "p10": low, "p90": high, "target": TARGETS.get(name)})
    note = "Seconds from the start of the process, with warm file caches."
    harness.publish("startup", rows, args.device, note, args.out)


def until_first_step(command: Sequence[str], runs: Path, environment: dict[str, str]) -> None:
    """Start a run and kill it as soon as its metrics have a line.

    Raises:
        RuntimeError: the run ended before its first step.
    """
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        while not any(path.stat().st_size for path in runs.rglob("metrics.jsonl")):
            if process.poll() is not None:
                raise RuntimeError(f"ended with code {process.returncode} before its first step")
            time.sleep(0.01)
        process.kill()


if __name__ == "__main__":
    main()
