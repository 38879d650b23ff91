"""Weights & Biases as a mirror of the local files; its failures change no number and no exit code."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from inducer_bench import hub
from inducer_bench.training.options import TrackerOptions

INIT_SECONDS = 20  # to start a W&B run before the mirror is given up
FINISH_SECONDS = 60  # to send the remaining rows at the end

log = logging.getLogger("inducer_bench")


class Mirror:
    """A W&B run or none; after its first failure it does nothing."""

    def __init__(self, run: Any | None = None) -> None:
        self._run = run

    def log(self, metrics: dict[str, Any]) -> None:
        """Send one row of metrics."""
        if self._run is not None:
            run, step = self._run, metrics["step"]
            row = {f"{metrics['event']}/{key}": value for key, value in metrics.items() if key not in ("event", "step")}
            self._guarded(lambda: run.log(row, step=step))

    def finish(self, summary: dict[str, Any] | None) -> None:
        """Send the summary of a finished run and end the W&B run; without a summary it ends as failed."""
        if self._run is None:
            return
        run = self._run
        if summary is not None:
            self._guarded(lambda: run.summary.update(summary))
        self._guarded(lambda: run.finish(exit_code=int(summary is None)))

    def _guarded(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # a mirror must never stop a run; logged once
            log.warning("Weights & Biases is left out from here on: %s", error)
            self._run = None


def open_mirror(
    tracker: TrackerOptions, folder: Path, run_id: str, name: str, group: str, config: dict[str, Any]
) -> Mirror:
    """The mirror that `tracker` asks for, online only with a key and a network.

    Args:
        folder: of the run; W&B keeps its own files there.
        run_id: a resumed run continues under the same one.
        name, group: the run's, as W&B shows them.
        config: the run's configuration as plain values.
    """
    if tracker.name == "none":
        return Mirror()
    online = tracker.mode == "online" or (tracker.mode == "auto" and _can_be_online())
    try:
        run = _start(
            online,
            project=tracker.project,
            entity=tracker.entity,
            id=run_id,
            name=name,
            group=group,
            config=config,
            dir=str(folder),
            resume="allow" if online else None,
        )
    except Exception as error:  # a mirror must never stop a run
        log.warning("Weights & Biases is left out: %s", error)
        return Mirror()
    return Mirror(run)


def log_tables(project: str, folder: Path, files: Sequence[str]) -> None:
    """Log `files` of `folder` as one artifact, `tables`, of a new W&B run; a failure is a warning.

    W&B writes to `wandb/` in the working directory, so that `folder` contains only tables and figures.
    """
    try:
        run = _start(_can_be_online(), project=project, job_type="tables", name="tables")
        artifact = _wandb().Artifact("tables", type="tables")
        for file in files:
            artifact.add_file(str(folder / file), name=file)
        run.log_artifact(artifact)
        run.finish()
    except Exception as error:  # the tables themselves are already written
        log.warning("Weights & Biases is left out: %s", error)


def _start(online: bool, **arguments: Any) -> Any:
    wandb = _wandb()
    settings = wandb.Settings(init_timeout=INIT_SECONDS, finish_timeout=FINISH_SECONDS, silent=True, console="off")
    return wandb.init(**arguments, mode="online" if online else "offline", settings=settings)


def _wandb() -> Any:
    import wandb  # imported late: it takes seconds, and most runs do not use it

    return wandb


def _can_be_online() -> bool:
    return has_key() and hub.reachable(server())


def has_key() -> bool:
    """Whether W&B has an API key for its server, in the environment or in the netrc file."""
    host = urlparse(server()).hostname or ""
    return bool(os.environ.get("WANDB_API_KEY")) or host in _netrc().split()


def _netrc() -> str:
    path = Path(os.environ.get("NETRC", Path.home() / ".netrc"))
    return path.read_text() if path.is_file() else ""


def server() -> str:
    """The address of W&B's server, or of a self-hosted one (WANDB_BASE_URL)."""
    return os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
