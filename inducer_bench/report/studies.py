"""The searches below a folder with their runs, in studies: one task, one PLM and one effort, with a search per method.

Searches that are damaged, or that say otherwise than the records of their runs, are named and left out. Searches on
random weights are left out: they show nothing about a method.
"""

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from inducer_bench.config.schema import ExperimentConfig
from inducer_bench.errors import UserError, shown
from inducer_bench.methods.options import method_title
from inducer_bench.report.store import LARGEST, Group, Run, Store, configuration, group_of
from inducer_bench.runs.record import FinishedRecord, Record
from inducer_bench.search import record as searches
from inducer_bench.search.record import AGAIN, ENDED, FinalRun, Search, Trial

_OF_ONE_TASK = ("task=", "task.data_dir=")  # overrides in which equal efforts on several tasks differ


@dataclass(frozen=True)
class Searched:
    """One method of a study: its search, and the runs of its winner.

    Args:
        label: its row in tables.
        finals: the runs at the winner's settings that have a record; None if there is none.
        untuned: those at the method's own settings.
        tried: hash -> the run of each trial, and of each that ran again, that has a record.
    """

    label: str
    config: ExperimentConfig  # of its first trial
    search: Search
    finals: Group | None
    untuned: Group | None
    tried: dict[str, Run]

    @property
    def winner(self) -> Trial | None:
        """The best trial; None until all have ended, or if none was done."""
        return None if self.search.winner is None else self.search.trials[self.search.winner]

    @property
    def ended(self) -> list[Trial]:
        """The trials that have, whatever came of them."""
        return [trial for trial in self.search.trials if trial.status in ENDED]

    def missing(self) -> str | None:
        """What has not ended yet, in words; None if everything has."""
        ended = len(self.ended)
        if ended < len(self.search.trials):
            return f"{ended} of {len(self.search.trials)} trials"
        confirmed = sum(run.status in ENDED for run in self.search.confirmations)
        if confirmed < len(self.search.confirmations):
            return f"{confirmed} of {len(self.search.confirmations)} best trials on all of the data"
        if self.winner is None:
            return None if self.failed() else "no winner yet"
        runs = self.finals.runs if self.finals else ()
        there = sum(run.record.status != "interrupted" for run in runs)
        if there < len(self.search.finals) or not self.search.finals:
            return f"{there} of {len(self.search.finals) or 'the'} final runs"
        return None

    def failed(self) -> bool:
        """Whether no trial has a score."""
        return all(run.score is None for run in self.search.deciding())


@dataclass(frozen=True)
class Study:
    """Searches of equal effort on one task and PLM, one for each method."""

    id: str  # in the names of files
    effort: tuple[object, ...]  # equal on other tasks where the effort is
    methods: tuple[Searched, ...]  # by label

    @property
    def first(self) -> Search:
        """One of the searches, for what they share."""
        return self.methods[0].search

    def missing(self) -> list[str]:
        """What has not ended yet, for each method."""
        return [f"{method.label} ({missing})" for method in self.methods if (missing := method.missing())]


def load(root: Path, store: Store) -> tuple[list[Study], list[str]]:
    """The studies below `root`, and one line for each search that is left out."""
    found, left_out = searches.find(root)
    members: dict[tuple[object, ...], list[Searched]] = defaultdict(list)
    for folder, search in found:
        try:
            config = configuration(search.config, search.method)
            _check_trials(search, store)
            search = searches.updated(search, partial(_record, store, search))
            finals, untuned = _finals(search, store)
        except UserError as error:
            left_out.append(str(UserError(f"{folder / searches.FILE}: {error}")))
            continue
        if config.plm.weights != "random":
            key = (search.suite, search.task, search.plm, search.study, *_amounts(search))
            hashes = [run.run for run in (*search.trials, *search.confirmations)]
            tried = {run: store.runs[run][1] for run in hashes if run in store.runs}
            members[key].append(Searched(_label(search), config, search, finals, untuned, tried))
    studies = []
    for key, methods in sorted(members.items(), key=lambda item: repr(item[0])):
        first = methods[0].search
        words = [word for word in first.overrides if not word.startswith(_OF_ONE_TASK)]
        effort = (first.suite, first.plm, *_amounts(first), *_rest([m.search for m in methods]), *sorted(words))
        studies.append(Study(short_hash(key), effort, _labelled(methods)))
    return studies, left_out


def short_hash(key: object) -> str:
    """Eight characters that stand for a key in the names of files."""
    return hashlib.sha256(repr(key).encode()).hexdigest()[:8]


