"""Progress reports of a run: metrics.jsonl first, then the terminal and the Weights & Biases mirror, which may fail.

metrics.jsonl contains only values that the computation determines, and no times: a resumed run writes the same bytes
as an uninterrupted one. Times go to the log, the terminal and the mirror.
"""

import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from inducer_bench.distributed import is_main_process, on_main_process
from inducer_bench.training.checkpoint import Progress
from inducer_bench.training.wandb_mirror import Mirror

FILE = "metrics.jsonl"
SHORTEST_SECONDS = 1e-9  # lower bound of an interval's duration: a coarse clock may measure 0
log = logging.getLogger("inducer_bench")


class Tracker:
    """Writes a run's metrics in the main process; call `start` before the first step and always `close` at the end."""

    def __init__(self, folder: Path, mirror: Mirror) -> None:
        self.path = folder / FILE
        self.mirror = mirror
        self._console = Console(stderr=True)
        self._bar: Bar | None = None
        self._bar_task = TaskID(0)
        self._since = (time.perf_counter(), 0)  # clock and real tokens at the last logged line

    @on_main_process
    def start(self, progress: Progress, total_steps: int) -> None:
        """Continue from `progress`: drop what was logged after its checkpoint."""
        with open(self.path, "ab") as file:
            file.truncate(progress.log_bytes)
        if progress.step:
            log.info("resuming at step %d of %d", progress.step, total_steps)
        self._total = total_steps
        self._since = (time.perf_counter(), progress.real_tokens)
        if self._console.is_terminal:
            columns = (
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                TimeRemainingColumn(),
            )
            self._bar = Bar(*columns, console=self._console, transient=True)
            self._bar_task = self._bar.add_task("", total=total_steps, completed=progress.step)
            self._bar.start()

    @on_main_process
    def step(self, progress: Progress) -> None:
        """Show a finished step in the progress bar."""
        if self._bar:
            self._bar.update(self._bar_task, completed=progress.step)

    @on_main_process
    def interval(self, progress: Progress, loss: float, lr: float) -> None:
        """Log an interval of steps: its mean loss, and the learning rate of its last step."""
        now, (then, tokens) = time.perf_counter(), self._since
        speed = (progress.real_tokens - tokens) / max(now - then, SHORTEST_SECONDS)
        self._since = (now, progress.real_tokens)
        self._write({"event": "train", "step": progress.step, "loss": loss, "lr": lr}, {"tokens_per_second": speed})
        line = f"loss {loss:.4f}  lr {lr:.2e}  {speed:,.0f} tokens/s"
        if self._bar:
            self._bar.update(self._bar_task, description=line)
        self._say(f"step {progress.step}/{self._total}  {line}", terminal=self._bar is None)

    @on_main_process
    def evaluation(self, progress: Progress) -> None:
        """Log the evaluation at the end of an epoch."""
        result = progress.evaluations[-1]
        self._write({"event": "evaluation", **result}, {})
        scores = {name: value for name, value in result.items() if name not in ("epoch", "step") and value is not None}
        shown = "  ".join(f"{name} {value:.4g}" for name, value in scores.items())
        self._say(f"epoch {progress.epoch}  {shown}", terminal=True)

    def save_position(self) -> int:
        """Flush metrics.jsonl to disk; returns its size in bytes, for the checkpoint (0 in other processes)."""
        if not is_main_process():
            return 0
        with open(self.path, "ab") as file:
            os.fsync(file.fileno())
            return file.tell()

    @on_main_process
    def close(self, summary: dict[str, Any] | None) -> None:
        """Stop the progress bar and close the mirror; `summary` is None unless the run finished."""
        if self._bar:
            self._bar.stop()
        self.mirror.finish(summary)

    def _write(self, metrics: dict[str, Any], times: dict[str, float]) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(metrics) + "\n")
        self.mirror.log({**metrics, **times})

    def _say(self, line: str, terminal: bool) -> None:
        log.info(line)
        if terminal:
            self._console.print(line, highlight=False)
