"""The records below a folder, and which of them answer which question."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError
from inducer_bench.methods.options import method_title
from inducer_bench.report import store, studies
from inducer_bench.report.store import Group, Store
from inducer_bench.report.studies import Study
from inducer_bench.runs.identity import flat, setting

REAL = Path(__file__).resolve().parents[3] / "results" / "real"
START = "start.json"  # in that folder: what `start.py` measured
EXPERIMENTS = ("real_initialisation", "real_whole", "real_ablation", "real_budget", "real_habits")


@dataclass(frozen=True)
class Evidence:
    """All records, and the studies of equal effort among them."""

    store: Store
    studies: list[Study]

    def of_experiment(self, name: str) -> list[Group]:
        """The settings that `inducer-bench -m experiment=NAME ...` ran, whatever else the command changed."""
        return [group for group in self.store.groups if name in {_experiment(run.record.command) for run in group.runs}]


def load(runs: Path) -> Evidence:
    """The records and studies below a folder; none if it is not there.

    Raises:
        UserError: a record or a search is damaged, or of another release.
    """
    if not runs.is_dir():
        return Evidence(Store([], {}, []), [])
    found = store.load(runs)
    known, left_out = studies.load(runs, found)
    if found.left_out or left_out:
        raise UserError("; ".join([*found.left_out, *left_out]))
    return Evidence(found, known)


def form(config: ExperimentConfig) -> str:
    """The method for people; prefixes that are trained directly are another form of theirs."""
    title = method_title(config.method.name)
    return f"{title}, not reparameterised" if values(config).get("method.reparameterize") == "false" else title


def values(config: ExperimentConfig) -> dict[str, str]:
    """What a setting consists of, by dotted key."""
    return flat(setting(config))


def by_task(groups: Sequence[Group]) -> dict[tuple[str, str], list[Group]]:
    """The groups of each task and PLM."""
    found: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        found.setdefault((group.config.task.name, group.config.plm.name), []).append(group)
    return found


def alone(found: Sequence[Group], what: str) -> Group:
    """The one setting that is called so.

    Raises:
        UserError: there are several, which an average must not mix.
    """
    if len(found) > 1:
        each = [values(group.config) | {"data": group.data} for group in found]
        keys = sorted({key for one in each for key in one if len({other.get(key) for other in each}) > 1})
        raise UserError(f"{what}: found {len(found)} settings, which differ in {', '.join(keys)}; allowed: one")
    return found[0]


def _experiment(command: str) -> str | None:
    words = [word.partition("=") for word in shlex.split(command)]
    return next((value for key, _, value in words if key == "experiment"), None)
