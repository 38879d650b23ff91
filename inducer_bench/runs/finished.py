"""A finished run opened again: its record, its configuration and its tuned model."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.config.validate import validated
from inducer_bench.errors import UserError
from inducer_bench.methods.architectures import Layout, layout_of
from inducer_bench.metrics.table import is_users, known, metrics_of
from inducer_bench.options import typed
from inducer_bench.plm.location import architecture
from inducer_bench.runs import artefacts
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import plm_fingerprint
from inducer_bench.runs.record import FinishedRecord
from inducer_bench.tasks.options import TaskOptions

if TYPE_CHECKING:
    from inducer_bench.methods.tuned import TunedModel


@dataclass(frozen=True)
class FinishedRun:
    """The folder of a finished run."""

    folder: Path
    record: FinishedRecord
    config: ExperimentConfig

    @property
    def outputs(self) -> int | None:
        """The outputs of the classification head; None where the PLM's own language model head is used."""
        return self.config.task.outputs(self.record.labels)

    @property
    def layout(self) -> Layout | None:
        """Where the PLM's architecture keeps its parts; None if that is not known."""
        plm = self.config.plm
        return plm.layout or layout_of(architecture(plm).get("model_type"))

    def load(self) -> "TunedModel":
        """The PLM with the run's method, weights and head.

        Raises:
            UserError: the files of the adapter or the PLM are missing, or are not those of the run.
        """
        if self.record.is_trial:
            raise UserError(f"RUN: found '{self.folder}', a trial, which keeps no adapter; allowed: other runs")
        for name in (artefacts.DESCRIPTION, artefacts.WEIGHTS):
            artefacts.check(self.folder, self.record, name)
        if plm_fingerprint(self.config.plm) != self.record.plm_fingerprint:
            raise UserError(
                f"RUN: '{self.folder}' was made with files of the PLM '{self.config.plm.name}' that are not here "
                f"({self.record.plm_fingerprint}); fetch them, or put them back"
            )

        from inducer_bench.methods.attach import load, name_outputs
        from inducer_bench.plm.load import load_model, quiet_libraries

        quiet_libraries()
        model = load_model(self.config.plm, self.config.task.auto_class, self.outputs)
        if self.record.labels is not None:
            name_outputs(model.config, self.record.labels)
        return load(model, self.folder / artefacts.ADAPTER)


def open_run(folder: Path) -> FinishedRun:
    """The run in `folder`.

    Raises:
        UserError: there is no record, it is damaged, or the run was not finished.
    """
    record = records.read(folder)
    if record is None:
        raise UserError(f"RUN: found '{folder}', which holds no record; `inducer-bench ls runs` lists runs")
    if not isinstance(record, FinishedRecord):
        raise UserError(f"RUN: found '{folder}', which is {record.status}; allowed: a run that is done")
    return FinishedRun(folder, record, validated(_with_metrics_that_are_there(record.config)))


def _with_metrics_that_are_there(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without metrics of the user's that are gone: predictions and exports need none.

    Where none is left, a metric of this package that the task can have; where it can have none, as it is.
    """
    task = typed(ExperimentConfig, config).task
    there = [name for name in task.metrics if not is_users(name) or known(name)]
    if there == task.metrics:
        return config
    there = there or [metric.name for metric in metrics_of(task.scored) if _suits(metric.name, task)][:1]
    if not there:
        return config
    metric = task.metric if task.metric in there else there[0]
    return {**config, "task": {**config["task"], "metrics": there, "metric": metric}}


def _suits(metric: str, task: TaskOptions) -> bool:
    try:
        replace(task, metrics=[metric], metric=metric).check()
    except UserError:
        return False
    return True
