"""A finished run, opened again: its record, its configuration, and its tuned model."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.config.validate import validated
from inducer_bench.errors import UserError
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import plm_fingerprint
from inducer_bench.runs.record import Record

if TYPE_CHECKING:
    from inducer_bench.methods.tuned import TunedModel


@dataclass(frozen=True)
class FinishedRun:
    """What a run folder holds."""

    folder: Path
    record: Record
    config: ExperimentConfig

    def load(self) -> "TunedModel":
        """The PLM with the run's method, weights and head.

        Raises:
            UserError: the PLM is no longer there, or is another one.
        """
        if plm_fingerprint(self.config.plm) != self.record["plm_fingerprint"]:
            raise UserError(
                f"RUN: '{self.folder}' was made with other files of the PLM '{self.config.plm.name}' than are there now"
            )

        from inducer_bench.methods.attach import load
        from inducer_bench.plm.load import load_model

        task = self.config.task
        outputs = task.outputs(self.record.get("labels"))
        return load(load_model(self.config.plm, task.auto_class, outputs), self.folder / "adapter")


def open_run(folder: Path) -> FinishedRun:
    """The run in `folder`.

    Raises:
        UserError: there is no record, it is damaged, or the run was not finished.
    """
    record = records.read(folder)
    if record is None:
        raise UserError(f"RUN: found '{folder}', which holds no record; `inducer-bench ls runs` lists runs")
    if record["status"] != "done":
        raise UserError(f"RUN: found '{folder}', which is {record['status']}; allowed: a run that is done")
    return FinishedRun(folder, record, validated(record["config"]))
