"""The search of one method: the jobs that it asks for, and what their records have come to."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inducer_bench.errors import UserError
from inducer_bench.runs import record as records
from inducer_bench.runs.identity import identify
from inducer_bench.runs.record import FinishedRecord, Record
from inducer_bench.search import record as searches
from inducer_bench.search.asked import Asked
from inducer_bench.search.record import AGAIN, ENDED, FOLDER, FinalRun, Search, Trial, best_of, came_to


@dataclass(frozen=True)
class Plan:
    """The search of one method, and how its runs are asked for."""

    search: Search
    output_dir: Path
    trial: Asked
    confirmation: Asked
    final: Asked
    seeds: tuple[int, ...]  # of the final runs

    @property
    def folder(self) -> Path:
        """The folder of the search."""
        return self.output_dir / FOLDER / self.search.task / self.search.plm / self.search.method / self.search.id

    def to_come(self) -> int:
        """The most jobs that follow the trials."""
        decided = self.search.winner is not None
        return len(self.final_jobs()) if decided else self.search.confirm + len(self.seeds)

    def winner(self) -> Trial | None:
        """The best trial; None until there is one."""
        return None if self.search.winner is None else self.search.trials[self.search.winner]

    def record(self, run: str) -> Record | None:
        """The record of one of its runs.

        Raises:
            UserError: it is damaged; see `runs.record.read`.
        """
        search = self.search
        return records.read_in_place(self.output_dir / search.task / search.plm / search.method / run)

    def is_done(self, run: FinalRun) -> bool:
        """Whether a final run is."""
        return isinstance(self.record(run.run), FinishedRecord)

    def trial_jobs(self) -> dict[int, list[str]]:
        """Number of a trial -> the overrides of its job, of those that are to run."""
        return {
            trial.number: self.trial.job(trial.settings, self.search.seed)
            for trial in self.search.trials
            if trial.status in AGAIN
        }

    def confirmation_jobs(self) -> list[list[str]]:
        """The jobs that run the best trials again on all of the data, of those that are to run."""
        runs = self.search.confirmations
        return [self.confirmation.job(run.settings, self.search.seed) for run in runs if run.status in AGAIN]

    def untuned_jobs(self) -> list[list[str]]:
        """The jobs of runs at the method's own settings that are not done."""
        return [self.final.job({}, run.seed) for run in self.search.untuned if not self.is_done(run)]

    def final_jobs(self) -> list[list[str]]:
        """The jobs of the winner's runs that are not done."""
        winner = self.winner()
        settings = {} if winner is None else winner.settings
        return [
            self.final.job(settings, run.seed, self.search.id) for run in self.search.finals if not self.is_done(run)
        ]

    def refreshed(self) -> "Plan":
        """The plan with what its trials have come to, and with a winner and its runs once there can be one.

        Raises:
            UserError: a record is damaged.
        """
        trials = [came_to(trial, self.record(trial.run)) for trial in self.search.trials]
        confirmations, deciding = self.search.confirmations, trials
        if self.search.confirm and _ended(trials):
            best = best_of(trials, self.search.better)[: self.search.confirm]
            deciding = confirmations = [self._confirmation(trial) for trial in best]
        ranked = best_of(deciding, self.search.better) if _ended(trials) and _ended(deciding) else []
        winner = ranked[0].number if ranked else None
        finals = [] if winner is None else self.final.runs(trials[winner].settings, self.seeds)
        search = dataclasses.replace(
            self.search, trials=trials, confirmations=confirmations, winner=winner, finals=finals
        )
        return dataclasses.replace(self, search=search)

    def with_earlier(self) -> Search:
        """The search with the runs of earlier calls for more seeds, or also for untuned runs, that are done."""
        try:
            earlier = searches.read(self.folder)
        except UserError:  # it is damaged, and is made anew
            earlier = None
        search = self.search
        untuned = [run for run in (earlier.untuned if earlier else []) if self._record_of(run.run) is not None]
        return dataclasses.replace(
            search, finals=_with(self._finals_there(), search.finals), untuned=_with(untuned, search.untuned)
        )

    def _finals_there(self) -> list[FinalRun]:
        """The runs of the winner that are done, whoever asked for them."""
        winner, search = self.winner(), self.search
        place = self.output_dir / search.task / search.plm / search.method
        if winner is None or not place.is_dir():
            return []
        found = [self._record_of(folder.name) for folder in sorted(place.iterdir())]
        own = [record for record in found if record is not None and record.config.get("search") == search.id]
        hashes, seeds = ({getattr(record, key) for record in own} for key in ("config_hash", "seed"))
        return [run for run in self.final.runs(winner.settings, sorted(seeds)) if run.run in hashes]

    def _record_of(self, run: str) -> FinishedRecord | None:
        """The record of a run that is done; None also if it is damaged."""
        try:
            record = self.record(run)
        except UserError:
            return None
        return record if isinstance(record, FinishedRecord) else None

    def _confirmation(self, trial: Trial) -> Trial:
        """The run of a trial's settings on all of the data, with what it has come to."""
        run = identify(self.confirmation.config(trial.settings, self.search.seed)).hash
        planned = dataclasses.replace(trial, run=run, status="planned", score=None, loss=None, seconds=0.0)
        return came_to(planned, self.record(run))


def _with(earlier: Sequence[FinalRun], asked: Sequence[FinalRun]) -> list[FinalRun]:
    """The runs that are asked for, and earlier ones of other seeds, by seed."""
    seeds = {run.seed for run in asked}
    return sorted([*asked, *(run for run in earlier if run.seed not in seeds)], key=lambda run: run.seed)


def _ended(runs: Sequence[Trial]) -> bool:
    return all(run.status in ENDED for run in runs)


def in_turn(each: Sequence[dict[int, list[str]]]) -> Iterator[list[str]]:
    """The jobs of several plans by their number: the first of each plan, the second of each, and so on."""
    for number in sorted({number for jobs in each for number in jobs}):
        yield from (jobs[number] for jobs in each if number in jobs)
