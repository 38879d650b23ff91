"""Weights & Biases (https://docs.wandb.ai): a run as it keeps it, and the tables of `inducer-bench tables --wandb`.

What a run sends has no host name, no absolute folder, no list of packages and no code. The tables are sent as they are,
with the folders of runs and commands.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inducer_bench import hub
from inducer_bench.files import read_bytes
from inducer_bench.notices import tell
from inducer_bench.training.options import TrackerOptions
from inducer_bench.training.sink import ANYTHING, Start, reason

INIT_SECONDS = 20  # to start a W&B run before the mirror is given up
FINISH_SECONDS = 60  # to send the remaining rows at the end


class WandbSink:
    """A W&B run, online only with a key and a network."""

    def __init__(self, tracker: TrackerOptions, start: Start) -> None:
        online = tracker.mode == "online" or (tracker.mode == "auto" and _can_be_online())
        self._run = _start(
            online,
            project=tracker.project,
            entity=tracker.entity,
            id=start.run_id,
            name=start.name,
            group=start.group,
            config=start.config,
            dir=str(start.folder),
            reinit="create_new",  # several seeds side by side have one each
            resume="allow" if online else None,
        )

    def log(self, row: dict[str, float], step: int) -> None:
        """Send one row."""
        self._run.log(row, step=step)

    def finish(self, summary: dict[str, Any] | None) -> None:
        """Send the summary of a finished run and end the W&B run; without a summary it ends as failed."""
        if summary is not None:
            self._run.summary.update(summary)
        self._run.finish(exit_code=int(summary is None))


def log_tables(project: str, folder: Path, files: Sequence[str]) -> None:
    """Log `files` of `folder` as one artifact, `tables`, of a new W&B run; a failure is reported in one line.

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
        tell(f"Weights & Biases is left out, nothing is mirrored: {reason(error)}")


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
