"""Weights & Biases as a mirror of the local files; its failures change no number and no exit code.

What is mirrored tells nothing about the machine: no host name, no folder, no list of packages, no code.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inducer_bench import hub
from inducer_bench.files import read_bytes
from inducer_bench.notices import tell
from inducer_bench.training.options import TrackerOptions

INIT_SECONDS = 20  # to start a W&B run before the mirror is given up
FINISH_SECONDS = 60  # to send the remaining rows at the end
ANYTHING = (Exception, SystemExit)  # that W&B may raise; only the user's interrupt is let through


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
        except ANYTHING as error:
            tell(f"Weights & Biases is left out from here on: {_reason(error)}")
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
    try:
        online = tracker.mode == "online" or (tracker.mode == "auto" and _can_be_online())
        run = _start(
            online,
            project=tracker.project,
            entity=tracker.entity,
            id=run_id,
            name=name,
            group=group,
            config=_without_folders(config),
            dir=str(folder),
            reinit="create_new",  # several seeds side by side have one each
            resume="allow" if online else None,
        )
    except ANYTHING as error:
        tell(f"Weights & Biases is left out, nothing is mirrored: {_reason(error)}")
        return Mirror()
    return Mirror(run)


def log_tables(project: str, folder: Path, files: Sequence[str]) -> None:
    """Log `files` of `folder` as one artifact, `tables`, of a new W&B run; a failure is told in one line.

    W&B writes to `wandb/` in the working directory, so that `folder` contains only tables and figures.
    """
    try:
        run = _start(_can_be_online(), project=project, job_type="tables", name="tables")
        artifact = _wandb().Artifact("tables", type="tables")
        for file in files:
            artifact.add_file(str(folder / file), name=file)
        run.log_artifact(artifact)
        run.finish()
    except ANYTHING as error:  # the tables themselves are already written
        tell(f"Weights & Biases is left out, nothing is mirrored: {_reason(error)}")


def _start(online: bool, **arguments: Any) -> Any:
    wandb = _wandb()
    settings = wandb.Settings(
        init_timeout=INIT_SECONDS,
        login_timeout=INIT_SECONDS,
        finish_timeout=FINISH_SECONDS,
        silent=True,
        console="off",
        host="-",  # a value, or W&B takes the machine's
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        disable_git=True,
        save_code=False,
    )
    return wandb.init(**arguments, mode="online" if online else "offline", settings=settings)


def _without_folders(value: Any) -> Any:
    """Plain values in which an absolute path is cut to its last part."""
    if isinstance(value, dict):
        return {key: _without_folders(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_folders(each) for each in value]
    return Path(value).name if isinstance(value, str) and os.path.isabs(os.path.expanduser(value)) else value


def _reason(error: BaseException) -> str:
    """A message as one line, without the advice for programmers that pydantic appends."""
    return " ".join(str(error).split()).partition(" [type=")[0] or type(error).__name__


def _wandb() -> Any:
    import wandb  # imported late: it takes seconds, and most runs do not use it

    return wandb


def _can_be_online() -> bool:
    return has_key() and hub.reachable(server())


def has_key() -> bool:
    """Whether W&B has an API key for its server, in the environment or in the netrc file."""
    return bool(os.environ.get("WANDB_API_KEY")) or hub.host(server()) in _netrc().split()


def _netrc() -> str:
    """The netrc file, as far as it can be read."""
    try:
        return read_bytes(Path(os.environ.get("NETRC") or "~/.netrc").expanduser()).decode(errors="replace")
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return ""


def server() -> str:
    """The address of W&B's server, or of a self-hosted one (WANDB_BASE_URL)."""
    return os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"
