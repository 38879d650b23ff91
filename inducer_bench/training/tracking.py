"""Progress reports of a run: metrics.jsonl first, then the terminal and the mirrors, which may fail.

metrics.jsonl contains only values that the computation determines, and no times: a resumed run writes the same bytes
as an uninterrupted one. Times go to the log, the terminal and the mirrors.
"""

import logging
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TaskID

from inducer_bench import strict_json
from inducer_bench.distributed import on_main_process
from inducer_bench.errors import TrainingDiverged
from inducer_bench.files import append, read_bytes, write_atomic
from inducer_bench.metrics.table import written
from inducer_bench.notices import RUN_FOLDER
from inducer_bench.training.checkpoint import Progress
from inducer_bench.training.console import Expectation, bar, progress_line
from inducer_bench.training.mirrors import Mirrors

FILE = "metrics.jsonl"
SHORTEST_SECONDS = 1e-9  # lower bound of an interval's duration: a coarse clock may measure 0
log = logging.getLogger("inducer_bench")


class Tracker:
    """Writes a run's metrics in the main process; call `start` before the first step and always `close` at the end.

    Args:
        folder: of the run.
        mirrors: get them, too.
        name: of the run, where several are trained side by side.
        shows: whether to show how far it is: of several runs side by side, one does.
    """

    def __init__(self, folder: Path, mirrors: Mirrors, name: str = "", shows: bool = True) -> None:
        self.path = folder / FILE
        self._lines: list[str] = []  # of metrics.jsonl
        self.mirrors = mirrors
        self._console = Console(stderr=True, force_jupyter=False)  # plain lines in a notebook
        self._name = name
        self._shows = shows
        self._bar: Bar | None = None
        self._bar_task = TaskID(0)
        self._since = (time.perf_counter(), 0)  # clock and real tokens at the last logged line

    @on_main_process
    def start(self, progress: Progress, total_steps: int) -> None:
        """Continue from `progress`: metrics.jsonl becomes what it was then, whatever has become of it since."""
        self._lines = [progress.metrics]
        content = progress.metrics.encode()
        if content and not (self.path.exists() and read_bytes(self.path).startswith(content)):
            log.warning("%s: was cut or changed; written again from the checkpoint", self.path)
        write_atomic(self.path, content)
        if progress.step:
            self._say(f"resuming at step {progress.step} of {total_steps}", terminal=True)
        self._total = total_steps
        self._expectation = Expectation(progress.step, total_steps)
        self._since = (time.perf_counter(), progress.real_tokens)
        if self._shows and self._console.is_terminal:
            self._bar = bar(self._console)
            self._bar_task = self._bar.add_task("", total=total_steps, completed=progress.step)
            self._bar.start()

    @property
    def metrics(self) -> str:
        """The content of metrics.jsonl so far, for the checkpoint; empty in all processes but the main one."""
        return "".join(self._lines)

    @on_main_process
    def step(self, progress: Progress) -> None:
        """Show a finished step in the progress bar, or tell once how long the training takes."""
        if self._bar:
            self._bar.update(self._bar_task, completed=progress.step)
        elif self._shows and (line := self._expectation.line(progress.step)):
            self._console.print(line, highlight=False, soft_wrap=True)

    @on_main_process
    def interval(self, progress: Progress, loss: float, lr: float) -> None:
        """Log an interval of steps: its mean loss, and the learning rate of its last step."""
        now, (then, tokens) = time.perf_counter(), self._since
        speed = (progress.real_tokens - tokens) / max(now - then, SHORTEST_SECONDS)
        self._since = (now, progress.real_tokens)
        self._write({"event": "train", "step": progress.step, "loss": loss, "lr": lr}, {"tokens_per_second": speed})
        line = f"loss {loss:.4f}  lr {lr:.2e}  {speed:,.0f} tokens/s"
        if self._bar:
            self._bar.update(self._bar_task, description=progress_line(self._console, loss, lr, speed))
        self._say(f"step {progress.step}/{self._total}  {line}", terminal=not self._console.is_terminal)

    @on_main_process
    def evaluation(self, progress: Progress) -> None:
        """Log the evaluation at the end of an epoch."""
        result = progress.evaluations[-1]
        self._write({"event": "evaluation", **result}, {})
        scores = {name: value for name, value in result.items() if name not in ("epoch", "step") and value is not None}
        shown = "  ".join(f"{name} {written(name, value)}" for name, value in scores.items())
        self._say(f"epoch {progress.epoch}  {shown}", terminal=True)

    @on_main_process
    def close(self, summary: dict[str, Any] | None) -> None:
        """Stop the progress bar and close the mirrors, once; `summary` is None unless the run finished."""
        if self._bar:
            self._bar.stop()
        self.mirrors.finish(summary)
        self.mirrors = Mirrors()

    def _write(self, metrics: dict[str, Any], times: dict[str, float]) -> None:
        try:
            line = strict_json.dumps(metrics) + "\n"
        except ValueError:
            raise TrainingDiverged(f"step {metrics['step']}: a number is not finite: {metrics}") from None
        self._lines.append(line)
        append(self.path, line.encode())
        self.mirrors.log({**metrics, **times})

    def _say(self, line: str, terminal: bool) -> None:
        log.info(line, extra={RUN_FOLDER: self.path.parent.absolute()})
        if terminal:
            self._console.print(f"{self._name}  {line}" if self._name else line, highlight=False, soft_wrap=True)
