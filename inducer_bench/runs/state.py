"""Whether a run is done, without touching it: nothing is written, locked, fetched or asked of the hub."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from inducer_bench import hub
from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.plm.fetch import comes_from_hub, plm_commit
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import identity_here, run_folder
from inducer_bench.tasks import source
from inducer_bench.tasks.options import TaskOptions

CHECKPOINT = "checkpoint"

Name = Literal["done", "failed", "oom", "interrupted", "to do", "unknown", "refused"]


@dataclass(frozen=True)
class State:
    """What is known of a run."""

    name: Name  # interrupted: the same command resumes it; unknown: data or PLM are not here; refused: it cannot begin
    reason: str = ""  # why it is unknown or refused
    folder: Path | None = None  # None where it is unknown
    data: str | None = None  # fingerprint of its data


@dataclass
class States:
    """States of many runs; what is missing for several of them is looked for once."""

    _missing: dict[str, str] = field(default_factory=dict)  # data or PLM, as text -> what is missing

    def of(self, config: ExperimentConfig) -> State:
        """The state of a run."""
        key = repr((config.task.name, config.task.source, config.task.data_dir, config.task.hub, config.task.report,
                    config.plm))  # fmt: skip
        if key not in self._missing:
            self._missing[key] = _missing(config)
        if reason := self._missing[key]:
            return State("unknown", reason)
        try:
            identity = identity_here(config)
        except UserError as error:
            return State("unknown", str(error))
        folder, data = run_folder(config, identity), identity.data
        try:
            record = records.read_in_place(folder)
        except UserError as error:
            return State("refused", str(error), folder, data)
        if record is not None:
            return State(record.status, "", folder, data)
        return State("interrupted" if (folder / CHECKPOINT).is_dir() else "to do", "", folder, data)


def _missing(config: ExperimentConfig) -> str:
    """What a run of these data on this PLM needs and this machine does not have; empty if nothing."""
    try:
        if source.data_folder(config.task) is None and _commit(config.task) is None:
            return f"the data of '{config.task.name}' are not on this machine"
        if comes_from_hub(config.plm) and plm_commit(config.plm) is None:
            return f"PLM '{config.plm.name}' is not on this machine"
        identity_here(config)
    except UserError as error:
        return str(error)
    return ""


def _commit(task: TaskOptions) -> str | None:
    data = source.hub_data(task)
    return hub.known_commit("dataset", data.path, data.revision)
