"""Everything, in half an hour on two cores: `python -m chaos [OUT]`.

Prints the counts, writes them and the table of messages to OUT, and exits with 1 if anything was not as it should be.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from inducer_bench.escape import markdown

if TYPE_CHECKING:
    from chaos.everything import Outcome

KILLS = 120
SEED = 1


def main() -> int:
    """Try everything; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", help="folder for counts.md and messages.md")
    parser.add_argument("--only", default="", help="groups or names that match this regular expression")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    room = Path(tempfile.mkdtemp(prefix="chaos-"))
    (room / "home").mkdir()
    os.environ.update(
        HOME=str(room / "home"),
        OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1", HF_HOME=str(room / "hf"),
        INDUCER_BENCH_CACHE=str(room / "cache"), NETRC=str(room / "netrc"),
    )  # fmt: skip
    from chaos.everything import everything  # imports what reads the environment

    trials = {key: trial for key, trial in everything(room, KILLS, SEED) if re.search(args.only, key)}
    started = time.monotonic()

    def tried(key: str) -> "Outcome":
        outcome = trials[key]()
        if outcome.wrong is not None:
            print(f"{key}\n    {outcome.wrong}\n    {outcome.message}", flush=True)
        return outcome

    with ThreadPoolExecutor(args.workers) as pool:
        outcomes = dict(zip(trials, pool.map(tried, trials), strict=True))
    shutil.rmtree(room, ignore_errors=True)
    counts = "\n".join(_counts(outcomes))
    print(f"{counts}\n{time.monotonic() - started:.0f} s")
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "counts.md").write_text(counts + "\n", encoding="utf-8")
        messages = "\n".join(_messages(outcomes, str(room)))
        (args.out / "messages.md").write_text(messages + "\n", encoding="utf-8")
    return int(any(outcome.wrong for outcome in outcomes.values()))


def _counts(outcomes: dict[str, "Outcome"]) -> Iterator[str]:
    tried = Counter(key.split(":")[0] for key in outcomes)
    good = Counter(key.split(":")[0] for key, outcome in outcomes.items() if outcome.wrong is None)
    yield "| what | tried | good |"
    yield "|---|---|---|"
    for group in tried:
        yield f"| {group} | {tried[group]} | {good[group]} |"
    yield f"| all | {tried.total()} | {good.total()} |"


def _messages(outcomes: dict[str, "Outcome"], room: str) -> Iterator[str]:
    """One row for each message of an input or a fault that was refused, or with which a run failed."""
    from chaos.kills import KINDS

    yield "| what | exit | last line |"
    yield "|---|---|---|"
    for key, outcome in outcomes.items():
        if outcome.code > 0 and not key.startswith(KINDS):
            cells = (key, str(outcome.code), outcome.message.replace(room, "..."))
            yield "| " + " | ".join(markdown(cell) for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
