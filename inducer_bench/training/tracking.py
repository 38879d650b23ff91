"""What a run tells while it runs: metrics.jsonl first, the terminal, and Weights & Biases as a mirror that may fail.

metrics.jsonl holds only what the computation decides, no times, so that a resumed run writes the same bytes as an
uninterrupted one. Times go to the log, the terminal and the mirror.
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

from inducer_bench.distributed import on_main_process
from inducer_bench.training.checkpoint import Progress
from inducer_bench.training.wandb_mirror import Mirror

FILE = "metrics.jsonl"
log = logging.getLogger("inducer_bench")


class Tracker:
    """Writes a run's metrics, in the main process alone; opened once the model is built, always closed by `close`."""

    def __init__(self, folder: Path, mirror: Mirror) -> None:
        self.path = folder / FILE
        self.mirror = mirror
        self._console = Console(stderr=True)
        self._bar: Bar | None = None
        self._bar_task = TaskID(0)
        self._since = (time.perf_counter(), 0)  # clock and real tokens at the last logged line

    @on_main_process
    def start(self, progress: Progress, total_steps: int) -> None:
        """Go on from `progress`: drop what was logged after its checkpoint."""
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
    def step(self, progress: Progress, lr: float, log: bool) -> None:
        """Note a finished step; `log` says whether it ends an interval that is written down."""
        if self._bar:
            self._bar.update(self._bar_task, completed=progress.step)
        if not log:
            return
        loss = progress.interval_loss / progress.interval_count
        progress.interval_loss, progress.interval_count = 0.0, 0
        now, (then, tokens) = time.perf_counter(), self._since
        speed = (progress.real_tokens - tokens) / max(now - then, 1e-9)
        self._since = (now, progress.real_tokens)
        self._write({"event": "train", "step": progress.step, "loss": loss, "lr": lr}, {"tokens_per_second": speed})
        line = f"loss {loss:.4f}  lr {lr:.2e}  {speed:,.0f} tokens/s"
        if self._bar:
            self._bar.update(self._bar_task, description=line)
        self._say(f"step {progress.step}/{self._total}  {line}", terminal=self._bar is None)

    @on_main_process
    def evaluation(self, progress: Progress) -> None:
        """Note the evaluation that ended an epoch."""
        result = progress.evaluations[-1]
        self._write({"event": "evaluation", **result}, {})
        scores = {name: value for name, value in result.items() if name not in ("epoch", "step") and value is not None}
        shown = "  ".join(f"{name} {value:.4g}" for name, value in scores.items())
        self._say(f"epoch {progress.epoch}  {shown}", terminal=True)

    @on_main_process
    def save_position(self, progress: Progress) -> None:
        """Make the log safe up to here, and note its size for the checkpoint."""
        with open(self.path, "ab") as file:
            os.fsync(file.fileno())
            progress.log_bytes = file.tell()

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
