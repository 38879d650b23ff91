"""Weights & Biases as a mirror of the local files. Whatever it does, no number and no exit code changes."""

import dataclasses
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from inducer_bench import hub
from inducer_bench.config.schema import ExperimentConfig

log = logging.getLogger("inducer_bench")


class Mirror:
    """A W&B run, or nothing at all: after the first failure it stays silent."""

    def __init__(self, run: Any | None = None) -> None:
        self._run = run

    def log(self, metrics: dict[str, Any]) -> None:
        """Send one row of metrics."""
        if self._run is not None:
            run, step = self._run, metrics["step"]
            row = {f"{metrics['event']}/{key}": value for key, value in metrics.items() if key not in ("event", "step")}
            self._guarded(lambda: run.log(row, step=step))

    def finish(self, record: dict[str, Any] | None) -> None:
        """Send the final scores and close the W&B run."""
        if self._run is None:
            return
        run = self._run
        if record is not None and record["status"] == "done":
            scores = {name: score["value"] for name, score in record["scores"].items()}
            self._guarded(lambda: run.summary.update({**scores, "parameters": record["parameters"]}))
        failed = record is None or record["status"] != "done"
        self._guarded(lambda: run.finish(exit_code=int(failed)))

    def _guarded(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # a mirror must never stop a run; the reason is told once
            log.warning("Weights & Biases is left out from here on: %s", error)
            self._run = None


def open_mirror(config: ExperimentConfig, folder: Path, run_hash: str) -> Mirror:
    """A mirror as `tracker` asks for, online only with a key and a network."""
    tracker = config.tracker
    if tracker.name == "none":
        return Mirror()
    online = tracker.mode == "online" or (tracker.mode == "auto" and has_key() and hub.reachable(server()))
    try:
        import wandb

        run = wandb.init(
            project=tracker.project,
            entity=tracker.entity,
            id=run_hash,
            name=f"{config.task.name}/{config.method.name}/{config.seed}",
            group=f"{config.suite}/{config.task.name}/{config.plm.name}/{config.method.name}",
            config=dataclasses.asdict(config),
            dir=str(folder),
            mode="online" if online else "offline",
            resume="allow" if online else None,
            settings=wandb.Settings(init_timeout=20, finish_timeout=60, silent=True, console="off"),
        )
    except Exception as error:  # as above: told, and the run goes on
        log.warning("Weights & Biases is left out: %s", error)
        return Mirror()
    return Mirror(run)


def has_key() -> bool:
    """Whether W&B would find a key for its server: in the environment, or in the netrc file."""
    host = urlparse(server()).hostname or ""
    return bool(os.environ.get("WANDB_API_KEY")) or host in _netrc().split()


def _netrc() -> str:
    path = Path(os.environ.get("NETRC", Path.home() / ".netrc"))
    return path.read_text() if path.is_file() else ""


def server() -> str:
    """W&B's own server, or a self-hosted one."""
    return os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