def searches_of_runs(studies: Sequence[Study]) -> dict[str, tuple[Study, Search]]:
    """Hash of a final run -> the search whose winner it ran, and its study."""
    return {
        run.run: (study, method.search) for study in studies for method in study.methods for run in method.search.finals
    }


def _amounts(search: Search) -> tuple[object, ...]:
    """What is spent on a search."""
    data = (search.max_train, search.sample) if search.max_train else None
    return len(search.trials), search.decades, data, search.epochs, search.held_out, search.confirm


def _rest(members: Sequence[Search]) -> list[tuple[str, object]]:
    """What else is equal in a study, where it is not as by default: searches of earlier versions do not say it."""
    usual = {"dimensions": 1, "points": 0, "budget": None}
    given = {key: {getattr(search, key) for search in members} - {None, default} for key, default in usual.items()}
    return [(key, *values) for key, values in given.items() if values]


def _label(search: Search) -> str:
    """What tables call a search; see `config.methods.title`."""
    if search.title is not None:
        return search.title
    named = search.choice in (search.method, search.method.rpartition(".")[2])
    return method_title(search.method) if named else search.choice


def _labelled(methods: Sequence[Searched]) -> tuple[Searched, ...]:
    """The methods with labels of their own, by label: a file of `conf/method` may have changed between two searches."""
    counts = Counter(method.label for method in methods)
    named = [
        dataclasses.replace(method, label=f"{method.label}, search {method.search.id[:8]}")
        if counts[method.label] > 1
        else method
        for method in methods
    ]
    return tuple(sorted(named, key=lambda method: method.label))


# -- checks against records --------------------------------------------------------------------------------------------


def _check_trials(search: Search, store: Store) -> None:
    """Check the trials that are done or diverged against their records; `tune` runs the others again.

    Raises:
        UserError: a record is not there, or says otherwise; or a number is beyond all measure.
    """
    for key, trial in [
        *((f"trials.{trial.number}", trial) for trial in search.trials),
        *((f"confirmations.{number}", run) for number, run in enumerate(search.confirmations)),
    ]:
        if max(abs(trial.score or 0.0), trial.seconds) > LARGEST:
            raise UserError(f"{key}: found numbers beyond {LARGEST:g}, the largest in tables")
        if trial.status in AGAIN:
            continue
        record = _record(store, search, trial.run)
        if record is None:
            raise UserError(f"{key}: its run {shown(trial.run)} is not there")
        score = record.selection_score if isinstance(record, FinishedRecord) else None
        if score != trial.score:
            raise UserError(f"{key}.score: found {trial.score}; its run {record.config_hash} says {score}")
        _check_settings(key, trial, record)


def _finals(search: Search, store: Store) -> tuple[Group | None, Group | None]:
    """The final runs that are there, and those at the method's own settings.

    Raises:
        UserError: one is of another seed or setting.
    """
    winner = None if search.winner is None else search.trials[search.winner]
    for number, run in enumerate(search.finals):
        record = _record(store, search, run.run)
        if record is not None and winner is not None:
            _check_settings(f"finals.{number}", winner, record)
    return _group("finals", search, search.finals, store), _group("untuned", search, search.untuned, store)


def _group(name: str, search: Search, runs: Sequence[FinalRun], store: Store) -> Group | None:
    there: list[tuple[ExperimentConfig, Run]] = []
    for run in runs:
        record = _record(store, search, run.run)
        if record is not None:
            if record.seed != run.seed or record.is_trial:
                raise UserError(f"{name}: run {record.config_hash} is a trial, or of another seed than {run.seed}")
            there.append(store.runs[run.run])
    return group_of(there) if there else None


def _record(store: Store, search: Search, run: str) -> Record | None:
    """The record of a run of a search; None if there is none.

    Raises:
        UserError: it is of another method, task or PLM.
    """
    if run not in store.runs:
        return None
    record = store.runs[run][1].record
    for name in ("method", "task", "plm"):
        if getattr(record, name) != getattr(search, name):
            raise UserError(f"{name}: found {getattr(search, name)}; its run {run} says {getattr(record, name)}")
    return record


def _check_settings(key: str, trial: Trial, record: Record) -> None:
    for name, value in trial.settings.items():
        section, _, rest = name.partition(".")
        values = record.config.get(section)
        if isinstance(values, dict) and rest in values and values[rest] != value:
            raise UserError(f"{key}: found {name}={shown(value)}; its run {record.config_hash} says {values[rest]}")
